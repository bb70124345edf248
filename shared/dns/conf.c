#include "shared/dns/conf.h"

#include "shared/dns/provider.h"
#include "shared/domain.h"

#include <limits.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

const char *const dns_algorithms[] = { "hmac-sha256", "hmac-sha384", "hmac-sha512", "hmac-sha1", NULL };

/* ca_file is for all that go by HTTP, zone for all that have zones: they stand in `keys` like the others. */
static const struct {
    enum dns_key bit;
    const char *key;
} keys[] = {
    { DNS_KEY_TOKEN, "token_file" },
    { DNS_KEY_KEY, "key_file" },
    { DNS_KEY_SECRET, "secret_file" },
    { DNS_KEY_PASSWORD, "password_file" },
    { DNS_KEY_USER, "user" },
    { DNS_KEY_ID, "id" },
    { DNS_KEY_ZONE, "zone" },
    { DNS_KEY_SERVER, "server" },
    { DNS_KEY_URL, "url" },
    { DNS_KEY_KEY_NAME, "key_name" },
    { DNS_KEY_ALGORITHM, "key_algorithm" },
    { DNS_KEY_CA, "ca_file" },
    { DNS_KEY_SUCCESS, "success" },
    { DNS_KEY_COMMAND, "command" },
};

void dns_keys_print(struct buf *out, unsigned bits)
{
    const char *comma = "";

    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (bits & keys[i].bit) {
            buf_printf(out, "%s%s", comma, keys[i].key);
            comma = ", ";
        }
}

static void check_keys(struct opt_conf *conf, const char *name, const struct dns_provider *p,
                       struct opt_errors *errors)
{
    struct buf taken = { 0 };

    dns_keys_print(&taken, p->keys);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        bool given = opt_given(conf, "provider", name, keys[i].key);

        if (given && !(p->keys & keys[i].bit))
            opt_errors_add_at(errors, conf, "provider", name, keys[i].key,
                              "is not for type = %s, which takes %s; leave it out", p->type,
                              buf_text(&taken));
        if (!given && (p->needs & keys[i].bit))
            opt_errors_add_at(errors, conf, "provider", name, NULL,
                              "has no %s, which type = %s needs; tunnelctl dns providers %s shows a sample",
                              keys[i].key, p->type, p->type);
    }
    buf_free(&taken);
}

static const char *url_wrong(const char *url)
{
    if (strncmp(url, "https://", 8) != 0 && strncmp(url, "http://", 7) != 0)
        return "not an https:// URL, or an http:// one for a server on this machine or its network";
    if (strchr(strchr(url, ':') + 3, '@'))
        return "a URL of a configuration holds no password; it goes into a file of its own";
    return NULL;
}

void dns_conf_check(struct opt_conf *conf, const char *name, const struct dns_conf *c,
                    struct opt_errors *errors)
{
    const struct dns_provider *p = dns_providers[c->type];
    const char *wrong = *c->url ? url_wrong(c->url) : NULL;
    struct err why = { 0 };

    check_keys(conf, name, p, errors);
    if (wrong)
        opt_errors_add_at(errors, conf, "provider", name, "url", "%s", wrong);
    if (*c->zone && domain_check(c->zone, DOMAIN_EXACT, &why) != 0)
        opt_errors_add_at(errors, conf, "provider", name, "zone", "%s", why.text);
    wrong = p->conf_wrong ? p->conf_wrong(c) : NULL;
    if (wrong)
        opt_errors_add_at(errors, conf, "provider", name, NULL, "%s", wrong);
}

/* ---- which section it is ---- */

/* Two bytes of a hash tell nearly every other secret, and nobody finds this one by them. */
static void add_variable(EVP_MD_CTX *md, const char *name)
{
    const char *value = getenv(name);
    unsigned char hash[EVP_MAX_MD_SIZE] = { 0 };

    if (value && EVP_Digest(value, strlen(value), hash, NULL, EVP_sha256(), NULL) == 1)
        EVP_DigestUpdate(md, hash, 2);
}

static void add_file(EVP_MD_CTX *md, const char *folder, const char *name)
{
    char path[PATH_MAX];
    struct stat st;

    if (snprintf(path, sizeof path, "%s%s%s", folder, *folder ? "/" : "", name) < (int)sizeof path &&
        stat(path, &st) == 0) {
        EVP_DigestUpdate(md, &st.st_mtim, sizeof st.st_mtim);
        EVP_DigestUpdate(md, &st.st_size, sizeof st.st_size);
        EVP_DigestUpdate(md, &st.st_ino, sizeof st.st_ino);
    }
}

/* Where it is, and that it is another one there. */
static void add_secret(EVP_MD_CTX *md, const char *where)
{
    static const char variable[] = "env:", credential[] = "credential:";
    const char *folder = getenv("CREDENTIALS_DIRECTORY");

    if (strncmp(where, variable, sizeof variable - 1) == 0)
        add_variable(md, where + sizeof variable - 1);
    else if (strncmp(where, credential, sizeof credential - 1) == 0)
        add_file(md, folder ? folder : "", where + sizeof credential - 1);
    else if (*where)
        add_file(md, "", where);
}

void dns_conf_digest(const struct dns_conf *c, char out[DNS_DIGEST_BYTES])
{
    const char *const texts[] = { c->token_file, c->key_file, c->secret_file, c->password_file, c->user,
                                  c->id,         c->zone,     c->server,      c->url,           c->key_name,
                                  c->ca_file,    c->success,  c->command };
    unsigned char digest[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    unsigned n = 0;

    EVP_DigestInit_ex(md, EVP_sha256(), NULL);
    EVP_DigestUpdate(md, dns_types[c->type], strlen(dns_types[c->type]));
    EVP_DigestUpdate(md, &c->key_algorithm, sizeof c->key_algorithm);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        EVP_DigestUpdate(md, texts[i], strlen(texts[i]) + 1);
        if (i < 4)
            add_secret(md, texts[i]);
    }
    EVP_DigestFinal_ex(md, digest, &n);
    EVP_MD_CTX_free(md);
    for (unsigned i = 0; i < n && 2 * i + 2 < DNS_DIGEST_BYTES; i++)
        snprintf(out + (size_t)2 * i, 3, "%02x", digest[i]);
}
