/* The life of a spliced connection:
 *
 *   visitor ── "SSH-…" ──▶ CONNECT to sshd ──▶ bytes both ways ──▶ both ended -> freed
 *
 * Neither end's protocol is looked at: half-close, backpressure and resets are passed on as they come. */
#include "relay/edge/splice.h"

#include "relay/edge/headers.h"
#include "shared/log.h"
#include "shared/mem.h"

#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

enum { HALF_MS = 10000 }; /* SSH has no use for one direction alone */

struct splice {
    const struct splice_events *events;
    struct places *places;
    uv_timer_t half;
    bool closed; /* the timer is */
    void *user;
    struct stream *visitor, *sshd; /* NULL once ended */
    struct sockaddr_storage addr;
    struct sockaddr_in ours; /* port 0 until it stands */
};

static void on_visitor_received(void *user, const char *bytes, size_t n);
static void on_visitor_eof(void *user);
static void on_visitor_ended(void *user, const struct err *why);
static void on_connected(void *user);
static void on_sshd_received(void *user, const char *bytes, size_t n);
static void on_sshd_eof(void *user);
static void on_sshd_ended(void *user, const struct err *why);
static void end_if_done(struct splice *s);
static void expect_end(struct splice *s);

static const struct stream_events visitor_events = { on_visitor_received, on_visitor_eof, NULL,
                                                     on_visitor_ended, NULL };
static const struct stream_events sshd_events = { on_sshd_received, on_sshd_eof, NULL, on_sshd_ended, NULL };

/* ---- start ---- */

struct sockaddr_in splice_address(const struct sockaddr_storage *visitor)
{
    const struct sockaddr_in *v4 = (const void *)visitor;
    const struct sockaddr_in6 *v6 = (const void *)visitor;
    struct sockaddr_in ours = { .sin_family = AF_INET };
    unsigned char digest[SHA256_DIGEST_LENGTH];
    uint32_t host;

    if (visitor->ss_family == AF_INET)
        SHA256((const unsigned char *)&v4->sin_addr, sizeof v4->sin_addr, digest);
    else if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
        SHA256(v6->sin6_addr.s6_addr + 12, sizeof v4->sin_addr, digest);
    else
        SHA256(v6->sin6_addr.s6_addr, 8, digest);
    host = (uint32_t)(digest[0] & 0x3f) << 16 | (uint32_t)digest[1] << 8 | digest[2];
    ours.sin_addr.s_addr = htonl(0x7f400000u | host);
    return ours;
}

static void on_refused_ended(void *user, const struct err *why)
{
    (void)user;
    (void)why;
}

static void refuse(struct stream *visitor, const struct sockaddr_storage *addr, enum places_answer answer)
{
    static const struct stream_events events = { .ended = on_refused_ended };
    char peer[64];

    headers_address_text(addr, peer, sizeof peer);
    if (answer == PLACES_SOURCE_HAS_ENOUGH)
        log_warn_limited(peer, "closed a visitor's SSH connection: there are many from that address",
                         kv_str("peer", peer));
    else
        log_warn_limited("splice", "closed a visitor's SSH connection: there are too many of them",
                         kv_str("peer", peer));
    stream_hand_over(visitor, &events, NULL);
    stream_stop(visitor);
}

struct splice *splice_start(struct loop *loop, struct places *places, struct stream *visitor,
                            const struct sockaddr_storage *addr, const char *bytes, size_t n,
                            uint16_t ssh_port, const struct splice_events *events, void *user)
{
    const struct sockaddr_in sshd = { .sin_family = AF_INET,
                                      .sin_port = htons(ssh_port),
                                      .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct sockaddr_in from = splice_address(addr);
    enum places_answer answer = places_take(places, from.sin_addr.s_addr);
    struct err why = { 0 };
    struct splice *s;

    if (answer != PLACES_TAKEN) {
        refuse(visitor, addr, answer);
        return NULL;
    }
    s = mem_new(sizeof *s);
    s->places = places;
    s->events = events;
    s->user = user;
    s->visitor = visitor;
    s->addr = *addr;
    uv_timer_init(&loop->uv, &s->half);
    s->half.data = s;
    stream_hand_over(visitor, &visitor_events, s);
    s->sshd = stream_connect_from(loop, (struct sockaddr *)&from, (const struct sockaddr *)&sshd,
                                  on_connected, &sshd_events, s, &why);
    if (s->sshd) {
        stream_set_source(s->sshd, visitor);
        stream_set_source(visitor, s->sshd);
        stream_write(s->sshd, bytes, n);
        return s;
    }
    log_warn_limited("splice", "cannot join a visitor to sshd", kv_str("error", why.text));
    stream_stop(visitor);
    return s;
}

static void on_connected(void *user)
{
    struct splice *s = user;
    socklen_t size = sizeof s->ours;

    if (getsockname(stream_fd(s->sshd), (struct sockaddr *)&s->ours, &size) == 0)
        s->events->joined(s->user, &s->ours, &s->addr);
}

/* ---- both ways ---- */

static void on_visitor_received(void *user, const char *bytes, size_t n)
{
    struct splice *s = user;

    if (s->sshd)
        stream_write(s->sshd, bytes, n);
}

static void on_visitor_eof(void *user)
{
    struct splice *s = user;

    if (s->sshd)
        stream_shutdown(s->sshd);
    expect_end(s);
}

static void on_sshd_received(void *user, const char *bytes, size_t n)
{
    struct splice *s = user;

    if (s->visitor)
        stream_write(s->visitor, bytes, n);
}

static void on_sshd_eof(void *user)
{
    struct splice *s = user;

    if (s->visitor)
        stream_shutdown(s->visitor);
    expect_end(s);
}

/* ---- end ---- */

static void on_half_too_long(uv_timer_t *timer)
{
    splice_stop(timer->data);
}

static void expect_end(struct splice *s)
{
    if (!uv_is_active((uv_handle_t *)&s->half) && !uv_is_closing((uv_handle_t *)&s->half))
        uv_timer_start(&s->half, on_half_too_long, HALF_MS, 0);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct splice *s = handle->data;

    s->closed = true;
    end_if_done(s);
}

static void end_other(struct stream *other, const struct err *why)
{
    if (other && why->code == ERR_NONE)
        stream_shutdown(other); /* behind what is still queued for it */
    else if (other)
        stream_reset(other);
}

static void on_visitor_ended(void *user, const struct err *why)
{
    struct splice *s = user;

    s->visitor = NULL;
    expect_end(s);
    end_other(s->sshd, why);
    end_if_done(s);
}

static void on_sshd_ended(void *user, const struct err *why)
{
    struct splice *s = user;

    s->sshd = NULL;
    if (s->ours.sin_port == 0 && why->code != ERR_NONE)
        log_warn_limited("splice", "cannot join a visitor to sshd", kv_str("error", why->text));
    expect_end(s);
    end_other(s->visitor, why);
    end_if_done(s);
}

void splice_stop(struct splice *s)
{
    if (s->visitor)
        stream_stop(s->visitor);
    if (s->sshd)
        stream_stop(s->sshd);
}

static void end_if_done(struct splice *s)
{
    if (s->visitor || s->sshd)
        return;
    if (!s->closed) {
        if (!uv_is_closing((uv_handle_t *)&s->half))
            uv_close((uv_handle_t *)&s->half, on_timer_closed);
        return;
    }
    if (s->ours.sin_port != 0)
        s->events->parted(s->user, &s->ours);
    places_leave(s->places, splice_address(&s->addr).sin_addr.s_addr);
    s->events->ended(s->user, s);
    free(s);
}
