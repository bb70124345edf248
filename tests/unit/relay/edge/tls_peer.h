/* tests/unit/relay/edge/tls_peer.h - a client of OpenSSL's, by memory alone, and what a relay shows it. Include cmocka
 * before it. */
#ifndef TESTS_UNIT_RELAY_EDGE_TLS_PEER_H
#define TESTS_UNIT_RELAY_EDGE_TLS_PEER_H
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "relay/certs/certs.h"
#include "relay/edge/tls.h"
#include "shared/domain.h"
#include "tests/unit/temp.h"

/* ---- what the relay has: a.test, b.test and *.w.test, with certificates of one root ---- */

struct shop {
    struct temp *temp;
    struct certs *certs;
    struct tickets *tickets;
    SSL_CTX *begin, *sites[3], *client;
    SSL_SESSION *session; /* the last one that a client was given */
    int picked;
    SSL_CTX
    *validation; /* for who validates a name; borrowed; NULL, as at first: there is nothing to be seen */
    bool http2;  /* is offered */
};

static const char *const shop_names[] = { "a.test", "b.test", "*.w.test" };

static inline int shop_keep_session(SSL *ssl, SSL_SESSION *session)
{
    struct shop *shop = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

    SSL_SESSION_free(shop->session);
    shop->session = session;
    return 1;
}

static inline void shop_trust(struct shop *shop)
{
    struct buf pem = { 0 };
    BIO *bio;
    X509 *root;

    certs_root_pem(shop->certs, &pem);
    bio = BIO_new_mem_buf(buf_bytes(&pem), (int)pem.len);
    root = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    shop->client = SSL_CTX_new(TLS_client_method());
    X509_STORE_add_cert(SSL_CTX_get_cert_store(shop->client), root);
    SSL_CTX_set_verify(shop->client, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_security_level(shop->client, 0); /* old versions are for the relay to refuse */
    SSL_CTX_set_app_data(shop->client, shop);
    SSL_CTX_set_session_cache_mode(shop->client, SSL_SESS_CACHE_CLIENT);
    SSL_CTX_sess_set_new_cb(shop->client, shop_keep_session);
    X509_free(root);
    BIO_free(bio);
    buf_free(&pem);
}

static inline int shop_open(void **state)
{
    struct shop *shop = calloc(1, sizeof *shop);

    if (!shop || temp_make((void **)&shop->temp) != 0)
        return -1;
    shop->certs = certs_open(shop->temp->folder, time(NULL), NULL);
    if (!shop->certs)
        return -1;
    shop->tickets = tickets_new(NULL, time(NULL));
    shop->begin = tls_begin_context(TLS_INTERMEDIATE, shop->tickets);
    for (size_t i = 0; i < 3; i++)
        shop->sites[i] = certs_context(shop->certs, &shop_names[i], 1, time(NULL), NULL);
    shop_trust(shop);
    *state = shop;
    return 0;
}

static inline int shop_close(void **state)
{
    struct shop *shop = *state;
    int rc = temp_remove((void **)&shop->temp);

    SSL_SESSION_free(shop->session);
    for (size_t i = 0; i < 3; i++)
        SSL_CTX_free(shop->sites[i]);
    SSL_CTX_free(shop->begin);
    tickets_release(shop->tickets);
    SSL_CTX_free(shop->client);
    certs_free(shop->certs);
    free(shop);
    return rc;
}

static inline SSL_CTX *shop_pick(void *user, struct str server_name, bool validates)
{
    struct shop *shop = user;
    char name[DOMAIN_BYTES];

    shop->picked++;
    if (validates)
        return shop->validation;
    if (domain_normalize(server_name, name))
        for (size_t i = 0; i < 3; i++)
            if (domain_matches(shop_names[i], name))
                return shop->sites[i];
    return NULL;
}

/* ---- one connection ---- */

struct pair {
    struct tls *server;
    SSL *client;
    BIO *in, *out;         /* the client's */
    size_t piece;          /* bytes that arrive at the server at once; 0: all */
    struct buf plain, got; /* what the server and the client have read */
    struct buf sealed;     /* what the server sends */
    int fed;               /* what tls_feed said last */
    int failed;            /* SSL_get_error of the client when it was neither well nor waiting */
    int alert;             /* that the client was sent, or 0 */
    struct err why;
};

/* A client that asks for this name, or for none. */
static inline void pair_open(struct pair *p, struct shop *shop, const char *name)
{
    *p = (struct pair){ .server = tls_new(shop->begin, &p->sealed, shop->http2, shop_pick, shop),
                        .client = SSL_new(shop->client) };
    p->in = BIO_new(BIO_s_mem());
    p->out = BIO_new(BIO_s_mem());
    SSL_set_bio(p->client, p->in, p->out);
    SSL_set_connect_state(p->client);
    if (name) {
        assert_int_equal(SSL_set_tlsext_host_name(p->client, name), 1);
        assert_int_equal(SSL_set1_host(p->client, name), 1);
    }
    shop->picked = 0;
}

static inline void pair_close(struct pair *p)
{
    tls_free(p->server);
    SSL_free(p->client);
    buf_free(&p->plain);
    buf_free(&p->sealed);
    buf_free(&p->got);
    ERR_clear_error();
}

/* Each piece lies in a block of its own: reading past it, or later, fails under ASan. */
static inline void pair_feed(struct pair *p, const char *bytes, size_t n)
{
    while (n > 0 && p->fed == 0) {
        size_t take = p->piece > 0 && p->piece < n ? p->piece : n;
        char *copy = malloc(take);

        memcpy(copy, bytes, take);
        p->fed = tls_feed(p->server, copy, take, &p->plain, &p->why);
        free(copy);
        bytes += take;
        n -= take;
    }
}

/* SSL_read does the handshake as well. */
static inline void pair_run_client(struct pair *p)
{
    int n, reason;

    ERR_clear_error();
    while ((n = SSL_read(p->client, buf_space(&p->got, 16384), 16384)) > 0)
        buf_added(&p->got, (size_t)n);
    if (SSL_get_error(p->client, n) == SSL_ERROR_WANT_READ)
        return;
    if (p->failed == 0)
        p->failed = SSL_get_error(p->client, n);
    reason = ERR_GET_REASON(ERR_peek_error());
    if (p->alert == 0 && reason > SSL_AD_REASON_OFFSET)
        p->alert = reason - SSL_AD_REASON_OFFSET;
}

/* Adds what the client has to say, and takes it from it. */
static inline void pair_take(struct pair *p, struct buf *flight)
{
    char *bytes;
    long n = BIO_get_mem_data(p->out, &bytes);

    buf_add(flight, bytes, (size_t)n);
    BIO_reset(p->out);
}

static inline void pair_run(struct pair *p)
{
    struct buf *answer = &p->sealed;
    bool moved = true;

    while (moved) {
        struct buf flight = { 0 };

        pair_run_client(p);
        pair_take(p, &flight);
        pair_feed(p, buf_bytes(&flight), flight.len);
        moved = flight.len > 0 || answer->len > 0;
        if (answer->len > 0)
            BIO_write(p->in, buf_bytes(answer), (int)answer->len);
        buf_take(answer, answer->len);
        buf_free(&flight);
    }
}
#endif
