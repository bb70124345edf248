#include "relay/edge/doorman.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "shared/mem.h"
#include "tests/unit/loop_fixture.h"

#define HASH "$5$rounds=1000$abcdefgh$XIppta5rT8zJUu4vAOKQXrwq9uY4Ijlz6VjyOmkx5i4" /* of "secret" */

static const char passwords[] = "me:" HASH "\nyou:" HASH "\n";
static const struct snap_guard guard = { 1, { 1 } };

struct guest {
    struct doorman_guest at_door;
    enum doorman_says says;
    bool answered;
};

struct street {
    struct loop *loop;
    struct doorman_house house;
    struct doorman *doorman;
    uint64_t now_ns;
    bool closed;
};

static void on_answered(void *user, enum doorman_says says)
{
    struct guest *g = user;

    assert_false(g->answered);
    g->says = says;
    g->answered = true;
}

static void on_closed(void *user)
{
    struct street *s = user;

    s->closed = true;
}

static struct street street_open(void **state)
{
    struct street s = { .loop = *state, .now_ns = 1000000000 };

    return s;
}

static void street_begin(struct street *s)
{
    doorman_house_init(&s->house);
    s->doorman = doorman_new(s->loop, &s->house);
}

static void street_end(struct street *s)
{
    doorman_stop(s->doorman, on_closed, s);
    loop_until(s->loop, &s->closed);
    assert_true(s->closed);
    doorman_house_free(&s->house);
}

static void print_base64(char *out, const char *text)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t n = strlen(text);

    for (size_t i = 0; i < n; i += 3) {
        unsigned bits = (unsigned char)text[i] << 16;

        bits |= i + 1 < n ? (unsigned)(unsigned char)text[i + 1] << 8 : 0;
        bits |= i + 2 < n ? (unsigned char)text[i + 2] : 0;
        *out++ = digits[bits >> 18];
        *out++ = digits[bits >> 12 & 63];
        *out++ = i + 1 < n ? digits[bits >> 6 & 63] : '=';
        *out++ = i + 2 < n ? digits[bits & 63] : '=';
    }
    *out = '\0';
}

/* said NULL: nothing */
static enum doorman_says ask_at(struct street *s, const struct snap_guard *site, struct guest *g,
                                const char *said, uint64_t source)
{
    static const struct h1_limits limits = { .max_uri = 1024, .max_header = 8192 };
    struct doorman_question question = { site, passwords, NULL, source, s->now_ns };
    char base64[256], text[512];
    struct h1_head head;
    int n;

    print_base64(base64, said ? said : "");
    n = snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: a\r\n%s%s\r\n\r\n",
                 said ? "Authorization: Basic " : "X: ", base64);
    h1_request_init(&head);
    assert_int_equal(h1_head_parse(&head, text, (size_t)n, &limits), n);
    question.head = &head;
    *g = (struct guest){ .at_door = { .answered = on_answered, .user = g } };
    return doorman_ask(s->doorman, &g->at_door, &question);
}

static enum doorman_says ask(struct street *s, struct guest *g, const char *said, uint64_t source)
{
    return ask_at(s, &guard, g, said, source);
}

static enum doorman_says answer(struct street *s, struct guest *g, const char *said, uint64_t source)
{
    enum doorman_says says = ask(s, g, said, source);

    if (says != DOORMAN_WAITS)
        return says;
    loop_until(s->loop, &g->answered);
    return g->says;
}

static void test_who_comes_in(void **state)
{
    struct street s = street_open(state);
    struct guest g;

    street_begin(&s);
    assert_int_equal(ask(&s, &g, NULL, 1), DOORMAN_ASKS);
    assert_int_equal(ask(&s, &g, "me", 1), DOORMAN_ASKS);
    assert_int_equal(answer(&s, &g, "me:secret", 1), DOORMAN_LETS_IN);
    assert_int_equal(ask(&s, &g, "me:secret", 1), DOORMAN_LETS_IN); /* at once */
    assert_int_equal(ask(&s, &g, "me:secret", 2), DOORMAN_LETS_IN);
    assert_int_equal(answer(&s, &g, "me:Secret", 1), DOORMAN_ASKS);
    assert_int_equal(answer(&s, &g, "you:secret", 1), DOORMAN_LETS_IN);
    assert_int_equal(answer(&s, &g, "he:secret", 1), DOORMAN_ASKS); /* who is not there */
    street_end(&s);
}

static void test_the_same_is_looked_at_once(void **state)
{
    struct street s = street_open(state);
    struct guest first, more[5];

    street_begin(&s);
    assert_int_equal(ask(&s, &first, "me:secret", 1), DOORMAN_WAITS);
    for (int i = 0; i < 5; i++)
        assert_int_equal(ask(&s, &more[i], "me:secret", 1), DOORMAN_WAITS);
    doorman_leave(&first.at_door);
    doorman_leave(&more[2].at_door);
    doorman_leave(&more[2].at_door); /* who does not wait */
    loop_until(s.loop, &more[0].answered);
    for (int i = 0; i < 5; i++)
        assert_int_equal(more[i].answered, i != 2);
    assert_false(first.answered);
    street_end(&s);
}

static void test_who_guesses_is_not_listened_to(void **state)
{
    struct street s = street_open(state);
    struct guest g;
    char said[32];

    street_begin(&s);
    assert_int_equal(answer(&s, &g, "me:secret", 1), DOORMAN_LETS_IN); /* which takes none of them away */
    for (int i = 0; i < GUESSES; i++) {
        snprintf(said, sizeof said, "me:%d", i);
        assert_int_equal(answer(&s, &g, said, 1), DOORMAN_ASKS);
    }
    assert_int_equal(ask(&s, &g, "me:x", 1), DOORMAN_TIRES);
    assert_int_equal(g.at_door.retry_s, 60 / GUESSES_M);
    assert_int_equal(ask(&s, &g, "you:secret", 1), DOORMAN_TIRES);  /* right, but who would know */
    assert_int_equal(ask(&s, &g, "me:secret", 1), DOORMAN_LETS_IN); /* who is known costs nothing */
    assert_int_equal(answer(&s, &g, "you:secret", 2), DOORMAN_LETS_IN);
    assert_int_equal(ask(&s, &g, "you:secret", 1), DOORMAN_TIRES); /* that it is known now he is not told, */
    assert_int_equal(ask(&s, &g, "you:secret", 3), DOORMAN_LETS_IN); /* as others are */
    s.now_ns += (uint64_t)60 / GUESSES_M * 1000000000;
    assert_int_equal(answer(&s, &g, "me:x", 1), DOORMAN_ASKS);
    assert_int_equal(ask(&s, &g, "me:x", 1), DOORMAN_TIRES);
    street_end(&s);
}

static void test_too_many_wait(void **state)
{
    enum { ALL = DOORMAN_QUEUE + DOORMAN_SITE_QUEUE };
    static const struct snap_guard sites[] = { { 1, { 1 } }, { 2, { 2 } }, { 3, { 3 } } };
    struct street s = street_open(state);
    struct guest *all = mem_new(ALL * sizeof *all);
    char said[32];

    street_begin(&s);
    for (int i = 0; i < ALL; i++) { /* by turns: 40 at the first, as many at the second, then the third */
        const struct snap_guard *site = &sites[i < 80 ? i % 2 : 2];

        snprintf(said, sizeof said, "me:%d", i);
        assert_int_equal(ask_at(&s, site, &all[i], said, (uint64_t)i),
                         i < DOORMAN_QUEUE ? DOORMAN_WAITS : DOORMAN_IS_BUSY);
    }
    for (int i = 0; i < DOORMAN_QUEUE; i++)
        doorman_leave(&all[i].at_door); /* nobody waits for these any more, */
    assert_int_equal(ask_at(&s, &sites[2], &all[0], "me:secret", 1),
                     DOORMAN_WAITS); /* so that there is room, and they are left out */
    loop_until(s.loop, &all[0].answered);
    assert_int_equal(all[0].says, DOORMAN_LETS_IN);
    s.now_ns += (uint64_t)60 * 1000000000; /* all are equal again */
    for (int i = 1; i <= DOORMAN_SITE_QUEUE + 1; i++) {
        snprintf(said, sizeof said, "me:%d", i);
        assert_int_equal(ask(&s, &all[i], said, (uint64_t)i),
                         i <= DOORMAN_SITE_QUEUE ? DOORMAN_WAITS : DOORMAN_IS_BUSY);
    }
    assert_int_equal(ask_at(&s, &sites[2], &all[0], "me:elsewhere", 1), DOORMAN_WAITS);
    for (int i = 0; i < ALL; i++)
        doorman_leave(&all[i].at_door);
    street_end(&s);
    free(all);
}

/* Guesses from some sources fill all places of a site: who has not guessed there gets one of theirs. */
static void test_who_guesses_gives_way(void **state)
{
    struct street s = street_open(state);
    struct guest guesses[DOORMAN_SITE_QUEUE], fresh[2], more;
    char said[32];
    int busy = 0;

    street_begin(&s);
    for (int i = 0; i < DOORMAN_SITE_QUEUE; i++) { /* four sources, eight times each */
        snprintf(said, sizeof said, "me:%d", i);
        assert_int_equal(ask(&s, &guesses[i], said, (uint64_t)(i % 4)), DOORMAN_WAITS);
    }
    assert_int_equal(ask(&s, &more, "me:more", 1), DOORMAN_IS_BUSY); /* no less than others */
    assert_int_equal(ask(&s, &fresh[0], "me:secret", 100), DOORMAN_WAITS);
    assert_int_equal(ask(&s, &fresh[1], "me:wrong", 101), DOORMAN_WAITS);
    assert_false(guesses[DOORMAN_SITE_QUEUE - 1].answered); /* not from inside of another one's asking */
    loop_until(s.loop, &fresh[0].answered);
    assert_int_equal(fresh[0].says, DOORMAN_LETS_IN);
    loop_until(s.loop, &fresh[1].answered);
    assert_int_equal(fresh[1].says, DOORMAN_ASKS);
    for (int i = 0; i < DOORMAN_SITE_QUEUE; i++) {
        assert_true(guesses[i].answered);
        busy += guesses[i].says == DOORMAN_IS_BUSY;
    }
    assert_int_equal(busy, 2); /* the last ones of two who have guessed most, */
    assert_int_equal(guesses[DOORMAN_SITE_QUEUE - 1].says, DOORMAN_IS_BUSY);
    assert_int_equal(guesses[DOORMAN_SITE_QUEUE - 2].says, DOORMAN_IS_BUSY);
    assert_int_equal(answer(&s, &more, "me:1 more", 3),
                     DOORMAN_ASKS); /* which cost them no guess: eight, not nine */
    assert_int_equal(answer(&s, &more, "me:2 more", 3), DOORMAN_ASKS);
    assert_int_equal(answer(&s, &more, "me:3 more", 3), DOORMAN_ASKS);
    assert_int_equal(answer(&s, &more, "me:4 more", 3), DOORMAN_TIRES);
    street_end(&s);
}

/* One who gives way may be gone by then, and all may end. */
static void test_it_ends_while_some_give_way(void **state)
{
    for (int i = 0; i < 2; i++) {
        struct street s = street_open(state);
        struct guest guesses[DOORMAN_SITE_QUEUE], fresh[3];
        char said[32];

        street_begin(&s);
        for (int n = 0; n < DOORMAN_SITE_QUEUE; n++) {
            snprintf(said, sizeof said, "me:%d", n);
            assert_int_equal(ask(&s, &guesses[n], said, (uint64_t)(n % 4)), DOORMAN_WAITS);
        }
        for (unsigned n = 0; n < 3; n++) {
            snprintf(said, sizeof said, "me:fresh %u", n);
            assert_int_equal(ask(&s, &fresh[n], said, 100 + n), DOORMAN_WAITS);
        }
        if (i > 0)
            for (int n = 0; n < DOORMAN_SITE_QUEUE; n++)
                doorman_leave(&guesses[n].at_door);
        if (i > 0)
            loop_until(s.loop, &fresh[2].answered);
        street_end(&s);
    }
}

/* While somebody else's right one is being looked at, who has guessed too often is not told of it. */
static void test_nobody_profits_by_what_is_looked_at(void **state)
{
    struct street s = street_open(state);
    struct guest g, first, same, other;
    char said[32];

    street_begin(&s);
    for (int i = 0; i < GUESSES; i++) {
        snprintf(said, sizeof said, "me:%d", i);
        assert_int_equal(answer(&s, &g, said, 1), DOORMAN_ASKS);
    }
    assert_int_equal(ask(&s, &first, "me:secret", 2), DOORMAN_WAITS);
    assert_int_equal(ask(&s, &g, "me:secret", 1), DOORMAN_TIRES);
    assert_int_equal(ask(&s, &same, "me:secret", 2), DOORMAN_WAITS);
    assert_int_equal(ask(&s, &other, "me:secret", 3), DOORMAN_WAITS);
    loop_until(s.loop, &other.answered);
    assert_int_equal(first.says, DOORMAN_LETS_IN);
    assert_int_equal(same.says, DOORMAN_LETS_IN);
    assert_int_equal(other.says, DOORMAN_LETS_IN);
    street_end(&s);
}

/* A place that nobody waits for is not kept, and was a guess. */
static void test_who_asks_and_goes_gains_nothing(void **state)
{
    struct street s = street_open(state);
    struct guest guesses[DOORMAN_SITE_QUEUE], goes;
    enum doorman_says says = DOORMAN_WAITS;
    char said[32];
    int asked;

    street_begin(&s);
    for (int i = 0; i < DOORMAN_SITE_QUEUE; i++) {
        snprintf(said, sizeof said, "me:%d", i);
        assert_int_equal(ask(&s, &guesses[i], said, (uint64_t)(100 + i)), DOORMAN_WAITS);
    }
    doorman_leave(&guesses[1].at_door);
    for (asked = 0; asked < 2 * GUESSES && says == DOORMAN_WAITS; asked++) {
        snprintf(said, sizeof said, "me:goes %d", asked);
        says = ask(&s, &goes, said, 1);
        doorman_leave(&goes.at_door);
    }
    assert_int_equal(asked, GUESSES + 1);
    assert_int_equal(says, DOORMAN_TIRES);
    street_end(&s);
}

/* Who guesses at one site does not keep anybody waiting at another one. */
static void test_sites_come_in_turn(void **state)
{
    static const struct snap_guard busy = { 1, { 1 } }, quiet = { 2, { 2 } };
    struct street s = street_open(state);
    struct guest guesses[20], right, wrong;
    char said[32];
    int before = 0;

    street_begin(&s);
    for (int i = 0; i < 20; i++) {
        snprintf(said, sizeof said, "me:%d", i);
        assert_int_equal(ask_at(&s, &busy, &guesses[i], said, (uint64_t)i), DOORMAN_WAITS);
    }
    assert_int_equal(ask_at(&s, &quiet, &right, "me:secret", 100), DOORMAN_WAITS);
    assert_int_equal(ask_at(&s, &quiet, &wrong, "me:wrong", 101), DOORMAN_WAITS);
    loop_until(s.loop, &right.answered);
    assert_int_equal(right.says, DOORMAN_LETS_IN);
    assert_false(wrong.answered);
    for (int i = 0; i < 20; i++)
        before += guesses[i].answered;
    assert_in_range(before, 1, 2);
    loop_until(s.loop, &wrong.answered);
    assert_false(guesses[5].answered);
    loop_until(s.loop, &guesses[19].answered);
    for (int i = 0; i < 20; i++)
        assert_true(guesses[i].answered);
    street_end(&s);
}

static void test_it_ends_in_every_state(void **state)
{
    for (int i = 0; i < 4; i++) {
        struct street s = street_open(state);
        struct guest first, second, third;

        street_begin(&s);
        if (i > 0)
            assert_int_equal(ask(&s, &first, "me:1", 1), DOORMAN_WAITS);
        if (i > 1)
            assert_int_equal(ask(&s, &second, "me:2", 1), DOORMAN_WAITS);
        if (i > 2)
            loop_until(s.loop, &first.answered); /* and the second one is looked at */
        doorman_stop(s.doorman, on_closed, &s);
        if (i > 0) {
            assert_false(s.closed);
            assert_int_equal(ask(&s, &third, "me:3", 1), DOORMAN_IS_BUSY);
        }
        loop_until(s.loop, &s.closed);
        doorman_house_free(&s.house);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_who_comes_in, loop_make, loop_end),
        cmocka_unit_test_setup_teardown(test_the_same_is_looked_at_once, loop_make, loop_end),
        cmocka_unit_test_setup_teardown(test_who_guesses_is_not_listened_to, loop_make, loop_end),
        cmocka_unit_test_setup_teardown(test_too_many_wait, loop_make, loop_end),
        cmocka_unit_test_setup_teardown(test_who_guesses_gives_way, loop_make, loop_end),
        cmocka_unit_test_setup_teardown(test_it_ends_while_some_give_way, loop_make, loop_end),
        cmocka_unit_test_setup_teardown(test_nobody_profits_by_what_is_looked_at, loop_make, loop_end),
        cmocka_unit_test_setup_teardown(test_who_asks_and_goes_gains_nothing, loop_make, loop_end),
        cmocka_unit_test_setup_teardown(test_sites_come_in_turn, loop_make, loop_end),
        cmocka_unit_test_setup_teardown(test_it_ends_in_every_state, loop_make, loop_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
