#include "relay/certs/chain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "relay/certs/signer_parts.h"
#include "shared/mem.h"
#include "tests/unit/certificate.h"

struct set { /* root -> intermediate -> leaf, and a stranger */
    struct certificate root, intermediate, leaf, stranger;
};

static int make_set(void **state)
{
    struct set *s = mem_new(sizeof *s);

    certificate_make(&s->root, "DNS:root", 30, NULL);
    certificate_make(&s->intermediate, "DNS:intermediate", 30, &s->root);
    certificate_make(&s->leaf, "DNS:a.test,DNS:*.b.test,IP:192.0.2.1,IP:2001:db8::1", 30, &s->intermediate);
    certificate_make(&s->stranger, "DNS:a.test", 30, NULL);
    *state = s;
    return 0;
}

static int free_set(void **state)
{
    struct set *s = *state;

    certificate_free(&s->root);
    certificate_free(&s->intermediate);
    certificate_free(&s->leaf);
    certificate_free(&s->stranger);
    free(s);
    return 0;
}

/* A chain of these, through its text. */
static void chain_of(struct chain *out, struct certificate *const *certs, size_t n)
{
    struct chain given = { 0 };
    struct buf pem = { 0 };

    for (size_t i = 0; i < n; i++)
        given.certs[given.n++] = certs[i]->cert;
    chain_write(&given, &pem);
    assert_int_equal(chain_read(buf_bytes(&pem), pem.len, out, NULL), 0);
    assert_int_equal(out->n, n);
    buf_free(&pem);
}

static const char *const names[] = { "a.test", "*.b.test", "192.0.2.1", "2001:db8:0::1" };

static void assert_refused(const struct chain *c, EVP_PKEY *key, const char *const *want, size_t n,
                           long late_s, const char *why)
{
    struct signer signer = { key };
    struct err e = { 0 };

    if (chain_check(c, &signer, want, n, time(NULL) + late_s, &e) != -1 || !strstr(e.text, why))
        fail_msg("%s is not %s", e.text, why);
}

static void test_checks(void **state)
{
    struct set *s = *state;
    struct certificate *const good[] = { &s->leaf, &s->intermediate, &s->root },
                              *const torn[] = { &s->leaf, &s->root }, *const other[] = { &s->stranger };
    static const char *const c[] = { "a.test", "c.test" }, *const covered[] = { "x.b.test" },
                             *const address[] = { "192.0.2.2" };
    struct chain chain = { 0 }, broken = { 0 }, lone = { 0 };
    struct signer key = { s->leaf.key };

    chain_of(&chain, good, 3);
    chain_of(&broken, torn, 2);
    chain_of(&lone, other, 1);
    assert_int_equal(chain_check(&chain, &key, names, 4, time(NULL), NULL), 0);
    assert_refused(&chain, s->root.key, names, 4, 0, "does not belong");
    assert_refused(&lone, s->leaf.key, names, 1, 0, "does not belong");
    assert_refused(&lone, s->stranger.key, names, 2, 0, "is not for *.b.test");
    assert_refused(&chain, s->leaf.key, c, 2, 0, "is not for c.test");
    assert_refused(&chain, s->leaf.key, covered, 1, 0, "is not for x.b.test");
    assert_refused(&chain, s->leaf.key, address, 1, 0, "is not for 192.0.2.2");
    assert_refused(&broken, s->leaf.key, names, 4, 0, "certificate 1 of the chain is not signed");
    assert_refused(&chain, s->leaf.key, names, 4, 31 * 86400L, "has expired");
    assert_refused(&chain, s->leaf.key, names, 4, -3 * 86400L, "is valid in ");
    assert_true(chain_ends(&chain) - chain_begins(&chain) == 32 * 86400L);
    chain_free(&chain);
    chain_free(&broken);
    chain_free(&lone);
}

static void test_names(void **state)
{
    struct set *s = *state;
    struct certificate *const good[] = { &s->leaf };
    struct chain chain = { 0 };

    chain_of(&chain, good, 1);
    assert_true(chain_has_name(&chain, "A.TEST"));
    assert_false(chain_has_name(&chain, "a.tes"));
    assert_false(chain_has_name(&chain, "a.test."));
    assert_true(chain_has_name(&chain, "2001:DB8::1"));
    assert_false(chain_has_name(&chain, "2001:db8::2"));
    assert_false(chain_is_issued_by(&chain, "intermediate")); /* by O, and not by CN */
    chain_free(&chain);
}

/* The common name of whoever signed the topmost one. */
static void test_issuers(void **state)
{
    struct set *s = *state;
    struct certificate *const good[] = { &s->stranger };
    struct chain chain = { 0 };

    X509_NAME_add_entry_by_txt(X509_get_subject_name(s->stranger.cert), "CN", MBSTRING_ASC,
                               (const unsigned char *)"Pretend Root X1", -1, -1, 0);
    X509_set_issuer_name(s->stranger.cert, X509_get_subject_name(s->stranger.cert));
    X509_sign(s->stranger.cert, s->stranger.key, EVP_sha256());
    chain_of(&chain, good, 1);
    assert_true(chain_is_issued_by(&chain, "Pretend Root X1"));
    assert_true(chain_is_issued_by(&chain, "root x"));
    assert_false(chain_is_issued_by(&chain, "Root X2"));
    chain_free(&chain);
}

static void test_what_is_no_chain(void **state)
{
    struct set *s = *state;
    struct certificate *const many[] = { &s->leaf };
    struct chain chain = { 0 }, out = { 0 };
    struct buf pem = { 0 }, text = { 0 };
    struct err e = { 0 };
    size_t one;

    chain_of(&chain, many, 1);
    chain_write(&chain, &pem);
    one = pem.len;
    buf_add_text(&text, "# a comment, and blank lines\n\n");
    buf_add(&text, buf_bytes(&pem), one);
    assert_int_equal(chain_read(buf_bytes(&text), text.len, &out, NULL), 0);
    chain_free(&out);

    for (size_t cut = 1; cut < one - 1; cut++) { /* the last newline may be missing */
        assert_int_equal(chain_read(buf_bytes(&pem), cut, &out, &e), -1);
        assert_int_equal(out.n, 0);
    }
    buf_add_text(&text, "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n");
    assert_int_equal(chain_read(buf_bytes(&text), text.len, &out, &e), -1);
    buf_free(&text);
    buf_add_text(&text, "<html>");
    buf_add(&text, buf_bytes(&pem), one);
    assert_int_equal(chain_read(buf_bytes(&text), text.len, &out, &e), -1);
    assert_non_null(strstr(e.text, "no chain of certificates"));
    assert_int_equal(chain_read("", 0, &out, &e), -1);

    buf_free(&text);
    for (int i = 0; i < CHAIN_MAX + 1; i++)
        buf_add(&text, buf_bytes(&pem), one);
    assert_int_equal(chain_read(buf_bytes(&text), text.len, &out, &e), -1);
    assert_non_null(strstr(e.text, "more than 16 certificates"));
    buf_free(&text);
    buf_printf(&text, "%*s", CHAIN_MAX_BYTES + 1, "");
    assert_int_equal(chain_read(buf_bytes(&text), text.len, &out, &e), -1);
    assert_non_null(strstr(e.text, "larger than"));
    buf_free(&text);
    buf_free(&pem);
    chain_free(&chain);
}

#define set_test(f) cmocka_unit_test_setup_teardown(f, make_set, free_set)

int main(void)
{
    const struct CMUnitTest tests[] = {
        set_test(test_checks),
        set_test(test_names),
        set_test(test_issuers),
        set_test(test_what_is_no_chain),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
