/* relay/certs/preflight.h - does a name lead here? Looked at before its first order, so that a CA does not count failures for what
 * a look would have shown. Blocking: for job threads.
 *
 * A nonce that this relay shows is asked for at the addresses that the public finds for the name, by an agent that serves it:
 * from the house a closed firewall of the cloud shows, which this relay cannot see by calling itself. The nonce alone
 * decides; what else looks odd is a warning. Where no agent can look this relay does, at public addresses and its own alone. */
#ifndef RELAY_CERTS_PREFLIGHT_H
#define RELAY_CERTS_PREFLIGHT_H
#include "relay/certs/challenge.h"
#include "relay/certs/ways.h"
#include "relay/lanes/errands.h"
#include "shared/dns/lookup.h"
#include "shared/err.h"
#include "shared/job.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum {
    PREFLIGHT_WARNING_BYTES = 600,
    PREFLIGHT_SEE_MORE_MS = 65 * 1000 /* so long preflight_see may take beyond its patience, lookups apart */
};

struct preflight_ask {                               /* all borrowed meanwhile */
    const char *name;                                /* a host name, or *.NAME, or an address */
    enum challenge_type challenges[CHALLENGE_TYPES]; /* as the order tries them */
    size_t challenges_n;
    bool
        has_provider; /* dns-01 goes by a [provider] of this relay, so that it may do where nothing else does */
    const struct lookup *resolvers;
    const char *const *publish; /* addresses of this relay; one that differs is a warning */
    size_t publish_n;
    const char *const *caa; /* names of the CA in CAA records (meta.caaIdentities); n 0: not looked at */
    size_t caa_n;
    struct ways *ways;
    struct errands *errands;
    struct job *job;
};

struct preflight_result {
    char agent[ERRANDS_AGENT_BYTES];       /* who has looked; "": this relay itself */
    char warning[PREFLIGHT_WARNING_BYTES]; /* for the status; "": nothing is odd */
};

/* 0: the nonce came back where one of the challenges would be looked at, or dns-01 needs no such place. -1 with what was seen, and
 * what to do: ERR_MISSING the name has no address, ERR_PEER it leads elsewhere or is closed, ERR_STOPPED; anything else: it
 * could not be found out. */
must_check int preflight_run(const struct preflight_ask *ask, struct preflight_result *result, struct err *e);
/* For a person who wants to know where each address of the name leads, on each of these ports: {error, late, looks: [{address,
 * port, ok, by, why}]}, a new reference. by: the agent that has looked; "": this relay itself. What `ask` says of challenges and CAA
 * does not matter. late: not all of them were looked at within patience_ms. */
json_t *preflight_see(const struct preflight_ask *ask, const unsigned *ports, size_t ports_n,
                      int64_t patience_ms);
#endif
