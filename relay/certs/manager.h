/* relay/certs/manager.h - the certificates of all sites that come from authorities: who needs one, who is being served with
 * which, when it is renewed.
 *
 * An object of the control plane, alive on the loop from manager_start until `ended`. What is slow is done by jobs
 * (obtain.h), one at a time for each site. What is known of a site lies in the store; the disk decides after a restart. */
#ifndef RELAY_CERTS_MANAGER_H
#define RELAY_CERTS_MANAGER_H
#include "relay/certs/obtain.h"
#include "shared/http/server.h"
#include "shared/loop.h"

struct manager;

enum { MANAGER_JOBS = 8 }; /* at once */

/* Orders since the start, by what became of them. held: a name does not lead here, and nobody was asked. */
struct manager_counts {
    uint64_t issued, failed, held;
};

struct manager_events {
    void (*changed)(void *user); /* publish: a site has another certificate */
    void (*told)(void *user, const char *site,
                 const struct json_t *cert); /* cert {} of /v1/status has changed */
    void (*notice)(void *user, const char *agent, const char *level,
                   const char *text); /* for its own status */
    void (*ended)(void *user);        /* last */
};

struct manager_site {         /* as the configuration and the claims have it; borrowed for the call */
    const char *const *names; /* its own first */
    size_t names_n;
    const char *issuer; /* NAME of an [acme NAME]; NULL: any authority, in their order */
    const char *agent;  /* who claims it; NULL: nobody, it is in our own configuration */
    unsigned
        sites_max; /* how many the agent may have; what may be ordered for it in a day follows from that */
    bool wanted;   /* somebody serves it: a certificate is ordered when there is none */
    bool spare;    /* a wildcard that is worth one as soon as a site is served that it covers */
};

/* Borrows conf until manager_reload gives another, and help. Nothing is on disk before the first site asks. */
struct manager *manager_start(struct loop *loop, const struct opt_conf *conf, const char *state_dir,
                              const struct obtain_help *help, const struct manager_events *events,
                              void *user);
void manager_reload(struct manager *m, const struct opt_conf *conf);
void manager_stop(struct manager *m); /* orders that have begun are taken up by the next start */

/* While a snapshot is made: notes what the site needs, and gives its certificates, which may have expired. NULL: there are
 * none yet. The reference is the caller's. *trusted: browsers trust it, as far as we know. */
SSL_CTX *manager_context(struct manager *m, const struct manager_site *site, bool *trusted);
/* Forgets the sites that were not asked for since the last call; their certificates stay in the store. */
void manager_forget_unused(struct manager *m);

bool manager_has(const struct manager *m, const char *site);
/* The store, for those who bring certificates; NULL with the reason. */
struct store *manager_store(struct manager *m, struct err *e);
/* What lies in the store has become another thing. */
void manager_load_again(struct manager *m, const char *site);

const struct manager_counts *manager_counts(const struct manager *m);
/* cert {} of a domain in /v1/status; more of it for /v1/certs. New references. */
json_t *manager_status(const struct manager *m, const char *site);
json_t *manager_certs(const struct manager *m, const char *site);
/* POST /v1/certs/NAME/renew and revoke; the name is the request's. */
void manager_answer_renew(struct manager *m, const struct http_request *request, struct http_reply *reply);
void manager_answer_revoke(struct manager *m, const struct http_request *request, struct http_reply *reply);
/* POST /v1/certs/import (import.h). */
void manager_answer_import(struct manager *m, const struct http_request *request, struct http_reply *reply);
#endif
