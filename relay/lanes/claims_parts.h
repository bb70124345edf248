/* relay/lanes/claims_parts.h - what claims.c, names.c and sites.c share: what each agent claims, and what came of it. */
#ifndef RELAY_LANES_CLAIMS_PARTS_H
#define RELAY_LANES_CLAIMS_PARTS_H
#include "relay/lanes/claims.h"
#include "shared/arena.h"
#include "shared/policy.h"

/* Several machines may run one agent, and each has services of its own. */
struct said {
    char boot[65], *route;
    enum lane_service state;
    int64_t since_s;
};

struct item {
    char *item;               /* as it was claimed */
    const char *name;         /* its part behind "domain:"; NULL: it is no domain */
    const char *tcp;          /* or behind "tcp:"; NULL: it is no port */
    struct port_policy *port; /* what it asks for; NULL: that cannot be understood */
    struct arena port_texts;
    char **aliases;
    size_t aliases_n;
    json_t *policy;          /* NULL: nothing is asked for */
    enum policy_share share; /* what holds: the relay's own [domain] wins */
    int64_t priority;        /* likewise */
    struct said *said;       /* of its services */
    size_t said_n;
    char why[256];       /* "": accepted */
    uint64_t since;      /* the earlier it was accepted the lower; 0: it is not */
    struct item *with;   /* of an accepted one: the next that serves the same name; NULL: no further one */
    struct agent *agent; /* set while names are settled */
    int turn;            /* likewise */
    const char *before;  /* likewise: what why was */
};

struct items {
    struct item *list;
    size_t n, bytes;
};

struct agent {
    struct agent *next;
    char name[33], boot[65];
    char **patterns;
    size_t patterns_n;
    char **tcp_ports; /* words of port_list.h */
    size_t tcp_ports_n;
    bool enrolled; /* it has no section of its own */
    int64_t max_domains;
    int64_t serial;                     /* of `now`, of this boot; 0: not yet */
    int64_t coming_serial, coming_part; /* of `coming`: the last part seen */
    struct items now, coming;
    bool untold;     /* its answers are others than those it has been told */
    bool kept;       /* while following a configuration */
    bool remembered; /* `now` is from before this relay was started */
};

struct rule { /* of a [domain] in relay.ini; -1: it says nothing of it */
    char *name;
    int share;
    int64_t priority;
};

struct claims {
    struct agent *agents;
    char **own; /* names of the sites that relay.ini gives an upstream, and their aliases */
    size_t own_n;
    struct rule *rules;
    size_t rules_n;
    uint64_t accepted; /* counts up, for `since` */
    struct claims_site
        *sites; /* sorted by name; their texts belong to the agents, their lists to the arena */
    size_t sites_n;
    struct arena listed;
    struct lane_answer *answers;
    const struct claims_ports *ports;
    bool lacks_ports;
};

/* names.c */
void names_follow(struct claims *c, const struct opt_conf *conf);
bool names_is_own(const struct claims *c, const char *name);
/* Decides anew who gets which name. Who has a name keeps it. Then comes who claims just now (NULL: nobody), then whoever
 * has waited for one. */
void names_settle(struct claims *c, const struct agent *claimer);
void names_free(struct claims *c);

/* ports_claimed.c */
void ports_read(struct item *it); /* an item that has just been claimed */
void ports_unread(struct item *it);
bool ports_check(const struct agent *a, struct item *it); /* sets why */
/* The items before it in the list have been admitted, or have a why. */
void ports_admit(struct claims *c, struct item *const *list, size_t i);

/* sites.c */
void sites_list(struct claims *c);
void sites_free(struct claims *c);
#endif
