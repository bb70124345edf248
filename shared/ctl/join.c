/* tunnelctl join: from a token to a lane that is up.
 *
 *   token ── whole? ──▶ what the agent's configuration says ── room for the section? ──▶ POST /v1/join (the agent enrols)
 *         ──▶ agent.d/relay-NAME.ini ──▶ POST /v1/reload ──▶ the lane
 *
 * Whatever can be wrong here is found before the token is spent. */
#include "shared/ctl/place.h"
#include "shared/ctl/section.h"
#include "shared/json.h"
#include "shared/mem.h"
#include "shared/token.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { JOIN_S = 90, LANE_TRIES = 100, LANE_TRY_MS = 100 };

static enum ctl_exit fail(const char *what, const struct err *why)
{
    fprintf(stderr, "tunnelctl: %s%s\n", what, why->text);
    return CTL_FAILING;
}

/* ---- before the token is spent ---- */

static enum ctl_exit find_place(struct ctl *c, const struct token *t, struct ctl_place *p)
{
    char *base = mem_format("relay-%s.ini", t->relay);
    enum ctl_exit result = ctl_place_find(c, base, p);

    free(base);
    return result;
}

static enum ctl_exit check_config(struct ctl *c, const struct token *t, const struct ctl_place *p)
{
    struct err why = { 0 };
    json_t *config;
    enum ctl_exit result = ctl_ask_aside(c, "GET", "/v1/config", &config);

    if (result == CTL_WELL && ctl_place_fits(p, config, "relay", t->relay, &why) != 0)
        result = fail("the token was not used: ", &why);
    json_decref(config);
    return result;
}

/* What the file is to hold: what a person wrote into it stays. joined is NULL as long as it is not known. */
static int merge(const struct ctl_place *p, const struct token *t, const json_t *joined, struct buf *out,
                 struct err *e)
{
    struct buf note = { 0 }, port = { 0 }, text = { 0 };
    int rc = ctl_place_read(p, &text, e);

    buf_printf(&note, "; this agent is called %s there", ctl_text(joined, "name"));
    buf_printf(&port, "%lld", json_integer_value(json_object_get(joined, "port")));
    if (rc == 0) {
        struct section_keys want = {
            "relay",
            t->relay,
            "; written by tunnelctl join",
            buf_text(&note),
            { { "host", ctl_text(joined, "host") },
              { "port", buf_text(&port) },
              { "user", ctl_text(joined, "user") },
              { "host_key", ctl_text(joined, "host_key") } },
        };

        rc = section_write(&want, (struct str){ buf_bytes(&text), text.len }, out, e);
        if (rc != 0)
            err_wrap(e, "%s", p->path);
    }
    buf_free(&note);
    buf_free(&port);
    buf_free(&text);
    return rc;
}

static enum ctl_exit check_room(const struct ctl_place *p, const struct token *t)
{
    const char *remedy = "run this as root, or as who owns that folder";
    struct buf text = { 0 };
    struct err why = { 0 };
    int rc = ctl_place_open(p, &why);

    if (rc == 0) {
        remedy = "mend it, or move it away";
        rc = merge(p, t, NULL, &text, &why);
    }
    buf_free(&text);
    if (rc == 0)
        return CTL_WELL;
    fprintf(stderr, "tunnelctl: the token was not used: %s; %s\n", why.text, remedy);
    return CTL_FAILING;
}

/* ---- afterwards ---- */

static int write_section(const struct ctl_place *p, const struct token *t, const json_t *joined,
                         struct err *e)
{
    struct buf text = { 0 };
    int rc = merge(p, t, joined, &text, e);

    if (rc == 0)
        rc = ctl_place_write(p, &text, e);
    buf_free(&text);
    return rc;
}

/* "" while it is not known: then the lane is still opening, or the reason for its end is given. */
static bool lane_is_up(struct ctl *c, const char *relay, char why[400])
{
    const json_t *entry, *lane;
    bool up = false;
    json_t *status;
    size_t i, j;

    if (ctl_ask_aside(c, "GET", "/v1/status", &status) != CTL_WELL)
        return false;
    json_array_foreach(json_object_get(status, "relays"), i, entry)
    {
        if (strcmp(ctl_text(entry, "name"), relay) != 0)
            continue;
        json_array_foreach(json_object_get(entry, "lanes"), j, lane)
        {
            up = up || strcmp(ctl_text(lane, "state"), "up") == 0;
            if (*ctl_text(lane, "last_error"))
                snprintf(why, 400, "%s", ctl_text(lane, "last_error"));
        }
    }
    json_decref(status);
    return up;
}

static enum ctl_exit await_lane(struct ctl *c, const char *relay, const char *name)
{
    const struct timespec pause = { .tv_nsec = LANE_TRY_MS * 1000000L };
    char why[400] = "";

    for (int i = 0; i < LANE_TRIES; i++) {
        if (lane_is_up(c, relay, why)) {
            if (!c->json)
                printf("joined relay %s as agent %s; the lane is up\n", relay, name);
            return CTL_WELL;
        }
        nanosleep(&pause, NULL);
    }
    fprintf(stderr,
            "tunnelctl: joined relay %s as agent %s, but the lane is not up yet%s%s; see tunnelctl status\n",
            relay, name, *why ? ": " : "", why);
    return CTL_FAILING;
}

static enum ctl_exit use(struct ctl *c, struct ctl_place *p, const struct token *t, const json_t *joined)
{
    enum ctl_exit result;
    struct err why = { 0 };
    json_t *reloaded;

    if (write_section(p, t, joined, &why) != 0)
        return fail("the agent is enrolled, but its new section cannot be written: ", &why);
    result = ctl_ask_aside(c, "POST", "/v1/reload", &reloaded);
    json_decref(reloaded);
    ctl_place_release(p);
    if (result != CTL_WELL) {
        fprintf(
            stderr,
            "tunnelctl: the agent is enrolled and %s is written; mend what is said above, and run: tunnelctl reload\n",
            p->path);
        return result;
    }
    return await_lane(c, ctl_text(joined, "joined"), ctl_text(joined, "name"));
}

/* ---- the command ---- */

static enum ctl_exit join(struct ctl *c, const char *text, const struct token *t, struct ctl_place *p)
{
    enum ctl_exit result = find_place(c, t, p);
    json_t *joined = NULL;

    if (result == CTL_WELL)
        result = check_config(c, t, p);
    if (result == CTL_WELL)
        result = check_room(p, t);
    if (result == CTL_WELL)
        result = ctl_tell(c, "POST", "/v1/join", json_pack("{s:o}", "token", json_any_text(text)), JOIN_S,
                          &joined);
    if (result == CTL_WELL)
        result = use(c, p, t, joined);
    json_decref(joined);
    return result;
}

enum ctl_exit ctl_join(struct ctl *c)
{
    struct ctl_place place = { 0 };
    struct err why = { 0 };
    enum ctl_exit result;
    struct token token;

    if (c->argc != 1)
        return ctl_wrong_usage("join takes the TOKEN that tunnelctl invite printed%s",
                               c->argc > 1 ? ", in one piece" : "");
    if (token_read(&token, str_of(c->argv[0]), &why) != 0)
        return fail("", &why);
    result = join(c, c->argv[0], &token, &place);
    token_wipe(&token);
    ctl_place_free(&place);
    return result;
}
