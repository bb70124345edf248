#include "agent/dns/relays.h"

#include "shared/log.h"
#include "shared/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of records whose provider says nothing of it; what is waited for at most; and how long a provider's name servers may
 * take to learn of a change. */
enum { USUAL_TTL_S = 300, MAX_TTL_S = 3600, SPREAD_S = 5 };

static struct wanted_relay *find(const struct relays *r, const char *name)
{
    for (size_t i = 0; i < r->n; i++)
        if (strcmp(r->list[i].name, name) == 0)
            return &r->list[i];
    return NULL;
}

static void init_sets(struct dns_rrset sets[NAME_FAMILIES])
{
    dns_rrset_init(&sets[NAME_V4], "", DNS_TYPE_A);
    dns_rrset_init(&sets[NAME_V6], "", DNS_TYPE_AAAA);
}

static void free_sets(struct wanted_relay *relay)
{
    for (int i = 0; i < NAME_FAMILIES; i++)
        dns_rrset_free(&relay->publish[i]);
}

static void init_relay(struct wanted_relay *relay, const char *name, int64_t now_ms)
{
    *relay = (struct wanted_relay){ .since_ms = now_ms };
    snprintf(relay->name, sizeof relay->name, "%s", name);
    init_sets(relay->publish);
}

void relays_free(struct relays *r)
{
    for (size_t i = 0; i < r->n; i++)
        free_sets(&r->list[i]);
    for (size_t i = 0; i < r->left_n; i++)
        free_sets(&r->left[i].relay);
    free(r->list);
    free(r->left);
    *r = (struct relays){ 0 };
}

/* ---- those that are no longer configured ---- */

static void leave(struct relays *r, struct wanted_relay *takes)
{
    r->left = mem_grow(r->left, (r->left_n + 1) * sizeof *r->left);
    r->left[r->left_n++] = (struct relay_left){ .relay = *takes };
    init_relay(takes, "", 0); /* moved */
}

static void forget(struct relays *r, size_t i)
{
    free_sets(&r->left[i].relay);
    r->left[i] = r->left[--r->left_n];
}

/* One that is configured again: what it published counts again, for its lanes may be the same still, and say nothing anew. */
static void take_back(struct relays *r, size_t i)
{
    struct wanted_relay *back = find(r, r->left[i].relay.name);

    if (!back)
        return;
    if (!back->known) {
        free_sets(back);
        memcpy(back->publish, r->left[i].relay.publish, sizeof back->publish);
        back->known = true;
        init_sets(r->left[i].relay.publish); /* moved */
    }
    forget(r, i);
}

/* What is there and is to go, also where another relay has yet to say what takes its place (some_relay: there is one). A
 * record that nobody is about to change keeps nobody waiting. */
static bool is_named(struct relay_left *left, const struct dns_name *n, int family, bool some_relay)
{
    const struct name_family *f = &n->families[family];
    const struct dns_rrset *publish = &left->relay.publish[family];
    const struct dns_rrset *there = name_there(n, family);
    int64_t ttl_s = there->ttl_s < 0 ? USUAL_TTL_S : there->ttl_s;
    bool named = false;

    for (size_t i = 0; i < publish->n; i++)
        named = named || (dns_rrset_has(there, publish->values[i].text) &&
                          (f->known ? !dns_rrset_has(&f->want, publish->values[i].text) : some_relay));
    if (named && ttl_s + SPREAD_S > left->ttl_s)
        left->ttl_s = (ttl_s < MAX_TTL_S ? ttl_s : MAX_TTL_S) + SPREAD_S;
    return named;
}

int64_t relays_left_ms(struct relays *r, const char *relay, const struct names *names, int64_t now_ms)
{
    struct relay_left *left;
    bool named = false;
    int64_t left_ms;
    size_t i = 0;

    while (i < r->left_n && strcmp(r->left[i].relay.name, relay) != 0)
        i++;
    if (i == r->left_n)
        return 0;
    left = &r->left[i];
    for (size_t j = 0; j < names->n; j++)
        for (int f = 0; f < NAME_FAMILIES; f++)
            named = is_named(left, names->list[j], f, r->n > 0) || named;
    if (named)
        left->withdrawn_ms = 0;
    else if (left->withdrawn_ms == 0)
        left->withdrawn_ms = now_ms;
    if (named)
        return RELAYS_IN_DNS;
    left_ms = left->withdrawn_ms + left->ttl_s * 1000 - now_ms;
    if (left_ms > 0)
        return left_ms;
    forget(r, i);
    return 0;
}

/* ---- those of the configuration ---- */

void relays_set(struct relays *r, const struct opt_conf *conf, int64_t now_ms)
{
    struct relays old = *r;
    const struct agent_relay_conf *relay;
    struct wanted_relay *same;
    const char *name;
    size_t sections = 0;

    while (opt_section(conf, "relay", sections, NULL))
        sections++;
    *r = (struct relays){ mem_new((sections + 1) * sizeof *r->list), 0, old.left, old.left_n };
    old.left = NULL;
    old.left_n = 0;
    for (size_t i = 0; (relay = opt_section(conf, "relay", i, &name)); i++) {
        if (relay->protocol == AGENT_PROTOCOL_PLAIN)
            continue;
        same = find(&old, name);
        if (same) {
            r->list[r->n++] = *same;
            init_relay(same, "", 0); /* moved */
        } else {
            init_relay(&r->list[r->n++], name, now_ms);
        }
    }
    for (size_t i = r->left_n; i > 0; i--)
        take_back(r, i - 1);
    for (size_t i = 0; i < old.n; i++)
        if (old.list[i].known)
            leave(r, &old.list[i]);
    relays_free(&old);
}

bool relays_says(struct relays *r, const char *relay, const char *const *publish, size_t n)
{
    struct wanted_relay *of = find(r, relay);
    struct dns_rrset next[NAME_FAMILIES];
    bool same;

    if (!of)
        return false;
    init_sets(next);
    for (size_t i = 0; i < n; i++)
        if (!dns_rrset_add(&next[strchr(publish[i], ':') ? NAME_V6 : NAME_V4], str_of(publish[i]), NULL))
            log_warn_limited(relay, "a relay publishes what is no address", kv_str("relay", relay));
    same = of->known && dns_rrset_same(&of->publish[NAME_V4], &next[NAME_V4]) &&
           dns_rrset_same(&of->publish[NAME_V6], &next[NAME_V6]);
    free_sets(of);
    memcpy(of->publish, next, sizeof of->publish);
    of->known = true;
    return !same;
}

bool relays_is(struct relays *r, const char *relay, bool up, int64_t now_ms)
{
    struct wanted_relay *of = find(r, relay);

    if (!of || of->up == up)
        return false;
    of->up = up;
    of->since_ms = now_ms;
    return true;
}

json_t *relays_to_json(const struct relays *r)
{
    json_t *all = json_object();

    for (size_t i = 0; i < r->n; i++)
        if (r->list[i].known)
            json_object_set_new(all, r->list[i].name,
                                json_pack("[o, o]", name_values(&r->list[i].publish[NAME_V4]),
                                          name_values(&r->list[i].publish[NAME_V6])));
    return all;
}

void relays_of_json(struct relays *r, const json_t *json)
{
    const json_t *value;
    size_t j;

    for (size_t i = 0; i < r->n; i++) {
        struct wanted_relay *relay = &r->list[i];
        const json_t *both = json_object_get(json, relay->name);

        relay->known = json_is_array(both);
        for (int f = 0; f < NAME_FAMILIES; f++)
            json_array_foreach(json_array_get(both, (size_t)f), j, value)
            {
                const char *text = json_string_value(value);

                relay->known = relay->known && text && dns_rrset_add(&relay->publish[f], str_of(text), NULL);
            }
    }
}
