#include "relay/edge/tickets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

enum { NOW = 1800000000, PLAIN = 20 };

static const unsigned char plain[PLAIN] = "what a session holds";

struct ticket {
    unsigned char name[TICKETS_NAME_BYTES], iv[EVP_MAX_IV_LENGTH], sealed[64], mac[32];
    int sealed_n;
};

/* What OpenSSL does with cipher and mac. Returns what tickets_prepare did. */
static int run(const struct tickets *t, struct ticket *ticket, unsigned char out[64], int *out_n,
               bool sealing)
{
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *mac = EVP_MAC_CTX_new(hmac);
    const unsigned char *in = sealing ? plain : ticket->sealed;
    int rc = tickets_prepare(t, ticket->name, ticket->iv, cipher, mac, sealing), more = 0;
    size_t n;

    if (rc > 0) {
        assert_int_equal(EVP_CipherUpdate(cipher, out, out_n, in, sealing ? PLAIN : ticket->sealed_n), 1);
        assert_int_equal(EVP_CipherFinal_ex(cipher, out + *out_n, &more), 1);
        *out_n += more;
        assert_int_equal(EVP_MAC_init(mac, NULL, 0, NULL), 1);
        assert_int_equal(EVP_MAC_update(mac, (const unsigned char *)"ticket", 6), 1);
        assert_int_equal(EVP_MAC_final(mac, ticket->mac, &n, sizeof ticket->mac), 1);
        assert_int_equal(n, sizeof ticket->mac);
    }
    EVP_MAC_CTX_free(mac);
    EVP_MAC_free(hmac);
    EVP_CIPHER_CTX_free(cipher);
    return rc;
}

static struct ticket seal(const struct tickets *t)
{
    struct ticket ticket = { 0 };

    assert_int_equal(run(t, &ticket, ticket.sealed, &ticket.sealed_n, true), 1);
    return ticket;
}

/* 1, 2 or 0 as tickets_prepare; what is opened is what was sealed. */
static int open_ticket(const struct tickets *t, const struct ticket *ticket)
{
    struct ticket copy = *ticket;
    unsigned char out[64];
    int n = 0, rc = run(t, &copy, out, &n, false);

    if (rc > 0) {
        assert_int_equal(n, PLAIN);
        assert_memory_equal(out, plain, PLAIN);
        assert_memory_equal(copy.mac, ticket->mac, sizeof copy.mac);
    }
    return rc;
}

/* Each set keeps the two keys before its own, and asks for a new ticket where it finds one of them. */
static void test_keys_come_and_go(void **state)
{
    struct tickets *sets[5];
    struct ticket tickets[5];

    (void)state;
    for (int i = 0; i < 5; i++) {
        sets[i] = tickets_new(i > 0 ? sets[i - 1] : NULL, NOW + (time_t)i * TICKETS_ROTATE_S);
        tickets[i] = seal(sets[i]);
    }
    for (int set = 0; set < 5; set++)
        for (int by = 0; by < 5; by++) {
            int expected = by == set ? 1 : by < set && by > set - TICKETS_KEYS ? 2 : 0;

            if (open_ticket(sets[set], &tickets[by]) != expected)
                fail_msg("set %d opened the ticket of set %d, or did not", set, by);
        }
    for (int i = 0; i < 5; i++)
        tickets_release(sets[i]);
    tickets_release(NULL);
}

static void test_strangers(void **state)
{
    struct tickets *ours = tickets_new(NULL, NOW), *others = tickets_new(NULL, NOW);
    struct ticket a = seal(ours), b = seal(ours);

    (void)state;
    assert_int_equal(open_ticket(others, &a), 0);
    assert_memory_equal(a.name, b.name, sizeof a.name);
    assert_memory_not_equal(a.iv, b.iv, 16);
    assert_memory_not_equal(a.sealed, b.sealed, PLAIN);
    a.name[0] ^= 1;
    assert_int_equal(open_ticket(ours, &a), 0);
    tickets_release(ours);
    tickets_release(others);
}

static void test_when_a_newer_set_is_due(void **state)
{
    static const struct {
        int64_t after_s;
        bool due;
        int opens; /* what a set made then says to a ticket of the one before */
    } rows[] = {
        { 0, false, 2 },
        { TICKETS_ROTATE_S - 1, false, 2 },
        { TICKETS_ROTATE_S, true, 2 },
        { TICKETS_KEYS * TICKETS_ROTATE_S - 1, true, 2 },
        { TICKETS_KEYS * TICKETS_ROTATE_S, true, 0 }, /* the machine was asleep: no use any more */
        { -1, true, 0 },                              /* the clock was set back */
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct tickets *t = tickets_new(NULL, NOW), *next = tickets_new(t, NOW + rows[i].after_s);
        struct ticket ticket = seal(t);

        assert_int_equal(tickets_due(t, NOW + rows[i].after_s), rows[i].due);
        assert_false(tickets_due(next, NOW + rows[i].after_s));
        assert_int_equal(open_ticket(next, &ticket), rows[i].opens);
        tickets_release(t);
        tickets_release(next);
    }
}

static void test_references(void **state)
{
    struct tickets *t = tickets_new(NULL, NOW);
    struct ticket ticket = seal(t);

    (void)state;
    assert_ptr_equal(tickets_hold(t), t);
    tickets_release(t);
    assert_int_equal(open_ticket(t, &ticket), 1);
    tickets_release(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys_come_and_go),
        cmocka_unit_test(test_strangers),
        cmocka_unit_test(test_when_a_newer_set_is_due),
        cmocka_unit_test(test_references),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
