/* relay/certs/issuer_conf.h - [acme] and [acme NAME] in relay.ini: who issues certificates.
 *
 * Without any such section every certificate is the internal issuer's. The sections with issuer = acme are the
 * authorities, in the order in which they stand in the file. */
#ifndef RELAY_CERTS_ISSUER_CONF_H
#define RELAY_CERTS_ISSUER_CONF_H
#include "relay/certs/challenge.h"
#include "relay/certs/signer.h"
#include "shared/opt.h"

enum issuer_kind { ISSUER_ACME, ISSUER_INTERNAL, ISSUER_FILES };
enum { ISSUER_KEY_TYPES = 2 }; /* of one site: one ECDSA, one RSA */

struct issuer_conf {
    int issuer;            /* enum issuer_kind */
    const char *directory; /* a word of issuer_directory, or a URL */
    const char *email, *ca_file, *eab_kid, *eab_key_file, *profile, *preferred_chain, *deploy_hook, *dns;
    struct opt_words challenges, key_types, resolvers;
    bool preflight, staging_first;
};

/* The URL of a directory as it is written in the file. */
const char *issuer_directory(const char *text);
must_check int issuer_check_directory(const char *text, struct err *e);
must_check int issuer_check_email(const char *text, struct err *e);
/* The one that is asked first, when it is to be tried whether a new configuration works at all; NULL: there is none. */
const char *issuer_staging(const struct issuer_conf *c);
/* What is written there, read; it was checked. */
size_t issuer_challenges(const struct issuer_conf *c, enum challenge_type out[CHALLENGE_TYPES]);
size_t issuer_key_types(const struct issuer_conf *c, enum key_type out[ISSUER_KEY_TYPES]);

/* A name that no authority knows: without a dot, or below .internal, .lan or .home.arpa, or an address that not everybody
 * can reach. */
bool issuer_is_local(const char *name);
/* Who issues for sites that do not say who shall. */
enum issuer_kind issuer_by_default(const struct opt_conf *conf);
/* The i-th authority, in the order of the file; NULL behind the last. *name is "acme" for the section without one. */
const struct issuer_conf *issuer_at(const struct opt_conf *conf, size_t i, const char **name);
/* Adds what is wrong with all such sections, and with the issuer of each [domain]. */
void issuer_conf_check(struct opt_conf *conf, struct opt_errors *errors);
/* -1 unless `issuer` is a word or the name of a section. */
must_check int issuer_check(const struct opt_conf *conf, const char *issuer, struct err *e);

extern const char *const issuer_words[];

/* Rows of the option table for [acme], whose struct is struct issuer_conf. */
#define ISSUER_OPTIONS                                                                                       \
    ISSUER_ROW("issuer", OPT_CHOICE, issuer, .def = "acme", .choices = issuer_words,                         \
               .help = "Where certificates come from, for sites that do not say it. With acme it is this "   \
                       "authority; with internal, this relay's own root, for tests and private networks; "   \
                       "with files, the cert_file of each site. Names without a dot and those below "        \
                       ".internal, .lan and .home.arpa are the internal issuer's in any case. Without a "    \
                       "section [acme] all are."),                                                           \
        ISSUER_ROW("directory", OPT_TEXT, directory, .check = issuer_check_directory, .def = "letsencrypt",  \
                   .help = "The authority: letsencrypt, letsencrypt-staging, zerossl, google, or the "       \
                           "https:// URL of an ACME directory."),                                            \
        ISSUER_ROW("email", OPT_TEXT, email, .check = issuer_check_email, .sample = "you@example.com",       \
                   .help = "Where the authority may write to about the account."),                           \
        ISSUER_ROW("challenges", OPT_WORDS, challenges, .def = "tls-alpn-01 http-01 dns-01",                 \
                   .help = "How it is shown that a name is ours, in the order in which it is tried. A "      \
                           "wildcard needs dns-01."),                                                        \
        ISSUER_ROW("ca_file", OPT_PATH, ca_file, .sample = "/etc/tunnel/private-ca.pem",                     \
                   .help = "Authorities to trust for the authority's own TLS instead of the system's, for "  \
                           "a private one."),                                                                \
        ISSUER_ROW("preflight", OPT_FLAG, preflight, .def = "on",                                            \
                   .help = "Whether it is looked at, before the first order for a name, that the name "      \
                           "leads here from outside. An order is held back for a day at most."),             \
        ISSUER_ROW("resolvers", OPT_WORDS, resolvers, .def = "1.1.1.1 9.9.9.9",                              \
                   .help =                                                                                   \
                       "Who is asked about DNS: ADDRESS or ADDRESS:PORT, or system for the resolvers of "    \
                       "this machine."),                                                                     \
        ISSUER_ROW("eab_kid", OPT_TEXT, eab_kid, .sample = "kid-1",                                          \
                   .help = "External account binding, where the authority asks for it: the key's id."),      \
        ISSUER_ROW("eab_key_file", OPT_SECRET_FILE, eab_key_file, .sample = "/etc/tunnel/eab.key",           \
                   .help = "And a file with the key itself, in base64url as the authority gives it."),       \
        ISSUER_ROW("profile", OPT_TEXT, profile, .sample = "shortlived",                                     \
                   .help =                                                                                   \
                       "Kind of certificate, where the authority has several: at Let's Encrypt classic, "    \
                       "tlsserver or shortlived. By default the authority decides."),                        \
        ISSUER_ROW("preferred_chain", OPT_TEXT, preferred_chain, .sample = "ISRG Root X1",                   \
                   .help = "Of several chains that the authority offers, the one whose topmost issuer has "  \
                           "this in its name."),                                                             \
        ISSUER_ROW("key_types", OPT_WORDS, key_types, .def = "ecdsa",                                        \
                   .help = "Keys of certificates: ecdsa (P-256) or p384, rsa (2048 bits), rsa3072 or "       \
                           "rsa4096. With one of each kind a site has two certificates, and a visitor gets " \
                           "the one that it understands."),                                                  \
        ISSUER_ROW("staging_first", OPT_FLAG, staging_first, .def = "on",                                    \
                   .help = "With directory = letsencrypt: whether a site's first order goes to its staging " \
                           "area, so that what does not work costs nothing. Other directories have none, "   \
                           "and there it is off."),                                                          \
        ISSUER_ROW(                                                                                          \
            "deploy_hook", OPT_PATH, deploy_hook, .sample = "/etc/tunnel/deploy-hook",                       \
            .help =                                                                                          \
                "Program that is run when a certificate has become another one, for at most a "              \
                "minute. Its environment has TUNNEL_DOMAIN, TUNNEL_NAMES, TUNNEL_ISSUER, "                   \
                "TUNNEL_CERT, TUNNEL_KEY and TUNNEL_NOT_AFTER. One that does not end well is told of by "    \
                "status and alerts, and run again by a reload or a restart."),                               \
        ISSUER_ROW("dns", OPT_NAME, dns, .sample = "cloudflare",                                             \
                   .help =                                                                                   \
                       "Name of the [provider] by which dns-01 is answered. Without it the provider of the " \
                       "agent that serves the name does it.")

#define ISSUER_ROW(name, kind, field, ...)                                                        \
    {                                                                                             \
        "acme", name, kind, offsetof(struct issuer_conf, field), .flags = OPT_RELOAD, __VA_ARGS__ \
    }
#endif
