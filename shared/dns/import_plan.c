/* What another program's accounts and names are in our words: a [provider] for each login, a [domain] for each name. */
#include "shared/dns/import.h"

#include "shared/dns/import_left.h"
#include "shared/dns/import_map.h"
#include "shared/dns/list.h"
#include "shared/dns/rest.h"
#include "shared/domain.h"
#include "shared/ini_line.h"
#include "shared/mem.h"
#include "shared/value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { LONGEST_TTL_S = 7 * 24 * 3600 };

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

struct provider {
    char *name;
    const char *type;
    struct buf body;
    const char *keys[2], *secrets[2]; /* secrets are the file's */
};

struct maker {
    struct import_file *file;
    struct import_plan *plan;
    const char *folder;
    struct provider *providers;
    size_t providers_n;
    struct buf sites, sources;
    struct import_list names; /* with the line of each */
    bool v6;
};

static const char *setting(struct import_account *a, const char *key)
{
    struct import_pair *found = import_find(&a->settings, key);

    for (size_t i = 0; i < a->settings.n; i++)
        if (strcmp(a->settings.list[i].key, key) == 0)
            a->settings.list[i].used = true;
    return found ? found->value : "";
}

static void put(struct buf *out, const char *key, const char *value)
{
    buf_printf(out, "%s = ", key);
    if (!ini_line_needs_quotes(str_of(value))) {
        buf_printf(out, "%s\n", value);
        return;
    }
    buf_add_text(out, "\"");
    for (; *value; value++)
        buf_printf(out, "%s%c", *value == '"' || *value == '\\' ? "\\" : "", *value);
    buf_add_text(out, "\"\n");
}

static const struct dns_provider *type_named(const char *word)
{
    for (size_t i = 0; dns_providers[i]; i++)
        if (strcmp(dns_providers[i]->type, word) == 0)
            return dns_providers[i];
    return NULL;
}

/* ---- providers ---- */

static bool same(const struct provider *a, const struct provider *b)
{
    bool equal = a->type == b->type && a->body.len == b->body.len &&
                 memcmp(buf_bytes(&a->body), buf_bytes(&b->body), a->body.len) == 0;

    for (int i = 0; i < 2; i++)
        equal = equal && (a->secrets[i] != NULL) == (b->secrets[i] != NULL) &&
                (!a->secrets[i] || strcmp(a->secrets[i], b->secrets[i]) == 0);
    return equal;
}

/* Takes the body. One login that stands there several times is one section. */
static const char *keep_provider(struct maker *m, struct provider *p)
{
    size_t of_type = 1;

    for (size_t i = 0; i < m->providers_n; i++) {
        if (same(&m->providers[i], p)) {
            buf_free(&p->body);
            return m->providers[i].name;
        }
        of_type += m->providers[i].type == p->type;
    }
    p->name = of_type == 1 ? mem_copy(p->type) : mem_format("%s-%zu", p->type, of_type);
    m->providers = mem_grow(m->providers, (m->providers_n + 1) * sizeof *m->providers);
    m->providers[m->providers_n++] = *p;
    return p->name;
}

static void print_provider(struct maker *m, struct provider *p)
{
    struct import_plan *plan = m->plan;

    buf_printf(&plan->ini, "[provider %s]\ntype = %s\n", p->name, p->type);
    buf_add(&plan->ini, buf_bytes(&p->body), p->body.len);
    for (int i = 0; i < 2; i++) {
        struct import_secret *s;
        char *path;

        if (!p->secrets[i])
            continue;
        plan->secrets = mem_grow(plan->secrets, (plan->secrets_n + 1) * sizeof *plan->secrets);
        s = &plan->secrets[plan->secrets_n++];
        s->base = mem_format("%s.%.*s", p->name, (int)strcspn(p->keys[i], "_"), p->keys[i]);
        s->bytes = mem_copy(p->secrets[i]);
        path = mem_format("%s/%s", m->folder, s->base);
        put(&plan->ini, p->keys[i], path);
        free(path);
    }
    buf_add_text(&plan->ini, "\n");
}

static void secret(struct provider *p, const char *key, const char *value)
{
    int i = p->keys[0] != NULL;

    if (!*value)
        return;
    p->keys[i] = key;
    p->secrets[i] = value;
}

static void text(struct provider *p, const char *key, const char *value)
{
    if (*value)
        put(&p->body, key, value);
}

static void zone(struct provider *p, const char *name)
{
    char normal[DOMAIN_BYTES];

    text(p, "zone", domain_normalize(str_of(name), normal) ? normal : name);
}

static void shape_provider(struct provider *p, enum shape shape, struct import_account *a, bool of_inadyn,
                           const char *name)
{
    const char *user = setting(a, of_inadyn ? "username" : "login"), *password = setting(a, "password");

    if (shape == ONE_NAME)
        zone(p, name);
    else if (shape == HOSTS || shape == USER_ZONE)
        zone(p, user);
    else if (shape != LOGIN && shape != PASSWORD)
        zone(p, of_inadyn ? "" : setting(a, "zone"));
    if (shape == LOGIN || shape == ONE_NAME)
        text(p, "user", user);
    switch (shape) {
    case LOGIN:
    case ONE_NAME:
    case PASSWORD:
    case HOSTS: secret(p, "password_file", password); break;
    case TOKEN:
    case USER_ZONE: secret(p, "token_file", password); break;
    case USER_TOKEN: secret(p, "token_file", user); break;
    case TWO_KEYS:
        secret(p, "key_file", of_inadyn ? user : setting(a, "apikey"));
        secret(p, "secret_file", of_inadyn ? password : setting(a, "secretapikey"));
        break;
    case KEY_FILE:
        text(p, "server", setting(a, "server"));
        text(p, "key_file", password);
        break;
    }
}

/* ---- names ---- */

static bool normalize(struct maker *m, const char *name, unsigned line, char out[DOMAIN_BYTES])
{
    struct err e;
    bool wild = strncmp(name, "*.", 2) == 0;
    char rest[DOMAIN_BYTES];

    if (domain_normalize(str_of(wild ? name + 2 : name), rest) &&
        snprintf(out, DOMAIN_BYTES, "%s%s", wild ? "*." : "", rest) < DOMAIN_BYTES &&
        domain_check(out, DOMAIN_WILDCARD, &e) == 0)
        return true;
    import_leave(m->plan, line, "name", name, "this is no whole host name; give it a [domain] by hand");
    return false;
}

/* Seconds, or with a unit, as ddclient takes both; 0: it is neither. */
static long long seconds(const char *text)
{
    int64_t n;
    struct err e;

    if (value_duration(str_of(text), 1000, LONGEST_TTL_S * 1000LL, &n, &e) == 0)
        return n / 1000;
    return value_number(str_of(text), 1, LONGEST_TTL_S, &n, &e) == 0 ? n : 0;
}

static void add_site(struct maker *m, struct import_account *a, const char *name, unsigned line,
                     const char *provider, const struct dns_provider *p)
{
    bool v6 = m->v6 && (p->can & DNS_CAN_AAAA);
    const char *ttl = setting(a, "ttl"), *proxied = setting(a, "proxied");
    long long ttl_s = seconds(ttl);

    if (import_find(&m->names, name)) {
        import_leave(m->plan, line, "name", name, "it stands further up too, and has one provider here");
        return;
    }
    import_add(&m->names, str_of(name), str_of(""), line);
    buf_printf(&m->sites, "[domain %s]\nmode = direct\ndns = %s\n%s", name, provider,
               v6 ? "" : "families = ipv4\n");
    if (p->min_ttl_s > 0 && ttl_s >= p->min_ttl_s && ttl_s <= LONGEST_TTL_S &&
        (p->max_ttl_s == 0 || ttl_s <= p->max_ttl_s))
        buf_printf(&m->sites, "ttl = %llds\n", ttl_s);
    else if (*ttl && strcmp(ttl, "1") != 0)
        import_leave(m->plan, line, "ttl", ttl, "its provider has no such TTL");
    if (*proxied && (p->can & DNS_CAN_PROXY))
        buf_printf(&m->sites, "proxied = %s\n", import_is_on(proxied) ? "on" : "off");
    buf_add_text(&m->sites, "\n");
    m->plan->sites++;
}

/* ---- accounts ---- */

static void leave_account(struct maker *m, struct import_account *a, const char *why)
{
    for (size_t i = 0; i < a->names.n; i++)
        import_leave(m->plan, a->names.list[i].line, "name", a->names.list[i].value, why);
    if (a->names.n == 0)
        import_leave(m->plan, a->line, *a->service ? a->service : "dyndns2", NULL, why);
    a->left = true;
}

static unsigned keys_of(const struct provider *p)
{
    static const struct {
        const char *key;
        unsigned bit;
    } keys[] = {
        { "zone =", DNS_KEY_ZONE }, { "user =", DNS_KEY_USER },       { "server =", DNS_KEY_SERVER },
        { "url =", DNS_KEY_URL },   { "success =", DNS_KEY_SUCCESS }, { "key_file =", DNS_KEY_KEY }
    };
    struct buf body = p->body;
    unsigned bits = 0;

    for (size_t i = 0; i < COUNT(keys); i++)
        if (body.len > 0 && memmem(buf_bytes(&body), body.len, keys[i].key, strlen(keys[i].key)))
            bits |= keys[i].bit;
    for (int i = 0; i < 2; i++)
        if (p->keys[i])
            bits |= strcmp(p->keys[i], "token_file") == 0      ? DNS_KEY_TOKEN
                    : strcmp(p->keys[i], "password_file") == 0 ? DNS_KEY_PASSWORD
                    : strcmp(p->keys[i], "key_file") == 0      ? DNS_KEY_KEY
                                                               : DNS_KEY_SECRET;
    return bits;
}

static void carry_name(struct maker *m, struct import_account *a, size_t i, const struct dns_provider *type,
                       struct provider *p, const char *suffix)
{
    struct buf missing = { 0 };
    char name[DOMAIN_BYTES], *whole = NULL;
    const char *given = a->names.list[i].value;
    unsigned line = a->names.list[i].line;

    whole = strcmp(given, "@") == 0 ? mem_copy(suffix + (*suffix == '.')) : mem_format("%s%s", given, suffix);
    dns_keys_print(&missing, type->needs & ~keys_of(p));
    if (missing.len > 0) {
        char *why = mem_format("its provider (type = %s) needs %s, which is not there", type->type,
                               buf_text(&missing));

        import_leave(m->plan, line, "name", whole, why);
        free(why);
        buf_free(&p->body);
    } else if (!normalize(m, whole, line, name)) {
        buf_free(&p->body);
    } else {
        add_site(m, a, name, line, keep_provider(m, p), type);
    }
    buf_free(&missing);
    free(whole);
}

/* What is behind a name that is not whole there. At DuckDNS a label alone will do; at Namecheap what stands before the domain,
 * which ddclient has for a login. */
static char *suffix_of(const struct service *service, struct import_account *a, const char *name)
{
    const char *domain = service->shape == HOSTS ? setting(a, "login") : "";
    size_t n = strlen(name), behind = strlen(domain);

    if (strcmp(service->ours, "duckdns") == 0 && !strchr(name, '.'))
        return mem_copy(".duckdns.org");
    if (behind == 0 || strcasecmp(name, domain) == 0 ||
        (n > behind && name[n - behind - 1] == '.' && strcasecmp(name + n - behind, domain) == 0))
        return mem_copy("");
    return mem_format(".%s", domain);
}

static void carry(struct maker *m, struct import_account *a, const struct service *service)
{
    const struct dns_provider *type = type_named(service->ours);
    bool of_inadyn = m->file->program == IMPORT_INADYN;

    if (!type) {
        leave_account(m, a, "this program has no provider of that kind");
        return;
    }
    if (strcmp(service->ours, "cloudflare") == 0 && !of_inadyn && *setting(a, "login") &&
        strcmp(setting(a, "login"), "token") != 0) {
        leave_account(m, a,
                      "it logs in by the account's global key; make a token for the zone at Cloudflare");
        return;
    }
    if (strcmp(service->ours, "gandi") == 0 && !import_is_on(setting(a, "use-personal-access-token")))
        import_leave(m->plan, a->line, "password", "...",
                     "without use-personal-access-token it is a key of Gandi's old kind; make such a token");
    if (service->shape != KEY_FILE)
        (void)setting(a, "server"); /* it is known here */
    for (size_t i = 0; i < a->names.n; i++) {
        struct provider p = { .type = type->type };
        const char *name = a->names.list[i].value;
        char *suffix = suffix_of(service, a, name);

        shape_provider(&p, service->shape, a, of_inadyn, name);
        carry_name(m, a, i, type, &p, suffix);
        free(suffix);
    }
}

/* ---- inadyn's custom { }: a server, and a path with %u, %p, %h and %i in it ---- */

struct custom {
    struct buf url;
    char suffix[DOMAIN_BYTES]; /* what stands behind %h, such as .dyndns.org */
    bool has_ip, has_name, has_password;
};

/* Without any %, inadyn puts the name, or with append-myip the address, behind the path. */
static void read_path(struct custom *c, const char *path, const char *user, bool append_ip)
{
    for (const char *at = path; *at; at++) {
        if (at[0] != '%' || !at[1]) {
            buf_add(&c->url, at, 1);
            continue;
        }
        at++;
        c->has_ip |= *at == 'i';
        c->has_name |= *at == 'h';
        c->has_password |= *at == 'p';
        if (*at == 'u')
            dns_escape(&c->url, user);
        else
            buf_add_text(&c->url, *at == 'h' ? "{name}" : *at == 'p' ? "{token}" : *at == 'i' ? "{ip}" : "%");
        if (*at == 'h' && at[1] == '.') {
            size_t n = strspn(at + 1, ".abcdefghijklmnopqrstuvwxyz0123456789-");

            snprintf(c->suffix, sizeof c->suffix, "%.*s", (int)n, at + 1);
            at += n;
        }
    }
    if (c->has_ip || c->has_name || c->has_password)
        return;
    buf_add_text(&c->url, append_ip ? "{ip}" : "{name}");
    c->has_ip = append_ip;
    c->has_name = !append_ip;
}

static void put_success(struct maker *m, struct import_account *a, struct buf *out)
{
    struct buf words = { 0 };

    for (size_t i = 0; i < a->settings.n; i++)
        if (strcmp(a->settings.list[i].key, "ddns-response") == 0)
            buf_printf(&words, "%s%s", words.len > 0 ? " " : "", a->settings.list[i].value);
    (void)setting(a, "ddns-response");
    if (words.len == 0) {
        buf_add_text(&words, "good nochg OK");
        import_leave(
            m->plan, a->line, "custom", a->service,
            "which words mean that all went well is not said there; see to success = good nochg OK in its provider");
    }
    put(out, "success", buf_text(&words));
    buf_free(&words);
}

static void shape_custom(struct maker *m, struct import_account *a, struct custom *c, struct provider *p,
                         const char *name)
{
    const char *server = setting(a, "ddns-server"), *path = setting(a, "ddns-path");

    if (strcmp(path, "/nic/update?hostname=%h&myip=%i") == 0) {
        p->type = "dyndns2";
        text(p, "server", server);
    } else {
        p->type = "url";
        text(p, "url", buf_text(&c->url));
        put_success(m, a, &p->body);
        if (!c->has_name)
            zone(p, name);
    }
    if (c->has_password) {
        secret(p, "token_file", setting(a, "password"));
        return;
    }
    text(p, "user", setting(a, "username"));
    secret(p, "password_file", setting(a, "password"));
}

static void carry_custom(struct maker *m, struct import_account *a)
{
    const char *server = setting(a, "ddns-server"), *user = setting(a, "username");
    struct custom c = { 0 };

    buf_printf(&c.url, "https://%s", server);
    read_path(&c, setting(a, "ddns-path"), user, strcmp(setting(a, "append-myip"), "true") == 0);
    if (strcmp(server, "dynamicdns.park-your-domain.com") == 0)
        snprintf(c.suffix, sizeof c.suffix, ".%s", user);
    else if (!c.has_ip || !strchr(buf_text(&c.url), '?') || strpbrk(buf_text(&c.url), " #\"")) {
        leave_account(
            m, a,
            "no address is in its URL behind a ?, and type = url needs it there; ask the service for such a URL");
        goto out;
    }
    for (size_t i = 0; i < a->names.n; i++) {
        struct provider p = { .type = "namecheap" };
        const char *name = a->names.list[i].value;

        if (strcmp(server, "dynamicdns.park-your-domain.com") == 0)
            shape_provider(&p, HOSTS, a, true, name);
        else
            shape_custom(m, a, &c, &p, name);
        p.type = type_named(p.type)->type;
        carry_name(m, a, i, type_named(p.type), &p, c.suffix);
    }
out:
    buf_free(&c.url);
}

/* ---- where addresses come from ---- */

static void add_source(struct maker *m, const char *kind, const char *value)
{
    char *source = mem_format("%s:%s", kind, value);
    bool fits = *value && !strpbrk(value, " ,\t") && !strstr(buf_text(&m->sources), source);

    if (fits)
        buf_printf(&m->sources, " %s", source);
    free(source);
}

/* use = web and its like are what is done here anyway; an interface and a fixed address are sources of their own. */
static void read_sources(struct maker *m, const struct import_list *list)
{
    static const struct {
        const char *use, *word, *value, *kind;
    } ways[] = { { "use", "if", "if", "interface" },       { "use", "ip", "ip", "fixed" },
                 { "usev4", "ifv4", "ifv4", "interface" }, { "usev4", "ipv4", "ipv4", "fixed" },
                 { "usev6", "ifv6", "ifv6", "interface" }, { "usev6", "ipv6", "ipv6", "fixed" } };
    static const char *const usual[] = { "web", "webv4", "webv6", "no", "disabled" };

    for (size_t i = 0; i < list->n; i++) {
        struct import_pair *pair = &list->list[i], *value;

        if (strncmp(pair->key, "use", 3) == 0)
            for (size_t j = 0; j < COUNT(usual); j++)
                pair->used |= strcmp(pair->value, usual[j]) == 0;
        if (strcmp(pair->key, "usev6") == 0 && strcmp(pair->value, "no") != 0 &&
            strcmp(pair->value, "disabled") != 0)
            m->v6 = true;
        if (strcmp(pair->key, "allow-ipv6") == 0 ||
            (strcmp(pair->key, "ipv6") == 0 && import_is_on(pair->value))) {
            m->v6 |= import_is_on(pair->value);
            pair->used = true;
        }
        if (strcmp(pair->key, "iface") == 0) {
            add_source(m, "interface", pair->value);
            pair->used = true;
        }
        for (size_t j = 0; j < COUNT(ways); j++)
            if (strcmp(pair->key, ways[j].use) == 0 && strcmp(pair->value, ways[j].word) == 0 &&
                (value = import_find(list, ways[j].value))) {
                add_source(m, ways[j].kind, value->value);
                pair->used = value->used = true;
            }
    }
}

/* ---- all of it ---- */

static const struct service *service_of(struct maker *m, struct import_account *a)
{
    const char *server, *protocol = *a->service ? a->service : "dyndns2";

    if (m->file->program == IMPORT_INADYN)
        return import_map_inadyn(a->service);
    if (strcmp(protocol, "dyndns2") != 0)
        return import_map_ddclient(protocol);
    server = setting(a, "server");
    return import_map_server(*server ? server : "members.dyndns.org");
}

static void carry_dyndns2(struct maker *m, struct import_account *a)
{
    const char *server = setting(a, "server"), *script = setting(a, "script");

    for (size_t i = 0; i < a->names.n; i++) {
        struct provider p = { .type = dns_dyndns2.type };
        char *url = mem_format("https://%s%s", server, script);

        text(&p, *script ? "url" : "server", *script ? url : server);
        shape_provider(&p, LOGIN, a, false, "");
        carry_name(m, a, i, &dns_dyndns2, &p, "");
        free(url);
    }
}

static const char *why_not(const char *service)
{
    if (strstr(service, "freedns"))
        return "FreeDNS is told by a token for each record here; tunnelctl dns providers freedns says how";
    if (strcasecmp(service, "hetzner") == 0)
        return "its token is one of Hetzner's old DNS service, which has ended; tunnelctl dns providers hetzner says "
               "where there are others";
    return "there is no provider for its service here; type = url or type = command may do";
}

static void carry_account(struct maker *m, struct import_account *a)
{
    const struct service *service = a->custom ? NULL : service_of(m, a);
    bool dyndns2 =
        m->file->program == IMPORT_DDCLIENT && (!*a->service || strcmp(a->service, "dyndns2") == 0);
    bool global_v6 = m->v6;

    read_sources(m, &a->settings);
    if (a->custom)
        carry_custom(m, a);
    else if (service && !(dyndns2 && *setting(a, "script")))
        carry(m, a, service);
    else if (dyndns2)
        carry_dyndns2(m, a);
    else
        leave_account(m, a, why_not(a->service));
    m->v6 = global_v6;
}

static void print_all(struct maker *m)
{
    struct import_plan *plan = m->plan;

    if (m->sources.len > 0)
        buf_printf(&plan->ini, "[address]\nsources =%s\n\n", buf_text(&m->sources));
    for (size_t i = 0; i < m->providers_n; i++)
        print_provider(m, &m->providers[i]);
    buf_add(&plan->ini, buf_bytes(&m->sites), m->sites.len);
    plan->providers = m->providers_n;
}

void import_plan(struct import_file *file, const char *folder, struct import_plan *plan)
{
    struct maker m = { .file = file, .plan = plan, .folder = folder };
    struct import_file names = { 0 };

    *plan = (struct import_plan){ 0 };
    read_sources(&m, &file->globals);
    for (size_t i = 0; i < file->n; i++)
        carry_account(&m, &file->accounts[i]);
    print_all(&m);
    import_left(file, plan);
    for (size_t i = 0; i < m.providers_n; i++) {
        free(m.providers[i].name);
        buf_free(&m.providers[i].body);
    }
    free(m.providers);
    buf_free(&m.sites);
    buf_free(&m.sources);
    names.globals = m.names;
    import_file_free(&names);
}
