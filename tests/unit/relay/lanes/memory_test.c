#include "relay/lanes/memory.h"

#include "shared/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/unit/relay/lanes/relay_conf.h"

#define AGENTS(...) ((const char *const[]){ __VA_ARGS__, NULL, NULL })

static char folder[] = "/tmp/memory-test-XXXXXX", path[64];

static struct claims *claims_of(const char *const *agents)
{
    struct opt_conf *conf = relay_conf("", agents);
    struct claims *c = claims_new();
    struct roster roster;

    roster_init(&roster, conf, NULL);
    claims_follow(c, conf, &roster);
    roster_free(&roster);
    opt_conf_free(conf);
    return c;
}

static void claim(struct claims *c, const char *agent, int64_t serial, const char *item, const char *alias)
{
    struct lane_item items[] = { { item, &alias, alias ? 1 : 0, NULL } };
    struct lane_msg m = { .type = LANE_CLAIM, .claim = { serial, 1, true, items, 1 } }, answer;

    assert_int_equal(claims_take(c, agent, "b1", &m, &answer, NULL), 0);
    assert_int_equal(answer.type, LANE_CLAIMED);
}

/* The sites there are, as "NAME AGENT" and what is known of them. */
static const char *sites_of(const struct claims *c)
{
    static char text[1024];
    struct claims_site site;
    size_t n = 0;

    text[0] = 0;
    for (size_t i = 0; claims_site(c, i, &site); i++) {
        n += (size_t)snprintf(text + n, sizeof text - n, "%s", site.name);
        for (size_t j = 0; j < site.agents_n; j++)
            n += (size_t)snprintf(text + n, sizeof text - n, " %s", site.agents[j].name);
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%s", site.claimed ? " claimed" : "",
                              site.remembered ? " remembered" : "");
        for (size_t j = 0; j < site.aliases_n; j++)
            n += (size_t)snprintf(text + n, sizeof text - n, " +%s", site.aliases[j]);
        n += (size_t)snprintf(text + n, sizeof text - n, "\n");
    }
    return text;
}

/* What a relay knows that starts with these agents and this folder. */
static struct claims *restart(const char *const *agents)
{
    struct claims *c = claims_of(agents);
    struct memory m;

    memory_init(&m, folder);
    memory_recall(&m, c);
    memory_free(&m);
    return c;
}

static void remember_two(const char *const *agents)
{
    struct claims *c = claims_of(agents);
    struct memory m;

    memory_init(&m, folder);
    memory_recall(&m, c);
    claim(c, "pi", 1, "domain:shop.a.test", "www.shop.a.test");
    claim(c, "shed", 1, "domain:b.test", NULL);
    assert_true(memory_keep(&m, c));
    memory_free(&m);
    claims_free(c);
}

static const char *const both[] = { "pi", "*.a.test *.shop.a.test", "shed", "b.test", NULL, NULL };

static void test_known_after_a_restart_until_claimed_anew(void **state)
{
    struct claims *c;

    (void)state;
    remember_two(both);
    c = restart(both);
    assert_string_equal(sites_of(c), "*.a.test pi\n*.shop.a.test pi\nb.test shed remembered\n"
                                     "shop.a.test pi remembered +www.shop.a.test\n");
    claim(c, "pi", 1, "domain:new.a.test", NULL);
    assert_string_equal(sites_of(c),
                        "*.a.test pi\n*.shop.a.test pi\nb.test shed remembered\nnew.a.test pi claimed\n");
    claims_free(c);
}

static void test_forgets_who_is_gone_and_what_is_not_allowed_any_more(void **state)
{
    struct claims *c;

    (void)state;
    remember_two(both);
    c = restart(AGENTS("shed", "c.test"));
    assert_string_equal(sites_of(c), "c.test shed\n");
    claims_free(c);
    c = restart(both);
    assert_string_equal(sites_of(c), "*.a.test pi\n*.shop.a.test pi\nb.test shed\n"); /* also on disk */
    claims_free(c);
}

static void test_a_name_stays_with_who_had_it(void **state)
{
    const char *const *agents = AGENTS("pi", "a.test", "shed", "a.test");
    struct claims *c = claims_of(agents);
    struct memory m;

    (void)state;
    memory_init(&m, folder);
    memory_recall(&m, c);
    claim(c, "shed", 1, "domain:a.test", NULL);
    assert_true(memory_keep(&m, c));
    memory_free(&m);
    claims_free(c);
    c = restart(agents);
    claim(c, "pi", 1, "domain:a.test", NULL);
    assert_string_equal(sites_of(c), "a.test shed remembered\n");
    claims_free(c);
}

static void test_a_file_that_is_not_ours(void **state)
{
    static const char *const texts[] = {
        "",
        "{",
        "[]",
        "{\"v\": 2, \"sites\": []}",
        "{\"v\": 1}",
        "{\"v\": 1, \"sites\": [1]}",
        "{\"v\": 1, \"sites\": [{\"agent\": \"pi\", \"name\": \"x.a.test\", \"aliases\": [7]}]}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        FILE *f = fopen(path, "w");
        struct claims *c;

        assert_non_null(f);
        fputs(texts[i], f);
        fclose(f);
        c = restart(AGENTS("pi", "*.a.test"));
        assert_string_equal(sites_of(c), "*.a.test pi\n");
        claims_free(c);
    }
}

static void test_names_that_are_none_are_not_taken_over(void **state)
{
    FILE *f = fopen(path, "w");
    struct claims *c;

    (void)state;
    assert_non_null(f);
    fputs("{\"v\": 1, \"sites\": [{\"agent\": \"pi\", \"name\": \"X Y\", \"aliases\": []}]}", f);
    fclose(f);
    c = restart(AGENTS("pi", "*.a.test"));
    assert_string_equal(sites_of(c), "*.a.test pi\n");
    claims_free(c);
}

static void test_written_once_and_for_us_alone(void **state)
{
    struct stat before, after;

    (void)state;
    remember_two(both);
    assert_int_equal(stat(path, &before), 0);
    assert_int_equal(before.st_mode & 0777, 0600);
    remember_two(both);
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
}

static void test_what_could_not_be_written_is_tried_again(void **state)
{
    struct claims *c = claims_of(both);
    struct memory m;

    (void)state;
    memory_init(&m, folder);
    memory_recall(&m, c);
    claim(c, "shed", 1, "domain:b.test", NULL);
    assert_int_equal(mkdir(path, 0700), 0); /* nothing can take its place */
    assert_false(memory_keep(&m, c));
    assert_int_equal(rmdir(path), 0);
    assert_true(memory_keep(&m, c));
    memory_free(&m);
    claims_free(c);
    c = restart(both);
    assert_non_null(strstr(sites_of(c), "b.test shed remembered"));
    claims_free(c);
}

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/claims.json", folder);
    return 0;
}

static int empty_folder(void **state)
{
    (void)state;
    unlink(path);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_known_after_a_restart_until_claimed_anew, empty_folder),
        cmocka_unit_test_teardown(test_forgets_who_is_gone_and_what_is_not_allowed_any_more, empty_folder),
        cmocka_unit_test_teardown(test_a_name_stays_with_who_had_it, empty_folder),
        cmocka_unit_test_teardown(test_a_file_that_is_not_ours, empty_folder),
        cmocka_unit_test_teardown(test_names_that_are_none_are_not_taken_over, empty_folder),
        cmocka_unit_test_teardown(test_written_once_and_for_us_alone, empty_folder),
        cmocka_unit_test_teardown(test_what_could_not_be_written_is_tried_again, empty_folder),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
