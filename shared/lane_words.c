#include "shared/lane_words.h"

#include "shared/json.h"

#include <string.h>

static const char *const shows[] = {
    [LANE_SHOW_HTTP] = "http-01", [LANE_SHOW_TLS_ALPN] = "tls-alpn-01", [LANE_SHOW_CHECK] = "tunnel-check"
};
enum { SHOWS = sizeof shows / sizeof shows[0] };

enum { PATH_BYTES = 256, KEY_BYTES = 255, HTTP_STATUS_MAX = 999 };

/* ---- what they have in common ---- */

/* Whoever asks chooses it, and recognizes the answer by it: a text or a number, which comes back as it is. */
static int get_id(const struct lane_msg *m, json_t **id, struct err *e)
{
    const char *text;
    int64_t number;

    *id = json_object_get(m->json, "id");
    if (json_is_integer(*id))
        return json_get_int(m->json, "id", 0, INT64_MAX, &number, e);
    return lane_get_text(m->json, "id", LANE_WORD_BYTES, &text, e);
}

static void set_id(json_t *to, json_t *id)
{
    json_object_set(to, "id", id);
}

static int get_op(const struct lane_msg *m, bool *set, struct err *e)
{
    const char *op;

    if (lane_get_text(m->json, "op", LANE_WORD_BYTES, &op, e) != 0)
        return -1;
    *set = strcmp(op, "set") == 0;
    return *set || strcmp(op, "clear") == 0
               ? 0
               : err_set(e, ERR_INPUT, "member \"op\" is \"%s\", neither set nor clear", op);
}

static void set_op(json_t *to, bool set)
{
    lane_set_text(to, "op", set ? "set" : "clear");
}

/* ---- what is asked ---- */

int lane_read_txt(struct lane_msg *m, struct err *e)
{
    if (get_id(m, &m->txt.id, e) != 0 || get_op(m, &m->txt.set, e) != 0 ||
        lane_get_text(m->json, "name", LANE_ITEM_BYTES, &m->txt.name, e) != 0)
        return -1;
    return lane_get_text(m->json, "value", LANE_ITEM_BYTES, &m->txt.value, e);
}

void lane_write_txt(json_t *to, const struct lane_msg *m)
{
    set_id(to, m->txt.id);
    set_op(to, m->txt.set);
    lane_set_text(to, "name", m->txt.name);
    lane_set_text(to, "value", m->txt.value);
}

int lane_read_fetch(struct lane_msg *m, struct err *e)
{
    if (get_id(m, &m->fetch.id, e) != 0 ||
        lane_get_text(m->json, "name", LANE_ITEM_BYTES, &m->fetch.name, e) != 0 ||
        lane_get_text(m->json, "address", LANE_WORD_BYTES, &m->fetch.address, e) != 0 ||
        json_get_int(m->json, "port", 1, 65535, &m->fetch.port, e) != 0)
        return -1;
    return lane_get_text(m->json, "path", PATH_BYTES, &m->fetch.path, e);
}

void lane_write_fetch(json_t *to, const struct lane_msg *m)
{
    set_id(to, m->fetch.id);
    lane_set_text(to, "name", m->fetch.name);
    lane_set_text(to, "address", m->fetch.address);
    lane_set_int(to, "port", m->fetch.port);
    lane_set_text(to, "path", m->fetch.path);
}

/* Who does not know the member means http-01. */
static int get_how(struct lane_msg *m, struct err *e)
{
    const char *how;

    if (!json_object_get(m->json, "how"))
        return 0;
    if (lane_get_text(m->json, "how", LANE_WORD_BYTES, &how, e) != 0)
        return -1;
    for (int i = 0; i < SHOWS; i++)
        if (strcmp(how, shows[i]) == 0) {
            m->challenge.how = (enum lane_show)i;
            return 0;
        }
    return err_set(e, ERR_INPUT, "member \"how\" is \"%s\", none of its words", how);
}

int lane_read_challenge(struct lane_msg *m, struct err *e)
{
    if (get_id(m, &m->challenge.id, e) != 0 || get_op(m, &m->challenge.set, e) != 0 || get_how(m, e) != 0 ||
        lane_get_text(m->json, "name", LANE_ITEM_BYTES, &m->challenge.name, e) != 0 ||
        lane_get_text(m->json, "token", KEY_BYTES, &m->challenge.token, e) != 0)
        return -1;
    return lane_get_text(m->json, "answer", KEY_BYTES, &m->challenge.answer, e);
}

void lane_write_challenge(json_t *to, const struct lane_msg *m)
{
    set_id(to, m->challenge.id);
    lane_set_text(to, "name", m->challenge.name);
    lane_set_text(to, "token", m->challenge.token);
    lane_set_text(to, "answer", m->challenge.answer);
    set_op(to, m->challenge.set);
    lane_set_text(to, "how", shows[m->challenge.how]);
}

/* ---- what is answered ---- */

int lane_read_done(struct lane_msg *m, struct err *e)
{
    if (get_id(m, &m->done.id, e) != 0 || json_get_flag(m->json, "ok", &m->done.ok, e) != 0)
        return -1;
    return lane_get_showable(m, m->json, "why", &m->done.why, e);
}

void lane_write_done(json_t *to, const struct lane_msg *m)
{
    set_id(to, m->done.id);
    json_object_set_new(to, "ok", json_boolean(m->done.ok));
    lane_set_showable(to, "why", m->done.why);
}

int lane_read_fetched(struct lane_msg *m, struct err *e)
{
    if (json_get_int(m->json, "status", LANE_FETCH_NOT_TRIED, HTTP_STATUS_MAX, &m->done.status, e) != 0)
        return -1;
    return lane_read_done(m, e);
}

void lane_write_fetched(json_t *to, const struct lane_msg *m)
{
    lane_write_done(to, m);
    lane_set_int(to, "status", m->done.status);
}

/* ---- what is told ---- */

int lane_read_cert(struct lane_msg *m, struct err *e)
{
    if (lane_get_text(m->json, "item", LANE_ITEM_BYTES, &m->cert.item, e) != 0 ||
        lane_get_text(m->json, "state", LANE_WORD_BYTES, &m->cert.state, e) != 0 ||
        lane_get_text_or_none(m->json, "not_after", LANE_WORD_BYTES, &m->cert.not_after, e) != 0)
        return -1;
    return lane_get_showable(m, m->json, "why", &m->cert.why, e);
}

void lane_write_cert(json_t *to, const struct lane_msg *m)
{
    lane_set_text(to, "item", m->cert.item);
    lane_set_text(to, "state", m->cert.state);
    lane_set_text(to, "not_after", m->cert.not_after);
    lane_set_showable(to, "why", m->cert.why);
}

int lane_read_notice(struct lane_msg *m, struct err *e)
{
    if (lane_get_text(m->json, "level", LANE_WORD_BYTES, &m->notice.level, e) != 0)
        return -1;
    return lane_get_showable(m, m->json, "text", &m->notice.text, e);
}

void lane_write_notice(json_t *to, const struct lane_msg *m)
{
    lane_set_text(to, "level", m->notice.level);
    lane_set_showable(to, "text", m->notice.text);
}

/* Hits and why are the relay's; an agent leaves them out. */
int lane_read_ban(struct lane_msg *m, struct err *e)
{
    if (lane_get_text(m->json, "address", LANE_WORD_BYTES, &m->ban.address, e) != 0 ||
        json_get_int(m->json, "seconds", 0, INT32_MAX, &m->ban.seconds, e) != 0)
        return -1;
    m->ban.why = "";
    if (json_object_get(m->json, "hits") && json_get_int(m->json, "hits", 0, INT64_MAX, &m->ban.hits, e) != 0)
        return -1;
    return json_object_get(m->json, "why") ? lane_get_showable(m, m->json, "why", &m->ban.why, e) : 0;
}

void lane_write_ban(json_t *to, const struct lane_msg *m)
{
    lane_set_text(to, "address", m->ban.address);
    lane_set_int(to, "seconds", m->ban.seconds);
    if (m->ban.hits > 0)
        lane_set_int(to, "hits", m->ban.hits);
    if (m->ban.why && *m->ban.why)
        lane_set_showable(to, "why", m->ban.why);
}
