#include "shared/dns/client.h"

#include "shared/dns/records.h"
#include "shared/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uv.h>

enum {
    SECRET_BYTES = 16384, /* a service account's JSON is about 2,400 */
    ZONES_KNOWN = 16,
    ZONES_MS = 60 * 1000,
    WAIT_HERE_MS = 5000,      /* what is further away is for the caller to wait */
    CLOCK_SET_S = 1735689600, /* 2025-01-01: this program is younger than that */
};

const char *dns_class_text(enum dns_class class)
{
    static const char *const texts[] = { "ok",        "nochange",  "auth",     "config", "abuse",
                                         "throttled", "transient", "badreply", "stopped" };

    return texts[class];
}

/* ---- start and end ---- */

static char *base_of(const struct dns_conf *conf, const struct dns_provider *p)
{
    char *base = mem_copy(*conf->url ? conf->url : p->url ? p->url : "");
    size_t n = strlen(base);

    while (n > 0 && base[n - 1] == '/')
        base[--n] = 0;
    return base;
}

/* The fields of the configuration that are texts, and ours. */
#define TEXTS(c)                                                                                             \
    {                                                                                                        \
        &(c)->token_file, &(c)->key_file, &(c)->secret_file, &(c)->password_file, &(c)->user, &(c)->id,      \
            &(c)->zone, &(c)->server, &(c)->url, &(c)->key_name, &(c)->ca_file, &(c)->success, &(c)->command \
    }

struct dns_client *dns_client_new(const struct dns_conf *conf)
{
    struct dns_client *c = mem_new(sizeof *c);
    const char **texts[] = TEXTS(&c->conf);

    c->conf = *conf;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        *texts[i] = mem_copy(*texts[i] ? *texts[i] : "");
    c->provider = dns_providers[conf->type];
    c->base = base_of(&c->conf, c->provider);
    return c;
}

void dns_client_free(struct dns_client *c)
{
    if (!c)
        return;
    if (c->provider->close)
        c->provider->close(c);
    secret_free(&c->token);
    secret_free(&c->key);
    secret_free(&c->secret);
    secret_free(&c->password);
    {
        const char **texts[] = TEXTS(&c->conf);

        for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
            free((char *)*texts[i]);
    }
    free((char *)c->base);
    free(c->zones);
    free(c);
}

static enum dns_class load(struct dns_client *c, const char *where, struct secret *secret,
                           struct dns_why *why)
{
    if (!*where || secret->bytes)
        return DNS_OK;
    if (secret_load_from(secret, where, SECRET_BYTES, &why->err) == 0)
        return DNS_OK;
    err_wrap(&why->err, "%s: the credential cannot be read", c->provider->title);
    return DNS_AUTH;
}

/* Before every call: the clock, secrets, the provider's own beginning, and a fresh why. */
static enum dns_class begin(struct dns_client *c, struct dns_why *why)
{
    enum dns_class class;

    *why = (struct dns_why){ .retry_after_ms = -1 };
    c->clock_missing = c->zone_missing = false;
    if (c->provider->signs_time && (class = dns_need_clock(c, why)) != DNS_OK)
        return class;
    if (c->opened)
        return DNS_OK;
    if ((class = load(c, c->conf.token_file, &c->token, why)) != DNS_OK ||
        (class = load(c, c->conf.key_file, &c->key, why)) != DNS_OK ||
        (class = load(c, c->conf.secret_file, &c->secret, why)) != DNS_OK ||
        (class = load(c, c->conf.password_file, &c->password, why)) != DNS_OK)
        return class;
    if (c->provider->open && (class = c->provider->open(c, why)) != DNS_OK) {
        if (c->provider->close)
            c->provider->close(c);
        c->own = NULL;
        return class;
    }
    c->opened = true;
    return DNS_OK;
}

/* ---- what providers use ---- */

static void blot(char *text, const struct secret *secret)
{
    size_t n = secret->n;
    char *at;

    if (!secret->bytes || n < 4)
        return; /* too short to be told from ordinary words */
    while ((at = memmem(text, strlen(text), secret->bytes, n))) {
        memset(at, '*', n < 3 ? n : 3);
        memmove(at + 3, at + n, strlen(at + n) + 1);
    }
}

enum dns_class dns_fail(struct dns_client *c, struct dns_why *why, enum dns_class class, const char *fmt, ...)
{
    static const enum err_code codes[] = {
        [DNS_AUTH] = ERR_INPUT,      [DNS_CONFIG] = ERR_INPUT,   [DNS_ABUSE] = ERR_PEER,
        [DNS_THROTTLED] = ERR_LIMIT, [DNS_TRANSIENT] = ERR_PEER, [DNS_BADREPLY] = ERR_PEER,
        [DNS_STOPPED] = ERR_STOPPED,
    };
    char text[2 * sizeof why->err.text];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    blot(text, &c->token);
    blot(text, &c->key);
    blot(text, &c->secret);
    blot(text, &c->password);
    err_set(&why->err, codes[class], "%s: %s", c->provider->title, text);
    return class;
}

static uint64_t now_ms(void)
{
    return uv_hrtime() / 1000000;
}

enum dns_class dns_pace(struct dns_client *c, struct dns_why *why)
{
    uint64_t now = now_ms(), at = c->next_at_ms > c->closed_until_ms ? c->next_at_ms : c->closed_until_ms;

    if (at > now + WAIT_HERE_MS) {
        why->retry_after_ms = (int64_t)(at - now);
        return dns_fail(c, why, DNS_THROTTLED,
                        "as many requests as it allows have been made; the next one is due in %llu s",
                        (unsigned long long)((at - now) / 1000));
    }
    if (job_cancelled(c->job) || (at > now && !job_sleep(c->job, (int64_t)(at - now))))
        return dns_fail(c, why, DNS_STOPPED, "given up, as asked");
    c->next_at_ms = now_ms() + (uint64_t)c->provider->min_interval_ms;
    c->requests++;
    return DNS_OK;
}

bool dns_clock_is_set(void)
{
    return time(NULL) >= CLOCK_SET_S;
}

enum dns_class dns_need_clock(struct dns_client *c, struct dns_why *why)
{
    c->clock_missing = !dns_clock_is_set();
    if (!c->clock_missing)
        return DNS_OK;
    return dns_fail(
        c, why, DNS_TRANSIENT,
        "this machine's clock is not set yet, so a signature would be good for another time, and a "
        "good certificate could not be told from an old one; it is asked once the clock is right");
}

const char *dns_value_text(const struct dns_client *c, const struct dns_rrset *set, size_t i, struct buf *out)
{
    buf_take(out, out->len);
    if (set->type == DNS_TYPE_TXT && c->provider->quotes_txt)
        dns_txt_quote(out, set->values[i].text);
    else
        buf_add_text(out, set->values[i].text);
    return buf_text(out);
}

int64_t dns_ttl(const struct dns_client *c, const struct dns_rrset *set)
{
    return set->ttl_s >= 0 ? set->ttl_s : c->provider->default_ttl_s;
}

/* ---- zones ---- */

/* Hundreds of names share a few zones: one that was found a minute ago is not asked for again. */
struct dns_zones {
    size_t n, next;
    struct {
        char name[DOMAIN_BYTES];
        struct dns_zone zone;
        uint64_t until_ms;
    } list[ZONES_KNOWN];
};

static enum dns_class has_zone(struct dns_client *c, const char *name, struct dns_zone *zone,
                               struct dns_why *why)
{
    struct dns_zones *known = c->zones ? c->zones : (c->zones = mem_new(sizeof *known));
    enum dns_class class;

    for (size_t i = 0; i < known->n; i++)
        if (strcmp(known->list[i].name, name) == 0 && now_ms() < known->list[i].until_ms) {
            *zone = known->list[i].zone;
            return DNS_OK;
        }
    *zone = (struct dns_zone){ 0 };
    class = c->provider->has_zone(c, name, zone, why);
    if (class != DNS_OK || !zone->name[0])
        return class;
    snprintf(known->list[known->next].name, DOMAIN_BYTES, "%s", name);
    known->list[known->next].zone = *zone;
    known->list[known->next].until_ms = now_ms() + ZONES_MS;
    known->next = (known->next + 1) % ZONES_KNOWN;
    known->n += known->n < ZONES_KNOWN;
    return DNS_OK;
}

void dns_forget_zones(struct dns_client *c)
{
    free(c->zones);
    c->zones = NULL;
}

static enum dns_class given_zone(struct dns_client *c, const char *name, struct dns_zone *zone,
                                 struct dns_why *why)
{
    enum dns_class class = DNS_OK;

    if (!dns_zone_set(zone, str_of(c->conf.zone), NULL) || !dns_zone_has(zone, name))
        return dns_fail(c, why, DNS_CONFIG,
                        "%s is not in the zone %s that its section names; correct one of them", name,
                        c->conf.zone);
    if (c->provider->has_zone)
        class = has_zone(c, c->conf.zone, zone, why);
    if (class == DNS_OK && !zone->name[0])
        return dns_fail(c, why, DNS_CONFIG, "it has no zone %s, or this credential may not see it",
                        c->conf.zone);
    return class;
}

enum dns_class dns_find_zone(struct dns_client *c, const char *name, struct dns_zone *zone,
                             struct dns_why *why)
{
    enum dns_class class = begin(c, why);
    const char *dot, *at = strncmp(name, "*.", 2) == 0 ? name + 2 : name;

    if (class != DNS_OK)
        return class;
    if (*c->conf.zone)
        return given_zone(c, name, zone, why);
    if (c->provider->find_zone)
        return c->provider->find_zone(c, at, zone, why);
    for (; (dot = strchr(at, '.')); at = dot + 1) { /* a name without a dot is no zone of anybody's */
        class = has_zone(c, at, zone, why);
        if (class != DNS_OK || zone->name[0])
            return class;
    }
    return dns_fail(c, why, DNS_CONFIG,
                    "it has no zone for %s, or this credential may not see it; make the zone there, or take "
                    "a credential that covers it",
                    name);
}

/* ---- sets ---- */

enum dns_class dns_read(struct dns_client *c, const struct dns_zone *zone, struct dns_rrset *set,
                        struct dns_why *why)
{
    enum dns_class class = begin(c, why);

    dns_rrset_free(set);
    return class == DNS_OK ? c->provider->read(c, zone, set, why) : class;
}

static bool same_flags(const struct dns_client *c, const struct dns_rrset *have, const struct dns_rrset *want)
{
    if (want->ttl_s >= 0 && c->provider->min_ttl_s > 0 && want->ttl_s != have->ttl_s && have->proxied != 1)
        return false;
    return want->proxied < 0 || !(c->provider->can & DNS_CAN_PROXY) || want->proxied == have->proxied;
}

bool dns_is_told(const struct dns_provider *p, const char *zone, const char *name, enum dns_type type)
{
    return p->update && p->kind != DNS_DYN && (type == DNS_TYPE_A || type == DNS_TYPE_AAAA) &&
           strcmp(zone, name) == 0;
}

static enum dns_class tell_one(struct dns_client *c, const struct dns_rrset *want, struct dns_why *why)
{
    const char *value = want->n > 0 ? want->values[0].text : "";

    if (want->n > 1)
        return dns_fail(c, why, DNS_CONFIG, "%s is a zone there, and holds one %s address, not %zu",
                        want->name, dns_type_text(want->type), want->n);
    return c->provider->update(c, want->name, want->type == DNS_TYPE_A ? value : NULL,
                               want->type == DNS_TYPE_AAAA ? value : NULL, why);
}

enum dns_class dns_write(struct dns_client *c, const struct dns_zone *zone, const struct dns_rrset *have,
                         const struct dns_rrset *want, struct dns_why *why)
{
    enum dns_class class = begin(c, why);
    struct dns_rrset whole = *want; /* borrows its values */

    if (class != DNS_OK)
        return class;
    if (dns_rrset_same(have, want) && (want->n == 0 || same_flags(c, have, want)))
        return c->provider->settle ? c->provider->settle(c, zone, why) : DNS_NOCHANGE;
    if (dns_is_told(c->provider, zone->name, want->name, want->type))
        return tell_one(c, want, why);
    if (have->n > 0) { /* what the user set stays */
        whole.ttl_s = want->ttl_s >= 0 ? want->ttl_s : have->ttl_s;
        whole.proxied = want->proxied >= 0 ? want->proxied : have->proxied;
    }
    if (c->provider->write)
        return c->provider->write(c, zone, have, &whole, why);
    return dns_write_records(c, zone, have, &whole, why);
}

enum dns_class dns_update(struct dns_client *c, const char *name, const char *v4, const char *v6,
                          struct dns_why *why)
{
    enum dns_class class = begin(c, why);

    return class == DNS_OK ? c->provider->update(c, name, v4, v6, why) : class;
}

/* ---- TXT ---- */

static enum dns_class merge_txt(struct dns_client *c, const struct dns_zone *zone, const char *name,
                                const char *value, bool add, struct dns_why *why)
{
    struct dns_rrset have, want;
    enum dns_class class;

    dns_rrset_init(&have, name, DNS_TYPE_TXT);
    class = dns_read(c, zone, &have, why);
    if (class != DNS_OK)
        goto out;
    dns_rrset_copy(&want, &have);
    want.ttl_s = -1; /* as it is */
    if (!add)
        dns_rrset_drop(&want, value);
    if (add && !dns_rrset_add(&want, str_of(value), NULL))
        class =
            dns_fail(c, why, DNS_CONFIG, "%s holds %d TXT values already; remove old ones", name, DNS_VALUES);
    else
        class = dns_write(c, zone, &have, &want, why);
    dns_rrset_free(&want);
out:
    dns_rrset_free(&have);
    return class;
}

enum dns_class dns_txt_add(struct dns_client *c, const struct dns_zone *zone, const char *name,
                           const char *value, struct dns_why *why)
{
    enum dns_class class;

    if (c->provider->read)
        return merge_txt(c, zone, name, value, true, why);
    class = begin(c, why);
    if (class == DNS_OK && !c->provider->set_txt)
        return dns_fail(c, why, DNS_CONFIG, "it keeps no TXT records, so %s cannot be set", name);
    return class == DNS_OK ? c->provider->set_txt(c, name, value, why) : class;
}

enum dns_class dns_txt_remove(struct dns_client *c, const struct dns_zone *zone, const char *name,
                              const char *value, struct dns_why *why)
{
    enum dns_class class;

    if (c->provider->read)
        return merge_txt(c, zone, name, value, false, why);
    class = begin(c, why);
    if (class == DNS_OK && !c->provider->set_txt)
        return DNS_NOCHANGE;
    return class == DNS_OK ? c->provider->set_txt(c, name, NULL, why) : class;
}
