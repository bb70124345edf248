/* shared/dns/rrset.h - a DNS name's values of one type, and the zone it is in. Pure.
 *
 * Texts are canonical whatever the provider wrote: addresses as inet_ntop has them, TXT without quotes, names of CNAME
 * and ALIAS in lower case without a trailing dot. */
#ifndef SHARED_DNS_RRSET_H
#define SHARED_DNS_RRSET_H
#include "shared/buf.h"
#include "shared/domain.h"
#include "shared/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DNS_ID_BYTES = 128, DNS_VALUES = 64 };

/* ALIAS stands for whatever a provider calls a CNAME that may be at the apex. */
enum dns_type { DNS_TYPE_A, DNS_TYPE_AAAA, DNS_TYPE_TXT, DNS_TYPE_CNAME, DNS_TYPE_ALIAS };
const char *dns_type_text(enum dns_type type);

struct dns_zone {
    char name[DOMAIN_BYTES]; /* the apex, without a trailing dot */
    char id[DNS_ID_BYTES];   /* as the provider calls it in URLs; "" where the name is enough */
};

struct dns_value {
    char *text;
    char id[DNS_ID_BYTES]; /* of the record that holds it, where records have one; else "" */
};

struct dns_rrset {
    char name[DOMAIN_BYTES]; /* the whole name, without a trailing dot; *.NAME for a wildcard */
    enum dns_type type;
    int64_t ttl_s; /* -1: not known; in what is wanted: what is there stays, and a new one gets the default */
    int proxied;   /* 1, 0, or -1 in the same sense; means something only with DNS_CAN_PROXY */
    struct dns_value *values;
    size_t n;
};

void dns_rrset_init(struct dns_rrset *set, const char *name, enum dns_type type);
void dns_rrset_free(struct dns_rrset *set);                              /* leaves one without values */
void dns_rrset_copy(struct dns_rrset *to, const struct dns_rrset *from); /* to is not initialized before */
/* One value more, made canonical; a value that is there already is not added twice. False when it is none of this type,
 * or there are DNS_VALUES already, or the id is not one that fits into a URL as it is. id may be NULL. */
must_check bool dns_rrset_add(struct dns_rrset *set, struct str text, const char *id);
/* The same for servers that write the targets of CNAME and ALIAS as zone files do: "@" is the zone, and a name without a dot
 * at its end is relative to it. */
must_check bool dns_rrset_add_target(struct dns_rrset *set, const struct dns_zone *zone, const char *text,
                                     const char *id);
void dns_rrset_drop(struct dns_rrset *set, const char *text);            /* text is none of the set's own */
void dns_rrset_prune(struct dns_rrset *set, const struct dns_rrset *to); /* drops what `to` has not */
bool dns_rrset_has(const struct dns_rrset *set, const char *text);
bool dns_rrset_same(const struct dns_rrset *a, const struct dns_rrset *b); /* the same values, in any order */

/* Takes a zone's name and id as a server said them. False when one of them cannot be used. */
must_check bool dns_zone_set(struct dns_zone *zone, struct str name, const char *id);
/* True when the name is the zone's apex or below it. */
bool dns_zone_has(const struct dns_zone *zone, const char *name);
/* The name relative to the zone, and `apex` ("@", "") for the zone itself. */
void dns_relative(const struct dns_zone *zone, const char *name, const char *apex, char out[DOMAIN_BYTES]);

/* A TXT value in quotes, in pieces of 255 bytes: "…" "…". */
void dns_txt_quote(struct buf *out, const char *text);
/* Whether a server's text is this name: letters of either case, with or without the dot at its end, \052 for *. */
bool dns_same_name(const char *theirs, const char *name);
#endif
