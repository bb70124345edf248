/* relay/certs/managed.h - one site whose certificates come from authorities, for the files of the manager: its life is told in
 * manager_sites.c. */
#ifndef RELAY_CERTS_MANAGED_H
#define RELAY_CERTS_MANAGED_H
#include "relay/certs/manager.h"
#include "relay/certs/revoke.h"

struct manager_job;

enum manager_wildcard { WILDCARD_NONE, WILDCARD_DOES, WILDCARD_ENDS /* soon, and is not renewed */ };

/* One site. A text that may be missing is NULL. */
struct managed {
    struct managed *next;
    char **names;
    size_t names_n;
    char *issuer, *agent, *configured;
    unsigned sites_max;
    bool wanted, spare, used, loaded; /* loaded: the store could be read */
    enum manager_wildcard as_wildcard;
    bool covered;          /* by the certificate of a wildcard, which serves it or is about to */
    struct meta meta;      /* as it is on disk, or was when a job began */
    char *trouble;         /* why the disk cannot be read, or nothing can be counted: nothing is ordered */
    int64_t load_again_ms; /* while there is trouble */
    SSL_CTX *tls;
    unsigned tls_shown;      /* what is in tls (store_shown) */
    struct manager_job *job; /* NULL: there is none */
    bool revokes;            /* a person waits for it to be revoked */
    enum revoke_reason reason;
    bool came;                /* while the relay runs: what it failed for before may be mended */
    bool forced;              /* a person waits for another one */
    struct http_later *asked; /* who gets the answer; NULL: nobody */
    int64_t look_again_ms;    /* held by the preflight, or by our own disk; 0: not held */
    struct kept kept;         /* issued, and not on disk */
    char *disk;               /* why the last job could not do its work: our own disk; NULL: it could */
    bool to_deploy;
    char *undeployed; /* why deploy_hook did not end well, since when; NULL: it did */
    int64_t undeployed_since;
    char *seen;          /* what it has seen */
    char *warning;       /* and what was odd, last time */
    int here;            /* how many names lead here while tries fail; -1: not looked at */
    int64_t look_out_ms; /* when names that were left out are looked at again */
    time_t shouted;
    time_t wrong_since; /* what manager_last_error says; 0: nothing */
    json_t *told;
    const char *told_state; /* its state when it was told; a constant, or NULL */
};

struct managed *manager_find(const struct manager *m, const char *site);
/* One that no snapshot asks for any more, and whose job has not ended yet. */
struct managed *manager_find_gone(const struct manager *m, const char *site);
/* Somebody serves it, or what it covers. */
bool manager_wants(const struct manager *m, const struct managed *d);
/* Whose certificate it shows: its own, or a wildcard's. */
const struct managed *manager_shown(const struct manager *m, const struct managed *d);
struct due_site manager_due(const struct manager *m, const struct managed *d);
void manager_set_configured(struct manager *m, struct managed *d);
void manager_load(struct manager *m, struct managed *d); /* from the store */
/* Those in trouble: the disk may have been mended. True when there is something to publish. */
bool manager_load_troubled(struct manager *m);
void manager_show(struct manager *m, struct managed *d); /* the certificates that it has */
/* Again, when one of them has ended or was revoked, and the other one is good. True when there is something to publish. */
bool manager_show_good(struct manager *m, struct managed *d, time_t now);
/* What it covers may be served with it now, or has to have its own. */
bool manager_wildcard_changed(struct managed *d, time_t now);
void manager_free_site(struct managed *d);
void manager_free_gone(struct manager *m); /* whose job has ended */
#endif
