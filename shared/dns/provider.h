/* shared/dns/provider.h - what a DNS provider is to us: one row of the table in list.h, one small file beside it.
 *
 * How to write one (cloudflare.c is the model for records with ids, powerdns.c for whole sets):
 *  1. Facts first: its paragraph in the wire reference, its row's `can`, `keys`, min_ttl_s, max_ttl_s, min_interval_ms, url.
 *  2. authorize: adds the credential to every request (dns_header, or a signature over method, url and body).
 *  3. judge: status and reply to a class, where shared/dns/rest.h does not see it by the status alone.
 *  4. has_zone: is there a zone of exactly this name? Labels are stripped by dns_find_zone, not here. A provider that can
 *     answer "which zone is this name in" has find_zone instead.
 *  5. read: all values of one name and type; none is DNS_OK with n = 0, never an error. Copies TTL and `proxied`.
 *  6. Either write (DNS_RRSET: replaces the set by one call; want->n = 0 deletes it), or create, change and remove
 *     (DNS_RECORD: one value each; which ones, dns_write works out; no change: create and remove), or update (DNS_DYN; or
 *     besides, where the addresses of a zone's own name are told, as in dynv6.c).
 *  7. A line in list.h, a class of its own in tests/e2e/dns_sim/, a row in tests/e2e/test_dns_providers.py.
 * All are blocking and run on a job thread. They log nothing; dns_fail makes the text for a person, and takes secrets out.
 * Nothing is retried here: whoever asked knows what is due next. No value is kept between calls but in client->own. */
#ifndef SHARED_DNS_PROVIDER_H
#define SHARED_DNS_PROVIDER_H
#include "shared/dns/conf.h"
#include "shared/dns/rrset.h"

#include <jansson.h>

enum dns_class {
    DNS_OK,
    DNS_NOCHANGE,  /* it was so already */
    DNS_AUTH,      /* the credential is wrong: nothing more until the configuration changes */
    DNS_CONFIG,    /* no such zone or name, or not allowed: at most once a day */
    DNS_ABUSE,     /* the provider complains: a long pause, and a person is told */
    DNS_THROTTLED, /* too often: retry_after_ms, or else longer each time */
    DNS_TRANSIENT, /* network, TLS, 5xx, somebody changed it meanwhile: again, later each time */
    DNS_BADREPLY,  /* not understood: never a success, and tried again less often */
    DNS_STOPPED,   /* the job was cancelled */
};
const char *dns_class_text(enum dns_class class);

struct dns_why {
    struct err err;
    int64_t retry_after_ms; /* -1: nothing was said of it */
};

enum dns_kind { DNS_RRSET, DNS_RECORD, DNS_DYN };

enum dns_can {
    DNS_CAN_A = 1 << 0,
    DNS_CAN_AAAA = 1 << 1,
    DNS_CAN_TXT = 1 << 2,      /* dns-01; with DNS_CAN_SEVERAL beside values of others */
    DNS_CAN_WILDCARD = 1 << 3, /* *.NAME */
    DNS_CAN_CREATE = 1 << 4,   /* else the record has to be there */
    DNS_CAN_DELETE = 1 << 5,
    DNS_CAN_SEVERAL = 1 << 6, /* several values of one name and type */
    DNS_CAN_PROXY = 1 << 7,   /* `proxied` */
    DNS_CAN_ALIAS = 1 << 8,   /* has a type that read shows as DNS_TYPE_ALIAS */
    DNS_CAN_USUAL = 0x7f,     /* all up to SEVERAL */
};

struct dns_client;
struct dns_request; /* shared/dns/rest.h */

struct dns_provider {
    const char *type, *title; /* "cloudflare", "Cloudflare" */
    enum dns_kind kind;
    unsigned can;                     /* enum dns_can */
    unsigned keys, needs;             /* enum dns_key: taken, and of these needed */
    int64_t min_ttl_s, default_ttl_s; /* of a record we make; 0: TTLs are not ours to set */
    int64_t max_ttl_s;                /* 0: none that we know of */
    int64_t min_interval_ms;          /* between two requests with one credential */
    bool signs_time;        /* what its calls are signed for is good for a while: they wait for the clock */
    bool quotes_txt;        /* TXT values are sent in quotes: dns_value_text does it */
    const char *url;        /* base of all its URLs, without a / at the end; `url` overrides it */
    const char *credential; /* where to get the one with the least rights: for a person */
    const char *sample;     /* a [provider] section, without its first two lines (name and type) */
    const char *notes;      /* what else one has to know; or NULL */

    const char *(*conf_wrong)(
        const struct dns_conf *conf); /* NULL: well; else what is wrong, and the remedy. May be NULL */
    enum dns_class (*open)(struct dns_client *c, struct dns_why *why); /* once; may be NULL */
    void (*close)(struct dns_client *c);                               /* frees own; may be NULL */
    enum dns_class (*authorize)(struct dns_client *c, struct dns_request *request, struct dns_why *why);
    enum dns_class (*judge)(struct dns_client *c, int status, const json_t *reply, struct dns_why *why);
    /* zone->name stays "" when there is none of this name. */
    enum dns_class (*has_zone)(struct dns_client *c, const char *name, struct dns_zone *zone,
                               struct dns_why *why);
    enum dns_class (*find_zone)(struct dns_client *c, const char *name, struct dns_zone *zone,
                                struct dns_why *why);
    enum dns_class (*read)(struct dns_client *c, const struct dns_zone *zone, struct dns_rrset *set,
                           struct dns_why *why);
    enum dns_class (*write)(struct dns_client *c, const struct dns_zone *zone, const struct dns_rrset *have,
                            const struct dns_rrset *want, struct dns_why *why);
    /* The values are as they should be, and it is not known who made them so: DNS_NOCHANGE once they are published as well.
     * NULL where that is the same. */
    enum dns_class (*settle)(struct dns_client *c, const struct dns_zone *zone, struct dns_why *why);
    /* i: which value of the set. For change, the record is that of `id`, and set has the new value, TTL and flags. */
    enum dns_class (*create)(struct dns_client *c, const struct dns_zone *zone, const struct dns_rrset *set,
                             size_t i, struct dns_why *why);
    enum dns_class (*change)(struct dns_client *c, const struct dns_zone *zone, const char *id,
                             const struct dns_rrset *set, size_t i, struct dns_why *why);
    enum dns_class (*remove)(struct dns_client *c, const struct dns_zone *zone, const struct dns_rrset *set,
                             size_t i, struct dns_why *why);
    /* DNS_DYN: both families of a name by one call where that can be; NULL: that family is not ours. With another kind it is
     * for a zone's own name alone, whose addresses are no records there (dns_is_told), and "" takes one away. */
    enum dns_class (*update)(struct dns_client *c, const char *name, const char *v4, const char *v6,
                             struct dns_why *why);
    enum dns_class (*set_txt)(struct dns_client *c, const char *name, const char *value,
                              struct dns_why *why); /* NULL clears */
};

extern const struct dns_provider *const dns_providers[]; /* in the order of dns_types; NULL at the end */
#endif
