/* The life of a dial:
 *
 *   LOOKUP -> CONNECT to the first address, soon to the next one beside it, … ── the first that answers ──▶ done
 *      \___________\____ all have failed, no answer in time ─────────────────────────────────────────────▶ done
 *                                                                       stop -> nothing more is said */
#include "shared/dial.h"

#include "shared/mem.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

struct attempt {
    struct dial *d;
    struct stream *sock;
    size_t place;  /* of its address in the row */
    bool given_up; /* what it ends with tells nothing */
    struct attempt *next;
};

struct dial {
    struct loop *loop;
    char host[256];
    uint16_t port;
    uint32_t patience_ms;
    struct dial_names *names;
    dial_done_cb done; /* NULL once it was called, or must not be */
    void *user;
    int pending; /* what libuv and the attempts still hold of us */

    uv_timer_t deadline, turn; /* turn: of the next address */
    uv_getaddrinfo_t lookup;
    bool looking_up, recalled; /* recalled: by what the name meant last, while the lookup may go on */
    bool again;                /* the row of addresses begins anew */
    uint32_t full_ms;          /* how long a full queue was left alone last */
    struct sockaddr_storage found[DIAL_ADDRESSES];
    size_t found_n, tried;
    struct attempt *attempts; /* until their sockets are closed */
    size_t waiting;           /* of them those that may yet be answered */
    struct err why;           /* what the last address said */
};

static void on_begun(uv_timer_t *timer);
static void on_late(uv_timer_t *timer);
static void on_turn(uv_timer_t *timer);
static void on_looked_up(uv_getaddrinfo_t *req, int rc, struct addrinfo *found);
static void begin_connecting(struct dial *d);
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
    uv_timer_init(&loop->uv, &d->turn);
    d->deadline.data = d->turn.data = d;
    d->pending = 2;
    uv_timer_start(&d->deadline, on_begun, 0,
                   0); /* whatever comes next may fail at once, and is to fail from the loop */
    return d;
}

void dial_again(struct dial *d)
{
    d->again = true;
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

bool dial_names_find(const struct dial_names *names, const char *host, int family,
                     struct sockaddr_storage *found)
{
    for (size_t i = 0; names && i < DIAL_NAMES; i++)
        for (size_t j = 0; strcmp(names->names[i].host, host) == 0 && j < names->names[i].n; j++)
            if (names->names[i].found[j].ss_family == family) {
                *found = names->names[i].found[j];
                return true;
            }
    return false;
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
        begin_connecting(d);
    else
        look_up(d);
}

static const struct addrinfo *next_of(int family, const struct addrinfo *from)
{
    while (from && from->ai_family != family)
        from = from->ai_next;
    return from;
}

/* The families by turns, first the one that the system prefers: where that one leads nowhere, the other is next. */
static void keep_addresses(struct dial *d, const struct addrinfo *found)
{
    const int first = found ? found->ai_family : AF_INET;
    const struct addrinfo *of[2] = { next_of(first, found),
                                     next_of(first == AF_INET ? AF_INET6 : AF_INET, found) };

    for (size_t turn = 0; d->found_n < DIAL_ADDRESSES && (of[0] || of[1]); turn = 1 - turn) {
        const struct addrinfo *at = of[turn];

        if (!at)
            continue;
        memcpy(&d->found[d->found_n++], at->ai_addr, at->ai_addrlen);
        of[turn] = next_of(at->ai_family, at->ai_next);
    }
}

static void give_up(struct attempt *a)
{
    if (a->given_up)
        return;
    a->given_up = true;
    a->d->waiting--;
    stream_stop(a->sock);
}

static void give_up_all(struct dial *d)
{
    for (struct attempt *a = d->attempts; a; a = a->next)
        give_up(a);
}

/* The name server has answered after all, and what it says counts. */
static void forget_recalled(struct dial *d)
{
    d->recalled = false;
    d->found_n = d->tried = 0;
    give_up_all(d);
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
        if (d->done && d->waiting == 0)
            finish(d, NULL); /* nobody is left who could tell of another address */
        else
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
    begin_connecting(d);
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

static void begin_connecting(struct dial *d)
{
    uv_timer_start(&d->deadline, on_late, d->patience_ms, 0);
    connect_next(d);
}

static bool attempt(struct dial *d, size_t place)
{
    static const struct stream_events events = { on_received, on_eof, NULL, on_sock_ended, NULL };
    struct sockaddr_storage *addr = &d->found[place];
    struct attempt *a = mem_new(sizeof *a);

    set_port(addr, d->port);
    a->d = d;
    a->place = place;
    a->sock = stream_connect(d->loop, (const struct sockaddr *)addr, on_connected, &events, a, &d->why);
    if (!a->sock) {
        free(a);
        return false;
    }
    a->next = d->attempts;
    d->attempts = a;
    d->pending++;
    d->waiting++;
    return true;
}

/* Whoever has been asked already may still answer, and so may the name server of a name that has moved. */
static bool may_be_answered(const struct dial *d)
{
    return d->waiting > 0 || (d->recalled && d->looking_up);
}

/* An address that there is no way to is passed over at once. */
static void connect_next(struct dial *d)
{
    bool asked = false;

    while (!asked && d->tried < d->found_n)
        asked = attempt(d, d->tried++);
    if (d->tried < d->found_n)
        uv_timer_start(&d->turn, on_turn, DIAL_TURN_MS, 0);
    else if (!may_be_answered(d))
        finish(d, NULL);
    else if (d->again && (asked || !uv_is_active((uv_handle_t *)&d->turn)))
        uv_timer_start(&d->turn, on_turn, DIAL_AGAIN_MS, 0);
}

static void on_turn(uv_timer_t *timer)
{
    struct dial *d = timer->data;

    if (d->tried == d->found_n)
        d->tried = 0;
    connect_next(d);
}

static void on_late(uv_timer_t *timer)
{
    struct dial *d = timer->data;

    if (d->found_n == 0 || d->waiting > 0)
        err_set(&d->why, ERR_TIMEOUT, "no answer in time");
    if (d->found_n > 0) {
        finish(d, NULL);
        return;
    }
    recall(d);
    begin_connecting(d);
}

static void let_go(struct attempt *a)
{
    struct attempt **at = &a->d->attempts;

    while (*at != a)
        at = &(*at)->next;
    *at = a->next;
    a->d->pending--;
    if (!a->given_up)
        a->d->waiting--;
    free(a);
}

/* Earlier attempts there would only hear the same, and later. */
static void note_refusal(struct dial *d, size_t place)
{
    for (struct attempt *a = d->attempts; a; a = a->next)
        if (a->place == place)
            give_up(a);
}

/* TCP waits by itself for a service that takes its connections slowly, or asks again. A Unix socket says at once that its
 * queue is full, which may hold no more than five: a page of many objects would get half of them. */
static bool is_full(const struct dial *d, size_t place, const struct err *why)
{
    return d->found[place].ss_family == AF_UNIX && why->code == ERR_TIMEOUT;
}

static void on_sock_ended(void *user, const struct err *why)
{
    struct attempt *a = user;
    struct dial *d = a->d;
    size_t place = a->place;
    bool failed = !a->given_up;

    let_go(a);
    if (!failed) {
        free_if_idle(d);
        return;
    }
    d->why = *why;
    if (is_full(d, place, why)) {
        d->full_ms = d->full_ms == 0                 ? DIAL_FULL_MS
                     : d->full_ms < DIAL_TURN_MS / 2 ? 2 * d->full_ms
                                                     : d->full_ms;
        uv_timer_start(&d->turn, on_turn, d->full_ms, 0);
        return;
    }
    if (why->code == ERR_PEER)
        note_refusal(d, place);
    connect_next(d);
}

static void on_connected(void *user)
{
    struct attempt *a = user;
    struct dial *d = a->d;
    struct stream *s = a->sock;

    let_go(a);
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
    uv_close((uv_handle_t *)&d->turn, on_closed);
    if (d->looking_up)
        uv_cancel((uv_req_t *)&d->lookup); /* when it has begun it ends by itself, and finds nobody waiting */
    give_up_all(d);
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
