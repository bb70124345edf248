/* agent/carry/sites.h - what this agent serves: its domains and ports, the service of each, and how each one is doing.
 *
 * One for the whole agent, embedded there. All lanes borrow it; a reload changes what is in it, never where it is. */
#ifndef AGENT_CARRY_SITES_H
#define AGENT_CARRY_SITES_H
#include "agent/carry/service.h"
#include "agent/carry/traffic.h"
#include "agent/carry/trust.h"
#include "shared/arena.h"
#include "shared/dial.h"
#include "shared/lane_types.h"
#include "shared/opt.h"
#include "shared/proxy2.h"
#include "shared/str.h"

#include <jansson.h>
#include <stdbool.h>

enum site_claim { SITE_UNCLAIMED, SITE_ACCEPTED, SITE_REFUSED };

/* Where its visitors go, and what the last attempt to reach it has shown. */
struct site_service {
    const char *item;  /* the site's */
    const char *route; /* "" for the site's own, or the path of what goes to this one instead */
    const char *text;
    struct service at;
    enum lane_service state;
    int64_t since_s; /* Unix time since when it is so; 0: it has not been tried */
    char *detail;    /* why it is not well, and what to do; NULL: nothing to say */
};

struct site {
    const char *item; /* "domain:NAME" or "tcp:NAME", as in a claim */
    const char *const *aliases;
    size_t aliases_n;
    struct opt_words relays; /* who is told of it; none: all */
    struct opt_words left;   /* who was, and is no longer configured: visitors may still come by these */
    json_t *policy;          /* for visitors, as the claim has it; owned */
    struct site_service *services; /* its own first, and always */
    size_t services_n;
    enum site_claim claim;   /* what the relay said last */
    char *claim_why;         /* of a refusal; NULL: nothing to say */
    int64_t claim_since_s;   /* Unix time since when it says so; 0: it has said nothing */
    const char *listen;      /* of a port; NULL: it is no port */
    struct traffic *traffic; /* of a port */
};

struct sites {
    struct site *list;
    size_t n;
    int64_t serial; /* of the claim: from 1 on, one more whenever what is claimed, or a service, changes */
    struct dial_names names; /* of the services' machines */
    struct trust *trust;     /* for https:// services; borrowed; NULL where there can be none */
    void (*service_changed)(void *user, const struct site_service *service); /* NULL: tell nobody */
    /* What a relay (its name in our configuration) has said of addresses; NULL: tell nobody. */
    void (*welcomed)(void *user, const char *relay, const struct lane_msg *welcome);
    /* What a relay asks or tells about certificates; NULL: nobody listens. */
    void (*told)(void *user, const char *relay, const struct lane_msg *m);
    void *user;
    struct arena arena; /* holds the list and its texts, copied from the configuration */
};

void sites_init(struct sites *s, const struct opt_conf *conf);
/* One site alone: that of [relay NAME] with protocol = plain. Its item is "relay:NAME". */
void sites_init_plain(struct sites *s, const char *relay, const char *service);
/* Takes over the states of services that stay. True when what is claimed is another set, with another serial. */
bool sites_reload(struct sites *s, const struct opt_conf *conf);
void sites_free(struct sites *s);

/* What an attempt to reach a service has shown. */
void sites_note_service(struct sites *s, const char *item, const char *route, enum lane_service state,
                        const char *detail);

/* NULL when nothing is served by this name. */
struct site *sites_find(struct sites *s, struct str item);
/* NULL when the site has no such route. */
struct site_service *sites_service(const struct site *site, struct str route);
/* Whether visitors come to it by this relay. */
bool site_goes_by(const struct site *site, const char *relay);
/* The service that a stream of this relay is for; NULL: there is none, or it does not fit, and why says so. */
const struct site_service *sites_for(struct sites *s, const char *relay, const struct proxy2_use *use,
                                     const struct site **site, const char **why);
struct lane_msg site_service_msg(
    const struct site_service *service);        /* how it is doing, as a relay is told */
const char *site_name(const struct site *site); /* without "domain:" or "tcp:" */
/* What the relay has answered to the claim of it. why: "" when it was accepted. */
void site_note_claim(struct site *site, enum site_claim claim, const char *why);
/* domains[] and tcp[] of /v1/status. New references. */
json_t *sites_status(const struct sites *s);
json_t *sites_ports_status(const struct sites *s);
#endif
