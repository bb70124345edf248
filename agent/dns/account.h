/* agent/dns/account.h - one [provider NAME] of the configuration: which of its names are due, when, and how it is doing.
 *
 * Alive on the loop from account_start until it calls `ended`, once, last, after account_stop. It runs one job at a time, and
 * accounts know nothing of each other: trouble with one provider delays nobody else's names. */
#ifndef AGENT_DNS_ACCOUNT_H
#define AGENT_DNS_ACCOUNT_H
#include "agent/dns/name.h"
#include "shared/loop.h"

struct account;

/* All names there are, of every account; owned by the part above. */
struct names {
    struct dns_name **list;
    size_t n;
};

struct account_events {
    /* A name has been looked at. `before`: what it was. Also for one that is gone. */
    void (*looked)(void *user, struct dns_name *now, const struct dns_name *before);
    void (*settled)(void *user,
                    struct account *a); /* a job is over: save what is known, and free what is gone */
    void (*ended)(void *user, struct account *a); /* last */
};

/* Copies conf; borrows names, events and user until `ended`. `agent`: our own name, for owner_txt. */
struct account *account_start(struct loop *loop, const char *name, const struct dns_conf *conf,
                              const char *agent, struct names *names, const struct account_events *events,
                              void *user);
void account_stop(struct account *a);
const char *account_name(const struct account *a);
const struct dns_provider *account_provider(const struct account *a);
/* True when it was started with these very values, and its secret files are the same: a reload leaves it alone. */
bool account_follows(const struct account *a, const struct dns_conf *conf, const char *agent);

void account_look(struct account *a); /* names, or what is wanted of them, are others: see what is due */
/* The same, and an outage is not waited for any longer; a refusal of the account and its own rate limit are kept to. */
void account_force(struct account *a);
const char *account_refused(const struct account *a); /* NULL; or why it is not asked at the moment */
bool account_idle(const struct account *a);           /* nothing is due now, and no job runs */
bool account_works(const struct account *a);          /* a job runs */

/* What would be done to all its names (of one site, or NULL for all). `planned` gets two arrays, which it takes: that, and
 * texts of what went wrong. Waits for a job that runs. */
void account_plan(struct account *a, const char *site,
                  void (*planned)(void *user, json_t *plan, json_t *errors), void *user);

/* Its part of the state file, and of /v1/dns. New references. */
json_t *account_to_json(const struct account *a); /* NULL: nothing to remember */
void account_of_json(struct account *a, const json_t *json);
json_t *account_status(const struct account *a);
/* The wall clock's time at which a name is looked at again; 0: not planned. */
int64_t account_next_s(const struct account *a, const struct dns_name *n);
#endif
