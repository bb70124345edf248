/* relay/lanes/invites.h - STATE_DIR/agents.json: invitations that are open, and the agents that came by one.
 *
 * An object. Every change is on disk (0600, whole) before it is in memory; when it cannot be written, nothing has
 * changed. Of an invitation's one-time key only the public half is here. */
#ifndef RELAY_LANES_INVITES_H
#define RELAY_LANES_INVITES_H
#include "shared/err.h"
#include "shared/str.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

enum { INVITES_DOMAINS = 100, INVITES_OPEN = 1000 };

/* Either is borrowed until the next change. */
struct invite {
    const char *id, *name, *key; /* key: the one-time one, as ssh_key_parse writes it */
    const json_t *domains;
    time_t expires;
};
struct enrolled {
    const char *id, *name, *key; /* id: of the invitation it came by */
    const json_t *domains;
    time_t since;
};

struct invites;

/* Reads what is there. NULL when it cannot be read, or is not what we write. */
struct invites *invites_load(const char *state_dir, struct err *e);
void invites_free(struct invites *inv); /* NULL is fine */
const char *invites_path(const struct invites *inv);

bool invites_open(const struct invites *inv, size_t i, struct invite *invite); /* false at the end */
bool invites_enrolled(const struct invites *inv, size_t i, struct enrolled *agent);
/* By id, and not over yet. */
bool invites_find(const struct invites *inv, const char *id, time_t now, struct invite *invite);
bool invites_find_enrolled(const struct invites *inv, const char *name, struct enrolled *agent);

/* Takes the place of an open one with the same name. */
must_check int invites_add(struct invites *inv, const struct invite *invite, struct err *e);
/* The invitation becomes an agent with this key; it is dead from then on. */
must_check int invites_use(struct invites *inv, const char *id, const char *key, time_t now, struct err *e);
/* Takes away an agent or an invitation, or both. ERR_MISSING: there is neither. */
must_check int invites_remove(struct invites *inv, const char *name, struct err *e);
/* Takes away what is over. True when that was anything. */
bool invites_expire(struct invites *inv, time_t now);

/* A list of domains as it came from outside: a new reference, or NULL with what is wrong. */
json_t *invites_domains(const json_t *list, struct err *e);
#endif
