#include "relay/certs/issuer_conf.h"

#include "relay/options.h"
#include "shared/cidr.h"
#include "shared/dns/lookup.h"
#include "shared/domain.h"
#include "shared/public_ip.h"
#include "shared/value.h"

#include <stddef.h>
#include <string.h>

const char *const issuer_words[] = {
    [ISSUER_ACME] = "acme", [ISSUER_INTERNAL] = "internal", [ISSUER_FILES] = "files", NULL
};

static const struct {
    const char *word, *url, *staging;
} directories[] = {
    { "letsencrypt", "https://acme-v02.api.letsencrypt.org/directory",
      "https://acme-staging-v02.api.letsencrypt.org/directory" },
    { "letsencrypt-staging", "https://acme-staging-v02.api.letsencrypt.org/directory", NULL },
    { "zerossl", "https://acme.zerossl.com/v2/DV90", NULL },
    { "google", "https://dv.acme-v02.api.pki.goog/directory", NULL },
};
enum { DIRECTORIES_N = sizeof directories / sizeof *directories };

const char *issuer_directory(const char *text)
{
    for (size_t i = 0; i < DIRECTORIES_N; i++)
        if (strcmp(directories[i].word, text) == 0)
            return directories[i].url;
    return text;
}

int issuer_check_directory(const char *text, struct err *e)
{
    const char *url = issuer_directory(text);

    if (strncmp(url, "https://", 8) != 0 || !url[8] || strpbrk(url, " \t\"\\"))
        return err_set(e, ERR_INPUT,
                       "not letsencrypt, letsencrypt-staging, zerossl, google or an https:// URL");
    return 0;
}

/* What an authority would refuse, so that every order would fail. */
int issuer_check_email(const char *text, struct err *e)
{
    const char *at = strchr(text, '@');

    if (!at || at == text || !at[1] || strchr(at + 1, '@') || strpbrk(text, " \t,;:<>?\"\\"))
        return err_set(e, ERR_INPUT, "not one mail address, such as you@sassy-cat-pics.com");
    return 0;
}

static const char *staging_of(const char *directory)
{
    for (size_t i = 0; i < DIRECTORIES_N; i++)
        if (strcmp(directories[i].word, directory) == 0)
            return directories[i].staging;
    return NULL;
}

const char *issuer_staging(const struct issuer_conf *c)
{
    return c->staging_first ? staging_of(c->directory) : NULL;
}

size_t issuer_challenges(const struct issuer_conf *c, enum challenge_type out[CHALLENGE_TYPES])
{
    size_t n = 0;

    for (size_t i = 0; i < c->challenges.n && n < CHALLENGE_TYPES; i++)
        if (challenge_type_find(c->challenges.words[i], &out[n]))
            n++;
    return n;
}

size_t issuer_key_types(const struct issuer_conf *c, enum key_type out[ISSUER_KEY_TYPES])
{
    size_t n = 0;

    for (size_t i = 0; i < c->key_types.n && n < ISSUER_KEY_TYPES; i++)
        if (key_type_read(str_of(c->key_types.words[i]), &out[n], NULL) == 0)
            n++;
    return n;
}

/* Of an address: everybody can reach it. */
static bool is_public(const char *address)
{
    struct sockaddr_storage parsed;

    return cidr_address(str_of(address), &parsed) && !public_ip_wrong((const struct sockaddr *)&parsed);
}

bool issuer_is_local(const char *name)
{
    static const char *const zones[] = { ".internal", ".lan", ".home.arpa" };
    size_t n = strlen(name);

    for (size_t i = 0; i < sizeof zones / sizeof *zones; i++)
        if (n > strlen(zones[i]) && strcmp(name + n - strlen(zones[i]), zones[i]) == 0)
            return true;
    return domain_is_address(name) ? !is_public(name) : !strchr(name, '.');
}

/* ---- which ones there are ---- */

enum issuer_kind issuer_by_default(const struct opt_conf *conf)
{
    const struct issuer_conf *c = opt_values(conf, "acme", NULL);

    if (c)
        return (enum issuer_kind)c->issuer;
    return opt_section(conf, "acme", 0, NULL) ? ISSUER_ACME : ISSUER_INTERNAL;
}

const struct issuer_conf *issuer_at(const struct opt_conf *conf, size_t i, const char **name)
{
    const struct issuer_conf *c;

    for (size_t at = 0; (c = opt_section(conf, "acme", at, name)); at++)
        if (c->issuer == ISSUER_ACME && i-- == 0) {
            if (!*name)
                *name = issuer_words[ISSUER_ACME];
            return c;
        }
    return NULL;
}

int issuer_check(const struct opt_conf *conf, const char *issuer, struct err *e)
{
    const char *name;

    for (size_t i = 0; issuer_words[i]; i++)
        if (i != ISSUER_ACME && strcmp(issuer_words[i], issuer) == 0)
            return 0;
    if (strcmp(issuer, issuer_words[ISSUER_ACME]) == 0 && issuer_at(conf, 0, &name))
        return 0;
    for (size_t i = 0; issuer_at(conf, i, &name); i++)
        if (strcmp(name, issuer) == 0)
            return 0;
    return err_set(e, ERR_INPUT,
                   "the relay has no issuer %.40s; write internal, files, acme where relay.ini has a "
                   "section [acme], or the NAME of its [acme NAME]",
                   issuer);
}

/* ---- checks ---- */

static void check_words(struct opt_conf *conf, const char *name, const struct issuer_conf *c,
                        struct opt_errors *errors)
{
    enum challenge_type seen;
    unsigned challenges = 0;

    if (c->challenges.n == 0)
        opt_errors_add_at(errors, conf, "acme", name, "challenges",
                          "is empty, and no certificate could be had; the default is tls-alpn-01 http-01 "
                          "dns-01");
    for (size_t i = 0; i < c->challenges.n; i++) {
        const char *word = c->challenges.words[i];

        if (!challenge_type_find(word, &seen))
            opt_errors_add_at(errors, conf, "acme", name, "challenges",
                              "%.40s is not tls-alpn-01, http-01 or dns-01", word);
        else if (challenges & 1u << seen)
            opt_errors_add_at(errors, conf, "acme", name, "challenges",
                              "%s stands there twice; write it once", word);
        else
            challenges |= 1u << seen;
    }
}

static bool is_rsa(enum key_type type)
{
    return type == KEY_RSA2048 || type == KEY_RSA3072 || type == KEY_RSA4096;
}

static void check_key_types(struct opt_conf *conf, const char *name, const struct issuer_conf *c,
                            struct opt_errors *errors)
{
    bool had[2] = { false, false };
    struct err why = { 0 };
    enum key_type type;

    if (c->key_types.n == 0)
        opt_errors_add_at(errors, conf, "acme", name, "key_types", "is empty; the default is ecdsa");
    for (size_t i = 0; i < c->key_types.n; i++)
        if (key_type_read(str_of(c->key_types.words[i]), &type, &why) != 0)
            opt_errors_add_at(errors, conf, "acme", name, "key_types", "%.40s: %s", c->key_types.words[i],
                              why.text);
        else if (had[is_rsa(type)])
            opt_errors_add_at(errors, conf, "acme", name, "key_types",
                              "%s is a second key of the same kind; keep one of ecdsa and p384, and one of "
                              "rsa, rsa3072 and rsa4096",
                              c->key_types.words[i]);
        else
            had[is_rsa(type)] = true;
}

static void check_resolvers(struct opt_conf *conf, const char *name, const struct issuer_conf *c,
                            struct opt_errors *errors)
{
    struct err why = { 0 };

    if (lookup_check(&c->resolvers, &why) != 0)
        opt_errors_add_at(errors, conf, "acme", name, "resolvers", "%s", why.text);
}

static void check_directory(struct opt_conf *conf, const char *name, const struct issuer_conf *c,
                            struct opt_errors *errors)
{
    /* What is done is what a dump says, and a dump can be read again. */
    if (!staging_of(c->directory))
        opt_settle(conf, "acme", name, "staging_first", "off");
    if (c->staging_first && !staging_of(c->directory))
        opt_errors_add_at(errors, conf, "acme", name, "staging_first",
                          "directory = %.80s has no staging area; leave it out", c->directory);
    if (c->eab_kid[0] && !c->eab_key_file[0])
        opt_errors_add_at(errors, conf, "acme", name, "eab_kid",
                          "goes with eab_key_file; write that as well");
    if (c->eab_key_file[0] && !c->eab_kid[0])
        opt_errors_add_at(errors, conf, "acme", name, "eab_key_file",
                          "goes with eab_kid; write that as well");
}

static void check_section(struct opt_conf *conf, const char *name, const struct issuer_conf *c,
                          struct opt_errors *errors)
{
    if (name && c->issuer != ISSUER_ACME)
        opt_errors_add_at(errors, conf, "acme", name, "issuer",
                          "a section with a name is a further authority; write issuer = %s in [acme]",
                          issuer_words[c->issuer]);
    for (size_t i = 0; name && issuer_words[i]; i++)
        if (strcmp(name, issuer_words[i]) == 0)
            opt_errors_add_at(errors, conf, "acme", name, NULL,
                              "%s has a meaning already; choose another name", name);
    check_directory(conf, name, c, errors);
    check_words(conf, name, c, errors);
    check_key_types(conf, name, c, errors);
    check_resolvers(conf, name, c, errors);
    if (c->dns[0] && !opt_values(conf, "provider", c->dns))
        opt_errors_add_at(errors, conf, "acme", name, "dns", "there is no [provider %s]; write one", c->dns);
}

static void check_domain(struct opt_conf *conf, const char *name, const struct relay_domain_conf *d,
                         struct opt_errors *errors)
{
    const char *issuer = d->policy.issuer;
    struct err why = { 0 };

    if (!issuer[0])
        return;
    if (issuer_check(conf, issuer, &why) != 0)
        opt_errors_add_at(errors, conf, "domain", name, "issuer", "%s", why.text);
    else if (strcmp(issuer, issuer_words[ISSUER_FILES]) == 0 && !d->cert_file[0])
        opt_errors_add_at(errors, conf, "domain", name, "issuer",
                          "needs cert_file and key_file; write these as well");
    else if (strcmp(issuer, issuer_words[ISSUER_FILES]) != 0 && d->cert_file[0])
        opt_errors_add_at(errors, conf, "domain", name, "issuer",
                          "cert_file says where the certificate is; leave one of both out");
}

void issuer_conf_check(struct opt_conf *conf, struct opt_errors *errors)
{
    const struct issuer_conf *c;
    const struct relay_domain_conf *d;
    const char *name;

    for (size_t i = 0; (c = opt_section(conf, "acme", i, &name)); i++)
        check_section(conf, name, c, errors);
    for (size_t i = 0; (d = opt_section(conf, "domain", i, &name)); i++)
        check_domain(conf, name, d, errors);
}
