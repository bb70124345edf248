#include "relay/lanes/lanes_parts.h"
#include "shared/json.h"

#include <string.h>

json_t *lanes_status(const struct lanes *l)
{
    json_t *list = json_array();
    struct lane_facts f;

    for (size_t i = 0; i < l->n; i++) {
        const char *trouble;

        lane_facts(l->list[i], &f);
        if (!f.agent[0])
            continue;
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
