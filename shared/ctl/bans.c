/* tunnelctl ban, tunnelctl unban: who is refused; on a relay everywhere, on an agent at what it serves. */
#include "shared/ctl/ctl.h"
#include "shared/ctl/table.h"
#include "shared/status/when.h"
#include "shared/json.h"
#include "shared/value.h"

#include <stdio.h>
#include <string.h>

enum { FOR_MAX_S = 3650 * 86400, PATIENCE_S = 20 };

/* ---- the list ---- */

/* Whose it is, at the relay; at the agent, which relays did not take it, and why. */
static void add_remark(struct buf *out, const json_t *ban)
{
    const json_t *answer;
    size_t i;

    if (*ctl_text(ban, "agent"))
        buf_printf(out, "by the agent %s, for its own sites", ctl_text(ban, "agent"));
    json_array_foreach(json_object_get(ban, "relays"), i, answer)
    {
        if (!json_is_true(json_object_get(answer, "taken")))
            buf_printf(out, "%s%s refuses it: %s", out->len > 0 ? "; " : "", ctl_text(answer, "relay"),
                       ctl_text(answer, "why"));
    }
}

static void add_row(struct table *table, const json_t *ban)
{
    struct when since, until;
    struct buf remark = { 0 };
    char hits[24];

    add_remark(&remark, ban);
    snprintf(hits, sizeof hits, "%lld", json_integer_value(json_object_get(ban, "hits")));
    table_row(table,
              (const char *const[]){ ctl_text(ban, "address"), when_ago(ctl_text(ban, "since"), &since),
                                     when_in(ctl_text(ban, "until"), &until), hits,
                                     remark.len > 0 ? buf_text(&remark) : "-" });
    buf_free(&remark);
}

static enum ctl_exit list(struct ctl *c)
{
    static const char *const headings[] = { "ADDRESS", "SINCE", "FOR", "HITS", "REMARK" };
    struct buf out = { 0 };
    const json_t *ban, *bans;
    struct table table;
    enum ctl_exit result;
    json_t *reply;
    size_t i;

    result = ctl_ask(c, "GET", "/v1/bans", &reply);
    bans = json_object_get(reply, "bans");
    if (result == CTL_WELL && !c->json && json_array_size(bans) == 0)
        printf("nobody is banned\n");
    else if (result == CTL_WELL && !c->json) {
        table_init(&table, 5, headings);
        json_array_foreach(bans, i, ban) add_row(&table, ban);
        table_print(&out, &table);
        fputs(buf_text(&out), stdout);
        buf_free(&out);
        table_free(&table);
    }
    json_decref(reply);
    return result;
}

/* ---- the commands ---- */

enum ctl_exit ctl_ban(struct ctl *c)
{
    enum ctl_exit result;
    struct err why = { 0 };
    struct when left;
    int64_t for_ms = 0;
    json_t *request, *reply;

    if (c->argc == 0 && !c->lasts)
        return list(c);
    if (c->argc != 1)
        return ctl_wrong_usage("ban takes one ADDRESS or ADDRESS/PREFIX; without any it lists who is banned");
    if (c->lasts && value_duration(str_of(c->lasts), 1000, FOR_MAX_S * (int64_t)1000, &for_ms, &why) != 0)
        return ctl_wrong_usage("--for %s: %s", c->lasts, why.text);
    request = json_pack("{s:o}", "address", json_any_text(c->argv[0]));
    if (for_ms > 0)
        json_object_set_new(request, "for_s", json_integer((for_ms + 999) / 1000));
    result = ctl_tell(c, "POST", "/v1/bans", request, PATIENCE_S, &reply);
    if (result == CTL_WELL && !c->json)
        printf("banned %s for %s\n", ctl_text(reply, "banned"), when_in(ctl_text(reply, "until"), &left));
    json_decref(reply);
    return result;
}

enum ctl_exit ctl_unban(struct ctl *c)
{
    struct buf path = { 0 };
    enum ctl_exit result;
    json_t *reply;

    if (c->argc != 1 || !*c->argv[0] || c->argv[0][strspn(c->argv[0], "0123456789abcdefABCDEF.:/")] != '\0')
        return ctl_wrong_usage("unban takes one ADDRESS or ADDRESS/PREFIX that is banned");
    buf_add_text(&path, "/v1/bans/");
    for (const char *p = c->argv[0]; *p; p++)
        if (*p == '/')
            buf_add_text(&path, "%2F");
        else
            buf_add(&path, p, 1);
    result = ctl_ask(c, "DELETE", buf_text(&path), &reply);
    if (result == CTL_WELL && !c->json)
        printf("unbanned %s\n", ctl_text(reply, "unbanned"));
    json_decref(reply);
    buf_free(&path);
    return result;
}
