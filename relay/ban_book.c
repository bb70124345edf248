#include "relay/ban_book.h"

#include "relay/edge/snapshot_bans.h"
#include "shared/file.h"
#include "shared/json.h"
#include "shared/log.h"
#include "shared/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* {"v": 1, "bans": [{"address": "192.0.2.7", "since": "…", "until": "…", "hits": 3}],
 *  "agents": {"pi": [{"address": …}]}} */

enum { FILE_BYTES = 64 * 1024 * 1024, FILE_VERSION = 1, TOLD_AT_ONCE = 100 };

struct list {
    char *agent; /* NULL: it is the relay's own */
    struct bans bans;
    struct banned *published; /* NULL: none, or it has to be made anew */
    bool stale;
};

struct ban_book {
    const struct ban_book_host *host;
    char *path;
    struct list *lists; /* the relay's own comes first */
    size_t n;
    bool unwritten;
};

static struct list *list_of(struct ban_book *b, const char *agent)
{
    for (size_t i = 1; i < b->n; i++)
        if (strcmp(b->lists[i].agent, agent) == 0)
            return &b->lists[i];
    b->lists = mem_grow(b->lists, (b->n + 1) * sizeof *b->lists);
    b->lists[b->n] = (struct list){ .agent = mem_copy(agent) };
    return &b->lists[b->n++];
}

/* ---- the file ---- */

static int read_lists(void *user, const json_t *doc, struct err *e)
{
    struct ban_book *b = user;
    json_t *agents = json_object_get(doc, "agents"), *list;
    const char *agent;
    int64_t version;

    if (json_get_int(doc, "v", FILE_VERSION, FILE_VERSION, &version, e) != 0 ||
        bans_from_json(&b->lists[0].bans, doc, "bans", time(NULL), e) != 0)
        return -1;
    json_object_foreach(agents, agent, list)
    {
        if (bans_from_json(&list_of(b, agent)->bans, agents, agent, time(NULL), e) != 0)
            return err_wrap(e, "agents");
    }
    return 0;
}

static int write_file(struct ban_book *b, struct err *e)
{
    json_t *agents = json_object(), *doc;
    struct buf text = { 0 };
    int rc;

    for (size_t i = 1; i < b->n; i++)
        if (b->lists[i].bans.n > 0)
            json_object_set_new(agents, b->lists[i].agent, bans_to_json(&b->lists[i].bans));
    doc = json_pack("{s:i, s:o, s:o}", "v", FILE_VERSION, "bans", bans_to_json(&b->lists[0].bans), "agents",
                    agents);
    json_write(&text, doc);
    rc = file_write(b->path, buf_bytes(&text), text.len, 0600, e);
    b->unwritten = rc != 0;
    json_decref(doc);
    buf_free(&text);
    return rc;
}

static void keep(struct ban_book *b)
{
    struct err why = { 0 };

    if (b->unwritten && write_file(b, &why) != 0)
        log_warn_limited("bans", "cannot write who is banned; a restart would let them in",
                         kv_str("error", why.text));
}

/* ---- life ---- */

struct ban_book *ban_book_open(const char *state_dir, const struct ban_book_host *host)
{
    struct ban_book *b = mem_new(sizeof *b);

    b->host = host;
    b->path = mem_format("%s/bans.json", state_dir);
    b->lists = mem_new(sizeof *b->lists);
    b->n = 1;
    bans_read_file(b->path, FILE_BYTES, read_lists, b);
    for (size_t i = 0; i < b->n; i++)
        b->lists[i].stale = true;
    return b;
}

void ban_book_free(struct ban_book *b)
{
    if (!b)
        return;
    keep(b);
    for (size_t i = 0; i < b->n; i++) {
        bans_free(&b->lists[i].bans);
        banned_release(b->lists[i].published);
        free(b->lists[i].agent);
    }
    free(b->lists);
    free(b->path);
    free(b);
}

static void note_change(struct ban_book *b, struct list *list)
{
    list->stale = true;
    b->unwritten = true;
    b->host->changed(b->host->user, list->agent != NULL);
}

static struct banned *published(struct list *list)
{
    if (list->stale) {
        banned_release(list->published);
        list->published = banned_new(&list->bans);
    }
    list->stale = false;
    return list->published;
}

void ban_book_add_to_snapshot(struct ban_book *b, struct snapshot *s)
{
    snapshot_set_bans(s, published(&b->lists[0]));
    for (size_t i = 1; i < b->n; i++)
        snapshot_add_agent_bans(s, b->lists[i].agent, published(&b->lists[i]));
}

/* What has ended is refused no more whether or not the workers know; so that needs no snapshot of its own. */
static void tell_hits(struct ban_book *b, const struct list *list)
{
    int said = 0;

    for (size_t i = 0; i < list->bans.n && said < TOLD_AT_ONCE; i++) {
        struct ban *ban = list->bans.list[i];
        uint64_t hits = atomic_load(&ban->hits);
        char address[BANS_ADDRESS_BYTES];
        struct lane_msg m = { .type = LANE_BAN };

        if (hits == ban->told)
            continue;
        ban_text(ban, address);
        m.ban = (struct lane_ban){ address, ban->until - time(NULL), (int64_t)hits, "" };
        m.ban.seconds = m.ban.seconds > 0 ? m.ban.seconds : 0;
        ban->told = hits;
        b->host->say(b->host->user, list->agent, &m);
        said++;
    }
}

void ban_book_tick(struct ban_book *b)
{
    for (size_t i = 0; i < b->n; i++) {
        if (bans_expire(&b->lists[i].bans, time(NULL)))
            b->lists[i].stale = true;
        if (b->lists[i].agent)
            tell_hits(b, &b->lists[i]);
    }
    keep(b);
}

/* ---- what agents say ---- */

static int check_proxies(const struct ban_book *b, const struct cidr *net, struct err *e)
{
    const struct cidrs *trusted = b->host->trusted(b->host->user);
    struct buf text = { 0 };

    for (size_t i = 0; i < trusted->n; i++)
        if (bans_overlap(&trusted->list[i], net)) {
            cidr_print(&text, &trusted->list[i]);
            err_set(
                e, ERR_INPUT,
                "%s is one of the relay's trusted_proxies, which come for all visitors; ban the visitor's "
                "own address, which they pass on",
                buf_text(&text));
            buf_free(&text);
            return -1;
        }
    return 0;
}

static int take(struct ban_book *b, struct list *list, const struct cidr *net, int64_t seconds, struct err *e)
{
    const struct ban *there = bans_find(&list->bans, net);
    int64_t now = time(NULL);

    if (seconds == 0) {
        if (bans_take_out(&list->bans, net))
            note_change(b, list);
        return 0;
    }
    if (there && there->until - now - seconds >= -1 && there->until - now - seconds <= 1)
        return 0; /* said again, by another lane or after a restart */
    if (check_proxies(b, net, e) != 0 || bans_put(&list->bans, net, now, now + seconds, e) != 0)
        return -1;
    note_change(b, list);
    return 0;
}

void ban_book_hear(struct ban_book *b, const char *agent, const struct lane_msg *m)
{
    struct lane_msg answer = { .type = LANE_BAN, .ban = { m->ban.address, m->ban.seconds, 0, "" } };
    struct err why = { 0 };
    struct list *list = list_of(b, agent);
    const struct ban *ban;
    struct cidr net;

    if (m->ban.seconds > BANS_AGENT_MAX_S)
        err_set(&why, ERR_INPUT, "an agent bans for a day at most");
    else if (bans_read_net(str_of(m->ban.address), &net, &why) == 0 &&
             take(b, list, &net, m->ban.seconds, &why) == 0 && (ban = bans_find(&list->bans, &net)))
        answer.ban.hits = (int64_t)atomic_load(&ban->hits);
    answer.ban.why = why.text;
    b->host->say(b->host->user, agent, &answer);
}

/* ---- the control socket ---- */

void ban_book_answer_list(struct ban_book *b, struct http_reply *reply)
{
    json_t *all = json_array();

    for (size_t i = 0; i < b->n; i++) {
        bans_expire(&b->lists[i].bans, time(NULL));
        for (size_t j = 0; j < b->lists[i].bans.n; j++) {
            json_t *one = ban_json(b->lists[i].bans.list[j]);

            json_object_set_new(one, "agent",
                                b->lists[i].agent ? json_string(b->lists[i].agent) : json_null());
            json_array_append_new(all, one);
        }
    }
    http_reply_json(reply, 200, json_pack("{s:o}", "bans", all));
}

/* Whoever is told that it is so must find it so after a power cut. */
static void answer_written(struct ban_book *b, const struct cidr *net, const char *done,
                           struct http_reply *reply)
{
    struct err why = { 0 };

    note_change(b, &b->lists[0]);
    if (write_file(b, &why) != 0) {
        http_reply_error(reply, 500, "it holds, but only until the relay is restarted: %s", why.text);
        return;
    }
    http_reply_json(reply, 200, bans_done(&b->lists[0].bans, net, done));
}

void ban_book_answer_add(struct ban_book *b, const struct http_request *request, struct http_reply *reply)
{
    struct err why = { 0 };
    struct cidr net;
    int64_t for_s, now = time(NULL);

    bans_expire(&b->lists[0].bans, now);
    if (bans_read_request(request->json, BANS_RELAY_MAX_S, &net, &for_s, &why) != 0 ||
        check_proxies(b, &net, &why) != 0)
        http_reply_error(reply, 400, "%s", why.text);
    else if (bans_put(&b->lists[0].bans, &net, now, now + for_s, &why) != 0)
        http_reply_error(reply, 409, "%s", why.text);
    else
        answer_written(b, &net, "banned", reply);
}

void ban_book_answer_remove(struct ban_book *b, const struct http_request *request, struct http_reply *reply)
{
    struct err why = { 0 };
    struct cidr net;

    if (bans_read_path(request->name, &net, &why) != 0)
        http_reply_error(reply, 400, "%s", why.text);
    else if (!bans_take_out(&b->lists[0].bans, &net))
        http_reply_error(reply, 404, "the relay itself does not ban that; tunnelctl ban lists what it does");
    else
        answer_written(b, &net, "unbanned", reply);
}
