#include "relay/lanes/boots.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

/* Whose lanes are there: one letter each. */
static bool is_there(void *user, const char *agent, const char *boot)
{
    (void)agent;
    return strchr(user, boot[0]) != NULL;
}

/* One story: each step is a boot that says hello, who is there at that moment, and what comes of it. */
struct step {
    char boot[2];
    char there[4];
    enum boots_verdict verdict;
    char displaced[2];
};

static void play(const char *name, int64_t instances, const struct step *steps, size_t n)
{
    struct boots b = { 0 };
    char displaced[BOOT_BYTES];

    for (size_t i = 0; i < n; i++) {
        char there[4];

        memcpy(there, steps[i].there, sizeof there);
        if (boots_admit(&b, "pi", steps[i].boot, instances, is_there, there, displaced) != steps[i].verdict ||
            strcmp(displaced, steps[i].displaced) != 0)
            fail_msg("%s, step %d", name, (int)i + 1);
    }
    boots_free(&b);
}

static void test_stories(void **state)
{
    static const struct step restart[] = { { "a", "", BOOTS_NEW, "" },
                                           { "a", "a", BOOTS_KNOWN, "" },
                                           { "b", "a", BOOTS_NEW, "a" },
                                           { "b", "b", BOOTS_KNOWN, "" } };
    static const struct step twin[] = { { "a", "", BOOTS_NEW, "" },
                                        { "b", "a", BOOTS_NEW, "a" },
                                        { "a", "b", BOOTS_TWIN, "" },
                                        { "a", "b", BOOTS_TWIN, "" },
                                        { "b", "b", BOOTS_KNOWN, "" } };
    static const struct step the_other_one_left[] = {
        { "a", "", BOOTS_NEW, "" }, { "b", "a", BOOTS_NEW, "a" }, { "a", "b", BOOTS_TWIN, "" },
        { "a", "", BOOTS_NEW, "" }, { "b", "a", BOOTS_NEW, "a" }, { "a", "b", BOOTS_TWIN, "" }
    };
    static const struct step two[] = { { "a", "", BOOTS_NEW, "" },     { "b", "a", BOOTS_NEW, "" },
                                       { "a", "ab", BOOTS_KNOWN, "" }, { "c", "ab", BOOTS_NEW, "a" },
                                       { "a", "bc", BOOTS_TWIN, "" },  { "b", "bc", BOOTS_KNOWN, "" },
                                       { "a", "b", BOOTS_NEW, "" } };

    (void)state;
    play("a restart", 1, restart, sizeof restart / sizeof *restart);
    play("a twin", 1, twin, sizeof twin / sizeof *twin);
    play("the other one left", 1, the_other_one_left, sizeof the_other_one_left / sizeof *the_other_one_left);
    play("two may", 2, two, sizeof two / sizeof *two);
}

static void test_a_twin_is_told_of_until_it_would_have_come_again(void **state)
{
    struct boots b = { 0 };
    char displaced[BOOT_BYTES], there[] = "";
    const char *said;

    (void)state;
    assert_string_equal(boots_twin(&b, "pi", 0), "");
    boots_admit(&b, "pi", "a", 1, is_there, there, displaced);
    assert_string_equal(boots_twin(&b, "pi", 0), "");
    boots_note_twin(&b, "pi", "0123456789abcdef", "192.0.2.7", 1000);
    said = boots_twin(&b, "pi", 2000);
    assert_non_null(strstr(said, "192.0.2.7"));
    assert_non_null(strstr(said, "boot 01234567,"));
    assert_string_equal(boots_twin(&b, "other", 2000), "");
    assert_string_not_equal(boots_twin(&b, "pi", 1000 + 300 * 1000), "");
    assert_string_equal(boots_twin(&b, "pi", 1000 + BOOTS_TWIN_MS), "");
    boots_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stories),
        cmocka_unit_test(test_a_twin_is_told_of_until_it_would_have_come_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
