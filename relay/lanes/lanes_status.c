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
            json_array_append_new(list, json_pack("{s:s, s:I, s:s, s:n, s:o, s:i, s:I, s:I, s:o, s:s}",
                                                  "agent", agent, "lane", (json_int_t)last->id, "state",
                                                  lane_state_text(LANE_S_DEAD), "rtt_ms", "since",
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
            list, json_pack("{s:s, s:I, s:s, s:o, s:o, s:I, s:I, s:I, s:o, s:s}", "agent", f.agent, "lane",
                            (json_int_t)f.id, "state", lane_state_text(f.state), "rtt_ms",
                            f.rtt_ms < 0 ? json_null() : json_integer(f.rtt_ms), "since", json_time(f.since),
                            "streams", (json_int_t)atomic_load(&f.counts->streams), "bytes_in",
                            (json_int_t)atomic_load(&f.counts->bytes_in), "bytes_out",
                            (json_int_t)atomic_load(&f.counts->bytes_out), "last_error",
                            trouble[0] ? json_any_text(trouble) : json_null(), "seen_from", f.seen_from));
    }
    add_away(l, list);
    return list;
}

json_t *lanes_site_status(const struct lanes *l, const char *name)
{
    struct claims_site site;
    const char *agent = "";
    bool up, claimed = false;
    json_t *aliases = json_array(), *agents = json_array();
    enum lane_service service = LANE_SERVICE_UNKNOWN;

    for (size_t i = 0; claims_site(l->claims, i, &site); i++) {
        if (strcmp(site.name, name) != 0)
            continue;
        agent = site.agent;
        claimed = site.claimed;
        service = site.service;
        for (size_t j = 0; j < site.aliases_n; j++)
            json_array_append_new(aliases, json_string(site.aliases[j]));
        json_array_append_new(agents, json_string(agent));
    }
    up = claimed && lanes_agent_is_up(l, agent);
    return json_pack(
        "{s:s, s:o, s:o, s:s, s:o, s:s}", "name", name, "aliases", aliases, "agents", agents, "state",
        up        ? "up"
        : claimed ? "down"
                  : "expected",
        "since", json_time(presence_since(&l->presence, agent)), "service_state", lane_service_text(service));
}
