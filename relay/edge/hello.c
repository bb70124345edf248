#include "relay/edge/hello.h"

enum {
    RECORD_HEAD = 5, /* type, version, length */
    RECORD_BYTES = 16384,
    MESSAGE_HEAD = 4, /* type, length */
    HANDSHAKE = 22,
    CLIENT_HELLO = 1,
    SERVER_NAME = 0,
    HOST_NAME = 0,
};

/* ---- the message ---- */

struct reader {
    const unsigned char *p;
    size_t n;
};

static bool take(struct reader *r, size_t n, struct reader *taken)
{
    if (r->n < n)
        return false;
    *taken = (struct reader){ r->p, n };
    r->p += n;
    r->n -= n;
    return true;
}

/* What a length of so many bytes stands in front of. */
static bool take_vector(struct reader *r, size_t length_bytes, struct reader *taken)
{
    struct reader length;
    size_t n = 0;

    if (!take(r, length_bytes, &length))
        return false;
    for (size_t i = 0; i < length_bytes; i++)
        n = n << 8 | length.p[i];
    return take(r, n, taken);
}

/* One host name: list length, type 0, name length, name. */
bool hello_server_name(const unsigned char *ext, size_t n, struct str *name)
{
    struct reader all = { ext, n }, list, type, host;

    if (!take_vector(&all, 2, &list) || all.n > 0 || !take(&list, 1, &type) || type.p[0] != HOST_NAME ||
        !take_vector(&list, 2, &host))
        return false;
    *name = (struct str){ (const char *)host.p, host.n };
    return true;
}

static bool read_extensions(struct reader extensions, struct str *name)
{
    bool named = false;

    while (extensions.n > 0) {
        struct reader type, data;

        if (!take(&extensions, 2, &type) || !take_vector(&extensions, 2, &data))
            return false;
        if ((type.p[0] << 8 | type.p[1]) != SERVER_NAME)
            continue;
        if (named || !hello_server_name(data.p, data.n, name))
            return false;
        named = true;
    }
    return true;
}

/* Version and random, session, suites, compression; the extensions may be missing. */
static bool read_body(struct reader body, struct str *name)
{
    struct reader skipped, extensions;

    if (!take(&body, 2 + 32, &skipped) || !take_vector(&body, 1, &skipped) ||
        !take_vector(&body, 2, &skipped) || !take_vector(&body, 1, &skipped))
        return false;
    if (body.n == 0)
        return true;
    return take_vector(&body, 2, &extensions) && body.n == 0 && read_extensions(extensions, name);
}

/* ---- its records ---- */

/* 1: a record begins here, and its head has been taken; 0: it is not whole; -1: it is not of a handshake. */
static int take_record(struct hello *h, const unsigned char *bytes, size_t n)
{
    const unsigned char *head = bytes + h->seen;

    n -= h->seen;
    if (head[0] != HANDSHAKE || (n > 1 && head[1] != 3))
        return -1;
    if (n < RECORD_HEAD)
        return 0;
    h->left = (size_t)(head[3] << 8 | head[4]);
    h->seen += RECORD_HEAD;
    return h->left > 0 && h->left <= RECORD_BYTES ? 1 : -1;
}

/* Length of the whole message, as far as that is known; 0: it is no ClientHello, or too long. */
static size_t wanted(const struct buf *message)
{
    const unsigned char *head = (const unsigned char *)buf_bytes(message);
    size_t n;

    if (message->len > 0 && head[0] != CLIENT_HELLO)
        return 0;
    if (message->len < MESSAGE_HEAD)
        return MESSAGE_HEAD;
    n = MESSAGE_HEAD + ((size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3]);
    return n > MESSAGE_HEAD && n <= HELLO_BYTES ? n : 0;
}

static enum hello_state read_message(struct hello *h)
{
    const unsigned char *bytes = (const unsigned char *)buf_bytes(&h->message);

    return read_body((struct reader){ bytes + MESSAGE_HEAD, h->message.len - MESSAGE_HEAD }, &h->name)
               ? HELLO_WHOLE
               : HELLO_NONE;
}

static enum hello_state feed(struct hello *h, const unsigned char *bytes, size_t n)
{
    size_t want = wanted(&h->message);

    while (h->seen < n) {
        size_t some = n - h->seen < h->left ? n - h->seen : h->left;
        int rc = h->left == 0 ? take_record(h, bytes, n) : 1;

        if (rc <= 0)
            return rc < 0 ? HELLO_NONE : HELLO_MORE;
        if (some > want - h->message.len)
            some = want - h->message.len;
        buf_add(&h->message, bytes + h->seen, some);
        h->seen += some;
        h->left -= some;
        want = wanted(&h->message);
        if (want == 0)
            return HELLO_NONE;
        if (h->message.len == want && want > MESSAGE_HEAD)
            return read_message(h);
    }
    return h->seen < HELLO_RECORDS_BYTES ? HELLO_MORE : HELLO_NONE;
}

enum hello_state hello_feed(struct hello *h, const char *bytes, size_t n)
{
    if (h->state != HELLO_MORE)
        return h->state;
    h->state = feed(h, (const unsigned char *)bytes, n);
    if (h->state == HELLO_NONE)
        h->name = (struct str){ "", 0 };
    return h->state;
}

bool hello_is_all(const struct hello *h, size_t n)
{
    return h->state == HELLO_WHOLE && h->seen == n && h->left == 0;
}

void hello_free(struct hello *h)
{
    buf_free(&h->message);
    h->name = (struct str){ "", 0 };
}
