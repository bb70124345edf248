#include "agent/dns/address_conf.h"

#include "agent/options.h"
#include "shared/cidr.h"

#include <string.h>

static int family_of(const char *text)
{
    struct sockaddr_storage address;

    return cidr_address(str_of(text), &address) && address.ss_family == AF_INET ? ADDRESS_V4 : ADDRESS_V6;
}

/* How many can say something that counts, whichever family it is about. */
static size_t voices(const struct opt_conf *conf, const struct address_kind *kind)
{
    const struct agent_relay_conf *relay;
    size_t n = 0;

    if (address_is_fixed(kind))
        return 0;
    if (!address_is_relay(kind))
        return kind->services ? kind->services_n : 1;
    for (size_t i = 0; (relay = opt_section(conf, "relay", i, NULL)); i++)
        n += relay->protocol == AGENT_PROTOCOL_TUNNEL;
    return n;
}

static size_t all_voices(const struct opt_conf *conf, const struct opt_words *sources)
{
    const struct address_kind *kind;
    const char *arg;
    size_t n = 0;

    for (size_t i = 0; i < sources->n; i++)
        if ((kind = address_kind_of(sources->words[i], &arg, NULL)))
            n += voices(conf, kind);
    return n;
}

static bool is_needed(const struct opt_conf *conf)
{
    const struct agent_domain_conf *d;

    if (opt_given(conf, "address", NULL, "sources"))
        return true;
    for (size_t i = 0; (d = opt_section(conf, "domain", i, NULL)); i++)
        if (d->mode == AGENT_MODE_DIRECT)
            return true;
    return false;
}

void address_plan_make(struct address_plan *plan, const struct opt_conf *conf)
{
    const struct address_conf *c = opt_values(conf, "address", NULL);
    size_t all = all_voices(conf, &c->sources);
    const struct address_kind *kind;
    const char *arg;

    *plan = (struct address_plan){ .needed = is_needed(conf), .dns_suffices = true };
    plan->quorum = all < ADDRESS_QUORUM && all > 0 ? all : ADDRESS_QUORUM;
    if (c->quorum > 0)
        plan->quorum = (size_t)c->quorum;
    if (!plan->needed)
        plan->quorum = 1; /* nothing depends on it: what a relay sees is worth showing */
    for (size_t i = 0; i < c->sources.n; i++) {
        if (!(kind = address_kind_of(c->sources.words[i], &arg, NULL)))
            continue; /* the check has refused it */
        plan->relays = plan->relays || address_is_relay(kind);
        if (kind->voice != ADDRESS_OUTSIDE_DNS && voices(conf, kind) > 0)
            plan->dns_suffices = false;
        if (address_is_fixed(kind))
            plan->fixed[family_of(arg)] = arg;
    }
}

/* ---- check ---- */

static void check_word(struct opt_conf *conf, const struct address_conf *c, size_t i,
                       const char *fixed[ADDRESS_FAMILIES], struct opt_errors *errors)
{
    const char *word = c->sources.words[i], *arg;
    struct err why = { 0 };
    const struct address_kind *kind = address_kind_of(word, &arg, &why);

    if (!kind) {
        opt_errors_add_at(errors, conf, "address", NULL, "sources", "%s", why.text);
        return;
    }
    for (size_t j = 0; j < i; j++)
        if (strcmp(c->sources.words[j], word) == 0) {
            opt_errors_add_at(errors, conf, "address", NULL, "sources", "%.60s stands there twice", word);
            return;
        }
    if (!address_is_fixed(kind))
        return;
    if (fixed[family_of(arg)])
        opt_errors_add_at(errors, conf, "address", NULL, "sources",
                          "fixed:%s and fixed:%s are of one family, and only one can be taken",
                          fixed[family_of(arg)], arg);
    fixed[family_of(arg)] = arg;
}

void address_check(struct opt_conf *conf, struct opt_errors *errors)
{
    const struct address_conf *c = opt_values(conf, "address", NULL);
    const char *fixed[ADDRESS_FAMILIES] = { NULL, NULL };
    size_t all;

    if (!c)
        return;
    for (size_t i = 0; i < c->sources.n; i++)
        check_word(conf, c, i, fixed, errors);
    all = all_voices(conf, &c->sources);
    if (c->quorum > 0 && all > 0 && (size_t)c->quorum > all)
        opt_errors_add_at(
            errors, conf, "address", NULL, "quorum",
            "so many can never agree: sources has %zu who can be asked; add some, or write quorum = %zu", all,
            all);
}
