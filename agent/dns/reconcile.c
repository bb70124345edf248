/* LIFE OF A DNS UPDATE
 *
 *   zone ── found by asking ──▶ owner ── ours, or nobody's ──▶ for each family:
 *
 *   what is there ──▶ nothing, and a CNAME in the way? ──▶ the difference ── would it delete what is not ours? ──▶ change
 *        ▲                                                     │ none                                              │
 *        └──────────────── asked again: is it there now? ◀─────┴───────────────────────────────────────────────────┘
 *
 * A zone's own name, where its addresses are told (dns_is_told), is looked at so for both families, and then changed by one call.
 * A service that cannot be asked (DNS_DYN) is told, when what we told it last is something else.
 *
 * What is *ours*: the values that we put there. A value of somebody else is changed when it stands where ours is to stand, as
 * every dynamic-DNS client does with the record it is pointed at; it is never deleted, nor is a CNAME. */
#include "agent/dns/reconcile.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define OWNER_LABEL  "_tunnel-owner."
#define OWNER_PREFIX "heritage=tunnel,agent="

struct update {
    struct dns_client *c;
    struct dns_name *n;
    const char *owner;
    json_t *plan; /* NULL: for real */
    struct dns_zone zone;
};

/* What a family is to become. */
struct look {
    struct dns_rrset to;
    size_t others; /* values of others that stay in it */
    bool known;    /* that it is as it should be was known before it was asked */
    bool open;     /* it was read, and nothing is in the way */
};

static enum dns_class step_zone(struct update *u);
static enum dns_class step_owner(struct update *u);
static enum dns_class step_both(struct update *u);
static enum dns_class step_family(struct update *u, struct name_family *f);
static enum dns_class step_look(struct update *u, struct name_family *f, struct look *l);
static enum dns_class step_in_the_way(struct update *u, struct name_family *f);
static enum dns_class step_change(struct update *u, struct name_family *f, struct dns_rrset *to, bool known);
static enum dns_class step_confirm(struct update *u, struct name_family *f, const struct dns_rrset *to);
static enum dns_class step_disown(struct update *u);
static enum dns_class tell(struct update *u);

static enum dns_class failed(struct update *u, enum dns_class class, const struct dns_why *why)
{
    for (int i = 0; i < NAME_FAMILIES; i++) {
        u->n->families[i].state = NAME_FAILED;
        snprintf(u->n->families[i].why, sizeof u->n->families[i].why, "%s", why->err.text);
    }
    u->n->retry_after_ms = why->retry_after_ms;
    return class;
}

static enum dns_class family_failed(struct update *u, struct name_family *f, enum dns_class class,
                                    const struct dns_why *why)
{
    f->state = NAME_FAILED;
    snprintf(f->why, sizeof f->why, "%s", why->err.text);
    u->n->retry_after_ms = why->retry_after_ms;
    return class;
}

static void foreign(struct name_family *f, const char *fmt, ...) printf_like(2, 3);
static void foreign(struct name_family *f, const char *fmt, ...)
{
    va_list args;

    f->state = NAME_FOREIGN;
    va_start(args, fmt);
    vsnprintf(f->why, sizeof f->why, fmt, args);
    va_end(args);
}

static void note_plan(struct update *u, const char *action, const struct dns_rrset *from,
                      const struct dns_rrset *to, const char *why)
{
    json_array_append_new(u->plan,
                          json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:s}", "name", u->n->name, "type",
                                    dns_type_text(to->type), "provider", u->n->account, "action", action,
                                    "from", name_values(from), "to", name_values(to), "why", why));
}

/* ---- from the beginning to the end ---- */

/* It concerns all that the provider could be asked. */
static bool ends(enum dns_class class)
{
    return class == DNS_AUTH || class == DNS_ABUSE || class == DNS_THROTTLED || class == DNS_STOPPED;
}

/* Both families are, and by one call. */
static bool are_told(const struct update *u)
{
    const struct name_family *v4 = &u->n->families[NAME_V4], *v6 = &u->n->families[NAME_V6];

    return !u->plan && v4->managed && v4->known && v6->managed && v6->known &&
           dns_is_told(u->c->provider, u->zone.name, u->n->name, DNS_TYPE_A);
}

static enum dns_class by_sets(struct update *u)
{
    enum dns_class class = step_zone(u), worst;

    if (class == DNS_OK && u->n->owner_txt)
        class = step_owner(u);
    if (class != DNS_OK)
        return class;
    worst = are_told(u) ? step_both(u) : DNS_OK;
    for (int i = 0; i < NAME_FAMILIES && !are_told(u); i++) {
        class = u->n->families[i].managed && u->n->families[i].known ? step_family(u, &u->n->families[i])
                                                                     : DNS_OK;
        worst = class > worst ? class : worst;
        if (ends(class))
            return class;
    }
    if (worst == DNS_OK && u->n->gone && u->n->owner_txt)
        worst = step_disown(u);
    return worst;
}

/* It may have been made anew, with another id. */
static bool forgets_zone(struct update *u)
{
    if (u->n->trouble != DNS_CONFIG || (u->c->status != 404 && !u->c->zone_missing))
        return false;
    u->n->zone[0] = 0;
    dns_forget_zones(u->c);
    return true;
}

enum dns_class reconcile(struct dns_client *c, struct dns_name *n, const char *owner, json_t *plan)
{
    struct update u = { .c = c, .n = n, .owner = owner, .plan = plan };
    size_t planned = json_array_size(plan);
    bool remembered = n->zone[0];

    n->retry_after_ms = -1;
    n->trouble = c->provider->kind == DNS_DYN ? tell(&u) : by_sets(&u);
    if (forgets_zone(&u) && remembered) { /* it was found long ago: it is looked for once more */
        while (json_array_size(plan) > planned)
            json_array_remove(plan, planned);
        n->trouble = by_sets(&u);
        forgets_zone(&u);
    }
    for (int i = 0; i < NAME_FAMILIES && !plan; i++) {
        dns_rrset_free(&n->families[i].tried);
        dns_rrset_copy(&n->families[i].tried, &n->families[i].want);
    }
    return n->trouble;
}

/* ---- the zone ---- */

static enum dns_class step_zone(struct update *u)
{
    struct dns_why why;
    enum dns_class class;

    if (u->n->zone[0] && dns_zone_set(&u->zone, str_of(u->n->zone), u->n->zone_id))
        return DNS_OK;
    class = dns_find_zone(u->c, u->n->name, &u->zone, &why);
    if (class != DNS_OK)
        return failed(u, class, &why);
    snprintf(u->n->zone, sizeof u->n->zone, "%s", u->zone.name);
    snprintf(u->n->zone_id, sizeof u->n->zone_id, "%s", u->zone.id);
    name_fit(u->n, u->c->provider);
    return DNS_OK;
}

/* ---- whose name it is ---- */

static void owner_name(const struct update *u, char out[DOMAIN_BYTES])
{
    const char *name = u->n->name;

    snprintf(out, DOMAIN_BYTES, OWNER_LABEL "%.239s", strncmp(name, "*.", 2) == 0 ? name + 2 : name);
}

static enum dns_class read_owner(struct update *u, struct dns_rrset *set, char *ours, size_t room,
                                 struct dns_why *why)
{
    char name[DOMAIN_BYTES];

    owner_name(u, name);
    snprintf(ours, room, OWNER_PREFIX "%s", u->owner);
    dns_rrset_init(set, name, DNS_TYPE_TXT);
    return dns_read(u->c, &u->zone, set, why);
}

static enum dns_class step_owner(struct update *u)
{
    struct dns_rrset set;
    char ours[128];
    struct dns_why why;
    enum dns_class class = read_owner(u, &set, ours, sizeof ours, &why);
    const char *other = NULL;

    for (size_t i = 0; class == DNS_OK && i < set.n; i++)
        if (strncmp(set.values[i].text, OWNER_PREFIX, sizeof OWNER_PREFIX - 1) == 0 &&
            strcmp(set.values[i].text, ours) != 0)
            other = set.values[i].text + sizeof OWNER_PREFIX - 1;
    if (other) {
        for (int i = 0; i < NAME_FAMILIES; i++)
            foreign(
                &u->n->families[i],
                "the agent %.40s says by a TXT record at %s that this name is its own; take the name away from "
                "one of them, or delete that record",
                other, set.name);
        class = DNS_CONFIG;
    } else if (class != DNS_OK) {
        failed(u, class, &why);
    } else if (!dns_rrset_has(&set, ours) && !u->plan && !u->n->gone) {
        class = dns_txt_add(u->c, &u->zone, set.name, ours, &why);
        class = class <= DNS_NOCHANGE ? DNS_OK : failed(u, class, &why);
    }
    dns_rrset_free(&set);
    return class;
}

static enum dns_class step_disown(struct update *u)
{
    struct dns_rrset set;
    char ours[128];
    struct dns_why why;
    enum dns_class class = read_owner(u, &set, ours, sizeof ours, &why);

    if (class == DNS_OK && dns_rrset_has(&set, ours) && !u->plan)
        class = dns_txt_remove(u->c, &u->zone, set.name, ours, &why);
    dns_rrset_free(&set);
    return class <= DNS_NOCHANGE ? DNS_OK : failed(u, class, &why);
}

/* ---- one family ---- */

static size_t missing(const struct dns_rrset *of, const struct dns_rrset *in)
{
    size_t n = 0;

    for (size_t i = 0; i < of->n; i++)
        n += !dns_rrset_has(in, of->values[i].text);
    return n;
}

/* What the set is to become, and how many values of others stay in it. Where ours are, others may stay beside them. Where none
 * of ours is, theirs gives way to ours one for one, and when there are more of them, nothing is touched. */
static size_t keep_others(const struct name_family *f, struct dns_rrset *to)
{
    size_t others = 0;
    bool ours_there = f->want.n == 0;

    for (size_t i = 0; i < f->have.n; i++) {
        const char *value = f->have.values[i].text;

        ours_there = ours_there || dns_rrset_has(&f->made, value);
        others += !dns_rrset_has(&f->made, value) && !dns_rrset_has(&f->want, value);
    }
    if (!ours_there && others > 0 && (others > f->want.n || missing(&f->want, &f->have) < f->want.n)) {
        dns_rrset_copy(to, &f->have);
        return others;
    }
    dns_rrset_copy(to, &f->want);
    if (!ours_there || others == 0)
        return 0;
    for (size_t i = 0; i < f->have.n; i++)
        if (!dns_rrset_has(&f->made, f->have.values[i].text) &&
            !dns_rrset_add(to, str_of(f->have.values[i].text), NULL))
            break; /* more than there can be: they did not all come from there */
    return others;
}

static void say_foreign(struct name_family *f, size_t others)
{
    struct buf list = { 0 };

    for (size_t i = 0; i < f->have.n; i++)
        if (!dns_rrset_has(&f->want, f->have.values[i].text))
            buf_printf(&list, "%s%s", list.len > 0 ? ", " : "", f->have.values[i].text);
    foreign(
        f,
        "there %s %zu %s record%s that this agent did not make (%.200s), so some visitors go there; delete what "
        "is not to be there",
        others == 1 ? "is" : "are", others, dns_type_text(f->have.type), others == 1 ? "" : "s",
        buf_text(&list));
    buf_free(&list);
}

static bool is_there(const struct name_family *f, const struct dns_rrset *to, const struct dns_client *c)
{
    bool ttl = to->ttl_s < 0 || c->provider->min_ttl_s == 0 || to->n == 0 || to->ttl_s == f->have.ttl_s;

    return dns_rrset_same(&f->have, to) &&
           (ttl || f->have.proxied == 1) && /* a proxied record has a TTL of the provider's own */
           (to->proxied < 0 || to->n == 0 || !(c->provider->can & DNS_CAN_PROXY) ||
            to->proxied == f->have.proxied);
}

static enum dns_class step_look(struct update *u, struct name_family *f, struct look *l)
{
    struct dns_why why;
    enum dns_class class;

    *l = (struct look){ .known = f->seen && dns_rrset_same(&f->have, &f->want) };
    class = dns_read(u->c, &u->zone, &f->have, &why);
    if (class != DNS_OK)
        return family_failed(u, f, class, &why);
    f->seen = true;
    dns_rrset_prune(&f->made, &f->have); /* what somebody deleted is no longer ours */
    if (f->have.n == 0 && f->want.n > 0) {
        class = step_in_the_way(u, f);
        if (class != DNS_OK || f->state == NAME_FOREIGN)
            return class;
    }
    l->others = keep_others(f, &l->to);
    l->open = true;
    f->state = NAME_OK;
    f->why[0] = 0;
    return DNS_OK;
}

static enum dns_class finish(struct update *u, struct name_family *f, struct look *l, enum dns_class class)
{
    dns_rrset_free(&l->to);
    if (class == DNS_OK && l->others > 0) {
        say_foreign(f, l->others);
        if (u->plan)
            note_plan(u, "foreign", &f->have, &f->want, f->why);
    }
    return class;
}

static enum dns_class step_family(struct update *u, struct name_family *f)
{
    struct look l;
    enum dns_class class = step_look(u, f, &l);

    if (class != DNS_OK || !l.open)
        return class;
    if (!u->plan || l.others == 0 || !is_there(f, &l.to, u->c))
        class = step_change(u, f, &l.to, l.known);
    return finish(u, f, &l, class);
}

static enum dns_class step_in_the_way(struct update *u, struct name_family *f)
{
    static const enum dns_type kinds[] = { DNS_TYPE_CNAME, DNS_TYPE_ALIAS };
    size_t n = u->c->provider->can & DNS_CAN_ALIAS ? 2 : 1;
    enum dns_class class = DNS_OK;
    struct dns_rrset set;
    struct dns_why why;

    f->state = NAME_UPDATING;
    for (size_t i = 0; i < n && class == DNS_OK && f->state != NAME_FOREIGN; i++) {
        dns_rrset_init(&set, u->n->name, kinds[i]);
        class = dns_read(u->c, &u->zone, &set, &why);
        if (class != DNS_OK)
            class = family_failed(u, f, class, &why);
        else if (set.n > 0)
            foreign(f,
                    "a%s record to %.120s is in the way, and not ours to delete; remove it at the provider",
                    kinds[i] == DNS_TYPE_CNAME ? " CNAME" : "n ALIAS", set.values[0].text);
        if (f->state == NAME_FOREIGN && u->plan)
            note_plan(u, "foreign", &set, &f->want, f->why);
        dns_rrset_free(&set);
    }
    return class;
}

static const char *action_of(const struct dns_rrset *have, const struct dns_rrset *to)
{
    return have->n == 0 ? "create" : to->n == 0 ? "delete" : "change";
}

static void note_changed(struct name_family *f)
{
    f->created = f->created || f->have.n == 0;
    dns_rrset_free(&f->replaced);
    dns_rrset_copy(&f->replaced, &f->have);
    for (size_t i = 0; i < f->want.n; i++)
        if (!dns_rrset_has(&f->have, f->want.values[i].text) &&
            !dns_rrset_add(&f->made, str_of(f->want.values[i].text), NULL))
            break; /* as many as there can be */
    f->changed_s = (int64_t)time(NULL);
}

/* known: that it was so was known before it was asked. */
static enum dns_class step_change(struct update *u, struct name_family *f, struct dns_rrset *to, bool known)
{
    bool there = is_there(f, to, u->c);
    struct dns_why why;
    enum dns_class class;

    if (u->plan) {
        note_plan(u, there ? "keep" : action_of(&f->have, to), &f->have, to, "");
        return DNS_OK;
    }
    if (there && known)
        return DNS_OK;
    class = dns_write(u->c, &u->zone, &f->have, to, &why); /* what is there may yet have to be published */
    if (class > DNS_NOCHANGE)
        return family_failed(u, f, class, &why);
    if (there)
        return DNS_OK;
    note_changed(f);
    return step_confirm(u, f, to);
}

static enum dns_class step_confirm(struct update *u, struct name_family *f, const struct dns_rrset *to)
{
    struct dns_why why;
    enum dns_class class = dns_read(u->c, &u->zone, &f->have, &why);

    if (class != DNS_OK) {
        f->seen = false;
        return family_failed(u, f, class, &why);
    }
    if (!dns_rrset_same(&f->have, to))
        return family_failed(u, f,
                             dns_fail(u->c, &why, DNS_TRANSIENT,
                                      "%s was accepted, but is not there when asked again; it is tried again",
                                      dns_type_text(to->type)),
                             &why);
    dns_rrset_prune(&f->made, &f->have);
    return DNS_OK;
}

/* ---- both families by one call ---- */

/* "" when there shall be none. */
static const char *only(const struct dns_rrset *set)
{
    return set->n > 0 ? set->values[0].text : "";
}

static enum dns_class change_both(struct update *u, const struct look l[NAME_FAMILIES])
{
    struct name_family *f = u->n->families;
    enum dns_class class, worst = DNS_OK;
    struct dns_why why;

    class = dns_update(u->c, u->n->name, only(&l[NAME_V4].to), only(&l[NAME_V6].to), &why);
    if (class > DNS_NOCHANGE)
        return failed(u, class, &why);
    for (int i = 0; i < NAME_FAMILIES; i++)
        note_changed(&f[i]);
    for (int i = 0; i < NAME_FAMILIES && !ends(worst); i++) {
        class = step_confirm(u, &f[i], &l[i].to);
        worst = class > worst ? class : worst;
    }
    return worst;
}

/* One that is right already, or that something is in the way of, is not told. */
static enum dns_class step_both(struct update *u)
{
    struct name_family *f = u->n->families;
    struct look l[NAME_FAMILIES] = { 0 };
    enum dns_class class[NAME_FAMILIES] = { DNS_OK, DNS_OK }, sent = DNS_OK;
    bool together = true;

    for (int i = 0; i < NAME_FAMILIES && !ends(class[NAME_V4]); i++) {
        class[i] = step_look(u, &f[i], &l[i]);
        together = together && l[i].open && !is_there(&f[i], &l[i].to, u->c);
    }
    if (together)
        sent = change_both(u, l);
    for (int i = 0; i < NAME_FAMILIES; i++) {
        if (l[i].open && !together && !ends(class[NAME_V4]) && !ends(class[NAME_V6]))
            class[i] = step_change(u, &f[i], &l[i].to, l[i].known);
        if (l[i].open)
            finish(u, &f[i], &l[i], together ? sent : class[i]);
    }
    class[NAME_V4] = class[NAME_V4] > class[NAME_V6] ? class[NAME_V4] : class[NAME_V6];
    return together ? sent : class[NAME_V4];
}

/* ---- services that can be told only ---- */

static const char *told(const struct name_family *f)
{
    return f->managed && f->known && f->want.n > 0 ? f->want.values[0].text : NULL;
}

static void note_told(struct name_family *f, const char *value, bool changed)
{
    if (!f->managed || !f->known)
        return;
    dns_rrset_free(&f->replaced);
    f->replaced = f->have;
    dns_rrset_init(&f->have, f->want.name, f->want.type);
    dns_rrset_free(&f->made);
    if (value &&
        (!dns_rrset_add(&f->have, str_of(value), NULL) || !dns_rrset_add(&f->made, str_of(value), NULL)))
        return; /* it was one when it was wanted */
    f->seen = true;
    f->state = NAME_OK;
    f->why[0] = 0;
    if (changed)
        f->changed_s = (int64_t)time(NULL);
}

static enum dns_class tell(struct update *u)
{
    const char *v4 = told(&u->n->families[NAME_V4]), *v6 = told(&u->n->families[NAME_V6]);
    struct name_family *f;
    struct dns_why why;
    enum dns_class class;

    if (!(u->c->provider->can & DNS_CAN_AAAA))
        v6 = NULL;
    for (int i = 0; i < NAME_FAMILIES && u->plan; i++)
        if ((f = &u->n->families[i])->managed && f->known)
            note_plan(u, dns_rrset_same(&f->have, &f->want) ? "keep" : action_of(&f->have, &f->want),
                      &f->have, &f->want, "");
    if (u->plan || (!v4 && !v6))
        return DNS_OK;
    class = dns_update(u->c, u->n->name, v4, v6, &why);
    if (class > DNS_NOCHANGE)
        return failed(u, class, &why);
    u->n->told_s = (int64_t)time(NULL);
    note_told(&u->n->families[NAME_V4], v4, class == DNS_OK);
    note_told(&u->n->families[NAME_V6], v6, class == DNS_OK);
    return DNS_OK;
}
