/* tunnelctl join: from a token to a lane that is up.
 *
 *   token ── whole? ──▶ what the agent's configuration says ── room for the section? ──▶ POST /v1/join (the agent enrols)
 *         ──▶ agent.d/relay-NAME.ini ──▶ POST /v1/reload ──▶ the lane
 *
 * Whatever can be wrong here is found before the token is spent. */
#include "shared/ctl/ctl.h"
#include "shared/file.h"
#include "shared/json.h"
#include "shared/mem.h"
#include "shared/token.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { JOIN_S = 90, LANE_TRIES = 100, LANE_TRY_MS = 100 };

struct plan {
    char *folder, *base, *path; /* of agent.ini; relay-NAME.ini; where it goes */
};

static enum ctl_exit fail(const char *what, const struct err *why)
{
    fprintf(stderr, "tunnelctl: %s%s\n", what, why->text);
    return CTL_FAILING;
}

static void free_plan(struct plan *p)
{
    free(p->folder);
    free(p->base);
    free(p->path);
}

/* ---- before the token is spent ---- */

/* The agent's configuration file is in the folder that its agent.d is in, too. */
static enum ctl_exit find_folder(struct ctl *c, const struct token *t, struct plan *p)
{
    json_t *version;
    enum ctl_exit result = ctl_ask_aside(c, "GET", "/v1/version", &version);
    const char *config, *slash;

    if (result != CTL_WELL)
        return result;
    config = ctl_text(version, "config");
    slash = strrchr(config, '/');
    p->folder = mem_copy_n(config, slash ? (size_t)(slash - config) : 0);
    p->base = mem_format("relay-%s.ini", t->relay);
    p->path = mem_format("%s/agent.d/%s", p->folder, p->base);
    if (strcmp(ctl_text(version, "role"), "agent") != 0)
        result = ctl_wrong_usage(
            "this is the relay's control socket, and an agent joins a relay; give --agent, or the "
            "agent's --socket");
    else if (config[0] != '/')
        result = fail(
            "", &(struct err){ .text = "the agent's configuration has no folder of its own; start it with -c "
                                       "FILE" });
    json_decref(version);
    return result;
}

/* Patterns as they stand there: relative to the file's folder, or not. */
static bool is_included(const struct plan *p, const char *patterns)
{
    char *copy = mem_copy(patterns), *rest = copy, *word;
    char *relative = mem_format("agent.d/%s", p->base);
    bool found = false;

    while (!found && (word = strsep(&rest, " ,\t")))
        found = fnmatch(word, *word == '/' ? p->path : relative, FNM_PATHNAME | FNM_PERIOD) == 0;
    free(copy);
    free(relative);
    return found;
}

static const char *option_of(const json_t *section, const char *key, const char *member)
{
    const json_t *option;
    size_t i;

    json_array_foreach(json_object_get(section, "options"), i,
                       option) if (strcmp(ctl_text(option, "key"), key) == 0) return ctl_text(option, member);
    return "";
}

/* The section is in our own file, or there is none. */
static enum ctl_exit check_section(const json_t *section, const struct token *t, const struct plan *p)
{
    struct err why = { 0 };

    if (strcmp(ctl_text(section, "kind"), "agent") == 0 &&
        !is_included(p, option_of(section, "include", "value"))) {
        err_set(&why, ERR_INPUT,
                "agent.include = %.100s does not cover agent.d/%s; add agent.d/*.ini to it, and run: "
                "tunnelctl reload",
                option_of(section, "include", "value"), p->base);
        return fail("the token was not used: ", &why);
    }
    if (strcmp(ctl_text(section, "kind"), "relay") == 0 && strcmp(ctl_text(section, "name"), t->relay) == 0 &&
        !strstr(option_of(section, "host", "origin"), p->base)) {
        err_set(&why, ERR_TAKEN,
                "[relay %s] stands at %.200s already; take it out of there, and run: tunnelctl reload",
                t->relay, option_of(section, "host", "origin"));
        return fail("the token was not used: ", &why);
    }
    return CTL_WELL;
}

static enum ctl_exit check_config(struct ctl *c, const struct token *t, const struct plan *p)
{
    json_t *config;
    enum ctl_exit result = ctl_ask_aside(c, "GET", "/v1/config", &config);
    const json_t *section;
    size_t i;

    json_array_foreach(json_object_get(config, "sections"), i, section) if (result == CTL_WELL) result =
        check_section(section, t, p);
    json_decref(config);
    return result;
}

static enum ctl_exit check_room(const struct plan *p)
{
    char *folder = mem_format("%s/agent.d", p->folder);
    struct err why = { 0 };
    int rc = file_make_folder(folder, 0755, &why);

    if (rc == 0 && access(folder, W_OK) != 0)
        rc = err_errno(&why, errno, "cannot write into %s", folder);
    free(folder);
    if (rc == 0)
        return CTL_WELL;
    fprintf(stderr, "tunnelctl: the token was not used: %s; run this as root, or as who owns that folder\n",
            why.text);
    return CTL_FAILING;
}

/* ---- afterwards ---- */

static int write_section(const struct plan *p, const json_t *joined, struct err *e)
{
    struct buf text = { 0 };
    int rc;

    buf_printf(&text,
               "; written by tunnelctl join; this agent is called %s there\n"
               "[relay %s]\n"
               "host     = %s\n"
               "port     = %lld\n"
               "user     = %s\n"
               "host_key = %s\n",
               ctl_text(joined, "name"), ctl_text(joined, "joined"), ctl_text(joined, "host"),
               json_integer_value(json_object_get(joined, "port")), ctl_text(joined, "user"),
               ctl_text(joined, "host_key"));
    rc = file_write(p->path, buf_bytes(&text), text.len, 0644, e);
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

static enum ctl_exit use(struct ctl *c, const struct plan *p, const json_t *joined)
{
    enum ctl_exit result;
    struct err why = { 0 };
    json_t *reloaded;

    if (write_section(p, joined, &why) != 0)
        return fail("the agent is enrolled, but its new section cannot be written: ", &why);
    result = ctl_ask_aside(c, "POST", "/v1/reload", &reloaded);
    json_decref(reloaded);
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

static enum ctl_exit join(struct ctl *c, const char *text, const struct token *t, struct plan *p)
{
    enum ctl_exit result = find_folder(c, t, p);
    json_t *joined = NULL;

    if (result == CTL_WELL)
        result = check_config(c, t, p);
    if (result == CTL_WELL)
        result = check_room(p);
    if (result == CTL_WELL)
        result = ctl_tell(c, "POST", "/v1/join", json_pack("{s:o}", "token", json_any_text(text)), JOIN_S,
                          &joined);
    if (result == CTL_WELL)
        result = use(c, p, joined);
    json_decref(joined);
    return result;
}

enum ctl_exit ctl_join(struct ctl *c)
{
    struct plan plan = { 0 };
    struct err why = { 0 };
    enum ctl_exit result;
    struct token token;

    if (c->argc != 1)
        return ctl_wrong_usage("join takes the TOKEN that tunnelctl invite printed%s",
                               c->argc > 1 ? ", in one piece" : "");
    if (token_read(&token, str_of(c->argv[0]), &why) != 0)
        return fail("", &why);
    result = join(c, c->argv[0], &token, &plan);
    token_wipe(&token);
    free_plan(&plan);
    return result;
}
