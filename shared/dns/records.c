#include "shared/dns/records.h"

enum { GONE = -1 };

/* Which value of the other set is the same; GONE when none is. A value twice there is matched once. */
static void match(const struct dns_rrset *have, const struct dns_rrset *want, int have_is[DNS_VALUES],
                  int want_is[DNS_VALUES])
{
    for (size_t i = 0; i < have->n; i++)
        have_is[i] = GONE;
    for (size_t j = 0; j < want->n; j++) {
        want_is[j] = GONE;
        for (size_t i = 0; i < have->n && want_is[j] == GONE; i++)
            if (have_is[i] == GONE && dns_rrset_has(&(struct dns_rrset){ .values = &have->values[i], .n = 1 },
                                                    want->values[j].text)) {
                have_is[i] = (int)j;
                want_is[j] = (int)i;
            }
    }
}

/* A record that goes, and takes the place of one that comes. */
static int next_gone(const struct dns_rrset *have, const int have_is[DNS_VALUES])
{
    for (size_t i = 0; i < have->n; i++)
        if (have_is[i] == GONE)
            return (int)i;
    return GONE;
}

static bool flags_differ(const struct dns_client *c, const struct dns_rrset *have,
                         const struct dns_rrset *want)
{
    return (c->provider->min_ttl_s > 0 && want->ttl_s != have->ttl_s && have->proxied != 1) ||
           ((c->provider->can & DNS_CAN_PROXY) && want->proxied != have->proxied);
}

enum dns_class dns_write_records(struct dns_client *c, const struct dns_zone *zone,
                                 const struct dns_rrset *have, const struct dns_rrset *want,
                                 struct dns_why *why)
{
    const struct dns_provider *p = c->provider;
    int have_is[DNS_VALUES] = { 0 }, want_is[DNS_VALUES] = { 0 };
    enum dns_class class = DNS_OK;

    match(have, want, have_is, want_is);
    for (size_t j = 0; j < want->n && class == DNS_OK; j++) {
        int i = want_is[j] == GONE && p->change ? next_gone(have, have_is) : want_is[j];

        if (want_is[j] != GONE && (!flags_differ(c, have, want) || !p->change))
            continue;
        if (i == GONE) {
            class = p->create(c, zone, want, j, why);
        } else {
            class = p->change(c, zone, have->values[i].id, want, j, why);
            have_is[i] = (int)j;
        }
    }
    for (size_t i = 0; i < have->n && class == DNS_OK; i++)
        if (have_is[i] == GONE)
            class = p->remove(c, zone, have, i, why);
    return class;
}
