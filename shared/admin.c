/* The life of the admin listener:
 *
 *   OFF ◀─ reload ─▶ UP ◀─ reload ─▶ WAITING ── tried again, every 10 s ──▶ UP
 *    └────────────────┴─── drain, stop ──┴──▶ freed */
#include "shared/admin.h"

#include "shared/admin_guard.h"
#include "shared/listen.h"
#include "shared/log.h"
#include "shared/mem.h"
#include "shared/source.h"
#include "shared/value.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { AGAIN_MS = 10 * 1000 };

struct place {
    bool wanted;
    struct opt_address address;
};

struct admin {
    struct loop *loop;
    const struct admin_functions *functions;
    void *user;
    void (*ended)(void *user);

    struct place place, next_place;
    struct admin_guard guard, next_guard;
    struct admin_visitors visitors;
    struct http_guard http_guard;
    int next_fd;                /* prepared; -1: none */
    struct http_server *server; /* NULL: none */
    size_t alive; /* servers, also those on their way out, the timer, and the page, which goes last */
    struct live *live;
    uv_timer_t again;
    struct err why; /* of having to wait */
    bool ending;
};

/* ---- the answers ---- */

static void log_wrong_password(const struct http_request *request)
{
    char peer[SOURCE_TEXT_BYTES];

    source_print(request->peer, peer);
    log_warn_limited("admin", "somebody gave a wrong password at the admin listener", kv_str("peer", peer));
}

static bool admit(void *user, const struct http_request *request, struct http_reply *reply)
{
    struct admin *a = user;
    const uint64_t now_ns = (uint64_t)loop_now_ms(a->loop) * 1000000;

    if (admin_guard_is_foreign(request)) {
        http_reply_error(reply, 403, "a page of another site asks for this; open it in a window of its own");
        return false;
    }
    switch (admin_guard_admit(&a->guard, &a->visitors, request, now_ns, &reply->retry_s)) {
    case ADMIN_TOO_MANY_WRONG:
        log_wrong_password(request);
        http_reply_error(reply, 429, "too many wrong passwords have come from this address; wait %u s",
                         reply->retry_s);
        return false;
    case ADMIN_WRONG_PASSWORD:
        if (request->authorization.n > 0) /* a browser comes without one at first */
            log_wrong_password(request);
        reply->fields = "WWW-Authenticate: Basic realm=\"tunnel\", charset=\"UTF-8\"\r\n";
        http_reply_error(reply, 401, "give the user " ADMIN_USER " and the password of admin_password_file");
        return false;
    case ADMIN_WRONG_HOST:
        http_reply_error(
            reply, 403,
            "without admin_password_file this is answered under loopback addresses and localhost alone");
        return false;
    default: return true;
    }
}

static void answer_text(struct http_reply *reply, int status, const char *text)
{
    reply->status = status;
    reply->type = "text/plain; charset=utf-8";
    buf_printf(&reply->body, "%s\n", text);
}

static void answer_metrics(void *user, const struct http_request *request, struct http_reply *reply)
{
    const struct admin *a = user;

    (void)request;
    reply->type = "text/plain; version=0.0.4; charset=utf-8";
    a->functions->add_metrics(a->user, &reply->body);
}

static void answer_alive(void *user, const struct http_request *request, struct http_reply *reply)
{
    (void)user, (void)request;
    answer_text(reply, 200, "ok");
}

static void answer_ready(void *user, const struct http_request *request, struct http_reply *reply)
{
    const struct admin *a = user;
    char why[200] = "";

    (void)request;
    if (a->functions->live.ready(a->user, why, sizeof why))
        answer_text(reply, 200, "ok");
    else
        answer_text(reply, 503, why);
}

static const struct http_route routes[] = {
    { "GET", "/metrics", answer_metrics },
    { "GET", "/healthz", answer_alive },
    { "GET", "/readyz", answer_ready },
};

/* ---- the socket ---- */

static const char *place_text(const struct place *place, struct buf *text)
{
    if (place->wanted)
        value_print_address(text, &place->address);
    return buf_text(text);
}

json_t *admin_status(const struct admin *a)
{
    struct buf text = { 0 };
    json_t *status;

    if (!a)
        return json_pack("{s:s, s:s, s:n}", "listen", "", "state", "off", "last_error");
    status = json_pack("{s:s, s:s}", "listen", place_text(&a->place, &text), "state",
                       a->server         ? "up"
                       : a->place.wanted ? "waiting"
                                         : "off");

    json_object_set_new(status, "last_error",
                        !a->server && a->place.wanted ? json_string(a->why.text) : json_null());
    buf_free(&text);
    return status;
}

static void end_if_done(struct admin *a)
{
    void (*ended)(void *user) = a->ended;
    void *user = a->user;

    a->alive--;
    if (a->alive == 1)
        live_stop(a->live);
    if (a->alive > 0)
        return;
    admin_visitors_free(&a->visitors);
    free(a);
    ended(user);
}

static void on_live_ended(void *owner)
{
    end_if_done(owner);
}

static void on_server_ended(void *user, const struct http_server *server)
{
    struct admin *a = user;

    if (a->server == server)
        a->server = NULL; /* the last connection may be gone long before the rest of us */
    end_if_done(a);
}

/* Takes the socket. */
static int serve(struct admin *a, int fd, struct err *e)
{
    struct buf text = { 0 };

    a->server = http_server_start_guarded(a->loop, fd, &a->http_guard, routes,
                                          sizeof routes / sizeof routes[0], a, on_server_ended, e);
    if (!a->server)
        return -1;
    a->alive++;
    http_server_more_routes(a->server, live_routes, LIVE_ROUTES_N, a->live);
    log_info("admin listener up", kv_str("address", place_text(&a->place, &text)));
    buf_free(&text);
    return 0;
}

static void wait_for_place(struct admin *a, const struct err *why)
{
    a->why = *why;
    log_warn("the admin listener has to wait; visitors do not", kv_str("error", why->text),
             kv_int("retry_ms", AGAIN_MS));
}

static void on_again(uv_timer_t *timer)
{
    struct admin *a = timer->data;
    struct inherited none = { .n = 0 };
    struct err why = { 0 };
    int fd;

    if (a->server || !a->place.wanted)
        return;
    if (listen_sockets(&a->place.address, &none, 1, &fd, &why) != 0 || serve(a, fd, &why) != 0)
        a->why = why; /* the holder may be another one by now */
}

static struct place place_of(const struct admin_conf *conf)
{
    struct place place = { .wanted = conf->listen->n > 0 };

    if (place.wanted)
        place.address = conf->listen->list[0];
    return place;
}

struct admin *admin_start(struct loop *loop, const struct admin_conf *conf, struct inherited *inherited,
                          const struct admin_functions *functions, void *user, void (*ended)(void *user),
                          struct err *e)
{
    struct admin *a = mem_new(sizeof *a);
    struct err why = { 0 };
    int fd;

    if (admin_guard_load(&a->guard, conf->password_file, e) != 0) {
        free(a);
        err_wrap(e, "admin_password_file");
        return NULL;
    }
    admin_visitors_init(&a->visitors);
    a->loop = loop;
    a->functions = functions;
    a->user = user;
    a->ended = ended;
    a->http_guard = (struct http_guard){ "admin listener", admit, a };
    a->next_fd = -1;
    a->place = place_of(conf);
    uv_timer_init(&loop->uv, &a->again);
    a->again.data = a;
    a->live = live_start(loop, LIVE_EVERY_MS, &functions->live, user, on_live_ended, a);
    a->alive = 2;
    live_set(a->live, a->place.wanted);
    uv_timer_start(&a->again, on_again, AGAIN_MS, AGAIN_MS);
    if (a->place.wanted &&
        (listen_sockets(&a->place.address, inherited, 1, &fd, &why) != 0 || serve(a, fd, &why) != 0))
        wait_for_place(a, &why);
    return a;
}

/* ---- reload ---- */

static bool is_same(const struct place *a, const struct place *b)
{
    const struct opt_addresses list = { 1, &a->address };

    return a->wanted == b->wanted && (!a->wanted || opt_addresses_have(&list, &b->address));
}

int admin_prepare(struct admin *a, const struct admin_conf *next, const char **key, struct err *e)
{
    *key = "admin_password_file";
    if (admin_guard_load(&a->next_guard, next->password_file, e) != 0)
        return -1;
    a->next_place = place_of(next);
    a->next_fd = -1;
    *key = "admin_listen";
    if (!a->next_place.wanted || is_same(&a->place, &a->next_place))
        return 0;
    return listen_beside(&a->next_place.address, a->server ? &a->place.address : NULL, &a->next_fd, e);
}

void admin_commit(struct admin *a)
{
    struct err why = { 0 };
    int fd = a->next_fd;

    a->guard = a->next_guard; /* for whoever is connected already, too */
    live_send_away(a->live);
    live_set(a->live, a->next_place.wanted);
    a->next_fd = -1;
    if (is_same(&a->place, &a->next_place)) {
        on_again(&a->again); /* whoever reloads may have seen to the holder */
        return;
    }
    if (a->server)
        http_server_drain(a->server);
    a->server = NULL;
    a->place = a->next_place;
    if (a->place.wanted && serve(a, fd, &why) != 0)
        wait_for_place(a, &why);
}

void admin_abandon(struct admin *a)
{
    if (a->next_fd >= 0)
        close(a->next_fd);
    a->next_fd = -1;
}

/* ---- end ---- */

static void on_timer_closed(uv_handle_t *handle)
{
    end_if_done(handle->data);
}

static void end_with(struct admin *a, void (*end_server)(struct http_server *s))
{
    if (a->server)
        end_server(a->server);
    if (!a->ending)
        uv_close((uv_handle_t *)&a->again, on_timer_closed);
    a->ending = true;
}

void admin_drain(struct admin *a)
{
    end_with(a, http_server_drain);
}

void admin_stop(struct admin *a)
{
    end_with(a, http_server_stop);
}

/* ---- --check ---- */

void admin_check(const struct opt_conf *conf, const char *kind, const struct admin_conf *admin,
                 struct opt_errors *errors)
{
    struct admin_guard guard;
    struct err why = { 0 };

    if (admin->listen->n > 1)
        opt_errors_add_at(errors, conf, kind, NULL, "admin_listen", "more than one; write one address");
    if (admin->listen->n == 1 && !admin_is_local(&admin->listen->list[0]) && !*admin->password_file)
        opt_errors_add_at(
            errors, conf, kind, NULL, "admin_listen",
            "others than this machine can reach it, and it would tell them all; add admin_password_file, or listen on "
            "127.0.0.1 and come by ssh -L");
    if (*admin->password_file && opt_touches_files(conf) &&
        admin_guard_load(&guard, admin->password_file, &why) != 0)
        opt_errors_add_at(errors, conf, kind, NULL, "admin_password_file", "%s", why.text);
}
