/* The first bytes of a connection that may be TLS: which name they ask for, in one piece and byte by byte; and that
 * OpenSSL, given the same bytes, finds the same one. */
#include "relay/edge/hello.h"

#include "tests/fuzz/must.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdint.h>
#include <string.h>

struct seen {
    bool asked, named;
    struct str name;
};

static int on_hello(SSL *ssl, int *alert, void *unused)
{
    struct seen *seen = SSL_get_app_data(ssl);
    const unsigned char *ext;
    size_t n;

    (void)unused;
    *alert = SSL_AD_UNRECOGNIZED_NAME;
    seen->asked = true;
    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &ext, &n))
        seen->named = hello_server_name(ext, n, &seen->name);
    return SSL_CLIENT_HELLO_ERROR;
}

static SSL_CTX *context(void)
{
    static SSL_CTX *ctx;

    if (!ctx) {
        ctx = SSL_CTX_new(TLS_server_method());
        SSL_CTX_set_client_hello_cb(ctx, on_hello, NULL);
    }
    return ctx;
}

/* What it takes for a ClientHello we do not take for another. */
static void compare(const uint8_t *data, size_t size, const struct hello *ours)
{
    SSL *ssl = SSL_new(context());
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    struct seen seen = { 0 };

    BIO_write(in, data, (int)size);
    SSL_set_bio(ssl, in, out);
    SSL_set_app_data(ssl, &seen);
    SSL_accept(ssl);
    if (seen.asked && ours->state == HELLO_WHOLE) {
        must(seen.named == (ours->name.n > 0) || ours->name.n == 0);
        must(!seen.named ||
             (seen.name.n == ours->name.n && memcmp(seen.name.p, ours->name.p, ours->name.n) == 0));
    }
    SSL_free(ssl);
    ERR_clear_error();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hello whole = { 0 }, bytes = { 0 };

    if (size > 300000)
        return 0;
    hello_feed(&whole, (const char *)data, size);
    for (size_t n = 0; n <= size && bytes.state == HELLO_MORE; n++)
        hello_feed(&bytes, (const char *)data, n);
    must(whole.state == bytes.state && whole.name.n == bytes.name.n);
    must(whole.name.n == 0 || memcmp(whole.name.p, bytes.name.p, whole.name.n) == 0);
    must(whole.message.len <= HELLO_BYTES && whole.seen <= size);
    if (size < 20000)
        compare(data, size, &whole);
    hello_free(&whole);
    hello_free(&bytes);
    return 0;
}
