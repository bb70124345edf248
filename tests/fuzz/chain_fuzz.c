/* A certificate's file, as a certificate authority sends it or another ACME client has left it: judged as the former
 * (chain.h), described as the latter (facts.h). */
#include "relay/certs/chain.h"
#include "relay/certs/facts.h"
#include "tests/fuzz/must.h"
#include "tests/fuzz/pem_input.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was read is written as certificates alone, and read again as the same ones. */
static void write_again(const struct chain *c)
{
    struct chain again = { 0 };
    struct buf pem = { 0 };

    chain_write(c, &pem);
    must(chain_read(buf_text(&pem), pem.len, &again, NULL) == 0 && again.n == c->n);
    for (size_t i = 0; i < c->n; i++)
        must(X509_cmp(c->certs[i], again.certs[i]) == 0);
    chain_free(&again);
    buf_free(&pem);
}

static void judge(const char *pem, size_t n)
{
    static const char *const names[] = { "a.test", "*.b.test", "192.0.2.1", "2001:db8::1" };
    static struct signer *stranger;
    struct chain c = { 0 };
    struct err e = { 0 };

    if (!stranger)
        stranger = signer_new();
    if (chain_read(pem, n, &c, &e) < 0) {
        must(e.text[0]);
        return;
    }
    must(c.n > 0 && c.n <= CHAIN_MAX);
    /* Nobody has certified this key. */
    must(chain_check(&c, stranger, names, 1, chain_begins(&c), &e) < 0 && e.text[0]);
    for (size_t i = 0; i < 4; i++)
        chain_has_name(&c, names[i]);
    chain_is_issued_by(&c, "root");
    chain_ends(&c);
    write_again(&c);
    chain_free(&c);
}

static void describe(const char *pem, size_t n)
{
    struct facts f = { 0 };
    struct err e = { 0 };

    if (facts_read(pem, n, &f, &e) == 0) {
        must(f.chain.n > 0 && f.serial && f.ca && f.key_type);
        for (size_t i = 0; i < f.names_n; i++)
            must(f.names[i][0]);
        facts_is_staging(&f);
    } else {
        must(e.text[0]);
    }
    facts_free(&f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf pem = { 0 };

    pem_input(data, size, &pem);
    judge(buf_text(&pem), pem.len);
    describe(buf_text(&pem), pem.len);
    buf_free(&pem);
    return 0;
}
