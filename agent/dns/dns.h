/* agent/dns/dns.h - DNS that follows: all names of the configuration, their providers, and the addresses they should have.
 *
 * Alive on the loop from dns_start until it calls `ended`, once, last, after dns_drain or dns_stop. */
#ifndef AGENT_DNS_DNS_H
#define AGENT_DNS_DNS_H
#include "agent/certs/told.h"
#include "shared/http/server.h"
#include "shared/loop.h"
#include "shared/opt.h"

#include <jansson.h>
#include <stdbool.h>

struct dns;

/* Borrows conf until dns_reload gives another one. */
struct dns *dns_start(struct loop *loop, const struct opt_conf *conf, void (*ended)(void *user), void *user);
void dns_reload(struct dns *d, const struct opt_conf *conf);
/* What a relay's welcome says: addresses to publish, and where we come from ("" when it does not know). */
void dns_relay_says(struct dns *d, const char *relay, const char *const *publish, size_t n,
                    const char *seen_from);
void dns_relay_is(struct dns *d, const char *relay, bool up); /* told as often as one likes */
/* Whether a relay has a certificate for a site; asked when DNS is looked at anew, as it is after each dns_cert_changed. */
void dns_ask_certs(struct dns *d, enum told_state (*cert_of)(void *user, const char *relay, const char *site),
                   void *user);
void dns_cert_changed(struct dns *d);
/* See relays_left_ms. */
int64_t dns_relay_left_ms(struct dns *d, const char *relay);
void dns_network_changed(struct dns *d);

json_t *dns_public_status(const struct dns *d); /* `public` of /v1/status. A new reference. */
json_t *dns_site_status(const struct dns *d,
                        const char *site); /* `dns` of one of its domains[]; NULL: it has none */
/* GET /v1/dns; with ?public the public is asked first. */
json_t *dns_outcomes(const struct dns *d); /* see agent/dns/outcomes.h; a new reference */
void dns_answer_status(struct dns *d, const struct http_request *request, struct http_reply *reply);
void dns_answer_sync(struct dns *d, const struct http_request *request,
                     struct http_reply *reply); /* POST /v1/dns/sync */

void dns_drain(struct dns *d); /* sites with cleanup_on_stop are taken out of DNS first */
void dns_stop(struct dns *d);  /* ends at once */
#endif
