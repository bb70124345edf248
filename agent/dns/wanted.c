#include "agent/dns/wanted.h"

#include "agent/dns/check.h"
#include "agent/dns/host_id.h"
#include "shared/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- names ---- */

void names_free(struct names *names)
{
    for (size_t i = 0; i < names->n; i++)
        name_free(names->list[i]);
    free(names->list);
    *names = (struct names){ 0 };
}

struct dns_name *names_find(const struct names *names, const char *account, const char *name)
{
    for (size_t i = 0; i < names->n; i++)
        if (strcmp(names->list[i]->account, account) == 0 && strcmp(names->list[i]->name, name) == 0)
            return names->list[i];
    return NULL;
}

void names_add(struct names *names, struct dns_name *takes)
{
    names->list = mem_grow(names->list, (names->n + 1) * sizeof(struct dns_name *));
    names->list[names->n++] = takes;
}

/* ---- which addresses ---- */

enum { SILENT_MS = 60 * 1000 }; /* so long a relay may take to tell of its certificate */

struct addresses { /* of one family */
    bool known;
    struct dns_rrset set;
    const char *why;  /* not known */
    const char *held; /* a relay that is left out for now; NULL: none */
};

/* What is asked about a site whose visitors come by relays. */
struct of_site {
    const struct wanted *w;
    const struct names *names;
    const struct agent_domain_conf *d;
    const char *name;
    int64_t *again_ms;
};

static void set_known(struct addresses *a, const char *text)
{
    a->known = true;
    if (*text && !dns_rrset_add(&a->set, str_of(text), NULL))
        a->known = false; /* cannot be: sources have read it */
}

/* A relay that has been down for long is left out while another one is up. */
static bool is_withdrawn(const struct wanted *w, const struct wanted_relay *relay, bool other_up,
                         int64_t *again_ms)
{
    int64_t left = relay->since_ms + agent_conf_of(w->conf)->withdraw_after_ms - w->now_ms;

    if (relay->up || !other_up)
        return false;
    if (left > 0 && (*again_ms == 0 || left < *again_ms))
        *again_ms = left;
    return left <= 0;
}

static enum told_state cert_of(const struct of_site *s, const struct wanted_relay *relay)
{
    return s->w->cert_of ? s->w->cert_of(s->w->user, relay->name, s->name) : TOLD_NOTHING;
}

/* Visitors find this relay already. */
static bool is_in_dns(const struct of_site *s, const struct wanted_relay *relay, int family)
{
    const struct dns_name *n = names_find(s->names, s->d->dns, s->name);

    for (size_t i = 0; n && i < relay->publish[family].n; i++)
        if (!dns_rrset_has(name_there(n, family), relay->publish[family].values[i].text))
            return false;
    return n && relay->publish[family].n > 0;
}

static bool another_has_certificate(const struct of_site *s, const struct wanted_relay *relay)
{
    for (size_t i = 0; i < s->w->relays_n; i++) {
        const struct wanted_relay *other = &s->w->relays[i];

        if (other != relay && other->up && other->known && agent_uses_relay(&s->d->relays, other->name) &&
            cert_of(s, other) == TOLD_GOOD)
            return true;
    }
    return false;
}

/* A new relay has nothing yet that browsers trust: while another one serves the site with its certificate, no visitor
 * is sent there. What is in DNS already stays. */
static bool is_held(const struct of_site *s, const struct wanted_relay *relay, int family)
{
    int64_t left = relay->since_ms + SILENT_MS - s->w->now_ms;
    enum told_state cert = cert_of(s, relay);

    if (cert == TOLD_GOOD || is_in_dns(s, relay, family) || !another_has_certificate(s, relay))
        return false;
    if (cert == TOLD_MISSING || !relay->up)
        return true;
    if (left > 0 && (*s->again_ms == 0 || left < *s->again_ms))
        *s->again_ms = left;
    return left > 0;
}

static void of_relays(const struct of_site *s, int family, struct addresses *out)
{
    const struct wanted *w = s->w;
    const struct agent_domain_conf *d = s->d;
    bool any_up = false;

    for (size_t i = 0; i < w->relays_n; i++)
        any_up = any_up ||
                 (w->relays[i].up && w->relays[i].known && agent_uses_relay(&d->relays, w->relays[i].name));
    for (size_t i = 0; i < w->relays_n; i++) {
        const struct wanted_relay *relay = &w->relays[i];

        if (!agent_uses_relay(&d->relays, relay->name))
            continue;
        out->known = out->known || relay->known;
        if (!relay->known || is_withdrawn(w, relay, any_up, s->again_ms))
            continue;
        if (relay->publish[family].n > 0 && is_held(s, relay, family)) {
            out->held = relay->name;
            continue;
        }
        for (size_t j = 0; j < relay->publish[family].n; j++)
            set_known(out, relay->publish[family].values[j].text);
    }
    if (w->relays_n == 0)
        out->why =
            "there is no [relay ...] whose address could be published; add one, or write mode = direct";
    else
        out->why = "no relay has said yet which addresses to publish; this comes with the first lane";
}

/* Relays that are there, and have no public address at all: whose `publish` is to be mended. */
static void refuse_nothing(const struct wanted *w, struct addresses out[NAME_FAMILIES])
{
    if (!out[NAME_V4].known || out[NAME_V4].set.n > 0 || out[NAME_V6].set.n > 0 || w->relays_n == 0)
        return;
    for (int i = 0; i < NAME_FAMILIES; i++) {
        out[i].known = false;
        out[i].why = "the relay knows no public address of its own; write publish = ADDRESS in its relay.ini";
    }
}

static void of_house(const struct address_family *f, struct addresses *out)
{
    out->known = f->known;
    out->why = f->why;
    if (f->known)
        set_known(out, f->text);
}

/* Of the machine that the site names; its prefix is the house's. */
static void of_host(const struct address_family *f, const char *host_id, struct addresses *out)
{
    char text[ADDRESS_BYTES] = "";

    out->known = f->known;
    out->why = f->why;
    if (f->known && *f->text)
        host_id_join(f->text, host_id, text);
    if (f->known)
        set_known(out, text);
}

static void find_addresses(const struct of_site *s, struct addresses out[NAME_FAMILIES])
{
    const struct agent_domain_conf *d = s->d;
    const struct wanted *w = s->w;

    for (int i = 0; i < NAME_FAMILIES; i++) {
        out[i] = (struct addresses){ .why = "" };
        dns_rrset_init(&out[i].set, "", i == NAME_V4 ? DNS_TYPE_A : DNS_TYPE_AAAA);
    }
    if (d->mode == AGENT_MODE_DIRECT) {
        of_house(&w->house->v4, &out[NAME_V4]);
        if (*d->host_id)
            of_host(&w->house->v6, d->host_id, &out[NAME_V6]);
        else
            of_house(&w->house->v6, &out[NAME_V6]);
        return;
    }
    for (int i = 0; i < NAME_FAMILIES; i++)
        of_relays(s, i, &out[i]);
    refuse_nothing(w, out);
}

/* ---- what is wanted of one name ---- */

static bool has_family(const struct agent_domain_conf *d, const struct dns_provider *p, int family)
{
    bool wished = d->families == AGENT_FAMILIES_BOTH ||
                  d->families == (family == NAME_V4 ? AGENT_FAMILIES_IPV4 : AGENT_FAMILIES_IPV6);

    return wished && (!p || (p->can & (family == NAME_V4 ? DNS_CAN_A : DNS_CAN_AAAA)));
}

static void want(struct name_family *f, const struct dns_provider *p, const struct agent_domain_conf *d,
                 const struct addresses *from)
{
    size_t most = p && !(p->can & DNS_CAN_SEVERAL) ? 1 : DNS_VALUES;

    dns_rrset_free(&f->want);
    f->known = from->known;
    f->want.ttl_s = d->ttl_ms < 0 ? -1 : d->ttl_ms / 1000;
    f->want.proxied = p && (p->can & DNS_CAN_PROXY) ? d->proxied : -1;
    for (size_t i = 0; i < from->set.n && f->want.n < most; i++)
        if (!dns_rrset_add(&f->want, str_of(from->set.values[i].text), NULL))
            break;
    f->left_out = from->set.n - f->want.n;
    snprintf(f->held, sizeof f->held, "%s", from->held ? from->held : "");
    if (f->known && p && p->kind == DNS_DYN && f->want.n == 0)
        f->known = false; /* such a service cannot be told that there is none */
    if (!f->known && f->state != NAME_FAILED) {
        f->state = NAME_WAITING;
        snprintf(f->why, sizeof f->why, "%s",
                 *from->why ? from->why : "there is no address of this family to publish");
    } else if (f->known && f->state == NAME_WAITING) {
        f->state = f->seen && dns_rrset_same(&f->want, &f->have) ? NAME_OK : NAME_UPDATING;
        f->why[0] = 0;
    }
}

static void want_name(const struct wanted *w, struct names *names, const char *name, const char *site,
                      const struct agent_domain_conf *d, const struct addresses from[NAME_FAMILIES])
{
    const struct dns_provider *p = w->provider_of(w->user, d->dns);
    struct dns_name *n = names_find(names, d->dns, name);

    if (!n) {
        n = name_new(name, site, d->dns);
        names_add(names, n);
    }
    snprintf(n->site, sizeof n->site, "%s", site);
    n->gone = n->kept = false;
    n->owner_txt = d->owner_txt;
    n->cleanup = d->cleanup_on_stop;
    for (int i = 0; i < NAME_FAMILIES; i++) {
        n->families[i].managed = has_family(d, p, i);
        if (n->families[i].managed)
            want(&n->families[i], p, d, &from[i]);
        else if (p && (p->can & DNS_CAN_DELETE))
            name_leave_family(&n->families[i]);
    }
    if (p)
        name_fit(n, p);
}

static bool has_provider(const struct agent_domain_conf *d)
{
    return *d->dns && strcmp(d->dns, DNS_MANUAL) != 0 && d->mode != AGENT_MODE_NONE;
}

/* It belongs to a site whose records are to be as they are, or as somebody sets them by hand. */
static bool is_left_alone(const struct wanted *w, const char *name)
{
    const struct agent_domain_conf *d;
    const char *site;

    for (size_t i = 0; (d = opt_section(w->conf, "domain", i, &site)); i++) {
        bool is_its = strcmp(site, name) == 0;

        for (size_t j = 0; j < d->aliases.n; j++)
            is_its = is_its || strcmp(d->aliases.words[j], name) == 0;
        if (is_its)
            return !has_provider(d);
    }
    return false;
}

static void want_site(const struct wanted *w, struct names *names, const char *site,
                      const struct agent_domain_conf *d, int64_t *again_ms)
{
    const struct of_site s = { w, names, d, site, again_ms };
    struct addresses from[NAME_FAMILIES];

    if (!*d->dns || d->mode == AGENT_MODE_NONE)
        return;
    find_addresses(&s, from);
    want_name(w, names, site, site, d, from);
    for (size_t i = 0; i < d->aliases.n; i++)
        want_name(w, names, d->aliases.words[i], site, d, from);
    for (int i = 0; i < NAME_FAMILIES; i++)
        dns_rrset_free(&from[i].set);
}

int64_t wanted_names(const struct wanted *w, struct names *names)
{
    const struct agent_domain_conf *d;
    int64_t again_ms = 0;
    const char *site;

    for (size_t i = 0; i < names->n; i++)
        names->list[i]->gone = true;
    for (size_t i = 0; (d = opt_section(w->conf, "domain", i, &site)); i++)
        want_site(w, names, site, d, &again_ms);
    for (size_t i = 0; i < names->n; i++)
        if (names->list[i]->gone) {
            names->list[i]->kept = is_left_alone(w, names->list[i]->name);
            name_take_leave(names->list[i]);
        }
    return again_ms;
}
