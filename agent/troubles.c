#include "agent/troubles.h"

#include "shared/json.h"
#include "shared/mem.h"
#include "shared/status/text.h"

#include <stdlib.h>
#include <string.h>

/* A record that waits for something, or for a person, has more time than one that failed. */
enum { WAITING_MS = 10 * 60 * 1000 };

static bool is(const json_t *object, const char *key, const char *word)
{
    return strcmp(status_text(object, key), word) == 0;
}

static char *join(struct troubles *seen, const char *a, const char *between, const char *b)
{
    char *text = mem_format("%s%s%s", a, between, b), *copy = arena_copy(&seen->texts, text);

    free(text);
    return copy;
}

/* ---- services ---- */

/* owner: what has one in the status. */
static void add_service(const char *name, const json_t *owner, struct troubles *seen)
{
    bool well = is(owner, "service_state", "ok"), unsure = is(owner, "service_state", "unknown");
    int64_t since_s;

    if (!*status_text(owner, "service"))
        return;
    if (json_get_time(owner, "service_since", &since_s, NULL) != 0)
        since_s = 0;
    troubles_add(seen, &(struct trouble){
                           .kind = EVENT_SERVICE,
                           .subject = name,
                           .grade = !well && !unsure,
                           .unsure = unsure,
                           .damp_ms = DAMPING_USUAL_MS,
                           .since_s = since_s,
                           .why = join(seen, status_text(owner, "service"), ": ",
                                       status_text(owner, "service_detail")),
                           .remedy = "is it running, and does it listen there? its own log says more",
                       });
}

/* ---- relays ---- */

static bool is_up(const json_t *relay)
{
    const json_t *lane;
    size_t i;

    json_array_foreach(json_object_get(relay, "lanes"), i, lane)
    {
        if (is(lane, "state", "up") || is(lane, "state", "busy"))
            return true;
    }
    return false;
}

static const char *why_down(const json_t *relay)
{
    const json_t *lane;
    size_t i;

    json_array_foreach(json_object_get(relay, "lanes"), i, lane)
    {
        if (*status_text(lane, "last_error"))
            return status_text(lane, "last_error");
    }
    return "no lane to it is up";
}

static void add_relay(const json_t *relay, struct troubles *seen)
{
    troubles_add(seen, &(struct trouble){
                           .kind = EVENT_RELAY,
                           .subject = status_text(relay, "name"),
                           .grade = !is_up(relay),
                           .damp_ms = DAMPING_USUAL_MS,
                           .why = why_down(relay),
                           .remedy = "tunnelctl doctor on the agent's machine says at which step it ends",
                       });
    add_service(join(seen, "relay ", status_text(relay, "name"), ""), relay, seen);
}

/* ---- records ---- */

static void add_record(const json_t *record, struct troubles *seen)
{
    const char *why = status_text(record, "last_error");
    bool failed = is(record, "state", "failed") || is(record, "state", "foreign");
    int64_t since_s;

    if (json_get_time(record, "failing_since", &since_s, NULL) != 0)
        since_s = 0;
    troubles_add(seen,
                 &(struct trouble){
                     .kind = EVENT_DNS,
                     .subject = join(seen, status_text(record, "name"), " ", status_text(record, "type")),
                     .grade = *why != 0,
                     .unsure = is(record, "state", "updating"),
                     .since_s = since_s,
                     .damp_ms = failed ? DAMPING_USUAL_MS : WAITING_MS,
                     .why = why,
                     .remedy = "tunnelctl dns on the agent's machine says what is wanted and what is "
                               "there; tunnelctl dns sync tries again at once",
                 });
}

static void add_domain(const json_t *domain, struct troubles *seen)
{
    const json_t *entry;
    size_t i;

    add_service(status_text(domain, "name"), domain, seen);
    json_array_foreach(json_object_get(domain, "routes"), i, entry)
    {
        add_service(join(seen, status_text(domain, "name"), "", status_text(entry, "path")), entry, seen);
    }
    json_array_foreach(json_object_get(json_object_get(domain, "dns"), "records"), i, entry)
    {
        add_record(entry, seen);
    }
}

void agent_add_troubles(const json_t *status, struct troubles *seen)
{
    const json_t *entry;
    size_t i;

    json_array_foreach(json_object_get(status, "relays"), i, entry) add_relay(entry, seen);
    json_array_foreach(json_object_get(status, "domains"), i, entry) add_domain(entry, seen);
    json_array_foreach(json_object_get(status, "tcp"), i, entry)
    {
        add_service(join(seen, "tcp ", status_text(entry, "name"), ""), entry, seen);
    }
}
