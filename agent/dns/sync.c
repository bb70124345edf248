#include "agent/dns/sync.h"

#include "shared/json.h"
#include "shared/mem.h"

#include <stdlib.h>
#include <string.h>

void sync_init(struct sync *s, struct names *names, struct account ***accounts, size_t *accounts_n)
{
    *s = (struct sync){ .names = names, .accounts = accounts, .accounts_n = accounts_n };
}

static bool is_meant(const struct sync *s, const struct dns_name *n)
{
    return !s->site || strcmp(n->site, s->site) == 0;
}

static void finish(struct sync *s, int status, json_t *answer)
{
    struct http_later *later = s->later;

    s->later = NULL;
    free(s->site);
    s->site = NULL;
    json_decref(s->plan);
    json_decref(s->errors);
    s->plan = s->errors = NULL;
    http_later_json(later, status, answer);
}

/* ---- what would be done ---- */

static void on_planned(void *user, json_t *plan, json_t *errors)
{
    struct sync *s = user;
    bool wanted = s->later && s->dry;

    if (wanted) {
        json_array_extend(s->plan, plan);
        json_array_extend(s->errors, errors);
    }
    json_decref(plan);
    json_decref(errors);
    if (wanted && --s->pending == 0)
        finish(s, 200, json_pack("{s:O, s:O}", "plan", s->plan, "errors", s->errors));
}

static void plan_all(struct sync *s)
{
    s->pending = *s->accounts_n;
    for (size_t i = 0; i < *s->accounts_n; i++)
        account_plan((*s->accounts)[i], s->site, on_planned, s);
}

/* ---- doing it ---- */

static json_t *outcome(const struct sync *s)
{
    json_t *records = json_array(), *errors = json_array();
    const char *why;

    for (size_t i = 0; i < s->names->n; i++)
        if (is_meant(s, s->names->list[i]))
            name_add_status(s->names->list[i], 0, records);
    for (size_t i = 0; i < *s->accounts_n; i++)
        if ((why = account_refused((*s->accounts)[i])))
            json_array_append_new(errors, json_any_text(why));
    return json_pack("{s:o, s:o}", "records", records, "errors", errors);
}

static void force_all(struct sync *s)
{
    for (size_t i = 0; i < s->names->n; i++)
        s->names->list[i]->forced = is_meant(s, s->names->list[i]);
    for (size_t i = 0; i < *s->accounts_n; i++)
        account_force((*s->accounts)[i]);
}

static bool all_idle(const struct sync *s)
{
    for (size_t i = 0; i < *s->accounts_n; i++)
        if (!account_idle((*s->accounts)[i]))
            return false;
    return true;
}

void sync_look(struct sync *s)
{
    if (s->later && !s->dry && all_idle(s))
        finish(s, 200, outcome(s));
}

/* ---- the request ---- */

/* The site that a person means: by any of its names, as they write them. NULL: none. */
static const char *site_meant(const struct sync *s, const char *given)
{
    const char *by_alias = NULL;
    char name[DOMAIN_BYTES];

    if (!domain_normalize(str_of(given), name))
        return NULL;
    for (size_t i = 0; i < s->names->n; i++) {
        const struct dns_name *n = s->names->list[i];

        if (strcmp(n->site, name) == 0)
            return n->site;
        if (strcmp(n->name, name) == 0 && (!by_alias || !n->gone))
            by_alias = n->site;
    }
    return by_alias;
}

static int read_request(struct sync *s, const json_t *json, struct err *e)
{
    static const char *const members[] = { "domain", "dry_run", NULL };
    const char *given = NULL, *site;

    s->dry = false;
    if (!json)
        return 0;
    if (json_only(json, members, e) != 0 ||
        (json_object_get(json, "domain") && json_get_text(json, "domain", DOMAIN_BYTES, &given, e) != 0) ||
        (json_object_get(json, "dry_run") && json_get_flag(json, "dry_run", &s->dry, e) != 0))
        return -1;
    if (!given)
        return 0;
    site = site_meant(s, given);
    if (!site)
        return err_set(e, ERR_MISSING, "there is no [domain %.200s] with a dns of its own", given);
    s->site = mem_copy(site);
    return 0;
}

void sync_answer(struct sync *s, const struct http_request *request, struct http_reply *reply)
{
    struct err why = { 0 };

    if (s->later) {
        http_reply_error(reply, 409, "another sync is under way; wait for its end");
        return;
    }
    if (read_request(s, request->json, &why) != 0) {
        http_reply_error(reply, why.code == ERR_MISSING ? 404 : 400, "%s", why.text);
        return;
    }
    if (!s->dry)
        force_all(s);
    if (s->dry ? *s->accounts_n == 0 : all_idle(s)) {
        http_reply_json(reply, 200, s->dry ? json_pack("{s:[], s:[]}", "plan", "errors") : outcome(s));
        free(s->site);
        s->site = NULL;
        return;
    }
    s->later = http_reply_later(reply);
    s->plan = json_array();
    s->errors = json_array();
    if (s->dry)
        plan_all(s);
}

void sync_stop(struct sync *s)
{
    if (s->later)
        finish(s, 503, json_pack("{s:s}", "error", "the agent is stopping"));
}
