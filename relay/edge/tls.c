#include "relay/edge/tls.h"

#include "relay/edge/hello.h"
#include "shared/domain.h"
#include "shared/mem.h"
#include "shared/tls_pipe.h"

#include <openssl/err.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

struct tls {
    struct tls_pipe pipe;
    tls_pick_cb pick;
    void *user;
    bool http2;                    /* is offered */
    const struct tickets *tickets; /* held by the context that the connection began with */
    char *server_name; /* as sent, or NULL; OpenSSL forgets it when it resumes a session of TLS 1.2 */
};

/* ---- which certificate ---- */

static const unsigned char acme_tls[] = "\x0a"
                                        "acme-tls/1";

/* The protocol alone, in a list of its own. */
static bool offers_validation(SSL *ssl)
{
    const unsigned char *ext;
    size_t n;

    return SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_application_layer_protocol_negotiation, &ext, &n) &&
           n == 2 + sizeof acme_tls - 1 && ext[0] == 0 && ext[1] == sizeof acme_tls - 1 &&
           memcmp(ext + 2, acme_tls, sizeof acme_tls - 1) == 0;
}

/* Which site this is, kept beside OpenSSL; a session of one name is never resumed by another. */
static void note_name(struct tls *t, struct str name)
{
    unsigned char context[SHA256_DIGEST_LENGTH];

    free(t->server_name);
    t->server_name = name.n < DOMAIN_BYTES ? mem_copy_n(name.p, name.n) : NULL;
    if (name.n > 0 && name.n < sizeof context) { /* itself: what is hashed is longer than any of these */
        SSL_set_session_id_context(t->pipe.ssl, (const unsigned char *)name.p, (unsigned)name.n);
        return;
    }
    SHA256((const unsigned char *)name.p, name.n, context);
    SSL_set_session_id_context(t->pipe.ssl, context, sizeof context);
}

/* Who validates wants to see the certificate, whatever sessions he brings. */
static void forget_sessions(struct tls *t)
{
    unsigned char context[SHA256_DIGEST_LENGTH];

    SHA256(acme_tls, sizeof acme_tls, context); /* which is no name of a site */
    SSL_set_session_id_context(t->pipe.ssl, context, sizeof context);
    SSL_set_options(t->pipe.ssl, SSL_OP_NO_TICKET);
    SSL_set_num_tickets(t->pipe.ssl, 0);
}

static int on_client_hello(SSL *ssl, int *alert, void *unused)
{
    struct tls *t = SSL_get_app_data(ssl);
    const unsigned char *ext;
    struct str name = { "", 0 };
    bool validates = offers_validation(ssl);
    SSL_CTX *chosen;
    size_t n;

    (void)unused;
    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &ext, &n) &&
        !hello_server_name(ext, n, &name)) {
        *alert = SSL_AD_DECODE_ERROR;
        return SSL_CLIENT_HELLO_ERROR;
    }
    chosen = t->pick(t->user, name, validates);
    if (!chosen) {
        *alert = validates ? SSL_AD_NO_APPLICATION_PROTOCOL : SSL_AD_UNRECOGNIZED_NAME;
        return SSL_CLIENT_HELLO_ERROR;
    }
    SSL_set_SSL_CTX(ssl, chosen);
    note_name(t, name);
    if (validates)
        forget_sessions(t);
    return SSL_CLIENT_HELLO_SUCCESS;
}

static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_n, const unsigned char *in,
                   unsigned in_n, void *unused)
{
    static const unsigned char known[] =
        "\x02h2\x08http/1.1\x08http/1.0"; /* `curl -0` offers the last alone */
    const struct tls *t = SSL_get_app_data(ssl);
    unsigned skipped = t->http2 ? 0 : sizeof "\x02h2" - 1;
    unsigned char *chosen;

    (void)unused;
    if (SSL_select_next_proto(&chosen, out_n, known + skipped, sizeof known - 1 - skipped, in, in_n) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static int on_validation_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_n,
                              const unsigned char *in, unsigned in_n, void *unused)
{
    (void)ssl, (void)in, (void)in_n, (void)unused; /* it was looked at, or this context were not in force */
    *out = acme_tls + 1;
    *out_n = sizeof acme_tls - 2;
    return SSL_TLSEXT_ERR_OK;
}

/* ---- contexts ---- */

/* Mozilla's intermediate configuration, without the finite-field suites: forward secret and authenticated, all of them.
 * The order counts, but a visitor that puts ChaCha20 first, for want of AES instructions, is given it. */
static const char suites_1_2[] =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
static const char suites_1_3[] = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
static const char groups[] = "X25519:P-256:P-384";

static SSL_CTX *new_context(void)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

    if (!ctx || SSL_CTX_set_ciphersuites(ctx, suites_1_3) != 1 ||
        SSL_CTX_set_cipher_list(ctx, suites_1_2) != 1)
        abort();                                             /* out of memory, or a library without these */
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); /* or a session of 1.2 has an id, for nothing */
    return ctx;
}

/* OpenSSL takes certificate, suites and ALPN from the context that is in force by then, which is the site's; the rest,
 * with the tickets, from the one it began with. */
SSL_CTX *tls_site_context(void)
{
    SSL_CTX *ctx = new_context();

    SSL_CTX_set_alpn_select_cb(ctx, on_alpn, NULL);
    return ctx;
}

SSL_CTX *tls_validation_context(void)
{
    SSL_CTX *ctx = new_context();

    SSL_CTX_set_alpn_select_cb(ctx, on_validation_alpn, NULL);
    return ctx;
}

/* A session of 1.3 should be used once, so that connections cannot be told to be one visitor's: each gets a new one. */
static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int sealing)
{
    const struct tls *t = SSL_get_app_data(ssl);
    int rc = tickets_prepare(t->tickets, name, iv, cipher, mac, sealing == 1);

    return rc == 1 && sealing == 0 && SSL_version(ssl) == TLS1_3_VERSION ? 2 : rc;
}

static void on_context_freed(void *ctx, void *tickets, CRYPTO_EX_DATA *data, int index, long arg, void *p)
{
    (void)ctx, (void)data, (void)index, (void)arg, (void)p;
    tickets_release(tickets);
}

static int tickets_index(void)
{
    static int index = -1; /* made once, before the workers start, and constant from then on */

    if (index < 0)
        index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, on_context_freed);
    return index;
}

/* Sessions are in tickets alone: no worker keeps any. */
SSL_CTX *tls_begin_context(enum tls_profile profile, struct tickets *tickets)
{
    SSL_CTX *ctx = new_context();

    tls_pipe_set_context(ctx);
    SSL_CTX_set_min_proto_version(ctx, profile == TLS_MODERN ? TLS1_3_VERSION : TLS1_2_VERSION);
    if (SSL_CTX_set1_groups_list(ctx, groups) != 1)
        abort(); /* out of memory */
    SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
                                 SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_timeout(ctx, TICKETS_SESSION_S);
    SSL_CTX_set_ex_data(ctx, tickets_index(), tickets_hold(tickets));
    SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket);
    SSL_CTX_set_client_hello_cb(ctx, on_client_hello, NULL);
    return ctx;
}

/* ---- life ---- */

struct tls *tls_new(SSL_CTX *begin, struct buf *out, bool http2, tls_pick_cb pick, void *user)
{
    struct tls *t = mem_new(sizeof *t);

    tls_pipe_init(&t->pipe, begin, out);
    t->http2 = http2;
    t->pick = pick;
    t->user = user;
    t->tickets = SSL_CTX_get_ex_data(begin, tickets_index());
    SSL_set_app_data(t->pipe.ssl, t);
    SSL_set_accept_state(t->pipe.ssl);
    return t;
}

void tls_free(struct tls *t)
{
    if (!t)
        return;
    tls_pipe_free(&t->pipe);
    free(t->server_name);
    free(t);
}

int tls_feed(struct tls *t, const char *bytes, size_t n, struct buf *plain, struct err *e)
{
    return tls_pipe_feed(&t->pipe, bytes, n, plain, NULL, e);
}

bool tls_established(const struct tls *t)
{
    return tls_pipe_established(&t->pipe);
}

void tls_write(struct tls *t, const char *bytes, size_t n)
{
    tls_pipe_write(&t->pipe, bytes, n);
}

/* A session ticket may come at any time. */
bool tls_probe(struct tls *t)
{
    bool added = SSL_version(t->pipe.ssl) == TLS1_3_VERSION && SSL_new_session_ticket(t->pipe.ssl) == 1 &&
                 SSL_do_handshake(t->pipe.ssl) == 1;

    ERR_clear_error();
    return added;
}

void tls_end(struct tls *t)
{
    tls_pipe_end(&t->pipe);
}

static bool speaks(const struct tls *t, struct str protocol)
{
    const unsigned char *name;
    unsigned n;

    SSL_get0_alpn_selected(t->pipe.ssl, &name, &n);
    return n == protocol.n && memcmp(name, protocol.p, n) == 0;
}

bool tls_resumed(const struct tls *t)
{
    return SSL_session_reused(t->pipe.ssl) == 1;
}

bool tls_speaks_http2(const struct tls *t)
{
    return speaks(t, STR("h2"));
}

bool tls_validates(const struct tls *t)
{
    return speaks(t, STR("acme-tls/1"));
}

const char *tls_version(const struct tls *t)
{
    return SSL_get_version(t->pipe.ssl);
}

const char *tls_server_name(const struct tls *t)
{
    return t->server_name ? t->server_name : "";
}
