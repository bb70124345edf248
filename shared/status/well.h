/* shared/status/well.h - what of a daemon's /v1/status is as it should be: for the exit code of tunnelctl, for what is shown
 * first, and for the status page. Pure. */
#ifndef SHARED_STATUS_WELL_H
#define SHARED_STATUS_WELL_H
#include <jansson.h>
#include <stdbool.h>

bool well_lane(const json_t *lane);
bool well_is_plain(const json_t *relay); /* with protocol = plain it has a service of its own */
bool well_forward(const json_t *relay);  /* that service, if it is plain */
bool well_service(const json_t *owner);  /* of a domain at home, or a route of it */
bool well_served(
    const json_t *domain); /* by its house, as the relay sees it; whatever its service and certificate are */
bool well_domain_at_relay(const json_t *domain);
bool well_domain_at_home(const json_t *domain);
bool well_port_at_relay(const json_t *port);
bool well_port_at_home(const json_t *port);
bool well_all(const json_t *status);
#endif
