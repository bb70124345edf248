/* Fuzzes TLS as visitors speak it, from the first byte on. The first byte of an input says how the others are used: as they
 * are, whole and in pieces; or as changes to what a real client sends, which gets further into the protocol. */
#include "relay/edge/tls.h"
#include "shared/domain.h"
#include "shared/mem.h"
#include "tests/fuzz/must.h"

#include <openssl/err.h>
#include <openssl/x509.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MODERN = 1, CLIENT = 2, CLIENT_1_2 = 4, CLIENT_RETRIES = 8, PIECES = 16, STRANGER = 32 };

static struct {
    SSL_CTX *begin[2], *site, *client;
    unsigned picked;
} shop;

/* ---- what the relay has: one site, with a certificate that nobody needs to trust ---- */

static void give_certificate(SSL_CTX *ctx)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();

    must(key && cert);
    X509_gmtime_adj(X509_getm_notBefore(cert), 0);
    X509_gmtime_adj(X509_getm_notAfter(cert), 86400);
    must(X509_set_pubkey(cert, key) == 1 && X509_sign(cert, key, EVP_sha256()) > 0);
    must(SSL_CTX_use_certificate(ctx, cert) == 1 && SSL_CTX_use_PrivateKey(ctx, key) == 1);
    X509_free(cert);
    EVP_PKEY_free(key);
}

static void open_shop(void)
{
    struct tickets *tickets = tickets_new(NULL, time(NULL));

    shop.begin[0] = tls_begin_context(TLS_INTERMEDIATE, tickets);
    shop.begin[1] = tls_begin_context(TLS_MODERN, tickets);
    tickets_release(tickets);
    shop.site = tls_site_context();
    give_certificate(shop.site);
    shop.client = SSL_CTX_new(TLS_client_method());
    must(shop.client);
}

static SSL_CTX *pick(void *user, struct str name, bool validates)
{
    char normal[DOMAIN_BYTES];

    (void)user, (void)validates;
    shop.picked++;
    return domain_normalize(name, normal) && strcmp(normal, "a.test") == 0 ? shop.site : NULL;
}

/* ---- bytes as they are ---- */

struct outcome {
    int rc;
    bool established;
    unsigned picked;
    struct buf plain;
    char name[DOMAIN_BYTES];
};

/* Each piece lies in a block of its own: reading past it, or later, is a finding. */
static int feed(struct tls *t, const uint8_t *bytes, size_t n, size_t piece, struct buf *plain)
{
    struct err why = { 0 };
    int rc = 0;

    while (n > 0 && rc == 0) {
        size_t take = piece < n ? piece : n;
        char *copy = mem_new(take);

        memcpy(copy, bytes, take);
        rc = tls_feed(t, copy, take, plain, &why);
        must(rc == 0 || rc == 1 || (rc == -1 && strncmp(why.text, "TLS: ", 5) == 0));
        free(copy);
        bytes += take;
        n -= take;
    }
    return rc;
}

static struct outcome talk_raw(SSL_CTX *begin, const uint8_t *bytes, size_t n, size_t piece)
{
    struct buf sealed = { 0 };
    struct tls *t = tls_new(begin, &sealed, true, pick, NULL);
    struct outcome o = { 0 };

    shop.picked = 0;
    o.rc = feed(t, bytes, n, piece, &o.plain);
    o.established = tls_established(t);
    o.picked = shop.picked;
    snprintf(o.name, sizeof o.name, "%s", tls_server_name(t));
    must(o.picked <= 2); /* twice when the first hello offers no group of ours */
    must(!o.established || o.picked > 0);
    must(o.plain.len == 0 || o.established);
    if (o.established)
        tls_write(t, "hello", 5);
    tls_end(t);
    tls_free(t);
    buf_free(&sealed);
    return o;
}

static void fuzz_raw(SSL_CTX *begin, const uint8_t *bytes, size_t n, bool pieces)
{
    struct outcome whole = talk_raw(begin, bytes, n, n), cut = talk_raw(begin, bytes, n, pieces ? 7 : 1);

    must(whole.rc == cut.rc && whole.established == cut.established && whole.picked == cut.picked);
    must(strcmp(whole.name, cut.name) == 0);
    must(whole.plain.len == cut.plain.len);
    buf_free(&whole.plain);
    buf_free(&cut.plain);
}

/* ---- a real client whose bytes are changed on the way ---- */

struct changes {
    const uint8_t *at; /* each is three bytes: how many bytes later (two), and what to xor with */
    size_t n, wait;
    bool any;
};

static void next_change(struct changes *c)
{
    c->wait = c->n >= 3 ? (size_t)(c->at[0] << 8 | c->at[1]) : SIZE_MAX;
}

static void change(struct changes *c, uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (c->wait > 0) {
            c->wait -= c->wait != SIZE_MAX;
            continue;
        }
        bytes[i] ^= c->at[2];
        c->any = c->any || c->at[2] != 0;
        c->at += 3;
        c->n -= 3;
        next_change(c);
    }
}

static SSL *new_client(unsigned how)
{
    SSL *client = SSL_new(shop.client);
    char name[] = "a.test";

    must(client);
    name[0] = how & STRANGER ? 'b' : 'a';
    SSL_set_bio(client, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(client);
    SSL_set_tlsext_host_name(client, name);
    if (how & CLIENT_1_2)
        SSL_set_max_proto_version(client, TLS1_2_VERSION);
    if (how & CLIENT_RETRIES)
        SSL_set1_groups_list(client, "P-521:P-384");
    return client;
}

/* Once there and back. False: nothing moves any more. */
static bool pass(SSL *client, struct tls *t, struct buf *answer, struct changes *changes, size_t piece,
                 int *rc, struct buf *plain)
{
    bool moved = answer->len > 0;
    uint8_t *bytes;
    long n;
    char text[256];

    if (answer->len > 0)
        BIO_write(SSL_get_rbio(client), buf_bytes(answer), (int)answer->len);
    buf_take(answer, answer->len);
    while (SSL_read(client, text, sizeof text) > 0)
        continue;
    ERR_clear_error();
    n = BIO_get_mem_data(SSL_get_wbio(client), (char **)&bytes);
    if (n <= 0)
        return moved;
    change(changes, bytes, (size_t)n);
    if (*rc == 0)
        *rc = feed(t, bytes, (size_t)n, piece > 0 ? piece : (size_t)n, plain);
    BIO_reset(SSL_get_wbio(client));
    return true;
}

static void fuzz_client(SSL_CTX *begin, unsigned how, const uint8_t *data, size_t n)
{
    struct changes changes = { .at = data, .n = n };
    struct buf sealed = { 0 };
    struct tls *t = tls_new(begin, &sealed, true, pick, NULL);
    SSL *client = new_client(how);
    size_t piece = how & PIECES ? 11 : 0;
    struct buf plain = { 0 };
    int rc = 0;

    shop.picked = 0;
    next_change(&changes);
    while (pass(client, t, &sealed, &changes, piece, &rc, &plain))
        continue;
    if (SSL_is_init_finished(client) && SSL_write(client, "question", 8) == 8)
        pass(client, t, &sealed, &changes, piece, &rc, &plain);
    if (!changes.any && rc == 0 && !(how & STRANGER))
        must(plain.len == 8 && memcmp(buf_bytes(&plain), "question", 8) == 0);
    must(shop.picked <= 2 && (!(how & STRANGER) || !tls_established(t)));
    must(plain.len == 0 ||
         memcmp(buf_bytes(&plain), "question", plain.len) == 0); /* or the seal is worth nothing */
    tls_end(t);
    tls_free(t);
    buf_free(&sealed);
    SSL_free(client);
    ERR_clear_error();
    buf_free(&plain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned how = size > 0 ? data[0] : 0;
    SSL_CTX *begin;

    if (!shop.site)
        open_shop();
    begin = shop.begin[how & MODERN];
    if (size < 2)
        return 0;
    if (how & CLIENT)
        fuzz_client(begin, how, data + 1, size - 1);
    else
        fuzz_raw(begin, data + 1, size - 1, how & PIECES);
    return 0;
}
