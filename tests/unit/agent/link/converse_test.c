#include "agent/link/converse.h"

#include "shared/log.h"
#include "tests/unit/pieces.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#define SECRET "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define WELCOME                                                                                \
    "{\"type\":\"welcome\",\"v\":1,\"relay\":\"fra1\",\"lane_id\":\"l1\",\"secret\":\"" SECRET \
    "\",\"seen_from\":\"192.0.2.7\",\"publish\":[],\"heartbeat_s\":3,\"time\":\"2026-11-21T00:00:00Z\"}\n"
#define CLAIMED \
    "{\"type\":\"claimed\",\"serial\":1,\"items\":[{\"item\":\"domain:a.test\",\"ok\":true,\"why\":\"\"}]}\n"

static const char *const aliases[] = { "b.test" };

struct fixture {
    struct converse talk;
    struct sites sites;
    struct site site;
    struct buf events;
};

static void on_welcomed(void *user)
{
    buf_add_text(&((struct fixture *)user)->events, "welcomed ");
}

static void on_aborted(void *user, uint64_t stream)
{
    buf_printf(&((struct fixture *)user)->events, "abort %llx ", (unsigned long long)stream);
}

static void on_away(void *user)
{
    buf_add_text(&((struct fixture *)user)->events, "away ");
}

static void start(void *user)
{
    static const struct converse_events events = { on_welcomed, on_aborted, on_away };
    struct fixture *f = user;

    *f = (struct fixture){ 0 };
    f->site = (struct site){ .item = "domain:a.test", .aliases = aliases, .aliases_n = 1 };
    f->sites = (struct sites){ .list = &f->site, .n = 1, .serial = 1 };
    converse_init(&f->talk, "fra1", 0, "0123", &f->sites, &events, f);
    converse_hello(&f->talk, 4711);
}

/* What is to be sent now, taken off. */
static const char *said(struct fixture *f, struct buf *text)
{
    struct buf *out = converse_out(&f->talk);

    text->len = text->start = 0;
    buf_add(text, buf_bytes(out), out->len);
    converse_took(&f->talk, out->len);
    return buf_text(text);
}

static int feed(struct fixture *f, const char *text, int64_t now_ms, struct err *e)
{
    return converse_feed(&f->talk, text, strlen(text), now_ms, e);
}

static void end(struct fixture *f, struct buf *text)
{
    converse_free(&f->talk);
    buf_free(&f->events);
    buf_free(text);
}

static void test_hello_welcome_claim(void **state)
{
    struct fixture f;
    struct buf text = { 0 };

    (void)state;
    start(&f);
    assert_non_null(strstr(said(&f, &text), "\"type\":\"hello\""));
    assert_non_null(strstr(buf_text(&text), "\"v\":1"));
    assert_non_null(strstr(buf_text(&text), "\"port\":4711"));
    assert_null(f.talk.secret.bytes);
    converse_claim(&f.talk); /* not before welcome */
    converse_ping(&f.talk, 5);
    assert_string_equal(said(&f, &text), "");
    assert_int_equal(feed(&f, WELCOME, 0, NULL), 0);
    assert_string_equal(buf_text(&f.events), "welcomed ");
    assert_int_equal(f.talk.secret.bytes[1], 0x11);
    assert_int_equal(f.talk.heartbeat_ms, 3000);
    assert_non_null(strstr(said(&f, &text), "\"type\":\"claim\""));
    assert_non_null(strstr(buf_text(&text), "[{\"item\":\"domain:a.test\",\"aliases\":[\"b.test\"]}]"));
    assert_int_equal(feed(&f, CLAIMED, 0, NULL), 0);
    assert_int_equal(f.site.claim, SITE_ACCEPTED);
    end(&f, &text);
}

/* By a relay whose address or heartbeat is another one now. */
static void test_welcomed_again(void **state)
{
    struct fixture f;
    struct buf text = { 0 };

    (void)state;
    start(&f);
    assert_int_equal(feed(&f, WELCOME, 0, NULL), 0);
    assert_string_equal(buf_text(&f.events), "welcomed ");
    said(&f, &text);
    f.talk.heartbeat_ms = 9000;
    assert_int_equal(feed(&f, WELCOME, 0, NULL), 0);
    assert_int_equal(f.talk.heartbeat_ms, 3000);
    assert_string_equal(buf_text(&f.events), "welcomed "); /* streams go on */
    assert_string_equal(said(&f, &text), "");
    assert_int_equal(feed(&f, "{\"type\":\"away\"}\n{\"type\":\"resync\"}\n" WELCOME, 0, NULL), 0);
    assert_string_equal(buf_text(&f.events), "welcomed away welcomed ");
    end(&f, &text);
}

static void test_an_empty_set_is_claimed_too(void **state)
{
    struct fixture f;
    struct buf text = { 0 };

    (void)state;
    start(&f);
    f.sites.n = 0;
    f.sites.serial = 2;
    assert_int_equal(feed(&f, WELCOME, 0, NULL), 0);
    assert_non_null(strstr(said(&f, &text), "\"serial\":2,\"part\":1,\"last\":true,\"items\":[]"));
    assert_int_equal(feed(&f, CLAIMED, 0, NULL), 0); /* of another serial: late, and without meaning */
    assert_int_equal(f.site.claim, SITE_UNCLAIMED);
    end(&f, &text);
}

static void test_a_site_for_other_relays_is_not_told(void **state)
{
    static const char *const others[] = { "ams1" }, *const both[] = { "ams1", "fra1" };
    struct site sites[3] = { { .item = "domain:a.test", .relays = { 1, others } },
                             { .item = "domain:b.test", .relays = { 2, both } },
                             { .item = "domain:c.test", .relays = { 1, others } } };
    struct lane_msg m = { .type = LANE_SERVICE,
                          .service = { .item = "domain:a.test", .state = LANE_SERVICE_REFUSED } };
    struct fixture f;
    struct buf text = { 0 };

    (void)state;
    start(&f);
    f.sites.list = sites;
    f.sites.n = 3;
    assert_int_equal(feed(&f, WELCOME, 0, NULL), 0);
    assert_non_null(
        strstr(said(&f, &text), "\"last\":true,\"items\":[{\"item\":\"domain:b.test\",\"aliases\":[]}]"));
    assert_false(converse_say(&f.talk, &m));
    assert_string_equal(said(&f, &text), "");
    m.service.item = "domain:b.test";
    assert_true(converse_say(&f.talk, &m));
    assert_non_null(strstr(said(&f, &text), "\"type\":\"service\",\"item\":\"domain:b.test\""));
    end(&f, &text);
}

static void test_pings(void **state)
{
    struct fixture f;
    struct buf text = { 0 };

    (void)state;
    start(&f);
    assert_int_equal(feed(&f, WELCOME, 0, NULL), 0);
    assert_false(converse_ping(&f.talk, 900)); /* not while the claim is still here */
    assert_null(strstr(said(&f, &text), "ping"));
    assert_true(converse_ping(&f.talk, 1000));
    assert_string_equal(said(&f, &text), "{\"type\":\"ping\",\"n\":1,\"t\":1000,\"rtt_ms\":-1}\n");
    assert_int_equal(feed(&f, "{\"type\":\"pong\",\"n\":9,\"t\":1000,\"rtt_ms\":-1}\n", 1100, NULL), 0);
    assert_int_equal(feed(&f, "{\"type\":\"pong\",\"n\":1,\"t\":2000,\"rtt_ms\":-1}\n", 1100, NULL), 0);
    assert_int_equal(f.talk.rtt_ms, -1); /* never asked so */
    assert_int_equal(f.talk.pongs, 0);
    assert_int_equal(feed(&f, "{\"type\":\"pong\",\"n\":1,\"t\":1000,\"rtt_ms\":-1}\n", 1042, NULL), 0);
    assert_int_equal(f.talk.rtt_ms, 42);
    assert_int_equal(feed(&f, "{\"type\":\"ping\",\"n\":3,\"t\":77,\"rtt_ms\":5}\n", 0, NULL), 0);
    assert_string_equal(said(&f, &text), "{\"type\":\"pong\",\"n\":3,\"t\":77,\"rtt_ms\":42}\n");
    assert_true(converse_ping(&f.talk, 2000));
    assert_non_null(strstr(said(&f, &text), "\"n\":2"));
    assert_false(converse_ping(&f.talk, 3000)); /* asked again, but the one before has no answer */
    assert_non_null(strstr(said(&f, &text), "\"n\":3"));
    end(&f, &text);
}

static void test_who_asks_hears_of_an_answer_that_came_after(void **state)
{
    struct fixture f;
    struct buf text = { 0 };
    uint64_t first, second;

    (void)state;
    start(&f);
    assert_int_equal(converse_ask(&f.talk, 1000), 0); /* nobody is there yet */
    assert_int_equal(feed(&f, WELCOME, 0, NULL), 0);
    first = converse_ask(&f.talk, 1000);
    assert_int_equal(first, 1);
    assert_int_equal(converse_ask(&f.talk, 1000), first); /* it has not left */
    assert_non_null(strstr(said(&f, &text), "{\"type\":\"ping\",\"n\":1,"));
    second = converse_ask(&f.talk, 1001);
    assert_int_equal(second, 2);
    assert_non_null(strstr(said(&f, &text), "{\"type\":\"ping\",\"n\":2,"));
    assert_int_equal(feed(&f, "{\"type\":\"pong\",\"n\":1,\"t\":1000,\"rtt_ms\":-1}\n", 1100, NULL), 0);
    assert_true(converse_answered(&f.talk, first));
    assert_false(converse_answered(&f.talk, second));
    assert_int_equal(feed(&f, "{\"type\":\"pong\",\"n\":2,\"t\":1001,\"rtt_ms\":-1}\n", 1100, NULL), 0);
    assert_true(converse_answered(&f.talk, second));
    assert_int_equal(feed(&f, "{\"type\":\"away\"}\n", 0, NULL), 0);
    assert_int_equal(converse_ask(&f.talk, 1200), 0);
    end(&f, &text);
}

static void test_ended_has_a_place(void **state)
{
    struct fixture f;
    struct buf text = { 0 };
    uint64_t first, second;

    (void)state;
    start(&f);
    said(&f, &text);
    first = converse_ended(&f.talk, 0xab, LANE_EOF, "");
    second = converse_ended(&f.talk, 0xcd, LANE_SILENT, "no answer");
    assert_false(converse_said(&f.talk, first));
    converse_took(&f.talk, converse_out(&f.talk)->len / 2 + 1);
    assert_true(converse_said(&f.talk, first));
    assert_false(converse_said(&f.talk, second)); /* a part of a line explains nothing */
    converse_took(&f.talk, converse_out(&f.talk)->len - 1);
    assert_false(converse_said(&f.talk, second));
    assert_string_equal(said(&f, &text), "\n");
    assert_true(converse_said(&f.talk, second));
    end(&f, &text);
}

static void test_away_and_resync(void **state)
{
    struct fixture f;
    struct buf text = { 0 };

    (void)state;
    start(&f);
    assert_int_equal(feed(&f, WELCOME "{\"type\":\"away\"}\n", 0, NULL), 0);
    assert_int_equal(f.talk.state, CONVERSE_AWAY);
    said(&f, &text);
    converse_ping(&f.talk, 0); /* nobody is there to answer */
    assert_string_equal(said(&f, &text), "");
    assert_int_equal(feed(&f, "{\"type\":\"resync\"}\n", 0, NULL), 0);
    assert_int_equal(f.talk.state, CONVERSE_HELLO);
    assert_non_null(strstr(said(&f, &text), "\"type\":\"hello\""));
    assert_int_equal(feed(&f, WELCOME, 0, NULL), 0);
    assert_string_equal(buf_text(&f.events), "welcomed away welcomed ");
    assert_non_null(strstr(said(&f, &text), "\"type\":\"claim\""));
    end(&f, &text);
}

static void test_goodbye(void **state)
{
    struct fixture f;
    struct buf text = { 0 };

    (void)state;
    start(&f);
    assert_int_equal(feed(&f, WELCOME, 0, NULL), 0);
    said(&f, &text);
    converse_goodbye(&f.talk, "the agent is stopping");
    converse_goodbye(&f.talk, "again");
    assert_string_equal(said(&f, &text), "{\"type\":\"goodbye\",\"why\":\"the agent is stopping\"}\n");
    end(&f, &text);
    start(&f);
    assert_int_equal(feed(&f, WELCOME "{\"type\":\"goodbye\",\"why\":\"x\"}\n", 0, NULL), 0);
    assert_int_equal(f.talk.state, CONVERSE_GOODBYE);
    end(&f, &text);
}

static void test_what_ends_the_lane(void **state)
{
    static const struct {
        const char *line;
        enum err_code code;
        const char *why;
    } rows[] = {
        { "{\"type\":\"end\"}", ERR_STOPPED, "for good" },
        { "{\"type\":\"error\",\"why\":\"no such agent\"}", ERR_STOPPED, "no such agent" },
        { "{\"type\":\"welcome\",\"v\":2}", ERR_PEER, "version" },
        { "{\"type\":\"welcome\",\"v\":1}", ERR_PEER, "relay" },
        { "[]", ERR_PEER, "" },
        { "", ERR_PEER, "" },
        { "{\"type\":\"ended\",\"stream\":\"0000000000000001\",\"how\":\"eof\",\"detail\":\"\"}", ERR_PEER,
          "only an agent" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf text = { 0 };
        struct err why = { 0 };
        struct fixture f;

        start(&f);
        said(&f, &text);
        assert_int_equal(feed(&f, rows[i].line, 0, &why), 0);
        assert_int_equal(feed(&f, "\n{\"type\":\"away\"}\n", 0, &why), -1);
        assert_int_equal(why.code, rows[i].code);
        assert_non_null(strstr(why.text, rows[i].why));
        /* A relay that breaks the rules is told why; one that sends us away knows. */
        assert_int_equal(strstr(said(&f, &text), "\"type\":\"error\"") != NULL, rows[i].code == ERR_PEER);
        assert_int_equal(f.talk.state, CONVERSE_HELLO); /* what stood behind it was not heard */
        end(&f, &text);
    }
}

static void feed_piece(void *parser, const char *piece, size_t n, struct buf *result)
{
    struct err why = { 0 };
    struct fixture *f = parser;

    if (converse_feed(&f->talk, piece, n, 1000, &why) != 0)
        buf_printf(result, "failed: %s", why.text);
}

static void end_pieces(void *parser, struct buf *result)
{
    struct fixture *f = parser;
    struct buf text = { 0 };

    buf_printf(result, "%s| %s", buf_text(&f->events), said(f, &text));
    end(f, &text);
}

static void test_any_cut_of_the_input(void **state)
{
    static const char in[] = WELCOME CLAIMED "{\"type\":\"of a later version\",\"x\":[{}]}\n"
                                             "{\"type\":\"abort\",\"stream\":\"00000000000000ab\"}\n"
                                             "{\"type\":\"ping\",\"n\":3,\"t\":77,\"rtt_ms\":5}\n";
    static const struct pieces pieces = { start, feed_piece, end_pieces };
    struct fixture f;
    struct buf result = pieces_result(&pieces, &f, in, sizeof in - 1);

    (void)state;
    assert_non_null(strstr(result.mem, "welcomed abort ab | {\"type\":\"hello\""));
    assert_non_null(strstr(result.mem, "\"type\":\"pong\""));
    assert_null(strstr(result.mem, "but cut at"));
    assert_null(strstr(result.mem, "failed"));
    buf_free(&result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hello_welcome_claim),
        cmocka_unit_test(test_welcomed_again),
        cmocka_unit_test(test_an_empty_set_is_claimed_too),
        cmocka_unit_test(test_a_site_for_other_relays_is_not_told),
        cmocka_unit_test(test_pings),
        cmocka_unit_test(test_who_asks_hears_of_an_answer_that_came_after),
        cmocka_unit_test(test_ended_has_a_place),
        cmocka_unit_test(test_away_and_resync),
        cmocka_unit_test(test_goodbye),
        cmocka_unit_test(test_what_ends_the_lane),
        cmocka_unit_test(test_any_cut_of_the_input),
    };

    log_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
