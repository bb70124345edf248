#include "relay/edge/begin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/relay/edge/tls_peer.h"

enum { NOW = 1800000000 };

static void test_when_there_is_another_context(void **state)
{
    struct begin *b = begin_new();
    SSL_CTX *first, *second, *third;

    (void)state;
    assert_true(begin_due(b, NOW));
    first = begin_context(b, TLS_INTERMEDIATE, NOW);
    assert_false(begin_due(b, NOW));
    assert_ptr_equal(begin_context(b, TLS_INTERMEDIATE, NOW + TICKETS_ROTATE_S - 1), first);
    SSL_CTX_up_ref(first); /* as a snapshot does, with which it lives on */
    assert_int_equal(SSL_CTX_get_min_proto_version(first), TLS1_2_VERSION);
    second = begin_context(b, TLS_MODERN, NOW);
    assert_ptr_not_equal(second, first);
    assert_int_equal(SSL_CTX_get_min_proto_version(second), TLS1_3_VERSION);
    SSL_CTX_up_ref(second);
    assert_true(begin_due(b, NOW + TICKETS_ROTATE_S));
    third = begin_context(b, TLS_MODERN, NOW + TICKETS_ROTATE_S);
    assert_ptr_not_equal(third, second);
    assert_false(begin_due(b, NOW + TICKETS_ROTATE_S));
    SSL_CTX_free(first);
    SSL_CTX_free(second);
    begin_free(b);
    begin_free(NULL);
}

/* One connection that begins with ctx. True when it went on with the shop's session. */
static bool resumes(struct shop *shop, SSL_CTX *ctx, int version)
{
    SSL_CTX *own = shop->begin;
    struct pair p;
    bool resumed;

    shop->begin = ctx;
    pair_open(&p, shop, "a.test");
    SSL_set_min_proto_version(p.client, version);
    SSL_set_max_proto_version(p.client, version);
    if (shop->session)
        SSL_set_session(p.client, shop->session);
    pair_run(&p);
    assert_true(tls_established(p.server));
    resumed = SSL_session_reused(p.client);
    SSL_shutdown(p.client); /* or the session counts as broken */
    pair_close(&p);
    shop->begin = own;
    return resumed;
}

/* Sessions outlive two changes of the keys and any change of the profile, and are of no other relay. */
static void test_sessions_go_on(void **state)
{
    struct shop *shop = *state;
    time_t now = time(NULL);

    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct begin *b = begin_new(), *other = begin_new();
        SSL_SESSION *old;

        SSL_SESSION_free(shop->session);
        shop->session = NULL;
        assert_false(resumes(shop, begin_context(b, TLS_INTERMEDIATE, now), version));
        old = SSL_SESSION_dup(shop->session);
        assert_true(resumes(shop, begin_context(b, TLS_INTERMEDIATE, now), version));
        if (version == TLS1_3_VERSION)
            assert_true(resumes(shop, begin_context(b, TLS_MODERN, now), version));
        for (int i = 1; i <= 3; i++) {
            SSL_SESSION_free(shop->session);
            shop->session = SSL_SESSION_dup(old);
            assert_int_equal(resumes(shop,
                                     begin_context(b, TLS_INTERMEDIATE, now + (time_t)i * TICKETS_ROTATE_S),
                                     version),
                             i < TICKETS_KEYS);
        }
        assert_false(resumes(shop, begin_context(other, TLS_INTERMEDIATE, now), version));
        SSL_SESSION_free(old);
        begin_free(b);
        begin_free(other);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_when_there_is_another_context),
        cmocka_unit_test_setup_teardown(test_sessions_go_on, shop_open, shop_close),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
