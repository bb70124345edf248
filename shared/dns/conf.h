/* shared/dns/conf.h - [provider NAME]: where DNS records are kept, and with what credential. Both daemons have it. */
#ifndef SHARED_DNS_CONF_H
#define SHARED_DNS_CONF_H
#include "shared/opt.h"

#include <stdbool.h>

/* The keys beside type, each a bit: what a provider takes, and what it needs. */
enum dns_key {
    DNS_KEY_TOKEN = 1 << 0,      /* token_file */
    DNS_KEY_KEY = 1 << 1,        /* key_file */
    DNS_KEY_SECRET = 1 << 2,     /* secret_file */
    DNS_KEY_PASSWORD = 1 << 3,   /* password_file */
    DNS_KEY_USER = 1 << 4,       /* user */
    DNS_KEY_ID = 1 << 5,         /* id */
    DNS_KEY_ZONE = 1 << 6,       /* zone */
    DNS_KEY_SERVER = 1 << 7,     /* server */
    DNS_KEY_URL = 1 << 8,        /* url */
    DNS_KEY_KEY_NAME = 1 << 9,   /* key_name */
    DNS_KEY_ALGORITHM = 1 << 10, /* key_algorithm */
    DNS_KEY_CA = 1 << 11,        /* ca_file */
    DNS_KEY_SUCCESS = 1 << 12,   /* success */
    DNS_KEY_COMMAND = 1 << 13,   /* command */
};

struct dns_conf {
    int type;                                                        /* index into dns_types */
    const char *token_file, *key_file, *secret_file, *password_file; /* see secret_load_from */
    const char *user, *id, *zone, *server, *url, *key_name, *ca_file, *success, *command;
    int key_algorithm; /* DNS_HMAC_…; -1 when it is not given */
};

/* Words of key_algorithm. */
enum { DNS_HMAC_SHA256, DNS_HMAC_SHA384, DNS_HMAC_SHA512, DNS_HMAC_SHA1 };
extern const char *const dns_algorithms[];
extern const char
    *const dns_types[]; /* words of type, in the order of the table of providers, NULL at the end */

/* "token_file, zone, url": the keys of such bits. */
void dns_keys_print(struct buf *out, unsigned bits);
/* Adds what is wrong with [provider `name`]: keys its type does not take, keys it needs. */
void dns_conf_check(struct opt_conf *conf, const char *name, const struct dns_conf *c,
                    struct opt_errors *errors);

/* Stands for the section as it is: its texts, and which secrets are meant; but nobody learns these from it. */
enum { DNS_DIGEST_BYTES = 65 };
void dns_conf_digest(const struct dns_conf *c, char out[DNS_DIGEST_BYTES]);

/* Rows of the option table for [provider], whose struct is struct dns_conf. */
#define DNS_CONF_OPTIONS                                                                                   \
    { "provider",                                                                                          \
      "type",                                                                                              \
      OPT_CHOICE,                                                                                          \
      offsetof(struct dns_conf, type),                                                                     \
      .choices = dns_types,                                                                                \
      .flags = OPT_RELOAD | OPT_REQUIRED,                                                                  \
      .sample = "cloudflare",                                                                              \
      .help = "Who keeps the records. tunnelctl dns providers lists all of them, and with a name what it " \
              "takes." },                                                                                  \
        DNS_SECRET_ROW("token_file", token_file, "The token to ask with."),                                \
        DNS_SECRET_ROW("key_file", key_file,                                                               \
                       "The key to ask with; for rfc2136 the TSIG key, as base64 alone "                   \
                       "or in BIND's key { } form."),                                                      \
        DNS_SECRET_ROW("secret_file", secret_file, "The secret that belongs to id or to key_file."),       \
        DNS_SECRET_ROW("password_file", password_file, "The password that belongs to user."),              \
        DNS_TEXT_ROW("user", user, "pi", "User to log in as."),                                            \
        DNS_TEXT_ROW("id", id, "AKIAIOSFODNN7EXAMPLE", "Public part of a credential that has two."),       \
        DNS_TEXT_ROW("zone", zone, "sassy-cat-pics.com",                                                   \
                     "The zone that all names are in. By default the provider is asked for it."),          \
        DNS_TEXT_ROW("server", server, "192.0.2.53:53",                                                    \
                     "Where the records are kept: HOST or HOST:PORT; for rfc2136 the primary server."),    \
        DNS_TEXT_ROW("url", url, "https://dns.example.net:8081",                                           \
                     "Where the provider's API is, when not at its usual place."),                         \
        DNS_TEXT_ROW("key_name", key_name, "pi.", "Name of the TSIG key; by default that in key_file."),   \
        { "provider",                                                                                      \
          "key_algorithm",                                                                                 \
          OPT_CHOICE,                                                                                      \
          offsetof(struct dns_conf, key_algorithm),                                                        \
          .choices = dns_algorithms,                                                                       \
          .flags = OPT_RELOAD,                                                                             \
          .sample = "hmac-sha256",                                                                         \
          .help = "Algorithm of the TSIG key; by default that in key_file, or else hmac-sha256." },        \
        { "provider",                                                                                      \
          "ca_file",                                                                                       \
          OPT_PATH,                                                                                        \
          offsetof(struct dns_conf, ca_file),                                                              \
          .flags = OPT_RELOAD,                                                                             \
          .sample = "/etc/tunnel/dns-ca.pem",                                                              \
          .help =                                                                                          \
              "Authorities to trust for this provider's own TLS instead of the system's: for servers of "  \
              "one's own." },                                                                              \
        DNS_PATH_ROW("command", command, "/usr/local/bin/set-dns",                                         \
                     "Program that sets records, for type = command."),                                    \
        DNS_TEXT_ROW("success", success, "good nochg",                                                     \
                     "First words of an answer that mean that all went well, where a service has its own.")

#define DNS_TEXT_ROW(name, field, sample_text, text)                                                      \
    {                                                                                                     \
        "provider", name, OPT_TEXT, offsetof(struct dns_conf, field), .flags = OPT_RELOAD,                \
                                                                      .sample = sample_text, .help = text \
    }
#define DNS_PATH_ROW(name, field, sample_text, text)                                                      \
    {                                                                                                     \
        "provider", name, OPT_PATH, offsetof(struct dns_conf, field), .flags = OPT_RELOAD,                \
                                                                      .sample = sample_text, .help = text \
    }
#define DNS_SECRET_ROW(name, field, text)                                                                   \
    {                                                                                                       \
        "provider", name, OPT_SECRET_FILE, offsetof(struct dns_conf, field),                                \
            .flags = OPT_RELOAD | OPT_SECRET_ELSEWHERE, .sample = "/etc/tunnel/dns." #field,                \
            .help = text " A file, or env:NAME for an environment variable, or credential:NAME for one of " \
                         "systemd's credentials."                                                           \
    }
#endif
