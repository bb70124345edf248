/* shared/dns/client.h - one [provider] section at work: its credential, its pace, and what can be asked of it.
 *
 * An object, used by one thread at a time; blocking, for job threads. Every call returns a class, and for all but DNS_OK
 * and DNS_NOCHANGE why->err says what failed and what to do, without any secret in it. */
#ifndef SHARED_DNS_CLIENT_H
#define SHARED_DNS_CLIENT_H
#include "shared/dns/provider.h"
#include "shared/job.h"
#include "shared/secret.h"

struct dns_client {
    const struct dns_provider *provider;
    struct dns_conf conf; /* its texts are ours */
    const char *base;     /* of all URLs: conf.url, or the provider's own; without a / at its end */
    struct secret token, key, secret, password;
    struct job *job;     /* whose cancellation ends a call; NULL: nothing does */
    int status;          /* HTTP status of the last reply; 0 when there was none */
    uint64_t next_at_ms; /* monotonic: no request before */
    uint64_t
        closed_until_ms; /* monotonic: the provider's own rate headers say that nothing is left until then */
    uint64_t requests;   /* so far */
    struct dns_zones *zones; /* found lately */
    bool zone_missing;       /* the last reply said that there is no zone of the id that was asked for */
    bool clock_missing;      /* the last call was not made, as this machine's clock is not set yet */
    bool opened;
    void *own; /* the provider's, see its open and close */
};

/* Copies conf. Secrets are read at the first call, so that a missing one is an answer like others. */
struct dns_client *dns_client_new(const struct dns_conf *conf);
void dns_client_free(struct dns_client *c);

/* The zone that the name is in, by asking, never by counting labels; or conf.zone. DNS_CONFIG when there is none. */
enum dns_class dns_find_zone(struct dns_client *c, const char *name, struct dns_zone *zone,
                             struct dns_why *why);
/* Zones found lately are asked for anew: one of them has been made anew, with another id. */
void dns_forget_zones(struct dns_client *c);
/* All values of set's name and type; the set is initialized before. */
enum dns_class dns_read(struct dns_client *c, const struct dns_zone *zone, struct dns_rrset *set,
                        struct dns_why *why);
/* From what was just read to what is wanted: the same name and type. TTL and flags of what is there stay where `want` says
 * -1. DNS_NOCHANGE when there is nothing to do. want->n = 0 deletes all that was read. */
enum dns_class dns_write(struct dns_client *c, const struct dns_zone *zone, const struct dns_rrset *have,
                         const struct dns_rrset *want, struct dns_why *why);
/* True for the addresses that a provider of records is told by `update`: those of a zone's own name, one of each family. */
bool dns_is_told(const struct dns_provider *p, const char *zone, const char *name, enum dns_type type);
/* DNS_DYN, and what dns_is_told. */
enum dns_class dns_update(struct dns_client *c, const char *name, const char *v4, const char *v6,
                          struct dns_why *why);
/* One value of a TXT set among others: read, merged, written. For every kind with DNS_CAN_TXT; zone may be NULL for DNS_DYN. */
enum dns_class dns_txt_add(struct dns_client *c, const struct dns_zone *zone, const char *name,
                           const char *value, struct dns_why *why);
enum dns_class dns_txt_remove(struct dns_client *c, const struct dns_zone *zone, const char *name,
                              const char *value, struct dns_why *why);

/* ---- for providers ---- */

/* Sets the text, with secrets taken out, and returns the class. retry_after_ms stays as it is. */
enum dns_class dns_fail(struct dns_client *c, struct dns_why *why, enum dns_class class, const char *fmt, ...)
    printf_like(4, 5);
/* Waits until the next request may go out. DNS_OK, or DNS_THROTTLED when that is far away, or DNS_STOPPED. */
enum dns_class dns_pace(struct dns_client *c, struct dns_why *why);
/* False while the clock is obviously not set. */
bool dns_clock_is_set(void);
/* DNS_OK; or, while it is not set, DNS_TRANSIENT, for calls that are signed or go by TLS. */
enum dns_class dns_need_clock(struct dns_client *c, struct dns_why *why);
/* The i-th value as this provider wants it (TXT in quotes or not), in out, which is emptied before. */
const char *dns_value_text(const struct dns_client *c, const struct dns_rrset *set, size_t i,
                           struct buf *out);
/* The TTL to send for a set that is to be made or replaced. */
int64_t dns_ttl(const struct dns_client *c, const struct dns_rrset *set);
#endif
