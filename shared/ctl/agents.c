/* tunnelctl agents, tunnelctl revoke: who may connect, and who may no longer. */
#include "shared/ctl/ctl.h"
#include "shared/ctl/screen.h"
#include "shared/ctl/table.h"
#include "shared/status/when.h"

#include <stdio.h>
#include <string.h>

enum { SHOWN = 3 };

/* On a terminal only the first few of many, so that an agent has one row there. */
static void add_words(struct buf *out, const json_t *list)
{
    const struct screen screen = screen_of_stdout();
    size_t i, n = json_array_size(list), shown = screen.lines > 0 && n > SHOWN + 1 ? SHOWN : n;
    const json_t *word;

    json_array_foreach(list, i, word)
    {
        if (i == shown) {
            buf_printf(out, " and %zu more", n - shown);
            break;
        }
        buf_add_text(out, i > 0 ? " " : "");
        buf_add_text(out, json_string_value(word) ? json_string_value(word) : "");
    }
}

static void agent_row(struct table *table, const json_t *agent)
{
    const char *since = ctl_text(agent, "since");
    struct buf domains = { 0 }, begun = { 0 };
    struct when ago;
    char lanes[24];

    snprintf(lanes, sizeof lanes, "%lld", json_integer_value(json_object_get(agent, "lanes")));
    add_words(&domains, json_object_get(agent, "domains"));
    if (*since)
        buf_printf(&begun, "%s, from %s", when_ago(since, &ago), since);
    else
        buf_add_text(&begun, ctl_text(agent, "source"));
    table_row(table, (const char *const[]){ ctl_text(agent, "name"), buf_text(&begun), lanes,
                                            buf_text(&domains), ctl_text(agent, "key") });
    buf_free(&domains);
    buf_free(&begun);
}

static void invite_row(struct table *table, const json_t *invite)
{
    struct buf domains = { 0 }, until = { 0 };
    struct when left;

    add_words(&domains, json_object_get(invite, "domains"));
    buf_printf(&until, "invited, until %s, for %s", ctl_text(invite, "expires"),
               when_in(ctl_text(invite, "expires"), &left));
    table_row(table, (const char *const[]){ ctl_text(invite, "name"), buf_text(&until), "-",
                                            buf_text(&domains), "-" });
    buf_free(&domains);
    buf_free(&until);
}

enum ctl_exit ctl_agents(struct ctl *c)
{
    static const char *const headings[] = { "NAME", "SINCE", "LANES", "DOMAINS", "KEY" };
    enum ctl_exit result;
    struct buf out = { 0 };
    const json_t *entry;
    struct table table;
    json_t *reply;
    size_t i;

    if (c->argc > 0)
        return ctl_wrong_usage("agents takes no argument, but was given %s", c->argv[0]);
    result = ctl_ask(c, "GET", "/v1/agents", &reply);
    if (result == CTL_WELL && !c->json) {
        table_init(&table, 5, headings);
        json_array_foreach(json_object_get(reply, "agents"), i, entry) agent_row(&table, entry);
        json_array_foreach(json_object_get(reply, "invites"), i, entry) invite_row(&table, entry);
        table_print(&out, &table);
        fputs(buf_text(&out), stdout);
        buf_free(&out);
        table_free(&table);
    }
    json_decref(reply);
    return result;
}

/* What cannot stand in a path is no name either; the daemon says so of the rest. */
static bool fits_path(const char *name)
{
    return *name && !name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")];
}

enum ctl_exit ctl_revoke(struct ctl *c)
{
    enum ctl_exit result;
    struct buf path = { 0 };
    json_t *reply;

    if (c->argc != 1)
        return ctl_wrong_usage("revoke takes the NAME of an agent or of an invitation");
    if (!fits_path(c->argv[0]))
        return ctl_wrong_usage("revoke takes a NAME of a-z, 0-9 and -");
    buf_printf(&path, "/v1/agents/%s", c->argv[0]);
    result = ctl_ask(c, "DELETE", buf_text(&path), &reply);
    if (result == CTL_WELL && !c->json)
        printf("revoked the %s %s\n", ctl_text(reply, "was"), ctl_text(reply, "revoked"));
    json_decref(reply);
    buf_free(&path);
    return result;
}
