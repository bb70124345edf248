#include "relay/edge/wire.h"

#include <assert.h>

enum {
    LARGE_BYTES = 16384,   /* a whole record of TLS: nothing is gained by gathering more */
    SEALED_BYTES = 262144, /* what a worker keeps for the next time */
};

void wire_init(struct wire *w, struct stream *sock, struct tls *tls, struct buf *sealed)
{
    *w = (struct wire){ .sock = sock, .tls = tls, .sealed = sealed };
}

void wire_free(struct wire *w)
{
    tls_free(w->tls);
    buf_free(&w->gathered);
}

static void send_sealed(struct wire *w)
{
    w->sent_bytes += w->sealed->len;
    stream_write(w->sock, buf_bytes(w->sealed), w->sealed->len);
    buf_take(w->sealed, w->sealed->len);
    if (w->sealed->room > SEALED_BYTES)
        buf_free(w->sealed);
}

int wire_feed(struct wire *w, const char *bytes, size_t n, struct buf *plain, struct err *e)
{
    int rc;

    if (!w->tls) {
        buf_add(plain, bytes, n);
        return 0;
    }
    assert(w->sealed->len == 0); /* or it would be another visitor's */
    rc = tls_feed(w->tls, bytes, n, plain, e);
    send_sealed(w);
    return rc;
}

/* Nothing is gathered then, or it is that. */
static void send_now(struct wire *w, const char *bytes, size_t n, bool goodbye)
{
    if (!w->tls) {
        w->sent_bytes += n;
        stream_write(w->sock, bytes, n);
        return;
    }
    assert(w->sealed->len == 0);
    tls_write(w->tls, bytes, n);
    if (goodbye)
        tls_end(w->tls);
    send_sealed(w);
}

void wire_send(struct wire *w, const char *bytes, size_t n)
{
    if (n >= LARGE_BYTES && w->gathered.len == 0)
        send_now(w, bytes, n, false);
    else
        buf_add(&w->gathered, bytes, n);
}

void wire_flush(struct wire *w, bool ends)
{
    bool goodbye = ends && !w->said_goodbye;

    if (goodbye)
        stream_gather_end(w->sock);
    if (w->gathered.len > 0 || goodbye)
        send_now(w, buf_bytes(&w->gathered), w->gathered.len, goodbye);
    buf_free(&w->gathered);
    w->said_goodbye = w->said_goodbye || goodbye;
    if (ends)
        stream_shutdown(w->sock);
}

bool wire_probe(struct wire *w)
{
    bool added;

    if (!w->tls)
        return false;
    assert(w->sealed->len == 0);
    added = tls_probe(w->tls);
    send_sealed(w);
    return added;
}
