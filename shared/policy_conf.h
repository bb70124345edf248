/* shared/policy_conf.h - the keys of a [domain] section that make up a policy: their rows in both programs' option
 * tables, and the object they become. */
#ifndef SHARED_POLICY_CONF_H
#define SHARED_POLICY_CONF_H
#include "shared/opt.h"
#include "shared/policy.h"
#include "shared/policy_guard_rows.h"

/* Part of a [domain] section's struct; what is not given is -1, "" or empty. */
struct policy_conf {
    int https, www, share, tls, access_log;
    int64_t priority, hsts_ms, max_body, park_ms;
    const char *error_page;      /* path */
    const char *basic_auth_file; /* likewise */
    const char *rate;
    struct cidrs allow, deny;
    const char *issuer; /* who its certificate is from, as the relay knows it */
    struct opt_pairs set_headers, unset_headers;
};

/* The object; what was not given is no member of it. Files are read: NULL with the reason when that fails, and *key is the
 * option that names the file. A new reference. */
json_t *policy_of_conf(const struct policy_conf *conf, const char **key, struct err *e);
/* Adds what is wrong with the section [domain `name`]. aliases: its further names; NULL where they are not known. */
void policy_conf_check(struct opt_conf *conf, const char *name, const struct opt_words *aliases,
                       const struct policy_conf *p, struct opt_errors *errors);

/* Adds each key of it that says who may come in, for a section whose visitors do not come by a relay. */
void policy_conf_refuse_guard(struct opt_conf *conf, const char *name, const struct policy_conf *p,
                              struct opt_errors *errors);

extern const char *const policy_log_words[];
must_check int policy_conf_check_rate(const char *text, struct err *e);

/* Rows of the option table for [domain], where `member` of struct_name is the struct policy_conf. https_value is the
 * row's .def or, where another section is overridden, its .sample. */
#define POLICY_OPTIONS(struct_name, member, https_value)                                                     \
    POLICY_ROW(struct_name, member, "https", OPT_CHOICE, https, https_value, .choices = policy_https_words,  \
               .help = "What becomes of visitors that come without TLS, at listen_http: with redirect they " \
                       "are sent to https://, with both they are served, with only they get nothing. ACME "  \
                       "challenges are answered in any case."),                                              \
        POLICY_ROW(                                                                                          \
            struct_name, member, "tls", OPT_CHOICE, tls, .sample = "terminate", .choices = policy_tls_words, \
            .help =                                                                                          \
                "Who ends the TLS of visitors. With terminate, as by default, the relay does; with "         \
                "passthrough the service in the house, which has the certificate: the relay reads only the " \
                "name that a visitor asks for, and carries the bytes as they are."),                         \
        POLICY_ROW(                                                                                          \
            struct_name, member, "issuer", OPT_NAME, issuer, .sample = "internal",                           \
            .help =                                                                                          \
                "Who its certificate is from, for visitors of the relay: acme, internal, or the NAME of an " \
                "[acme NAME] in relay.ini; with files, the cert_file there. By default, what [acme] says."), \
        POLICY_ROW(                                                                                          \
            struct_name, member, "www", OPT_CHOICE, www, .sample = "as-is", .choices = policy_www_words,     \
            .help =                                                                                          \
                "With add, visitors of NAME are sent to www.NAME, with strip those of www.NAME to NAME; "    \
                "both have to be names of the site. With as-is, as by default, neither is."),                \
        POLICY_ROW(                                                                                          \
            struct_name, member, "hsts", OPT_DURATION, hsts_ms, .sample = "365d", .min = 0,                  \
            .max = POLICY_HSTS_MAX_S * 1000,                                                                 \
            .help =                                                                                          \
                "For how long browsers are told to come with TLS alone (Strict-Transport-Security). Not "    \
                "sent with a certificate that browsers do not trust. By default, or with 0s, never."),       \
        POLICY_ROW(                                                                                          \
            struct_name, member, "max_body", OPT_SIZE, max_body, .sample = "100m", .min = 0,                 \
            .max = INT64_MAX,                                                                                \
            .help =                                                                                          \
                "Longest body of a request; a longer one is answered with 413. By default, or with 0, any "  \
                "length."),                                                                                  \
        POLICY_ROW(                                                                                          \
            struct_name, member, "park", OPT_DURATION, park_ms, .sample = "30s", .min = 0,                   \
            .max = POLICY_PARK_MAX_MS,                                                                       \
            .help = "How long a request waits for a house that is away, before it is answered with 503. By " \
                    "default as long as the relay's own park says."),                                        \
        POLICY_ROW(                                                                                          \
            struct_name, member, "error_page", OPT_PATH, error_page, .sample = "/etc/tunnel/error.html",     \
            .help =                                                                                          \
                "HTML file, UTF-8, at most 24 KiB, for pages that the relay answers with itself, such as "   \
                "503. {status}, {title}, {text}, {since}, {domain} and {request_id} are replaced in it; "    \
                "another word in braces is an error, while CSS in braces is left alone."),                   \
        POLICY_ROW(                                                                                          \
            struct_name, member, "access_log", OPT_CHOICE, access_log, .sample = "off",                      \
            .choices = policy_log_words,                                                                     \
            .help =                                                                                          \
                "Whether this site's requests are written to the access_log of the relay, where that is "    \
                "not off. By default on."),                                                                  \
        POLICY_ROW(                                                                                          \
            struct_name, member, "share", OPT_CHOICE, share, .sample = "balance",                            \
            .choices = policy_share_words,                                                                   \
            .help =                                                                                          \
                "Whether several agents may serve this name at once: with balance, each request goes to "    \
                "the one that has the least to do; with standby, all go to the one with the lowest "         \
                "priority that is up. Each of them has to say so, or the relay's own section for all of "    \
                "them; with off there, one agent alone has the name. By default off."),                      \
        POLICY_ROW(struct_name, member, "priority", OPT_NUMBER, priority, .sample = "10", .min = 0,          \
                   .max = POLICY_PRIORITY_MAX,                                                               \
                   .help =                                                                                   \
                       "With share = standby: the place of this agent; the lowest that is up gets all, and " \
                       "agents of the same place share it. By default 0."),                                  \
        POLICY_ROW(struct_name, member, "set_header", OPT_PAIRS, set_headers,                                \
                   .sample = "X-Frame-Options = DENY",                                                       \
                   .help = "A header of each response, in place of what the service says."),                 \
        POLICY_ROW(struct_name, member, "unset_header", OPT_PAIRS, unset_headers,                            \
                   .sample = "X-Powered-By =",                                                               \
                   .help = "A header of the service's responses that visitors do not get."),                 \
        POLICY_GUARD_OPTIONS(struct_name, member)

#define POLICY_ROW(struct_name, member, name, kind, field, ...)                                     \
    {                                                                                               \
        "domain", name, kind, offsetof(struct_name, member.field), .flags = OPT_RELOAD, __VA_ARGS__ \
    }
#endif
