/* The life of a listener:
 *
 *   OPEN ── somebody else listens there ──▶ HELD ── looks again, ever more seldom, up to each half second ──▶ UP
 *     └── had ──▶ UP
 *
 * Who has a server of his own on this machine can so start the relay beside it, and end the server when he likes. */
#include "relay/edge/listeners.h"

#include "shared/json.h"
#include "shared/listen.h"
#include "shared/log.h"
#include "shared/mem.h"
#include "shared/port_holder.h"
#include "shared/port_policy.h"
#include "shared/retry.h"
#include "shared/value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    FIRST_LOOK_MS = 100,
    MAX_LOOK_MS = 500,
    LOOKS_A_HOLDER =
        15, /* who holds a port is asked anew, which costs a look at every process of the machine */
};

struct listener {
    struct opt_address at;
    struct entrance entrance;
    bool held;
    time_t since; /* it is so */
    struct err why;
    char holder[64]; /* "": not shown to us */
};

struct listeners {
    struct listeners_host host;
    struct inherited *inherited; /* during the start alone */
    uv_timer_t timer;
    struct retry retry;
    unsigned sockets, looks;
    int *fds; /* room for one listener's */
    struct listener *list;
    size_t n;
};

static void on_look(uv_timer_t *timer);

/* ---- start ---- */

static int open_one(struct listeners *l, struct listener *one, struct err *e)
{
    struct inherited none = { 0 };
    struct inherited *inherited = l->inherited ? l->inherited : &none;
    int second;

    if (listen_sockets(&one->at, inherited, l->sockets, l->fds, e) != 0 ||
        l->host.opened(l->host.user, l->fds, one->entrance, e) != 0)
        return -1;
    second = listen_second(&one->at, inherited, l->sockets, l->fds, e);
    return second == 0 ? l->host.opened(l->host.user, l->fds, one->entrance, e) : second < 0 ? -1 : 0;
}

/* Another one of ours, which would be waited for in vain. */
static bool is_ours(const struct listeners *l, const struct listener *one)
{
    for (const struct listener *other = l->list; other < one; other++)
        if (port_policy_collide(&other->at, &one->at))
            return true;
    return false;
}

static void note(struct listener *one, const struct err *why)
{
    one->why = *why;
    if (why->code != ERR_TAKEN || !port_holder(&one->at.addr, one->at.any, one->holder, sizeof one->holder))
        one->holder[0] = 0;
}

static int start_one(struct listeners *l, struct listener *one, struct err *e)
{
    one->since = time(NULL);
    if (open_one(l, one, e) == 0)
        return 0;
    if (e->code != ERR_TAKEN || is_ours(l, one))
        return -1;
    one->held = true;
    note(one, e);
    log_error("another program holds a port of visitors", kv_str("error", e->text));
    return 0;
}

static void add(struct listeners *l, const struct listeners_conf *conf, const struct opt_addresses *list,
                bool secure)
{
    for (size_t i = 0; i < list->n; i++) {
        struct entrance entrance = { secure, opt_addresses_have(conf->proxied, &list->list[i]) };

        l->list = mem_grow(l->list, (l->n + 1) * sizeof *l->list);
        l->list[l->n++] = (struct listener){ .at = list->list[i], .entrance = entrance };
    }
}

static bool any_held(const struct listeners *l)
{
    for (size_t i = 0; i < l->n; i++)
        if (l->list[i].held)
            return true;
    return false;
}

static void look_later(struct listeners *l)
{
    uint32_t random = 0;

    (void)uv_random(NULL, NULL, &random, sizeof random, 0, NULL);
    uv_timer_start(&l->timer, on_look, retry_failed(&l->retry, random), 0);
}

struct listeners *listeners_start(struct loop *loop, const struct listeners_conf *conf,
                                  struct inherited *inherited, const struct listeners_host *host,
                                  struct err *e)
{
    struct listeners *l = mem_new(sizeof *l);
    int rc = 0;

    l->host = *host;
    l->sockets = conf->sockets;
    l->fds = mem_new(conf->sockets * sizeof *l->fds);
    retry_init(&l->retry, FIRST_LOOK_MS, MAX_LOOK_MS);
    uv_timer_init(&loop->uv, &l->timer);
    l->timer.data = l;
    add(l, conf, conf->https, true);
    add(l, conf, conf->http, false);
    l->inherited = inherited;
    for (size_t i = 0; rc == 0 && i < l->n; i++)
        rc = start_one(l, &l->list[i], e);
    l->inherited = NULL;
    if (rc == 0 && any_held(l))
        look_later(l);
    if (rc == 0)
        return l;
    listeners_stop(l);
    return NULL;
}

/* ---- wait ---- */

/* Nobody is asked who holds it, nor why else it cannot be had. */
static bool is_held_still(const struct listener *one)
{
    struct err why = { 0 };

    return !listen_is_free(&one->at, &why) && why.code == ERR_TAKEN;
}

/* True when it is had now. What goes wrong besides may pass, too, and is told when it is something else than before. */
static bool try_again(struct listeners *l, struct listener *one)
{
    struct err why = { 0 };

    if (is_held_still(one) && l->looks % LOOKS_A_HOLDER != 0)
        return false;
    if (open_one(l, one, &why) == 0) {
        one->held = false;
        one->since = time(NULL);
        log_info("a port of visitors is free, and taken", kv_int("port", port_policy_port(&one->at)));
        return true;
    }
    if (strcmp(why.text, one->why.text) != 0) {
        note(one, &why);
        log_error("a port of visitors cannot be had", kv_str("error", why.text));
    }
    return false;
}

static void on_look(uv_timer_t *timer)
{
    struct listeners *l = timer->data;
    bool had = false;

    l->looks++;
    for (size_t i = 0; i < l->n; i++)
        had = (l->list[i].held && try_again(l, &l->list[i])) || had;
    if (any_held(l))
        look_later(l);
    if (had)
        l->host.changed(l->host.user);
}

/* ---- what there is to say ---- */

static json_t *status_of(const struct listener *one)
{
    struct buf at = { 0 };
    json_t *status;

    value_print_address(&at, &one->at);
    status = json_pack("{s:s, s:s, s:s, s:o, s:o, s:o}", "listen", buf_text(&at), "kind",
                       one->entrance.secure ? "https" : "http", "state", one->held ? "held" : "up", "since",
                       json_time(one->since), "holder",
                       one->held && one->holder[0] ? json_any_text(one->holder) : json_null(), "last_error",
                       one->held ? json_any_text(one->why.text) : json_null());
    buf_free(&at);
    return status;
}

json_t *listeners_status(const struct listeners *l)
{
    json_t *list = json_array();

    for (size_t i = 0; l && i < l->n; i++)
        json_array_append_new(list, status_of(&l->list[i]));
    return list;
}

void listeners_text(const struct listeners *l, char *text, size_t room)
{
    size_t used = 0;

    text[0] = 0;
    for (size_t i = 0; l && i < l->n && used < room; i++)
        if (l->list[i].held)
            used += (size_t)snprintf(text + used, room - used, "%s%s",
                                     used > 0 ? "; " : "waiting: ", l->list[i].why.text);
}

/* ---- end ---- */

static void on_closed(uv_handle_t *handle)
{
    struct listeners *l = handle->data;

    free(l->fds);
    free(l->list);
    free(l);
}

void listeners_stop(struct listeners *l)
{
    if (l)
        uv_close((uv_handle_t *)&l->timer, on_closed);
}
