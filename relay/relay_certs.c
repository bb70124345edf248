/* Which certificate each site shows, and who issues it:
 *
 *   cert_file -> files       issuer = internal, local names, no [acme] -> certs (our own root)
 *   authorities -> manager;  until the first certificate is there, or when there is nobody to ask -> placeholders */
#include "relay/options.h"
#include "relay/relay_parts.h"
#include "shared/domain.h"
#include "shared/json.h"
#include "shared/log.h"
#include "shared/mem.h"

#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- who issues ---- */

struct choice {
    enum issuer_kind kind;
    const char *name; /* of an [acme NAME]; NULL: any authority */
};

/* By its name alone, whatever is configured for public ones. */
static bool is_local(const struct relay *r, const char *site, const struct policy *policy, const char *name)
{
    struct err ignored;

    if (files_has(r->files, site) || !issuer_is_local(name))
        return false;
    if (!policy->issuer)
        return true;
    /* A private authority may know a name of the LAN, where a site that is called so asks for it by name. */
    return !issuer_is_local(site) && issuer_check(r->conf, policy->issuer, &ignored) == 0 &&
           strcmp(policy->issuer, issuer_words[ISSUER_FILES]) != 0;
}

/* One certificate of our own root does for all names. */
static bool is_all_internal(const struct relay *r, const struct policy *policy)
{
    return policy->issuer ? strcmp(policy->issuer, issuer_words[ISSUER_INTERNAL]) == 0
                          : issuer_by_default(r->conf) == ISSUER_INTERNAL;
}

size_t relay_names_apart(const struct relay *r, const char *site, const struct policy *policy,
                         const char **names, size_t n)
{
    const bool own = is_local(r, site, policy, names[0]);
    const char **apart = mem_new(n * sizeof *apart);
    size_t together = 0, others = 0;

    for (size_t i = 0; i < n; i++)
        if (is_all_internal(r, policy) || is_local(r, site, policy, names[i]) == own)
            names[together++] = names[i];
        else
            apart[others++] = names[i];
    for (size_t i = 0; i < others; i++)
        names[together + i] = apart[i];
    free(apart);
    return together;
}

/* What the site says itself, which is for others than files. */
static int choose_asked(const struct relay *r, const char *site, const char *asked, struct choice *out,
                        struct err *e)
{
    if (issuer_check(r->conf, asked, e) != 0)
        return err_wrap(e, "issuer = %s", asked);
    if (strcmp(asked, issuer_words[ISSUER_FILES]) == 0)
        return err_set(e, ERR_INPUT,
                       "issuer = files: the relay's [domain %s] has no cert_file; write it there", site);
    if (strcmp(asked, issuer_words[ISSUER_INTERNAL]) == 0)
        out->kind = ISSUER_INTERNAL;
    else if (strcmp(asked, issuer_words[ISSUER_ACME]) != 0)
        out->name = asked;
    return 0;
}

static int choose(const struct relay *r, const char *site, const struct policy *policy, const char *name,
                  struct choice *out, struct err *e)
{
    *out = (struct choice){ ISSUER_ACME, NULL };
    if (files_has(r->files, site))
        out->kind = ISSUER_FILES;
    else if (is_local(r, site, policy, name))
        out->kind = ISSUER_INTERNAL;
    else if (policy->issuer)
        return choose_asked(r, site, policy->issuer, out, e);
    else
        out->kind = issuer_by_default(r->conf);
    if (out->kind == ISSUER_FILES && !files_has(r->files, site))
        return err_set(
            e, ERR_INPUT,
            "[acme] says issuer = files, and [domain %s] has no cert_file; write it there, or an issuer",
            site);
    return 0;
}

/* ---- from an authority ---- */

/* So that nobody who has a key burns what an authority allows us: what follows from what it may claim. */
static unsigned sites_max(const struct relay *r, const char *agent)
{
    const struct relay_agent_conf *conf = agent ? opt_values(r->conf, "agent", agent) : NULL;

    return agent ? (unsigned)(conf ? conf->max_domains : RELAY_MAX_DOMAINS) : 0;
}

/* Somebody serves it, so these are all its names. */
static bool is_wanted(const struct relay *r, const struct lanes_site *site)
{
    const struct relay_domain_conf *d = relay_domain(r->conf, site->name);

    return site->claimed || (d && d->upstream[0]);
}

/* A wildcard that an agent may serve names of, and dns-01 is ours to answer: one certificate does for all of these. */
static bool is_spare(const struct relay *r, const struct lanes_site *site, const char *issuer)
{
    const struct issuer_conf *by;
    const char *name;

    for (size_t i = 0; strncmp(site->name, "*.", 2) == 0 && (by = issuer_at(r->conf, i, &name)); i++)
        if ((!issuer || strcmp(name, issuer) == 0) && by->dns[0])
            return true;
    return false;
}

static SSL_CTX *from_authority(struct relay *r, const struct lanes_site *site, const char *const *names,
                               size_t n, const char *issuer, struct relay_shown *shown)
{
    const struct manager_site asked = { .names = names,
                                        .names_n = n,
                                        .issuer = issuer,
                                        .agent = site->agent,
                                        .sites_max = sites_max(r, site->agent),
                                        .wanted = is_wanted(r, site),
                                        .spare = is_spare(r, site, issuer) };

    return manager_context(r->manager, &asked, &shown->trusted);
}

/* ---- what is shown ---- */

static SSL_CTX *shown_now(struct relay *r, const struct lanes_site *site, const struct policy *policy,
                          const char *const *names, size_t n, struct relay_shown *shown, struct err *e)
{
    struct choice by;

    if (choose(r, site->name, policy, names[0], &by, e) != 0)
        return NULL;
    shown->may_lack_names = by.kind == ISSUER_ACME; /* of files it is the operator's affair */
    if (by.kind == ISSUER_FILES) {
        shown->trusted = true;
        return files_context(r->files, names, n, time(NULL), e);
    }
    if (by.kind == ISSUER_INTERNAL)
        return certs_context(r->certs, names, n, time(NULL), e);
    return from_authority(r, site, names, n, by.name, shown);
}

SSL_CTX *relay_certificate(struct relay *r, const struct lanes_site *site, const struct policy *policy,
                           const char *const *names, size_t n, struct relay_shown *shown, struct err *e)
{
    SSL_CTX *tls = shown_now(r, site, policy, names, n, shown, e);

    if (tls)
        return tls;
    if (e->code != ERR_NONE)
        log_warn_limited(site->name, "no certificate", kv_str("domain", site->name),
                         kv_str("error", e->text));
    *shown = (struct relay_shown){ .placeholder = true };
    return placeholders_context(r->placeholders, names, n, time(NULL), e);
}

bool relay_certificate_covers(SSL_CTX *tls, const struct relay_shown *shown, const char *name)
{
    bool wildcard = strncmp(name, "*.", 2) == 0;
    char *one = mem_format("%s%s", wildcard ? "any" : "", wildcard ? name + 1 : name); /* of those below it */
    bool covers = !shown->placeholder;

    if (covers && shown->may_lack_names) {
        X509 *cert = SSL_CTX_get0_certificate(tls);

        covers = domain_is_address(one) ? X509_check_ip_asc(cert, one, 0) == 1
                                        : X509_check_host(cert, one, 0, 0, NULL) == 1;
    }
    free(one);
    return covers;
}

/* ---- what is told ---- */

/* Of a site that says, or whose [acme] says, who issues its certificate, and there is nobody of this name. NULL: there is. */
static json_t *status_without_issuer(const struct relay *r, const struct lanes_site *site)
{
    struct arena texts = { 0 };
    struct policy policy;
    struct err why = { 0 };
    struct choice by;
    json_t *status = NULL;

    (void)policies_for(&r->policies, site, &policy, &texts);
    if (policy.tls != POLICY_PASSTHROUGH && choose(r, site->name, &policy, site->name, &by, &why) != 0)
        status = json_pack("{s:s, s:o, s:n, s:[], s:n, s:n, s:o, s:n}", "state", "failing", "issuer",
                           json_any_text(policy.issuer ? policy.issuer : issuer_words[ISSUER_FILES]),
                           "not_after", "names", "next_attempt", "last_try", "last_error",
                           json_any_text(why.text), "failing_since");
    arena_free(&texts);
    return status;
}

static json_t *status_of_name(const struct relay *r, const char *site)
{
    json_t *status;

    if (!files_has(r->files, site) && r->manager && manager_has(r->manager, site))
        return manager_status(r->manager, site);
    status =
        files_has(r->files, site) ? files_status(r->files, site, time(NULL)) : certs_status(r->certs, site);
    if (json_is_object(status))
        json_object_set_new(status, "last_try", json_null()); /* no authority is asked */
    return status;
}

json_t *relay_cert_status(const struct relay *r, const struct lanes_site *site)
{
    json_t *status = status_without_issuer(r, site);

    return status ? status : status_of_name(r, site->name);
}

struct listing {
    struct relay *relay;
    json_t *list;
};

/* Of an alias: a certificate apart from its site's. */
static bool has_own(const struct relay *r, const char *alias)
{
    return (r->manager && manager_has(r->manager, alias)) || certs_has(r->certs, alias);
}

json_t *relay_certs_apart(const struct relay *r, const struct lanes_site *site)
{
    json_t *list = json_array(), *entry;

    for (size_t i = 0; i < site->aliases_n; i++) {
        if (!has_own(r, site->aliases[i]))
            continue;
        entry = status_of_name(r, site->aliases[i]);
        json_object_set_new(entry, "name", json_string(site->aliases[i]));
        json_array_append_new(list, entry);
    }
    return list;
}

/* without: what is told of it instead, taken; NULL: nothing. */
static void add_entry(const struct listing *l, const char *site, json_t *without)
{
    struct relay *r = l->relay;
    json_t *entry = without;

    if (!entry && !files_has(r->files, site) && r->manager && manager_has(r->manager, site)) {
        entry = manager_certs(r->manager, site);
    } else {
        entry = entry ? entry : status_of_name(r, site);
        json_object_set_new(entry, "name", json_string(site));
    }
    json_array_append_new(l->list, entry);
}

/* An alias with a certificate apart from its site's is listed like a site. */
static void add_cert(void *user, const struct lanes_site *site)
{
    const struct listing *l = user;
    const struct relay *r = l->relay;

    add_entry(l, site->name, status_without_issuer(r, site));
    for (size_t i = 0; i < site->aliases_n; i++)
        if (has_own(r, site->aliases[i]))
            add_entry(l, site->aliases[i], NULL);
}

void relay_answer_certs(void *parts, const struct http_request *request, struct http_reply *reply)
{
    struct relay *r = parts;
    struct listing l = { r, json_array() };

    (void)request;
    if (r->lanes)
        lanes_each_site(r->lanes, add_cert, &l);
    if (r->lanes)
        fixed_each_site(r->fixed, add_cert, &l);
    http_reply_json(reply, 200, json_pack("{s:o}", "certs", l.list));
}

static struct manager *manager_of(struct relay *r, struct http_reply *reply)
{
    if (r->manager && !r->ending)
        return r->manager;
    http_reply_error(reply, 503, "the relay is stopping");
    return NULL;
}

struct sought {
    const char *name;
    char *site; /* whose alias it is; NULL: nobody's */
};

static void look_for_alias(void *user, const struct lanes_site *site)
{
    struct sought *s = user;

    for (size_t i = 0; !s->site && i < site->aliases_n; i++)
        if (strcmp(site->aliases[i], s->name) == 0)
            s->site = mem_copy(site->name);
}

static char *site_of_alias(const struct relay *r, const char *name)
{
    struct sought s = { .name = name };

    if (r->lanes) {
        lanes_each_site(r->lanes, look_for_alias, &s);
        fixed_each_site(r->fixed, look_for_alias, &s);
    }
    return s.site;
}

/* Whose it is, where no authority has a certificate of this name. False: nothing is listed by it. */
static bool say_whose(const struct relay *r, const char *name, struct http_reply *reply)
{
    char *site = NULL;
    bool said = true;

    if (files_has(r->files, name))
        http_reply_error(
            reply, 409,
            "the certificate of %s is the cert_file of its [domain], which whoever writes that file "
            "renews and revokes; the relay takes it as soon as it changes",
            name);
    else if (certs_has(r->certs, name))
        http_reply_error(reply, 409,
                         "the certificate of %s is the relay's own issuer's (internal), which renews it by "
                         "itself and revokes none",
                         name);
    else if ((site = site_of_alias(r, name)))
        http_reply_error(reply, 409, "%s belongs to the site %s, whose certificate is for it, too; give %s",
                         name, site, site);
    else
        said = false;
    free(site);
    return said;
}

/* True when what certs lists of this name is not an authority's to renew or revoke: the reply says whose it is. */
static bool is_no_authoritys(const struct relay *r, const struct http_request *request,
                             struct http_reply *reply)
{
    char *name = mem_copy_n(request->name.p, request->name.n);
    bool is_managed = !files_has(r->files, name) && r->manager && manager_has(r->manager, name),
         said = !is_managed && say_whose(r, name, reply);

    free(name);
    return said;
}

void relay_answer_renew(void *parts, const struct http_request *request, struct http_reply *reply)
{
    struct manager *m = manager_of(parts, reply);

    if (m && !is_no_authoritys(parts, request, reply))
        manager_answer_renew(m, request, reply);
}

void relay_answer_cert_revoke(void *parts, const struct http_request *request, struct http_reply *reply)
{
    struct manager *m = manager_of(parts, reply);

    if (m && !is_no_authoritys(parts, request, reply))
        manager_answer_revoke(m, request, reply);
}

void relay_answer_cert_import(void *parts, const struct http_request *request, struct http_reply *reply)
{
    struct manager *m = manager_of(parts, reply);

    if (m)
        manager_answer_import(m, request, reply);
}
