/* relay/lanes/roster.h - which agents may connect: those of the configuration, and those that enrolled.
 *
 * A value. The configuration wins: an enrolled agent whose name or key stands there as well is left out. */
#ifndef RELAY_LANES_ROSTER_H
#define RELAY_LANES_ROSTER_H
#include "relay/lanes/invites.h"
#include "relay/options.h"
#include "shared/buf.h"
#include "shared/ssh_key.h"

struct roster_agent {
    const char *name, *origin; /* origin: "relay.ini:12", or the state file */
    char key[SSH_KEY_LINE_BYTES];
    struct opt_words domains, tcp_ports;
    int64_t instances, max_domains;
    time_t since; /* 0: of the configuration */
};

struct roster {
    struct roster_agent *list;
    size_t n;
    struct arena texts;
};

/* Copies what belongs to invites, which may be NULL; borrows from conf. */
void roster_init(struct roster *r, const struct opt_conf *conf, const struct invites *invites);
void roster_free(struct roster *r);
const struct roster_agent *roster_find(const struct roster *r, const char *name); /* or NULL */
const struct roster_agent *roster_find_key(const struct roster *r, const char *key);
/* Why an agent's lanes are to end, now that others may connect than before; NULL: they are not. */
const char *roster_end_reason(const struct roster *before, const struct roster *now, const char *agent);
/* For --dump: the enrolled ones, as [agent NAME] sections with the state file as their origin. */
void roster_add_dump(struct buf *out, const struct opt_conf *conf);
#endif
