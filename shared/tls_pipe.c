#include "shared/tls_pipe.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Messages of TLS itself: a handshake takes a few dozen steps, and new keys or an answer to who wants another handshake
 * a few more. Who goes on with them costs time, and memory where he does not read what they are answered with. */
enum { FREE_STEPS = 1024, STEP_BYTES = 1 << 20 };
enum { HELD_BYTES = 512 * 1024 }; /* for who begins a message of TLS, and does not go on with it */

/* ---- a BIO over the two buffers: OpenSSL never sees a descriptor ---- */

static bool is_spent(const struct tls_pipe *t)
{
    return t->steps > FREE_STEPS + t->plain_bytes / STEP_BYTES;
}

static int bio_read(BIO *bio, char *out, int room)
{
    struct tls_pipe *t = BIO_get_data(bio);
    size_t n = is_spent(t) ? 0 : t->in_n < (size_t)room ? t->in_n : (size_t)room;

    BIO_clear_retry_flags(bio);
    if (n == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    memcpy(out, t->in, n);
    t->in += n;
    t->in_n -= n;
    return (int)n;
}

static int bio_write(BIO *bio, const char *bytes, int n)
{
    struct tls_pipe *t = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    buf_add(t->out, bytes, (size_t)n);
    return n;
}

static long bio_ctrl(BIO *bio, int command, long number, void *p)
{
    (void)bio, (void)number, (void)p;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

static int bio_create(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

static BIO_METHOD *method; /* constant once it is made, by whichever thread comes first */

static void make_method(void)
{
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "buffers");
    if (!method)
        abort(); /* out of memory */
    BIO_meth_set_read(method, bio_read);
    BIO_meth_set_write(method, bio_write);
    BIO_meth_set_ctrl(method, bio_ctrl);
    BIO_meth_set_create(method, bio_create);
}

/* ---- life ---- */

void tls_pipe_set_context(SSL_CTX *ctx)
{
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_AUTO_RETRY);
}

/* Not called for records that carry data. Steps of our own, outside of tls_pipe_feed, count nothing. */
static void on_stepped(const SSL *ssl, int where, int unused)
{
    struct tls_pipe *t = BIO_get_data(SSL_get_rbio(ssl));

    (void)unused;
    if (t->in && where & (SSL_CB_LOOP | SSL_CB_ALERT))
        t->steps++;
}

void tls_pipe_init(struct tls_pipe *t, SSL_CTX *ctx, struct buf *out)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    BIO *bio;

    pthread_once(&once, make_method);
    *t = (struct tls_pipe){ .ssl = SSL_new(ctx), .out = out };
    bio = BIO_new(method);
    if (!t->ssl || !bio)
        abort(); /* out of memory */
    BIO_set_data(bio, t);
    SSL_set_bio(t->ssl, bio, bio);
    SSL_set_info_callback(t->ssl, on_stepped); /* not the context's, which a server name may change */
}

void tls_pipe_free(struct tls_pipe *t)
{
    SSL_free(t->ssl);
    t->ssl = NULL;
    buf_free(&t->held);
}

static int fail(unsigned long *code, struct err *e)
{
    unsigned long first = ERR_peek_error();
    const char *reason = ERR_reason_error_string(first);

    if (code)
        *code = first;
    err_set(e, ERR_PEER, "TLS: %s", reason ? reason : "the other side broke the protocol");
    ERR_clear_error();
    return -1;
}

/* When every byte is used and no record is open, another call would only find that out again. */
static bool is_used_up(const struct tls_pipe *t)
{
    return t->in_n == 0 && !SSL_has_pending(t->ssl);
}

static int fail_spent(unsigned long *code, struct err *e)
{
    ERR_clear_error();
    if (code)
        *code = 0;
    return err_set(e, ERR_PEER, "TLS: the other side changes keys or begins anew all the time");
}

/* By way of the stack: `plain` then has the size of what came, not that of a whole record. */
static int feed(struct tls_pipe *t, struct buf *plain, unsigned long *code, struct err *e)
{
    char record[SSL3_RT_MAX_PLAIN_LENGTH];

    ERR_clear_error();
    for (;;) {
        int got = SSL_read(t->ssl, record, sizeof record);

        if (got > 0) {
            buf_add(plain, record, (size_t)got);
            t->plain_bytes += (size_t)got;
            if (is_used_up(t))
                return 0;
            continue;
        }
        if (is_spent(t))
            return fail_spent(code, e);
        switch (SSL_get_error(t->ssl, got)) {
        case SSL_ERROR_WANT_READ: return 0;
        case SSL_ERROR_ZERO_RETURN: return 1;
        default: return fail(code, e);
        }
    }
}

/* In the middle of a message behind the handshake: OpenSSL writes nothing until it has come whole. */
static bool is_amid(const struct tls_pipe *t)
{
    return t->established && !SSL_is_init_finished(t->ssl);
}

static void release_held(struct tls_pipe *t)
{
    struct buf held = t->held;

    if (is_amid(t))
        return;
    t->held = (struct buf){ 0 };
    if (held.len > 0)
        tls_pipe_write(t, buf_bytes(&held), held.len);
    buf_free(&held);
    if (t->ends)
        tls_pipe_end(t);
}

static int fail_amid(const char *what, unsigned long *code, struct err *e)
{
    if (code)
        *code = 0;
    return err_set(e, ERR_PEER, "TLS: the other side %s", what);
}

int tls_pipe_feed(struct tls_pipe *t, const char *bytes, size_t n, struct buf *plain, unsigned long *code,
                  struct err *e)
{
    int rc;

    t->in = bytes;
    t->in_n = n;
    rc = feed(t, plain, code, e);
    t->in = NULL;
    t->in_n = 0; /* behind its end there may be more, which is nobody's */
    t->established = t->established || SSL_is_init_finished(t->ssl);
    if (rc == 0 && t->broken)
        return fail_amid("has begun a message and does not go on with it", code, e);
    if (rc == 1 && is_amid(t))
        return fail_amid("has ended in the middle of a message", code, e);
    if (rc >= 0)
        release_held(t);
    return rc;
}

bool tls_pipe_established(const struct tls_pipe *t)
{
    return t->established;
}

static void hold(struct tls_pipe *t, const char *bytes, size_t n)
{
    if (n > HELD_BYTES - t->held.len || t->broken) {
        t->broken = true;
        buf_free(&t->held);
    } else {
        buf_add(&t->held, bytes, n);
    }
}

/* Never short: the BIO takes everything. */
void tls_pipe_write(struct tls_pipe *t, const char *bytes, size_t n)
{
    while (n > 0) {
        int part = n > (1u << 20) ? 1 << 20 : (int)n;
        int sent;

        if (is_amid(t)) {
            hold(t, bytes, n);
            return;
        }
        sent = SSL_write(t->ssl, bytes, part);
        if (sent <= 0) {
            ERR_clear_error();
            return; /* after a fatal alert; the connection is about to end */
        }
        t->plain_bytes += (size_t)sent;
        bytes += sent;
        n -= (size_t)sent;
    }
}

size_t tls_pipe_held(const struct tls_pipe *t)
{
    return t->held.len;
}

void tls_pipe_end(struct tls_pipe *t)
{
    t->ends = is_amid(t);
    if (SSL_is_init_finished(t->ssl))
        SSL_shutdown(t->ssl);
    ERR_clear_error();
}
