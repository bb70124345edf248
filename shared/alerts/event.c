#include "shared/alerts/event.h"

#include "shared/json.h"
#include "shared/value.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* The event of a kind reads as "LABEL SUBJECT is down". */
static const struct {
    const char *kind, *label, *states[3];
} kinds[EVENT_KINDS] = {
    [EVENT_AGENT] = { "agent", "agent ", { "down", "up", "gone" } },
    [EVENT_RELAY] = { "relay", "relay ", { "down", "up", "gone" } },
    [EVENT_SERVICE] = { "service", "the service of ", { "down", "up", "gone" } },
    [EVENT_CERTIFICATE] = { "certificate", "the certificate of ", { "trouble", "well", "gone" } },
    [EVENT_DNS] = { "dns", "the DNS record ", { "trouble", "well", "gone" } },
    [EVENT_TEST] = { "test", "", { "test", "test", "test" } },
};

const char *event_kind_text(enum event_kind kind)
{
    return kinds[kind].kind;
}

bool event_kind_read(const char *text, enum event_kind *kind)
{
    for (int i = 0; i < EVENT_KINDS; i++)
        if (strcmp(kinds[i].kind, text) == 0) {
            *kind = (enum event_kind)i;
            return true;
        }
    return false;
}

const char *event_state_text(enum event_kind kind, enum event_state state)
{
    return kinds[kind].states[state];
}

/* ---- making one ---- */

static bool begins_char(char c)
{
    return ((unsigned char)c & 0xc0) != 0x80;
}

/* What does not fit is cut off between characters, and marked. */
static void put(char *out, size_t room, const char *text)
{
    static const char more[] = "…";
    struct buf shown = { 0 };
    size_t n;

    value_show(&shown, str_of(text), 0);
    n = shown.len;
    if (n >= room) {
        n = room - sizeof more;
        while (n > 0 && !begins_char(buf_bytes(&shown)[n]))
            n--;
    }
    memcpy(out, buf_bytes(&shown), n);
    snprintf(out + n, room - n, "%s", n < shown.len ? more : "");
    buf_free(&shown);
}

/* "1h 5m", "3m 2s". */
static void print_lasted(struct buf *out, int64_t s)
{
    if (s >= 86400)
        buf_printf(out, "%lldd %lldh", (long long)(s / 86400), (long long)(s % 86400 / 3600));
    else if (s >= 3600)
        buf_printf(out, "%lldh %lldm", (long long)(s / 3600), (long long)(s % 3600 / 60));
    else if (s >= 60)
        buf_printf(out, "%lldm %llds", (long long)(s / 60), (long long)(s % 60));
    else
        buf_printf(out, "%llds", (long long)s);
}

/* "agent pi is down". */
static void print_fact(struct buf *out, const struct event *event)
{
    static const char *const reached[] = { "is down", "is up again", "is not looked after here any more" },
                             *const kept[] = { "is in trouble", "is well again",
                                               "is not looked after here any more" };
    bool is_reached = strcmp(event_state_text(event->kind, EVENT_BAD), "down") == 0;

    if (event->kind == EVENT_TEST)
        buf_add_text(out, "this is a test");
    else
        buf_printf(out, "%s%s %s", kinds[event->kind].label, event->subject,
                   (is_reached ? reached : kept)[event->state]);
}

void event_make(struct event *event, enum event_kind kind, const char *subject, enum event_state state,
                const char *why, const char *remedy, int64_t lasted_s)
{
    struct buf text = { 0 };

    *event = (struct event){ .kind = kind, .state = state };
    put(event->subject, sizeof event->subject, subject);
    put(event->remedy, sizeof event->remedy, remedy);
    print_fact(&text, event);
    if (*why)
        buf_printf(&text, ": %s", why);
    if (lasted_s >= 0 && state != EVENT_BAD) {
        buf_add_text(&text, ", after ");
        print_lasted(&text, lasted_s);
    }
    put(event->text, sizeof event->text, buf_text(&text));
    buf_free(&text);
}

/* ---- JSON ---- */

json_t *event_json(const struct event *event, const struct event_source *source)
{
    json_t *json = json_pack(
        "{s:o, s:I, s:s, s:o, s:s, s:o, s:o, s:o}", "at", json_time((time_t)event->at_s), "id",
        (json_int_t)event->id, "kind", event_kind_text(event->kind), "subject", json_any_text(event->subject),
        "state", event_state_text(event->kind, event->state), "text", json_any_text(event->text), "remedy",
        json_any_text(event->remedy), "since", json_time((time_t)event->since_s));

    if (source) {
        json_object_set_new(json, "role", json_string(source->role));
        json_object_set_new(json, "name", json_any_text(source->name));
    }
    return json;
}

static bool get(const json_t *json, const char *key, char *out, size_t room)
{
    const char *text;

    if (json_get_text(json, key, room - 1, &text, NULL) != 0)
        return false;
    put(out, room, text);
    return true;
}

static bool read_state(struct event *event, const char *word)
{
    for (int i = EVENT_BAD; i <= EVENT_GONE; i++)
        if (strcmp(event_state_text(event->kind, (enum event_state)i), word) == 0) {
            event->state = (enum event_state)i;
            return true;
        }
    return false;
}

bool event_of_json(struct event *event, const json_t *json)
{
    char kind[32], state[32];
    int64_t id;

    *event = (struct event){ 0 };
    if (json_get_int(json, "id", 1, INT64_MAX, &id, NULL) != 0 || !get(json, "kind", kind, sizeof kind) ||
        !event_kind_read(kind, &event->kind) || !get(json, "state", state, sizeof state) ||
        !read_state(event, state))
        return false;
    event->id = (uint64_t)id;
    return get(json, "subject", event->subject, sizeof event->subject) &&
           get(json, "text", event->text, sizeof event->text) &&
           get(json, "remedy", event->remedy, sizeof event->remedy) &&
           json_get_time(json, "at", &event->at_s, NULL) == 0 &&
           json_get_time(json, "since", &event->since_s, NULL) == 0;
}

/* ---- ntfy ---- */

/* A field of a head holds ASCII alone. */
static void put_ascii(char *out, size_t room, const struct buf *text)
{
    size_t n = 0;

    for (size_t i = 0; i < text->len && n + 1 < room; i++) {
        char c = buf_bytes(text)[i];

        if (begins_char(c))
            out[n++] = c >= ' ' && c < 0x7f ? c : '?';
    }
    out[n] = 0;
}

void event_ntfy(struct event_message *message, const struct event *event, const struct event_source *source)
{
    struct buf title = { 0 };

    buf_printf(&title, "%s: ", source->name);
    print_fact(&title, event);
    put_ascii(message->title, sizeof message->title, &title);
    buf_free(&title);
    snprintf(message->priority, sizeof message->priority, "%s",
             event->state == EVENT_BAD && event->kind != EVENT_TEST ? "high" : "default");
    snprintf(message->tags, sizeof message->tags, "%s,%s",
             event->kind == EVENT_TEST    ? "bell"
             : event->state == EVENT_BAD  ? "warning"
             : event->state == EVENT_GOOD ? "white_check_mark"
                                          : "wastebasket",
             event_kind_text(event->kind));
    message->body = (struct buf){ 0 };
    buf_add_text(&message->body, event->text);
    if (event->remedy[0])
        buf_printf(&message->body, "\n%s", event->remedy);
}

/* ---- a program's environment ---- */

static void put_time(char out[24], int64_t at)
{
    json_t *text = json_time((time_t)at);

    snprintf(out, 24, "%s", json_string_value(text));
    json_decref(text);
}

void event_environment(struct event_environment *environment, const struct event *event,
                       const struct event_source *source)
{
    const struct hook_variable variables[EVENT_VARIABLES] = {
        { "TUNNEL_EVENT_ID", environment->id },
        { "TUNNEL_EVENT_AT", environment->at },
        { "TUNNEL_EVENT_SINCE", environment->since },
        { "TUNNEL_EVENT_KIND", event_kind_text(event->kind) },
        { "TUNNEL_EVENT_SUBJECT", event->subject },
        { "TUNNEL_EVENT_STATE", event_state_text(event->kind, event->state) },
        { "TUNNEL_EVENT_TEXT", event->text },
        { "TUNNEL_EVENT_REMEDY", event->remedy },
        { "TUNNEL_EVENT_ROLE", source->role },
        { "TUNNEL_EVENT_NAME", source->name },
    };

    memcpy(environment->variables, variables, sizeof variables);
    snprintf(environment->id, sizeof environment->id, "%llu", (unsigned long long)event->id);
    put_time(environment->at, event->at_s);
    put_time(environment->since, event->since_s);
}
