#include "relay/lanes/lanes_parts.h"
#include "shared/json.h"

#include <string.h>

static bool has_lane(const struct lanes *l, const char *agent)
{
    struct lane_facts f;

    for (size_t i = 0; i < l->n; i++) {
        lane_facts(l->list[i], &f);
        if (f.state != LANE_S_DEAD && strcmp(f.agent, agent) == 0)
            return true;
    }
    return false;
}

/* Who is away: the last lane that he had. */
static void add_away(const struct lanes *l, json_t *list)
{
    const struct presence_lane *last;
    const char *agent;

    for (size_t i = 0; (last = presence_away(&l->presence, i, &agent)); i++)
        if (claims_knows(l->claims, agent) && !has_lane(l, agent))
            json_array_append_new(list, json_pack("{s:s, s:I, s:n, s:s, s:n, s:o, s:i, s:I, s:I, s:o, s:s}",
                                                  "agent", agent, "lane", (json_int_t)last->id, "number",
                                                  "state", lane_state_text(LANE_S_DEAD), "rtt_ms", "since",
                                                  json_time(presence_since(&l->presence, agent)), "streams",
                                                  0, "bytes_in", (json_int_t)last->bytes_in, "bytes_out",
                                                  (json_int_t)last->bytes_out, "last_error",
                                                  json_any_text(last->error), "seen_from", last->seen_from));
}

json_t *lanes_status(const struct lanes *l)
{
    json_t *list = json_array();
    struct lane_facts f;

    for (size_t i = 0; i < l->n; i++) {
        const char *trouble;

        lane_facts(l->list[i], &f);
        if (!f.agent[0] || f.state == LANE_S_DEAD)
            continue; /* what ends is gone in a moment */
        trouble = f.last_error[0] ? f.last_error : boots_twin(&l->boots, f.agent, loop_now_ms(l->loop));
        json_array_append_new(
            list,
            json_pack("{s:s, s:I, s:I, s:s, s:o, s:o, s:I, s:I, s:I, s:o, s:s}", "agent", f.agent, "lane",
                      (json_int_t)f.id, "number", (json_int_t)f.number, "state", lane_state_text(f.state),
                      "rtt_ms", f.rtt_ms < 0 ? json_null() : json_integer(f.rtt_ms), "since",
                      json_time(f.since), "streams", (json_int_t)atomic_load(&f.counts->streams), "bytes_in",
                      (json_int_t)atomic_load(&f.counts->bytes_in), "bytes_out",
                      (json_int_t)atomic_load(&f.counts->bytes_out), "last_error",
                      trouble[0] ? json_any_text(trouble) : json_null(), "seen_from", f.seen_from));
    }
    add_away(l, list);
    return list;
}

static const char *last_error_of(const struct lanes *l, const char *agent)
{
    const struct presence_lane *last;
    const char *name;

    for (size_t i = 0; (last = presence_away(&l->presence, i, &name)); i++)
        if (strcmp(name, agent) == 0 && last->error[0])
            return last->error;
    return NULL;
}

/* "new" is who has never been here, as far as is known. */
json_t *lanes_agents_status(const struct lanes *l)
{
    json_t *list = json_array();

    for (size_t i = 0; i < l->roster.n; i++) {
        const char *agent = l->roster.list[i].name;
        bool up = lanes_agent_is_up(l, agent);
        const char *why = up ? NULL : last_error_of(l, agent);

        json_array_append_new(
            list, json_pack("{s:s, s:s, s:o, s:o}", "agent", agent, "state",
                            up                                                                        ? "up"
                            : presence_was_there(&l->presence, agent) || claims_has(l->claims, agent) ? "down"
                                                                                                      : "new",
                            "since", json_time(presence_since(&l->presence, agent)), "last_error",
                            why ? json_any_text(why) : json_null()));
    }
    return list;
}

time_t lanes_away_since(const struct lanes *l, const struct claims_site *site)
{
    time_t last = 0;

    for (size_t i = 0; i < site->agents_n; i++) {
        time_t since = presence_away_since(&l->presence, site->agents[i].name);

        if (since == 0)
            return 0;
        last = since > last ? since : last;
    }
    return last;
}

static bool is_here(const struct lanes *l, const struct claims_agent *agent)
{
    return presence_away_since(&l->presence, agent->name) == 0;
}

static bool is_up(const struct lanes *l, const struct claims_site *site)
{
    for (size_t i = 0; i < site->agents_n; i++)
        if (site->agents[i].claimed && is_here(l, &site->agents[i]))
            return true;
    return false;
}

/* Somebody who may serve it is here, and does not: nothing is wrong, as with a wildcard for sites to come. */
static bool is_left_open(const struct lanes *l, const struct claims_site *site)
{
    for (size_t i = 0; i < site->agents_n; i++)
        if (!site->claimed && is_here(l, &site->agents[i]))
            return true;
    return false;
}

const char *lanes_site_state(const struct lanes *l, const struct claims_site *site)
{
    if (is_up(l, site))
        return "up";
    if (site->claimed)
        return "down";
    return is_left_open(l, site) ? "pending" : "expected";
}

static json_t *describe_site(const struct claims_site *site)
{
    json_t *aliases = json_array(), *agents = json_array();

    for (size_t i = 0; i < site->aliases_n; i++)
        json_array_append_new(aliases, json_string(site->aliases[i]));
    for (size_t i = 0; i < site->agents_n; i++)
        json_array_append_new(agents, json_string(site->agents[i].name));
    return json_pack("{s:s, s:o, s:o, s:s, s:o}", "name", site->name, "aliases", aliases, "agents", agents,
                     "service_state", lane_service_text(site->service), "service_since",
                     site->service_since_s > 0 ? json_time((time_t)site->service_since_s) : json_null());
}

json_t *lanes_site_status(const struct lanes *l, const char *name)
{
    struct claims_site site;

    for (size_t i = 0; claims_site(l->claims, i, &site); i++)
        if (strcmp(site.name, name) == 0)
            return describe_site(&site);
    return describe_site(&(struct claims_site){ .name = name });
}
