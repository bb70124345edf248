/* Which certificates come into the store, and which stay outside. */
#include "tests/unit/relay/certs/store_bench.h"

static void test_refuses_what_cannot_be_used(void **state)
{
    static const char *const other[] = { "b.com" };
    const struct made_order order = { other, 1, start, DAY, KEY_ECDSA };
    struct ask late = usual, early = usual;
    struct store_offer offer = { .names = one, .names_n = 1 };
    struct bench b = { 0 };
    struct made made, another;
    struct err e;

    late.from = start - 91 * DAY;
    early.from = start + 2 * DAY;
    bench_begin(&b, *state, "R10");
    assert_string_not_equal(install(&b, late), "");
    assert_string_not_equal(install(&b, early), "");
    made = maker_issue(b.maker, &order);
    another = maker_issue(b.maker, &order);
    offer.chain_pem = made.pem;
    offer.key = made.key;
    assert_int_equal(store_install(b.store, &offer, &b.meta, start, &e), -1);
    assert_non_null(strstr(e.text, "a.com"));
    offer.names = other;
    offer.key = another.key;
    assert_int_equal(store_install(b.store, &offer, &b.meta, start, &e), -1);
    assert_non_null(strstr(e.text, "key"));
    offer.chain_pem = "hello";
    assert_int_equal(store_install(b.store, &offer, &b.meta, start, &e), -1);
    assert_false(is_there(*state, "current"));
    made_free(&made);
    made_free(&another);
    bench_end(&b);
}

static void test_a_staging_certificate_never_takes_the_place_of_a_real_one(void **state)
{
    struct maker *staging = maker_new("(STAGING) Wannabe Watercress R11");
    struct ask ask = usual;
    struct bench b = { 0 };

    bench_begin(&b, *state, "R10");
    ask.maker = staging;
    assert_string_equal(install(&b, ask), "");   /* better than nothing */
    assert_string_equal(install(&b, usual), ""); /* a real one */
    assert_non_null(strstr(install(&b, ask), "staging"));
    assert_string_equal(b.meta.certs[META_ECDSA].facts.ca, "R10");
    assert_string_equal(
        install_at(
            &b,
            (struct ask){
                .names = one, .names_n = 1, .from = start + 91 * DAY, .life_s = DAY, .maker = staging },
            start + 91 * DAY),
        ""); /* the real one has expired */
    bench_end(&b);
    maker_free(staging);
}

/* As long as the one in place is good for a name that fails, it stays; when time runs out, the others go ahead. */
static void test_a_name_is_left_out_only_when_time_runs_out(void **state)
{
    struct ask both = usual, less = usual;
    struct bench b = { 0 };

    both.names = two;
    both.names_n = 2;
    less.wanted = two;
    less.wanted_n = 2;
    less.from = start + 60 * DAY;
    bench_begin(&b, *state, "R10");
    assert_string_equal(install(&b, both), "");
    assert_non_null(strstr(install_at(&b, less, start + 60 * DAY), "does not cover www.a.com"));
    assert_int_equal(b.meta.certs[META_ECDSA].facts.names_n, 2);
    assert_string_equal(install_at(&b, less, start + 76 * DAY), "");
    assert_int_equal(b.meta.certs[META_ECDSA].facts.names_n, 1);
    bench_end(&b);
}

static void test_an_order_may_end_sooner_and_cover_less_as_configured(void **state)
{
    struct ask both = usual, shorter = usual;
    struct bench b = { 0 };

    both.names = two;
    both.names_n = 2;
    shorter.life_s = 6 * DAY;
    bench_begin(&b, *state, "R10");
    assert_string_equal(install(&b, both), "");
    assert_string_equal(install(&b, shorter), "");
    bench_end(&b);
}

static void test_an_import_has_to_be_better(void **state)
{
    struct ask both = usual, import = usual;
    struct bench b = { 0 };

    both.names = two;
    both.names_n = 2;
    import.import = true;
    bench_begin(&b, *state, "R10");
    assert_string_equal(install(&b, both), "");
    import.life_s = 80 * DAY;
    assert_string_equal(install(&b, import), "the one in the store is good for longer");
    import.life_s = 100 * DAY;
    assert_non_null(strstr(install(&b, import), "does not cover www.a.com"));
    import.names = two;
    import.names_n = 2;
    assert_string_equal(install(&b, import), "");
    assert_string_equal(b.meta.certs[META_ECDSA].origin, "/etc/letsencrypt");
    import.life_s = 50 * DAY;
    b.meta.certs[META_ECDSA].revoked_at = start;
    assert_string_equal(install(&b, import), ""); /* anything is better than a revoked one */
    bench_end(&b);
}

/* Of two certificates the second finds no room: the program is still to be run for the first one. */
static void test_a_failure_takes_no_note_but_its_own(void **state)
{
    struct ask ecdsa = usual, rsa = usual;
    struct bench b = { 0 };

    rsa.type = KEY_RSA2048;
    ecdsa.deploys = rsa.deploys = true;
    no_disk = true;
    bench_begin(&b, *state, "R10");
    assert_string_equal(install(&b, ecdsa), "");
    assert_int_equal(unlink(path_of(*state, "current/privkey.pem")), 0); /* so that it cannot be carried on */
    assert_string_not_equal(install(&b, rsa), "");
    assert_true(is_there(*state, "deploy.due"));
    assert_int_equal(unlink(path_of(*state, "deploy.due")), 0);
    assert_string_not_equal(install(&b, rsa), "");
    assert_false(is_there(*state, "deploy.due"));
    no_disk = false;
    bench_end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_FOLDER(test_refuses_what_cannot_be_used),
        IN_A_FOLDER(test_a_staging_certificate_never_takes_the_place_of_a_real_one),
        IN_A_FOLDER(test_a_name_is_left_out_only_when_time_runs_out),
        IN_A_FOLDER(test_an_order_may_end_sooner_and_cover_less_as_configured),
        IN_A_FOLDER(test_an_import_has_to_be_better),
        IN_A_FOLDER(test_a_failure_takes_no_note_but_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
