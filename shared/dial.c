/* The life of a dial:
 *
 *   LOOKUP -> CONNECT to one address after the other ── the first that answers ──▶ done
 *      \___________\____ none is left, no answer in time ────────────────────────▶ done
 *                                                              stop -> nothing more is said */
#include "shared/dial.h"

#include "shared/mem.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

struct dial {
    struct loop *loop;
    char host[256];
    uint16_t port;
    uint32_t patience_ms;
    struct dial_names *names;
    dial_done_cb done; /* NULL once it was called, or must not be */
    void *user;
    int pending; /* what libuv and the connection still hold of us */

    uv_timer_t deadline;
    uv_getaddrinfo_t lookup;
    bool looking_up, recalled; /* recalled: by what the name meant last, while the lookup may go on */
    struct sockaddr_storage found[DIAL_ADDRESSES];
    size_t found_n, tried;
    struct stream *sock;
    bool late;
    struct err why; /* what the last address said */
};

static void on_begun(uv_timer_t *timer);
static void on_late(uv_timer_t *timer);
static void on_looked_up(uv_getaddrinfo_t *req, int rc, struct addrinfo *found);
static void connect_next(struct dial *d);
static void on_connected(void *user);
static void on_sock_ended(void *user, const struct err *why);
static void finish(struct dial *d, struct stream *s);

struct dial *dial_start(struct loop *loop, const char *host, uint16_t port, uint32_t patience_ms,
                        struct dial_names *names, dial_done_cb done, void *user)
{
    struct dial *d = mem_new(sizeof *d);

    d->loop = loop;
    snprintf(d->host, sizeof d->host, "%s", host);
    d->port = port;
    d->patience_ms = patience_ms;
    d->names = names;
    d->done = done;
    d->user = user;
    uv_timer_init(&loop->uv, &d->deadline);
    d->deadline.data = d;
    d->pending = 1;
    uv_timer_start(&d->deadline, on_begun, 0,
                   0); /* whatever comes next may fail at once, and is to fail from the loop */
    return d;
}

/* ---- LOOKUP ---- */

static bool is_address(struct dial *d)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)&d->found[0];
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&d->found[0];
    struct sockaddr_un *path = (struct sockaddr_un *)&d->found[0];

    if (d->host[0] == '/' && strlen(d->host) < sizeof path->sun_path) {
        d->found[0].ss_family = AF_UNIX;
        memcpy(path->sun_path, d->host, strlen(d->host) + 1);
    } else if (inet_pton(AF_INET, d->host, &v4->sin_addr) == 1)
        d->found[0].ss_family = AF_INET;
    else if (inet_pton(AF_INET6, d->host, &v6->sin6_addr) == 1)
        d->found[0].ss_family = AF_INET6;
    d->found_n = d->found[0].ss_family != 0;
    return d->found_n > 0;
}

static bool has_known(const struct dial *d, int64_t until_ms, size_t *place)
{
    for (size_t i = 0; d->names && i < DIAL_NAMES; i++)
        if (d->names->names[i].until_ms > until_ms && strcmp(d->names->names[i].host, d->host) == 0) {
            *place = i;
            return true;
        }
    return false;
}

static void take_known(struct dial *d, size_t place)
{
    d->found_n = d->names->names[place].n;
    memcpy(d->found, d->names->names[place].found, sizeof d->found);
}

static bool is_known(struct dial *d)
{
    size_t place;

    if (!has_known(d, loop_now_ms(d->loop), &place))
        return false;
    take_known(d, place);
    return true;
}

static bool has_older(const struct dial *d, size_t *place)
{
    return d->names && d->names->proved && has_known(d, 0, place);
}

static void recall(struct dial *d)
{
    size_t place;

    if (d->found_n > 0 || !has_older(d, &place))
        return;
    take_known(d, place);
    d->recalled = true;
}

static void remember(struct dial *d)
{
    size_t place = 0;

    for (size_t i = 0; i < DIAL_NAMES; i++) {
        if (strcmp(d->names->names[i].host, d->host) == 0) {
            place = i;
            break;
        }
        if (d->names->names[i].until_ms < d->names->names[place].until_ms)
            place = i;
    }
    memcpy(d->names->names[place].host, d->host, sizeof d->host);
    memcpy(d->names->names[place].found, d->found, sizeof d->found);
    d->names->names[place].n = d->found_n;
    d->names->names[place].until_ms = loop_now_ms(d->loop) + DIAL_NAMES_MS;
}

static void look_up(struct dial *d)
{
    static const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
    size_t place;
    int rc;

    d->lookup.data = d;
    rc = uv_getaddrinfo(&d->loop->uv, &d->lookup, on_looked_up, d->host, NULL, &hints);
    if (rc != 0) {
        err_set(&d->why, ERR_MISSING, "%s", uv_strerror(rc));
        finish(d, NULL);
        return;
    }
    d->looking_up = true;
    d->pending++;
    uv_timer_start(&d->deadline, on_late, has_older(d, &place) ? DIAL_RECALL_MS : d->patience_ms, 0);
}

static void on_begun(uv_timer_t *timer)
{
    struct dial *d = timer->data;

    if (is_address(d) || is_known(d))
        connect_next(d);
    else
        look_up(d);
}

static void keep_addresses(struct dial *d, const struct addrinfo *found)
{
    for (; found && d->found_n < DIAL_ADDRESSES; found = found->ai_next)
        if (found->ai_family == AF_INET || found->ai_family == AF_INET6)
            memcpy(&d->found[d->found_n++], found->ai_addr, found->ai_addrlen);
}

/* The name server has answered after all, and what it says counts. */
static void forget_recalled(struct dial *d)
{
    d->recalled = false;
    d->found_n = d->tried = 0;
    d->late = true;
    if (d->sock)
        stream_stop(d->sock); /* its end brings us to the first address that was found */
}

static void free_if_idle(struct dial *d)
{
    if (d->pending == 0)
        free(d);
}

static void on_looked_up(uv_getaddrinfo_t *req, int rc, struct addrinfo *found)
{
    struct dial *d = req->data;

    d->looking_up = false;
    d->pending--;
    if (!d->done || (d->recalled && !found)) {
        uv_freeaddrinfo(found);
        free_if_idle(d);
        return;
    }
    if (d->recalled)
        forget_recalled(d);
    keep_addresses(d, found);
    uv_freeaddrinfo(found);
    if (d->found_n > 0 && d->names)
        remember(d);
    recall(d);
    err_set(&d->why, ERR_MISSING, "%s", uv_strerror(rc != 0 ? rc : UV_EAI_NONAME));
    if (!d->sock)
        connect_next(d);
}

/* ---- CONNECT ---- */

static void set_port(struct sockaddr_storage *addr, uint16_t port)
{
    if (addr->ss_family == AF_INET6)
        ((struct sockaddr_in6 *)addr)->sin6_port = htons(port);
    else if (addr->ss_family == AF_INET)
        ((struct sockaddr_in *)addr)->sin_port = htons(port);
}

/* These come only between the connection and its handing over, which is one and the same callback. */
static void on_received(void *user, const char *bytes, size_t n)
{
    (void)user;
    (void)bytes;
    (void)n;
}

static void on_eof(void *user)
{
    (void)user;
}

static void connect_next(struct dial *d)
{
    static const struct stream_events events = { on_received, on_eof, NULL, on_sock_ended, NULL };

    while (!d->sock && d->tried < d->found_n) {
        struct sockaddr_storage *addr = &d->found[d->tried++];

        set_port(addr, d->port);
        d->late = false;
        d->sock = stream_connect(d->loop, (const struct sockaddr *)addr, on_connected, &events, d, &d->why);
    }
    if (!d->sock) {
        finish(d, NULL);
        return;
    }
    d->pending++;
    uv_timer_start(&d->deadline, on_late, d->patience_ms / d->found_n, 0);
}

static void on_late(uv_timer_t *timer)
{
    struct dial *d = timer->data;

    d->late = true;
    err_set(&d->why, ERR_TIMEOUT, "no answer in time");
    if (d->sock) {
        stream_stop(d->sock); /* its end brings us to the next address */
        return;
    }
    recall(d);
    connect_next(d);
}

static void on_sock_ended(void *user, const struct err *why)
{
    struct dial *d = user;

    d->pending--;
    d->sock = NULL;
    if (!d->late)
        d->why = *why;
    if (d->done)
        connect_next(d);
    else
        free_if_idle(d);
}

static void on_connected(void *user)
{
    struct dial *d = user;
    struct stream *s = d->sock;

    d->pending--;
    d->sock = NULL;
    finish(d, s);
}

/* ---- end ---- */

static void on_closed(uv_handle_t *handle)
{
    struct dial *d = handle->data;

    d->pending--;
    free_if_idle(d);
}

static void close_all(struct dial *d)
{
    d->done = NULL;
    uv_close((uv_handle_t *)&d->deadline, on_closed);
    if (d->looking_up)
        uv_cancel((uv_req_t *)&d->lookup); /* when it has begun it ends by itself, and finds nobody waiting */
    if (d->sock)
        stream_stop(d->sock);
}

static void finish(struct dial *d, struct stream *s)
{
    dial_done_cb done = d->done;
    struct err why = d->why;
    void *user = d->user;

    close_all(d);
    done(user, s, s ? NULL : &why);
}

void dial_stop(struct dial *d)
{
    close_all(d);
}
