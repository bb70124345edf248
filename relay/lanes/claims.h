/* relay/lanes/claims.h - who serves which name: what each agent may claim, and what it has claimed. Pure.
 *
 * An object. An agent's last complete claim stays when its lanes go: its sites are then expected, not unknown. */
#ifndef RELAY_LANES_CLAIMS_H
#define RELAY_LANES_CLAIMS_H
#include "relay/lanes/roster.h"
#include "shared/lane_msg.h"
#include "shared/port_policy.h"

struct claims;

struct claims *claims_new(void);
void claims_free(struct claims *c); /* NULL is fine */

/* Which agents there are, and the names each may serve. What one claims beyond them is dropped, and so is what a
 * [domain] has an upstream for. */
void claims_follow(struct claims *c, const struct opt_conf *conf, const struct roster *roster);
/* Who opens the ports of accepted items: while names are settled `want` is asked of each, and then `settled` is called.
 * want: false, and why it cannot be had. Borrowed; NULL, as at first: every port can be had. */
struct claims_ports {
    bool (*want)(void *user, const struct opt_address *at, char *why, size_t room);
    void (*settled)(void *user);
    void *user;
};
void claims_set_ports(struct claims *c, const struct claims_ports *ports);
/* True when a port could not be had that an agent may have: it can be tried again. */
bool claims_lack_ports(const struct claims *c);
void claims_try_ports(struct claims *c);
bool claims_knows(const struct claims *c, const char *agent);
bool claims_has(const struct claims *c, const char *agent); /* a claim of it: now, or from before a restart */
int64_t claims_serial(const struct claims *c, const char *agent); /* of its claim in force; 0: it has none */

/* Takes one part of a claim. When that was the last one of the claim that is now in force, `answer` is the `claimed` to
 * send, valid until the next call; otherwise, and for what a higher serial of this boot has overtaken, it is of type
 * LANE_UNKNOWN. ERR_LIMIT: more than we keep of this agent. */
must_check int claims_take(struct claims *c, const char *agent, const char *boot, const struct lane_msg *part,
                           struct lane_msg *answer, struct err *e);

/* The same for a machine whose claims do not count, because a newer one has the same key: what is in force. */
bool claims_echo(struct claims *c, const char *agent, const struct lane_msg *part, struct lane_msg *answer);

/* Who gets or loses a name otherwise than by a claim of its own is to be told: call it after claims_follow and
 * claims_take until it says false. `answer` is the `claimed` to send to *agent, both valid until the next call. */
bool claims_untold(struct claims *c, const char **agent, struct lane_msg *answer);

/* A machine says how a service of its agent's claim is doing. False when that is no news. */
bool claims_note_service(struct claims *c, const char *agent, const char *boot, const struct lane_msg *said,
                         int64_t now_s);
/* It has no lane any more: what it said of its services is forgotten. */
void claims_boot_gone(struct claims *c, const char *agent, const char *boot);

/* What an agent had claimed before this relay was started, until it claims anew; nothing where it has. Then
 * claims_remembered, once. */
void claims_remember(struct claims *c, const char *agent, const char *name, const struct lane_item *item);
void claims_remember_port(struct claims *c, const char *agent, const char *name, json_t *policy);
void claims_remembered(struct claims *c);

struct claims_agent {
    const char *name;
    const char *const *aliases; /* of its own claim, as its policy */
    size_t aliases_n;
    json_t *policy;
    int64_t priority;         /* with share = standby; otherwise 0 */
    bool claimed, remembered; /* neither: it only may serve it */
    const struct item *item;
};
struct claims_site {
    const char *name;
    const struct claims_agent
        *agents; /* who serve it, or may: at least one, and who had it first comes first */
    size_t agents_n;
    const char *const *aliases; /* of all of them */
    size_t aliases_n;
    json_t *policy;            /* that is asked for; NULL: none */
    bool claimed, remembered;  /* neither: by configuration alone */
    enum lane_service service; /* what was said of it */
    int64_t service_since_s;   /* 0: nothing was */
};
/* Sites in order of their names: i from 0. False at the end. */
bool claims_site(const struct claims *c, size_t i, struct claims_site *site);

/* An item tcp:NAME of some agent's. */
struct claims_port {
    const char *name, *agent; /* name: of the item, without "tcp:" */
    const char *item;
    json_t *policy;
    const struct port_policy *port; /* NULL: what it asks for cannot be understood */
    const char *why;                /* "": accepted */
    bool remembered;                /* from before this relay was started */
    enum lane_service service;      /* what was said of it last */
    struct claims_agent of;         /* for claims_down */
};
/* All of them, i from 0. False at the end. */
bool claims_port(const struct claims *c, size_t i, struct claims_port *port);
/* Which services of it are down, as this machine of the agent has said: i from 0. *route is "" for the site's own
 * service. False at the end. */
bool claims_down(const struct claims_agent *agent, const char *boot, size_t i, const char **route,
                 enum lane_service *how);
#endif
