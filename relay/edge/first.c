#include "relay/edge/first.h"

#include "shared/proxy_header.h"

#include <netinet/in.h>
#include <string.h>

static uint16_t port_of(const struct sockaddr_storage *addr)
{
    struct sockaddr_in v4; /* the port lies alike in both families */

    memcpy(&v4, addr, sizeof v4);
    return ntohs(v4.sin_port);
}

void origin_of_socket(struct origin *origin, int fd)
{
    struct sockaddr_storage here = { 0 };
    socklen_t size = sizeof origin->peer;

    /* A visitor that has gone already has no address; its connection ends with the first read. */
    if (getpeername(fd, (struct sockaddr *)&origin->peer, &size) != 0)
        origin->peer = (struct sockaddr_storage){ .ss_family = AF_INET };
    size = sizeof here;
    if (getsockname(fd, (struct sockaddr *)&here, &size) == 0)
        origin->port = port_of(&here);
    origin->dest = here;
}

/* ---- the PROXY header ---- */

/* 1: there is none; 0: that cannot be said yet. */
static int refuse_stranger(const struct buf *bytes, struct err *why)
{
    switch (proxy_header_sign((const unsigned char *)buf_bytes(bytes), bytes->len)) {
    case PROXY_HEADER_NONE: return 1;
    case PROXY_HEADER_MAYBE: return 0;
    case PROXY_HEADER_SURE: break;
    }
    return err_set(why, ERR_PEER, "it sent a PROXY header, and is not one of trusted_proxies");
}

/* 1: what has come begins with the visitor's own bytes; 0: more is needed; -1: refused. */
static int take_header(struct buf *bytes, struct origin *origin, const struct cidrs *trusted, struct err *why)
{
    struct proxy_header told = { 0 };
    ssize_t used;

    if (!cidrs_have(trusted, &origin->peer))
        return refuse_stranger(bytes, why);
    used = proxy_header_read(&told, (const unsigned char *)buf_bytes(bytes), bytes->len, why);
    if (used <= 0)
        return (int)used;
    buf_take(bytes, (size_t)used);
    if (!told.local)
        *origin = (struct origin){ told.source, port_of(&told.dest), true, told.dest };
    return 1;
}

/* ---- SSH or TLS ---- */

/* TLS never begins with an S. */
static enum first_kind kind_of(const struct buf *bytes)
{
    static const char ssh[] = "SSH-";
    size_t n = bytes->len < sizeof ssh - 1 ? bytes->len : sizeof ssh - 1;

    if (n > 0 && buf_bytes(bytes)[0] != ssh[0])
        return FIRST_TLS;
    if (memcmp(buf_bytes(bytes), ssh, n) != 0)
        return FIRST_REFUSED;
    return n == sizeof ssh - 1 ? FIRST_SSH : FIRST_MORE;
}

enum first_kind first_begin(const struct first *f)
{
    if (f->entrance.proxied || (f->entrance.secure && (f->ssh || f->asks_name)))
        return FIRST_MORE;
    return f->entrance.secure ? FIRST_TLS : FIRST_HTTP;
}

static enum first_kind look(struct first *f)
{
    enum first_kind kind = first_begin(f);

    if (kind != FIRST_MORE)
        return kind;
    kind = f->ssh ? kind_of(&f->bytes) : FIRST_TLS;
    if (kind == FIRST_TLS && f->asks_name &&
        hello_feed(&f->hello, buf_bytes(&f->bytes), f->bytes.len) == HELLO_MORE)
        return FIRST_MORE;
    return kind;
}

enum first_kind first_feed(struct first *f, struct origin *origin, const struct cidrs *trusted,
                           const char *bytes, size_t n, struct err *why)
{
    int rc;

    buf_add(&f->bytes, bytes, n);
    if (f->entrance.proxied) {
        rc = take_header(&f->bytes, origin, trusted, why);
        if (rc <= 0)
            return rc < 0 ? FIRST_REFUSED : FIRST_MORE;
        f->entrance.proxied = false;
    }
    return look(f);
}

void first_free(struct first *f)
{
    buf_free(&f->bytes);
    hello_free(&f->hello);
}
