#include "shared/status/well.h"

#include "shared/status/cert_state.h"
#include "shared/status/dns_state.h"
#include "shared/status/listeners_state.h"
#include "shared/status/text.h"

#include <string.h>

static bool is_well(const json_t *object, const char *key)
{
    const char *state = status_text(object, key);

    return strcmp(state, "up") == 0 || strcmp(state, "busy") == 0 || strcmp(state, "ok") == 0 ||
           strcmp(state, "unknown") == 0 || strcmp(state, "draining") == 0 ||
           strcmp(state, "pending") == 0; /* may be served, and is not yet */
}

/* A lane that is up may have trouble too: another machine with its agent's key. */
bool well_lane(const json_t *lane)
{
    return is_well(lane, "state") && !*status_text(lane, "last_error");
}

bool well_is_plain(const json_t *relay)
{
    return strcmp(status_text(relay, "protocol"), "plain") == 0;
}

bool well_forward(const json_t *relay)
{
    return !well_is_plain(relay) || is_well(relay, "service_state");
}

bool well_served(const json_t *domain)
{
    return is_well(domain, "state") && !*status_text(domain, "last_error");
}

bool well_domain_at_relay(const json_t *domain)
{
    const json_t *cert = json_object_get(domain, "cert");

    return well_served(domain) &&
           (!*status_text(domain, "service_state") || is_well(domain, "service_state")) &&
           !cert_state_is_wrong(cert) && !*status_text(cert, "deploy_error") &&
           cert_state_covers(cert, status_text(domain, "name")) && cert_state_is_well(domain);
}

bool well_service(const json_t *owner)
{
    return is_well(owner, "service_state");
}

static bool are_services_well(const json_t *domain)
{
    const json_t *route;
    size_t i;

    json_array_foreach(json_object_get(domain, "routes"), i,
                       route) if (!is_well(route, "service_state")) return false;
    return is_well(domain, "service_state");
}

bool well_domain_at_home(const json_t *domain)
{
    return are_services_well(domain) && dns_state_is_well(domain) && cert_state_is_well(domain) &&
           strcmp(status_text(domain, "claim"), "refused") != 0;
}

bool well_port_at_relay(const json_t *port)
{
    return is_well(port, "state") || strcmp(status_text(port, "state"), "expected") == 0;
}

bool well_port_at_home(const json_t *port)
{
    return is_well(port, "service_state") && strcmp(status_text(port, "claim"), "refused") != 0;
}

bool well_all(const json_t *status)
{
    const bool is_relay = strcmp(status_text(status, "role"), "relay") == 0;
    const json_t *entry, *lane;
    bool well = listeners_state_is_well(status);
    size_t i, j;

    json_array_foreach(json_object_get(status, "lanes"), i, entry)
    {
        well = well && well_lane(entry);
    }
    json_array_foreach(json_object_get(status, "relays"), i, entry)
    {
        json_array_foreach(json_object_get(entry, "lanes"), j, lane)
        {
            well = well && well_lane(lane);
        }
        well = well && well_forward(entry);
    }
    json_array_foreach(json_object_get(status, "domains"), i, entry)
    {
        well = well && (is_relay ? well_domain_at_relay(entry) : well_domain_at_home(entry));
    }
    json_array_foreach(json_object_get(status, "tcp"), i, entry)
    {
        well = well && (is_relay ? well_port_at_relay(entry) : well_port_at_home(entry));
    }
    return well;
}
