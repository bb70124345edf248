#include "agent/bans.h"

#include "shared/file.h"
#include "shared/json.h"
#include "shared/log.h"
#include "shared/mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* {"v": 1, "bans": [{"address": "192.0.2.7", "since": "…", "until": "…", "hits": 3}], "lifted": []} */

enum { FILE_BYTES = 1024 * 1024, FILE_VERSION = 1 };

struct ban_answer {
    char relay[64];
    struct cidr net;
    int64_t hits;
    char why[LANE_TEXT_BYTES + 1]; /* "": it was taken */
};

/* ---- the file ---- */

static int read_lists(void *user, const json_t *doc, struct err *e)
{
    struct agent_bans *b = user;
    int64_t version, now = time(NULL);

    if (json_get_int(doc, "v", FILE_VERSION, FILE_VERSION, &version, e) != 0 ||
        bans_from_json(&b->bans, doc, "bans", now, e) != 0)
        return -1;
    return bans_from_json(&b->lifted, doc, "lifted", now, e);
}

static int write_file(struct agent_bans *b, struct err *e)
{
    json_t *doc = json_pack("{s:i, s:o, s:o}", "v", FILE_VERSION, "bans", bans_to_json(&b->bans), "lifted",
                            bans_to_json(&b->lifted));
    struct buf text = { 0 };
    int rc;

    json_write(&text, doc);
    rc = file_write(b->path, buf_bytes(&text), text.len, 0600, e);
    json_decref(doc);
    buf_free(&text);
    return rc;
}

void agent_bans_init(struct agent_bans *b, const char *state_dir, const struct passing_host *host)
{
    *b = (struct agent_bans){ .host = host, .path = mem_format("%s/bans.json", state_dir) };
    bans_read_file(b->path, FILE_BYTES, read_lists, b);
}

void agent_bans_free(struct agent_bans *b)
{
    bans_free(&b->bans);
    bans_free(&b->lifted);
    free(b->answers);
    free(b->path);
}

/* ---- relays ---- */

static void say(const struct agent_bans *b, const char *relay, const struct ban *ban, bool lifted)
{
    struct lane_msg m = { .type = LANE_BAN };
    char address[BANS_ADDRESS_BYTES];
    int64_t left = ban->until - time(NULL);

    ban_text(ban, address);
    /* A clock that was set back must not make it longer than the relay takes. */
    left = left > BANS_AGENT_MAX_S ? BANS_AGENT_MAX_S : left;
    m.ban = (struct lane_ban){ .address = address, .seconds = lifted || left < 0 ? 0 : left };
    b->host->say(b->host->user, relay, &m);
}

static void say_to_all(const struct agent_bans *b, const struct ban *ban, bool lifted)
{
    const char *relay;
    bool up;

    for (size_t i = 0; b->host->relay(b->host->user, i, &relay, &up); i++)
        if (*relay)
            say(b, relay, ban, lifted);
}

static void expire(struct agent_bans *b)
{
    int64_t now = time(NULL);

    bans_expire(&b->bans, now);
    bans_expire(&b->lifted, now);
    for (size_t i = b->answers_n; i > 0; i--)
        if (!bans_find(&b->bans, &b->answers[i - 1].net))
            b->answers[i - 1] = b->answers[--b->answers_n];
}

void agent_bans_welcomed(struct agent_bans *b, const char *relay)
{
    expire(b);
    for (size_t i = 0; i < b->bans.n; i++)
        say(b, relay, b->bans.list[i], false);
    for (size_t i = 0; i < b->lifted.n; i++)
        say(b, relay, b->lifted.list[i], true);
}

static struct ban_answer *answer_of(struct agent_bans *b, const char *relay, const struct cidr *net)
{
    struct ban_answer *a;

    for (size_t i = 0; i < b->answers_n; i++)
        if (cidr_same(&b->answers[i].net, net) && strcmp(b->answers[i].relay, relay) == 0)
            return &b->answers[i];
    b->answers = mem_grow(b->answers, (b->answers_n + 1) * sizeof *b->answers);
    a = &b->answers[b->answers_n++];
    *a = (struct ban_answer){ .net = *net };
    snprintf(a->relay, sizeof a->relay, "%s", relay);
    return a;
}

void agent_bans_hear(struct agent_bans *b, const char *relay, const struct lane_msg *m)
{
    struct ban_answer *a;
    unsigned long long hits = 0;
    struct ban *ban;
    struct cidr net;

    if (cidr_read(str_of(m->ban.address), &net, NULL) != 0 || !(ban = bans_find(&b->bans, &net)))
        return; /* it was taken back meanwhile */
    a = answer_of(b, relay, &net);
    a->hits = m->ban.hits;
    if (*m->ban.why && strcmp(a->why, m->ban.why) != 0)
        log_warn_limited(relay, "the relay refuses a ban", kv_str("relay", relay),
                         kv_str("peer", m->ban.address), kv_str("error", m->ban.why));
    snprintf(a->why, sizeof a->why, "%s", m->ban.why);
    for (size_t i = 0; i < b->answers_n; i++)
        if (cidr_same(&b->answers[i].net, &net))
            hits += (unsigned long long)b->answers[i].hits;
    atomic_store(&ban->hits, hits > INT64_MAX ? INT64_MAX : hits); /* as many as relays like to say */
}

/* ---- the control socket ---- */

static json_t *relays_json(const struct agent_bans *b, const struct ban *ban)
{
    json_t *list = json_array();

    for (size_t i = 0; i < b->answers_n; i++) {
        const struct ban_answer *a = &b->answers[i];

        if (cidr_same(&a->net, &ban->net))
            json_array_append_new(list, json_pack("{s:s, s:b, s:I, s:s}", "relay", a->relay, "taken",
                                                  !*a->why, "hits", (json_int_t)a->hits, "why", a->why));
    }
    return list;
}

void agent_bans_answer_list(struct agent_bans *b, struct http_reply *reply)
{
    json_t *list = json_array();

    expire(b);
    for (size_t i = 0; i < b->bans.n; i++) {
        json_t *one = ban_json(b->bans.list[i]);

        json_object_set_new(one, "relays", relays_json(b, b->bans.list[i]));
        json_array_append_new(list, one);
    }
    http_reply_json(reply, 200, json_pack("{s:o}", "bans", list));
}

static void answer_written(struct agent_bans *b, const struct cidr *net, const char *done,
                           struct http_reply *reply)
{
    struct err why = { 0 };

    if (write_file(b, &why) != 0) {
        http_reply_error(reply, 500, "relays were told, but after a restart it is forgotten: %s", why.text);
        return;
    }
    http_reply_json(reply, 200, bans_done(&b->bans, net, done));
}

void agent_bans_answer_add(struct agent_bans *b, const struct http_request *request, struct http_reply *reply)
{
    struct err why = { 0 };
    struct cidr net;
    int64_t for_s, now = time(NULL);

    expire(b);
    if (bans_read_request(request->json, BANS_AGENT_MAX_S, &net, &for_s, &why) != 0) {
        http_reply_error(reply, 400, "%s", why.text);
    } else if (bans_put(&b->bans, &net, now, now + for_s, &why) != 0) {
        http_reply_error(reply, 409, "%s", why.text);
    } else {
        bans_take_out(&b->lifted, &net);
        say_to_all(b, bans_find(&b->bans, &net), false);
        answer_written(b, &net, "banned", reply);
    }
}

/* Remembered for relays that are away; of more than there is room for, the oldest is forgotten: it ends within a day. */
static void remember_lifted(struct agent_bans *b, const struct ban *ban)
{
    struct err why = { 0 };

    if (b->lifted.n == BANS_MAX)
        bans_take_out(&b->lifted, &b->lifted.list[0]->net);
    if (bans_put(&b->lifted, &ban->net, ban->since, ban->until, &why) != 0)
        log_warn("a relay that is away may refuse for a day what is banned no more",
                 kv_str("error", why.text));
}

void agent_bans_answer_remove(struct agent_bans *b, const struct http_request *request,
                              struct http_reply *reply)
{
    struct err why = { 0 };
    struct ban *ban = NULL;
    struct cidr net;

    expire(b);
    if (bans_read_path(request->name, &net, &why) != 0) {
        http_reply_error(reply, 400, "%s", why.text);
    } else if (!(ban = bans_find(&b->bans, &net))) {
        http_reply_error(reply, 404, "this agent does not ban that; tunnelctl ban lists what it does");
    } else {
        ban_hold(ban);
        bans_take_out(&b->bans, &net);
        remember_lifted(b, ban);
        say_to_all(b, ban, true);
        ban_release(ban);
        expire(b);
        answer_written(b, &net, "unbanned", reply);
    }
}
