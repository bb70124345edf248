#include "shared/status/problems.h"

#include "shared/mem.h"
#include "shared/status/cert_state.h"
#include "shared/status/text.h"
#include "shared/status/when.h"
#include "shared/value.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* From bad to good. */
enum rank { VISITORS_SEE_IT, PART_IS_DOWN, WILL_BE_SEEN, WORTH_KNOWING, RANKS };

enum { SAID_MAX = 8 }; /* of domains that wait for one and the same agent */

struct problems {
    struct buf lines[RANKS];
    size_t away; /* domains that were told of, and those that were not */
};

/* ---- one line ---- */

/* "  pi: its SSH session has ended; since 3m 2s; next attempt in 4s" */
static void say(struct problems *p, enum rank rank, const char *name, const char *why, const json_t *times,
                const char *since, const char *next)
{
    struct buf *out = &p->lines[rank], line = { 0 };
    struct when when;

    buf_printf(&line, "%s: %s", name, why);
    if (since && *status_text(times, since))
        buf_printf(&line, "; since %s", when_ago(status_text(times, since), &when));
    if (next && *status_text(times, next))
        buf_printf(&line, "; next attempt in %s", when_in(status_text(times, next), &when));
    buf_add_text(out, "  ");
    value_show(out, (struct str){ buf_bytes(&line), line.len }, 0);
    buf_add_text(out, "\n");
    buf_free(&line);
}

static bool is(const json_t *object, const char *key, const char *word)
{
    return strcmp(status_text(object, key), word) == 0;
}

/* ---- lanes ---- */

/* Once for all lanes that stand together and say the same. */
static void lanes(struct problems *p, const char *name, const json_t *list)
{
    const char *said = "";
    const json_t *lane;
    size_t i;

    json_array_foreach(list, i, lane)
    {
        const char *why = status_text(lane, "last_error"), *whose = name ? name : status_text(lane, "agent");
        bool up = is(lane, "state", "up") || is(lane, "state", "busy");

        if (!*why && is(lane, "state", "dead"))
            why = "no lane is up; look at tunnelctl status on its machine";
        if (!*why || strcmp(why, said) == 0)
            continue;
        said = why;
        say(p, up ? WORTH_KNOWING : PART_IS_DOWN, whose, why, lane, up ? NULL : "since", "next_attempt");
    }
}

/* Lanes that go by another port than the one that was given. */
static void detours(struct problems *p, const json_t *relay)
{
    json_int_t given = json_integer_value(json_object_get(relay, "port"));
    const json_t *lane;
    size_t i;

    json_array_foreach(json_object_get(relay, "lanes"), i, lane)
    {
        json_int_t port = json_integer_value(json_object_get(lane, "port"));
        char *why;

        if (given == 0 || port == given || !is(lane, "state", "up"))
            continue;
        why = mem_format("lane %" JSON_INTEGER_FORMAT " goes by port %" JSON_INTEGER_FORMAT
                         ", because no SSH server was found at port %" JSON_INTEGER_FORMAT,
                         json_integer_value(json_object_get(lane, "lane")), port, given);
        say(p, WORTH_KNOWING, status_text(relay, "name"), why, lane, "since", NULL);
        free(why);
    }
}

/* ---- services ---- */

/* owner: what has a service, and why it is not well. */
static void service(struct problems *p, const char *name, const json_t *owner)
{
    const char *detail = status_text(owner, "service_detail");
    char *why;

    if (!*detail)
        return;
    why = mem_format("%s: %s", status_text(owner, "service"), detail);
    say(p, VISITORS_SEE_IT, name, why, owner, "service_since", NULL);
    free(why);
}

/* Of a site or a port of ours, by the relay. */
static void refusal(struct problems *p, const json_t *claimed)
{
    const char *claim = status_text(claimed, "claim_why");
    char *why;

    if (!*claim)
        return;
    why = mem_format("refused by the relay: %s", claim);
    say(p, VISITORS_SEE_IT, status_text(claimed, "name"), why, claimed, "claim_since", NULL);
    free(why);
}

static void relays(struct problems *p, const json_t *status)
{
    const json_t *relay;
    size_t i;

    json_array_foreach(json_object_get(status, "relays"), i, relay)
    {
        lanes(p, status_text(relay, "name"), json_object_get(relay, "lanes"));
        detours(p, relay);
        service(p, status_text(relay, "name"), relay);
    }
    json_array_foreach(json_object_get(status, "leaving"), i, relay)
    {
        say(p, WORTH_KNOWING, status_text(relay, "name"),
            "no longer configured; its lanes stay until no record names it and no resolver keeps one", relay,
            "since", NULL);
    }
}

/* ---- certificates and records ---- */

/* What we write has its remedy behind a semicolon, or asks; what others have said may have none. */
static bool has_remedy(const char *why)
{
    return strchr(why, ';') || strchr(why, '?');
}

static void deployment(struct problems *p, const json_t *domain, const json_t *cert)
{
    if (*status_text(cert, "deploy_error"))
        say(p, WILL_BE_SEEN, status_text(domain, "name"), status_text(cert, "deploy_error"), cert,
            "deploy_failing_since", NULL);
}

static void certificate(struct problems *p, const json_t *domain, const json_t *cert)
{
    bool over = is(cert, "state", "expired"),
         seen = over || !cert_state_covers(cert, status_text(domain, "name"));
    const char *relay = status_text(cert, "relay"), *why = status_text(cert, "last_error");
    const char *tried = status_text(cert, "last_try");
    struct when ago;
    char *text;

    if (!over && !*why)
        return;
    text =
        mem_format("certificate%s%s: %s%s%s%s%s%s%s", *relay ? " at " : "", relay, status_text(cert, "state"),
                   *why ? ": " : "", why, has_remedy(why) ? "" : "; tunnelctl doctor says why",
                   *tried ? "; tried " : "", *tried ? when_ago(tried, &ago) : "", *tried ? " ago" : "");
    say(p, seen ? VISITORS_SEE_IT : WILL_BE_SEEN, status_text(domain, "name"), text, cert,
        over                                  ? "not_after"
        : *status_text(cert, "failing_since") ? "failing_since"
                                              : "since",
        "next_attempt");
    free(text);
}

/* What relays tell an agent; at a relay those of aliases that have one apart. */
static void certificates(struct problems *p, const json_t *domain)
{
    const json_t *cert;
    size_t i;

    json_array_foreach(json_object_get(domain, "certs"), i, cert)
    {
        certificate(p, cert, cert);
        deployment(p, cert, cert);
    }
}

static void records(struct problems *p, const json_t *domain)
{
    const json_t *record;
    size_t i;

    json_array_foreach(json_object_get(json_object_get(domain, "dns"), "records"), i, record)
    {
        char *name = mem_format("%s %s", status_text(record, "name"), status_text(record, "type"));

        if (*status_text(record, "last_error"))
            say(p,
                is(record, "state", "waiting") || is(record, "state", "updating") ? WORTH_KNOWING
                                                                                  : WILL_BE_SEEN,
                name, status_text(record, "last_error"), record, "failing_since", "next_check");
        free(name);
    }
}

/* ---- domains ---- */

static void away(struct problems *p, const json_t *domain)
{
    const json_t *agents = json_object_get(domain, "agents");
    const char *agent = json_string_value(json_array_get(agents, 0));
    char *why;

    if (!*status_text(domain, "state") || is(domain, "state", "up") || is(domain, "state", "pending") ||
        p->away++ >= SAID_MAX)
        return;
    if (agent)
        why = mem_format("%s: no lane of agent %s is up; look at tunnelctl status on its machine",
                         status_text(domain, "state"), agent);
    else
        why = mem_format("%s: no agent serves it; let one in with tunnelctl invite, and add the site there",
                         status_text(domain, "state"));
    say(p, VISITORS_SEE_IT, status_text(domain, "name"), why, domain, "since", NULL);
    free(why);
}

/* The relay knows of it by the agent, which says more. */
static void service_at_home(struct problems *p, const json_t *domain)
{
    static const char *const rows[][2] = {
        { "refused", "refuses connections" },
        { "unreachable", "cannot be reached from there" },
        { "silent", "does not answer" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (is(domain, "service_state", rows[i][0])) {
            char *why =
                mem_format("its service %s; look at tunnelctl status on the agent's machine", rows[i][1]);

            say(p, VISITORS_SEE_IT, status_text(domain, "name"), why, domain, "service_since", NULL);
            free(why);
        }
}

static void relay_domain(struct problems *p, const json_t *domain)
{
    if (*status_text(domain, "last_error"))
        say(p, VISITORS_SEE_IT, status_text(domain, "name"), status_text(domain, "last_error"), domain,
            "last_error_since", NULL);
    away(p, domain);
    service_at_home(p, domain);
    certificate(p, domain, json_object_get(domain, "cert"));
    deployment(p, domain, json_object_get(domain, "cert"));
    certificates(p, domain);
}

static void agent_domain(struct problems *p, const json_t *domain)
{
    const json_t *entry;
    size_t i;

    refusal(p, domain);
    service(p, status_text(domain, "name"), domain);
    json_array_foreach(json_object_get(domain, "routes"), i, entry)
    {
        char *name = mem_format("%s%s", status_text(domain, "name"), status_text(entry, "path"));

        service(p, name, entry);
        free(name);
    }
    records(p, domain);
    certificates(p, domain);
}

static void domains(struct problems *p, const json_t *status)
{
    bool relay = is(status, "role", "relay");
    const json_t *domain;
    size_t i;

    json_array_foreach(json_object_get(status, "domains"), i, domain)
    {
        if (relay)
            relay_domain(p, domain);
        else
            agent_domain(p, domain);
    }
    if (p->away > SAID_MAX)
        buf_printf(&p->lines[VISITORS_SEE_IT], "  and %zu further domains are not up; see below\n",
                   p->away - SAID_MAX);
}

/* ---- ports ---- */

static void ports(struct problems *p, const json_t *status)
{
    const json_t *port;
    size_t i;

    json_array_foreach(json_object_get(status, "tcp"), i, port)
    {
        if (*status_text(port, "why"))
            say(p, VISITORS_SEE_IT, status_text(port, "name"), status_text(port, "why"), port, "since", NULL);
        service(p, status_text(port, "name"), port);
        refusal(p, port);
    }
}

/* ---- alerts ---- */

static void outlet(struct problems *p, const json_t *alerts, const char *option)
{
    const json_t *one = json_object_get(alerts, option);
    json_int_t waiting = json_integer_value(json_object_get(one, "pending"));
    char *why;

    if (!*status_text(one, "last_error"))
        return;
    why = mem_format("%s does not take them: %s; %" JSON_INTEGER_FORMAT " wait%s", option,
                     status_text(one, "last_error"), waiting, waiting == 1 ? "s" : "");
    say(p, PART_IS_DOWN, "alerts", why, one, "last_error_since", "next_attempt");
    free(why);
}

void problems_add(struct buf *out, const json_t *status)
{
    struct problems p = { 0 };

    domains(&p, status);
    ports(&p, status);
    lanes(&p, NULL, json_object_get(status, "lanes"));
    relays(&p, status);
    outlet(&p, json_object_get(status, "alerts"), "webhook");
    outlet(&p, json_object_get(status, "alerts"), "on_event");
    for (size_t i = 0; i < RANKS; i++) {
        buf_add(out, buf_bytes(&p.lines[i]), p.lines[i].len);
        buf_free(&p.lines[i]);
    }
}
