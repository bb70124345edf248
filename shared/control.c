#include "shared/control.h"

#include "shared/json.h"
#include "shared/mem.h"
#include "shared/opt_print.h"

#include <stdlib.h>
#include <string.h>

struct control {
    const char *program, *role;
    const struct control_functions *functions;
    void *user;
    void (*ended)(void *user);
    struct http_server *server;
};

/* ---- the answers ---- */

json_t *control_common(const char *role)
{
    return json_pack("{s:s, s:s}", "role", role, "version", TUNNEL_VERSION);
}

static void answer_version(void *user, const struct http_request *request, struct http_reply *reply)
{
    const struct control *c = user;
    json_t *v = control_common(c->role);

    (void)request;
    json_object_set_new(v, "program", json_string(c->program));
    json_object_set_new(v, "config", json_any_text(c->functions->conf_path(c->user)));
    http_reply_json(reply, 200, v);
}

static void answer_status(void *user, const struct http_request *request, struct http_reply *reply)
{
    const struct control *c = user;
    json_t *status = control_common(c->role);

    (void)request;
    c->functions->add_status(c->user, status);
    http_reply_json(reply, 200, status);
}

static bool is_called(const json_t *domain, const char *name)
{
    const char *own = json_string_value(json_object_get(domain, "name"));
    const json_t *alias;
    size_t i;

    json_array_foreach(json_object_get(domain, "aliases"), i, alias)
    {
        if (strcmp(json_string_value(alias), name) == 0)
            return true;
    }
    return own && strcmp(own, name) == 0;
}

/* One of domains[], by its name or an alias. */
static void answer_domain(void *user, const struct http_request *request, struct http_reply *reply)
{
    const struct control *c = user;
    json_t *all = json_object(), *found = NULL, *answer, *domain;
    char *name = mem_copy_n(request->name.p, request->name.n);
    size_t i;

    c->functions->add_status(c->user, all);
    json_array_foreach(json_object_get(all, "domains"), i, domain)
    {
        if (!found && is_called(domain, name))
            found = domain;
    }
    if (found) {
        answer = control_common(c->role);
        json_object_set(answer, "domain", found);
        http_reply_json(reply, 200, answer);
    } else {
        http_reply_error(reply, 404, "there is no domain %.200s here; tunnelctl status lists those there are",
                         name);
    }
    free(name);
    json_decref(all);
}

static void answer_config(void *user, const struct http_request *request, struct http_reply *reply)
{
    const struct control *c = user;

    (void)request;
    http_reply_json(reply, 200, opt_json(c->functions->conf(c->user)));
}

static json_t *errors_json(const struct opt_errors *errors)
{
    json_t *list = json_array();

    for (size_t i = 0; i < errors->n; i++)
        json_array_append_new(list, json_any_text(errors->lines[i]));
    return list;
}

static void answer_reload(void *user, const struct http_request *request, struct http_reply *reply)
{
    static const char *const no_members[] = { NULL };
    struct control *c = user;
    struct opt_errors errors = { 0 };
    struct err why = { 0 };

    if (request->json && json_only(request->json, no_members, &why) != 0) {
        http_reply_error(reply, 400, "%s", why.text);
    } else if (c->functions->reload(c->user, &errors) == 0) {
        http_reply_json(reply, 200, json_pack("{s:b}", "reloaded", 1));
    } else {
        json_t *refusal =
            json_pack("{s:s, s:o}", "error", "the new configuration was not taken; nothing was changed",
                      "errors", errors_json(&errors));

        http_reply_json(reply, 422, refusal);
    }
    opt_errors_free(&errors);
}

static struct alerts *alerts_of(const struct control *c, struct http_reply *reply)
{
    struct alerts *alerts = c->functions->alerts(c->user);

    if (!alerts)
        http_reply_error(reply, 503, "the %s is stopping", c->role);
    return alerts;
}

static void answer_events(void *user, const struct http_request *request, struct http_reply *reply)
{
    struct alerts *alerts = alerts_of(user, reply);

    if (alerts)
        alerts_answer_events(alerts, request, reply);
}

static void answer_event_test(void *user, const struct http_request *request, struct http_reply *reply)
{
    struct alerts *alerts = alerts_of(user, reply);

    if (alerts)
        alerts_answer_test(alerts, request, reply);
}

static const struct http_route routes[] = {
    { "GET", "/v1/version", answer_version },         { "GET", "/v1/status", answer_status },
    { "GET", "/v1/status/*", answer_domain },         { "GET", "/v1/config", answer_config },
    { "POST", "/v1/reload", answer_reload },          { "GET", "/v1/events", answer_events },
    { "POST", "/v1/events/test", answer_event_test },
};

/* ---- life ---- */

static void on_server_ended(void *user, const struct http_server *server)
{
    struct control *c = user;

    (void)server;
    c->ended(c->user);
    free(c);
}

struct control *control_start(struct loop *loop, int fd, const char *program, const char *role,
                              const struct control_functions *functions, void *user,
                              void (*ended)(void *user), struct err *e)
{
    struct control *c = mem_new(sizeof *c);

    *c = (struct control){ program, role, functions, user, ended, NULL };
    c->server = http_server_start(loop, fd, routes, sizeof routes / sizeof routes[0], c, on_server_ended, e);
    if (c->server)
        return c;
    free(c);
    return NULL;
}

void control_more_routes(struct control *c, const struct http_route *more, size_t n, void *parts)
{
    http_server_more_routes(c->server, more, n, parts);
}

void control_drain(struct control *c)
{
    http_server_drain(c->server);
}

void control_stop(struct control *c)
{
    http_server_stop(c->server);
}
