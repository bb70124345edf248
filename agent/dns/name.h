/* agent/dns/name.h - one host name in DNS: what should be there, what is, and what of it is ours.
 *
 * An object. The loop's thread owns it; a job works on a copy, of which name_learn takes over what it has found out. */
#ifndef AGENT_DNS_NAME_H
#define AGENT_DNS_NAME_H
#include "shared/dns/client.h"
#include "shared/retry.h"

#include <jansson.h>

enum name_state { NAME_OK, NAME_UPDATING, NAME_WAITING, NAME_FAILED, NAME_MANUAL, NAME_FOREIGN };
enum { NAME_V4, NAME_V6, NAME_FAMILIES };
enum { NAME_WHY_BYTES = 400, NAME_LABEL_BYTES = 40 };

struct name_family {
    bool managed;          /* the site's `families` has it */
    bool known;            /* want is known; else why says what it waits for */
    struct dns_rrset want; /* no values: there shall be none */
    size_t left_out;       /* addresses that are not in want, because the provider keeps one of a name */
    char held
        [NAME_LABEL_BYTES]; /* the relay whose addresses are not in want until it has a certificate; "": none */
    char why[NAME_WHY_BYTES]; /* of WAITING, FAILED, FOREIGN */
    bool seen;                /* have is what the provider had when it was asked or told last */
    struct dns_rrset have;
    struct dns_rrset made; /* values that we put there */
    bool created;          /* and nothing was there before */
    struct dns_rrset
        tried; /* want of the last attempt: while it stays, what is foreign is left alone till the next check */
    enum name_state state;
    int64_t failing_since_s;   /* since when it is not NAME_OK; 0: it is */
    int64_t changed_s;         /* when we changed it last; 0: never */
    struct dns_rrset replaced; /* what was there before that */
};

struct dns_name {
    char name[DOMAIN_BYTES], site[DOMAIN_BYTES],
        account[NAME_LABEL_BYTES]; /* account: [provider] name, or "manual" */
    bool owner_txt, cleanup;
    bool gone; /* no longer configured: what we made is to be deleted */
    bool kept; /* gone, but its site is there, without a provider: what we made stays, and is the user's */
    unsigned asked; /* jobs that have a copy of it: what they make of it is yet to be learnt */
    bool forced;    /* ask and tell the provider now, whatever we believe */
    int64_t told_s; /* when a service that cannot be asked was told last; 0: never */
    char zone[DOMAIN_BYTES], zone_id[DNS_ID_BYTES]; /* "": not asked for yet */
    struct name_family families[NAME_FAMILIES];
    enum dns_class trouble; /* DNS_OK, or what the last attempt ended with */
    int64_t retry_after_ms; /* of that attempt; -1: nothing was said */
    int64_t
        hold_until_s; /* not asked again before that; 0: no hold. Kept over restarts when it is DNS_CONFIG */
    uint64_t check_at_ms; /* monotonic: when it is asked again, although nothing has changed */
    struct retry retry;
    struct dns_rrset public[NAME_FAMILIES]; /* what everybody sees */
    int64_t public_s;                       /* when that was asked; 0: never */
};

struct dns_name *name_new(const char *name, const char *site, const char *account);
void name_free(struct dns_name *n);
struct dns_name *name_copy(const struct dns_name *n);
/* Takes over what a job has found out: zone, have, made, state, trouble. Of a name, or a family of it, that went away meanwhile,
 * what was made is to be deleted from then on. */
void name_learn(struct dns_name *n, const struct dns_name *copy);
/* A zone's own name may hold one address of each family where names below it hold several: the first of each stays wanted. To
 * be called when either the zone or what is wanted has been learnt. */
void name_fit(struct dns_name *n, const struct dns_provider *p);
bool name_differs(const struct dns_name *n,
                  const struct dns_provider *p); /* a family is to be changed, or was never seen */
bool name_was_tried(const struct dns_name *n);   /* what is wanted is what the last attempt was for */
/* One without a provider: NAME_OK when the public sees what is wanted, else NAME_MANUAL, and why says what to set. */
void name_judge_manual(struct dns_name *n);
bool name_is_ours(const struct dns_name *n); /* something of it is there that we made */
/* It is no longer configured, or this family of it: what we made, and made alone, is to be deleted, unless it is kept. */
void name_leave_family(struct name_family *f);
void name_take_leave(struct dns_name *n);
/* What is there now, as far as we know: at the provider, or in public where there is none. */
const struct dns_rrset *name_there(const struct dns_name *n, int family);
/* Its provider is not asked, for this reason: what was to be changed is not about to be. */
void name_refused(struct dns_name *n, const char *why);
/* To be told after whatever may have changed a state. */
void name_note_time(struct dns_name *n, int64_t now_s);
const char *name_state_text(enum name_state state);

/* One of names[] in the state file, and back; NULL when it is not of that shape. */
json_t *name_to_json(const struct dns_name *n);
struct dns_name *name_of_json(const json_t *json);
/* Adds its records to records[] of the status. check_s: the wall clock's time of check_at_ms. */
void name_add_status(const struct dns_name *n, int64_t check_s, json_t *records);
json_t *name_values(const struct dns_rrset *set); /* a new reference */
#endif
