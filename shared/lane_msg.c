#include "shared/lane_msg.h"

#include "shared/json.h"
#include "shared/lane_member.h"
#include "shared/lane_words.h"

#include <arpa/inet.h>
#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

/* The lists of the fullest line take less than half of that; the rest is texts that were made showable. */
enum { ARENA_BYTES = 512 * 1024 };
enum { SSH_BYTES = 256, HEARTBEAT_MAX_S = 3600 };

static const char *const how_texts[] = {
    [LANE_EOF] = "eof",         [LANE_RESET] = "reset",
    [LANE_REFUSED] = "refused", [LANE_UNREACHABLE] = "unreachable",
    [LANE_SILENT] = "silent",
};

static const char *const service_texts[] = {
    [LANE_SERVICE_UNKNOWN] = "unknown", [LANE_SERVICE_OK] = "ok",
    [LANE_SERVICE_REFUSED] = "refused", [LANE_SERVICE_UNREACHABLE] = "unreachable",
    [LANE_SERVICE_SILENT] = "silent",
};

const char *lane_how_text(enum lane_how how)
{
    return how_texts[how];
}

const char *lane_service_text(enum lane_service state)
{
    return service_texts[state];
}

/* Which of n texts the member is; -1 with the reason. */
static int get_choice(const struct lane_msg *m, const char *key, const char *const *texts, size_t n,
                      struct err *e)
{
    const char *text;

    if (lane_get_text(m->json, key, LANE_WORD_BYTES, &text, e) != 0)
        return -1;
    for (size_t i = 0; i < n; i++)
        if (strcmp(texts[i], text) == 0)
            return (int)i;
    return err_set(e, ERR_INPUT, "member \"%s\" is \"%s\", which is none of its words", key, text);
}

/* ---- messages, in the order of a conversation ---- */

/* The invitation's id, 8 bytes in hex; or the agent's name. */
static int get_who(struct lane_msg *m, struct err *e)
{
    unsigned char id[8];

    m->lane.agent = "";
    if (!json_object_get(m->json, "enrol"))
        return lane_get_name(m->json, "agent", &m->lane.agent, e);
    if (lane_get_hex(m->json, "enrol", id, sizeof id, e) != 0)
        return -1;
    return lane_get_text(m->json, "enrol", LANE_WORD_BYTES, &m->lane.enrol, e);
}

static int read_lane(struct lane_msg *m, struct err *e)
{
    if (get_who(m, e) != 0 || lane_get_text_or_none(m->json, "ssh", SSH_BYTES, &m->lane.ssh, e) != 0)
        return -1;
    return json_get_int(m->json, "sshd_pid", 1, INT_MAX, &m->lane.sshd_pid, e);
}

static void write_lane(json_t *to, const struct lane_msg *m)
{
    lane_set_text(to, m->lane.enrol ? "enrol" : "agent", m->lane.enrol ? m->lane.enrol : m->lane.agent);
    lane_set_text(to, "ssh", m->lane.ssh);
    lane_set_int(to, "sshd_pid", m->lane.sshd_pid);
}

static int read_hello(struct lane_msg *m, struct err *e)
{
    m->hello.reached = "";
    if (lane_get_text(m->json, "boot", LANE_WORD_BYTES, &m->hello.boot, e) != 0 ||
        json_get_int(m->json, "lane", 0, INT_MAX, &m->hello.lane, e) != 0 ||
        json_get_int(m->json, "port", 1, 65535, &m->hello.port, e) != 0 ||
        (json_object_get(m->json, "reached") &&
         lane_get_text_or_none(m->json, "reached", LANE_WORD_BYTES, &m->hello.reached, e) != 0))
        return -1;
    return lane_get_text(m->json, "version", LANE_WORD_BYTES, &m->hello.version, e);
}

static void write_hello(json_t *to, const struct lane_msg *m)
{
    lane_set_text(to, "boot", m->hello.boot);
    lane_set_int(to, "lane", m->hello.lane);
    lane_set_int(to, "port", m->hello.port);
    lane_set_text(to, "version", m->hello.version);
    if (m->hello.reached && m->hello.reached[0])
        lane_set_text(to, "reached", m->hello.reached);
}

/* They go into the DNS as they are. */
static int get_addresses(struct lane_msg *m, struct err *e)
{
    struct in6_addr ignored;

    if (lane_get_texts(m, m->json, "publish", LANE_PUBLISH, &m->welcome.publish, &m->welcome.publish_n, e) !=
        0)
        return -1;
    for (size_t i = 0; i < m->welcome.publish_n; i++)
        if (inet_pton(AF_INET, m->welcome.publish[i], &ignored) != 1 &&
            inet_pton(AF_INET6, m->welcome.publish[i], &ignored) != 1)
            return err_set(e, ERR_INPUT, "member \"publish\" holds \"%s\", which is no IP address",
                           m->welcome.publish[i]);
    return 0;
}

static int read_welcome(struct lane_msg *m, struct err *e)
{
    if (lane_get_name(m->json, "relay", &m->welcome.relay, e) != 0 ||
        lane_get_text(m->json, "lane_id", LANE_WORD_BYTES, &m->welcome.lane_id, e) != 0 ||
        lane_get_hex(m->json, "secret", m->welcome.secret, sizeof m->welcome.secret, e) != 0 ||
        lane_get_text_or_none(m->json, "seen_from", LANE_WORD_BYTES, &m->welcome.seen_from, e) != 0 ||
        get_addresses(m, e) != 0 ||
        json_get_int(m->json, "heartbeat_s", 1, HEARTBEAT_MAX_S, &m->welcome.heartbeat_s, e) != 0)
        return -1;
    return lane_get_text(m->json, "time", LANE_WORD_BYTES, &m->welcome.time, e);
}

static void write_welcome(json_t *to, const struct lane_msg *m)
{
    char secret[2 * PROXY2_SECRET_BYTES + 1];

    for (size_t i = 0; i < PROXY2_SECRET_BYTES; i++)
        snprintf(secret + 2 * i, 3, "%02x", m->welcome.secret[i]);
    lane_set_text(to, "relay", m->welcome.relay);
    lane_set_text(to, "lane_id", m->welcome.lane_id);
    lane_set_text(to, "secret", secret);
    lane_set_text(to, "seen_from", m->welcome.seen_from);
    lane_set_texts(to, "publish", m->welcome.publish, m->welcome.publish_n);
    lane_set_int(to, "heartbeat_s", m->welcome.heartbeat_s);
    lane_set_text(to, "time", m->welcome.time);
    explicit_bzero(secret, sizeof secret);
}

static int read_claim(struct lane_msg *m, struct err *e)
{
    struct lane_item *items;
    const json_t *list;
    void *memory;

    if (json_get_int(m->json, "serial", 1, INT64_MAX, &m->claim.serial, e) != 0 ||
        json_get_int(m->json, "part", 1, INT_MAX, &m->claim.part, e) != 0 ||
        json_get_flag(m->json, "last", &m->claim.last, e) != 0 ||
        lane_get_list(m, m->json, "items", LANE_ITEMS, sizeof *items, &list, &memory, e) != 0)
        return -1;
    items = memory;
    m->claim.items = items;
    m->claim.n = json_array_size(list);
    for (size_t i = 0; i < m->claim.n; i++) {
        const json_t *from = json_array_get(list, i);

        if (lane_get_text(from, "item", LANE_ITEM_BYTES, &items[i].item, e) != 0 ||
            lane_get_texts(m, from, "aliases", LANE_ALIASES, &items[i].aliases, &items[i].aliases_n, e) != 0)
            return err_wrap(e, "item %zu of a claim", i + 1);
        items[i].policy = json_object_get(from, "policy");
    }
    return 0;
}

static void write_claim(json_t *to, const struct lane_msg *m)
{
    json_t *list = json_array();

    for (size_t i = 0; i < m->claim.n; i++) {
        const struct lane_item *item = &m->claim.items[i];
        json_t *one = json_object();

        lane_set_text(one, "item", item->item);
        lane_set_texts(one, "aliases", item->aliases, item->aliases_n);
        if (item->policy)
            json_object_set(one, "policy", item->policy);
        json_array_append_new(list, one);
    }
    lane_set_int(to, "serial", m->claim.serial);
    lane_set_int(to, "part", m->claim.part);
    json_object_set_new(to, "last", json_boolean(m->claim.last));
    json_object_set_new(to, "items", list);
}

static int read_claimed(struct lane_msg *m, struct err *e)
{
    struct lane_answer *items;
    const json_t *list;
    void *memory;

    if (json_get_int(m->json, "serial", 1, INT64_MAX, &m->claimed.serial, e) != 0 ||
        lane_get_list(m, m->json, "items", LANE_ITEMS, sizeof *items, &list, &memory, e) != 0)
        return -1;
    items = memory;
    m->claimed.items = items;
    m->claimed.n = json_array_size(list);
    for (size_t i = 0; i < m->claimed.n; i++) {
        const json_t *from = json_array_get(list, i);

        if (lane_get_text(from, "item", LANE_ITEM_BYTES, &items[i].item, e) != 0 ||
            json_get_flag(from, "ok", &items[i].ok, e) != 0 ||
            lane_get_showable(m, from, "why", &items[i].why, e) != 0)
            return err_wrap(e, "item %zu of a claimed", i + 1);
    }
    return 0;
}

static void write_claimed(json_t *to, const struct lane_msg *m)
{
    json_t *list = json_array();

    for (size_t i = 0; i < m->claimed.n; i++) {
        json_t *one = json_object();

        lane_set_text(one, "item", m->claimed.items[i].item);
        json_object_set_new(one, "ok", json_boolean(m->claimed.items[i].ok));
        lane_set_showable(one, "why", m->claimed.items[i].why);
        json_array_append_new(list, one);
    }
    lane_set_int(to, "serial", m->claimed.serial);
    json_object_set_new(to, "items", list);
}

static int read_ping(struct lane_msg *m, struct err *e)
{
    if (json_get_int(m->json, "n", 0, INT64_MAX, &m->ping.n, e) != 0 ||
        json_get_int(m->json, "t", 0, INT64_MAX, &m->ping.t, e) != 0)
        return -1;
    return json_get_int(m->json, "rtt_ms", -1, INT64_MAX, &m->ping.rtt_ms, e);
}

static void write_ping(json_t *to, const struct lane_msg *m)
{
    lane_set_int(to, "n", m->ping.n);
    lane_set_int(to, "t", m->ping.t);
    lane_set_int(to, "rtt_ms", m->ping.rtt_ms);
}

static int read_abort(struct lane_msg *m, struct err *e)
{
    return lane_get_stream(m->json, &m->abort.stream, e);
}

static void write_abort(json_t *to, const struct lane_msg *m)
{
    lane_set_stream(to, m->abort.stream);
}

static int read_ended(struct lane_msg *m, struct err *e)
{
    int how;

    if (lane_get_stream(m->json, &m->ended.stream, e) != 0 ||
        (how = get_choice(m, "how", how_texts, sizeof how_texts / sizeof *how_texts, e)) < 0)
        return -1;
    m->ended.how = (enum lane_how)how;
    return lane_get_showable(m, m->json, "detail", &m->ended.detail, e);
}

static void write_ended(json_t *to, const struct lane_msg *m)
{
    lane_set_stream(to, m->ended.stream);
    lane_set_text(to, "how", lane_how_text(m->ended.how));
    lane_set_showable(to, "detail", m->ended.detail);
}

static int read_consumed(struct lane_msg *m, struct err *e)
{
    int64_t total = 0;

    if (lane_get_stream(m->json, &m->consumed.stream, e) != 0 ||
        json_get_int(m->json, "total", 0, INT64_MAX, &total, e) != 0)
        return -1;
    m->consumed.total = (uint64_t)total;
    return 0;
}

static void write_consumed(json_t *to, const struct lane_msg *m)
{
    lane_set_stream(to, m->consumed.stream);
    lane_set_int(to, "total", (int64_t)m->consumed.total);
}

static int read_service(struct lane_msg *m, struct err *e)
{
    int state = get_choice(m, "state", service_texts, sizeof service_texts / sizeof *service_texts, e);

    if (state < 0 || lane_get_text(m->json, "item", LANE_ITEM_BYTES, &m->service.item, e) != 0 ||
        lane_get_text_or_none(m->json, "route", LANE_ITEM_BYTES, &m->service.route, e) != 0)
        return -1;
    m->service.state = (enum lane_service)state;
    return lane_get_showable(m, m->json, "detail", &m->service.detail, e);
}

static void write_service(json_t *to, const struct lane_msg *m)
{
    lane_set_text(to, "item", m->service.item);
    lane_set_text(to, "route", m->service.route);
    lane_set_text(to, "state", lane_service_text(m->service.state));
    lane_set_showable(to, "detail", m->service.detail);
}

static int read_why(struct lane_msg *m, struct err *e)
{
    return lane_get_showable(m, m->json, "why", &m->why.why, e);
}

static void write_why(json_t *to, const struct lane_msg *m)
{
    lane_set_showable(to, "why", m->why.why);
}

static int read_enrol(struct lane_msg *m, struct err *e)
{
    if (lane_get_name(m->json, "name", &m->enrol.name, e) != 0)
        return -1;
    return lane_get_text(m->json, "key", LANE_TEXT_BYTES, &m->enrol.key, e);
}

static void write_enrol(json_t *to, const struct lane_msg *m)
{
    lane_set_text(to, "name", m->enrol.name);
    lane_set_text(to, "key", m->enrol.key);
}

static int read_enrolled(struct lane_msg *m, struct err *e)
{
    if (lane_get_name(m->json, "name", &m->enrolled.name, e) != 0)
        return -1;
    return lane_get_name(m->json, "relay", &m->enrolled.relay, e);
}

static void write_enrolled(json_t *to, const struct lane_msg *m)
{
    lane_set_text(to, "name", m->enrolled.name);
    lane_set_text(to, "relay", m->enrolled.relay);
}

/* ---- whole lines ---- */

static const struct {
    const char *name;
    int (*read)(struct lane_msg *m, struct err *e); /* NULL: it has no members */
    void (*write)(json_t *to, const struct lane_msg *m);
} kinds[] = {
    [LANE_LANE] = { "lane", read_lane, write_lane },
    [LANE_HELLO] = { "hello", read_hello, write_hello },
    [LANE_WELCOME] = { "welcome", read_welcome, write_welcome },
    [LANE_CLAIM] = { "claim", read_claim, write_claim },
    [LANE_CLAIMED] = { "claimed", read_claimed, write_claimed },
    [LANE_PING] = { "ping", read_ping, write_ping },
    [LANE_PONG] = { "pong", read_ping, write_ping },
    [LANE_ABORT] = { "abort", read_abort, write_abort },
    [LANE_ENDED] = { "ended", read_ended, write_ended },
    [LANE_CONSUMED] = { "consumed", read_consumed, write_consumed },
    [LANE_SERVICE] = { "service", read_service, write_service },
    [LANE_AWAY] = { "away", NULL, NULL },
    [LANE_RESYNC] = { "resync", NULL, NULL },
    [LANE_GOODBYE] = { "goodbye", read_why, write_why },
    [LANE_ERROR] = { "error", read_why, write_why },
    [LANE_END] = { "end", NULL, NULL },
    [LANE_ENROL] = { "enrol", read_enrol, write_enrol },
    [LANE_ENROLLED] = { "enrolled", read_enrolled, write_enrolled },
    [LANE_TXT] = { "txt", lane_read_txt, lane_write_txt },
    [LANE_TXT_DONE] = { "txt_done", lane_read_done, lane_write_done },
    [LANE_FETCH] = { "fetch", lane_read_fetch, lane_write_fetch },
    [LANE_FETCHED] = { "fetched", lane_read_fetched, lane_write_fetched },
    [LANE_CHALLENGE] = { "challenge", lane_read_challenge, lane_write_challenge },
    [LANE_CHALLENGE_DONE] = { "challenge_done", lane_read_done, lane_write_done },
    [LANE_CERT] = { "cert", lane_read_cert, lane_write_cert },
    [LANE_NOTICE] = { "notice", lane_read_notice, lane_write_notice },
    [LANE_BAN] = { "ban", lane_read_ban, lane_write_ban },
};

enum { KINDS = sizeof kinds / sizeof *kinds };

static enum lane_msg_type type_of(const char *name)
{
    for (int i = LANE_UNKNOWN + 1; i < KINDS; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return (enum lane_msg_type)i;
    return LANE_UNKNOWN;
}

static int get_version(struct lane_msg *m, struct err *e)
{
    int64_t v = 0;

    if (!json_object_get(m->json, "v"))
        return 0;
    if (json_get_int(m->json, "v", 1, INT_MAX, &v, e) != 0)
        return -1;
    m->v = (int)v;
    if (v != LANE_VERSION)
        return err_set(e, ERR_INPUT,
                       "version %d of the lane protocol is not spoken here, only %d; update the older side",
                       m->v, LANE_VERSION);
    return 0;
}

int lane_msg_read(struct lane_msg *m, const char *line, size_t n, struct err *e)
{
    const char *type;

    *m = (struct lane_msg){ 0 };
    arena_init(&m->arena, ARENA_BYTES);
    if (n > LANE_LINE_BYTES)
        return err_set(e, ERR_LIMIT, "a line is longer than %d bytes", LANE_LINE_BYTES);
    /* JSON takes them for blanks. Here the newline ends a line, and nothing else belongs to that end. */
    if (memchr(line, '\r', n) || memchr(line, '\n', n))
        return err_set(e, ERR_INPUT, "a line holds a carriage return or a newline");
    m->json = json_read(line, n, e);
    if (!m->json || json_get_text(m->json, "type", LANE_WORD_BYTES, &type, e) != 0)
        return -1;
    m->type = type_of(type);
    if (get_version(m, e) != 0)
        return err_wrap(e, "%s", type);
    if (kinds[m->type].read && kinds[m->type].read(m, e) != 0)
        return err_wrap(e, "%s", kinds[m->type].name);
    return 0;
}

/* Whoever reads freed memory later must not find the secret there. */
static void wipe_secret(const json_t *object)
{
    const json_t *secret = json_object_get(object, "secret");

    if (json_is_string(secret))
        explicit_bzero((char *)(uintptr_t)json_string_value(secret), json_string_length(secret));
}

void lane_msg_free(struct lane_msg *m)
{
    wipe_secret(m->json);
    json_decref(m->json);
    arena_free(&m->arena);
    explicit_bzero(m, sizeof *m);
}

void lane_msg_write(struct buf *out, const struct lane_msg *m)
{
    json_t *object = json_object();

    assert(m->type > LANE_UNKNOWN && (int)m->type < KINDS);
    lane_set_text(object, "type", kinds[m->type].name);
    if (m->v != 0)
        lane_set_int(object, "v", m->v);
    if (kinds[m->type].write)
        kinds[m->type].write(object, m);
    json_write(out, object);
    wipe_secret(object);
    json_decref(object);
}
