/* agent/dns/wanted.h - which names there should be in DNS, and with which addresses: from the configuration, the relays' own
 * addresses and the house's. Pure. */
#ifndef AGENT_DNS_WANTED_H
#define AGENT_DNS_WANTED_H
#include "agent/certs/told.h"
#include "agent/dns/account.h"
#include "agent/dns/address.h"
#include "agent/options.h"

/* A relay of the configuration, as far as DNS is concerned. */
struct wanted_relay {
    char name[NAME_LABEL_BYTES];
    bool known; /* it has said what to publish, now or before a restart */
    bool up;
    int64_t since_ms; /* monotonic: since when it is up, or is not */
    struct dns_rrset publish[NAME_FAMILIES];
};

struct wanted {
    const struct opt_conf *conf;
    const struct wanted_relay *relays;
    size_t relays_n;
    const struct address_view *house;
    int64_t now_ms;
    /* NULL for "manual", and for a section that is not there. */
    const struct dns_provider *(*provider_of)(void *user, const char *account);
    /* Whether a relay has a certificate for a site; NULL: nobody knows. */
    enum told_state (*cert_of)(void *user, const char *relay, const char *site);
    void *user;
};

/* Makes `names` what is wanted: new ones are added, what is wanted of those there is set, and those no longer configured are
 * marked as gone, and as kept where their site is left without a provider. Returns in how many ms it may be another answer without anything having happened (withdraw_after, a relay that
 * says nothing of certificates); 0: never. */
int64_t wanted_names(const struct wanted *w, struct names *names);
void names_free(struct names *names);
struct dns_name *names_find(const struct names *names, const char *account, const char *name);
void names_add(struct names *names, struct dns_name *takes);
#endif
