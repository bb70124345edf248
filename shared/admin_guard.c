#include "shared/admin_guard.h"

#include "shared/cidr.h"
#include "shared/secret.h"
#include "shared/source.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

enum {
    PASSWORD_BYTES = 256,
    TOKEN_BYTES = 4 * ((sizeof ADMIN_USER + PASSWORD_BYTES + 2) / 3), /* the same in base64 */
};

/* ---- the password ---- */

static void digest_of(const void *bytes, size_t n, unsigned char out[32])
{
    SHA256(bytes, n, out);
}

int admin_guard_load(struct admin_guard *g, const char *where, struct err *e)
{
    unsigned char text[sizeof ADMIN_USER + PASSWORD_BYTES] = ADMIN_USER ":";
    struct secret password = { 0 };
    int rc = 0;

    *g = (struct admin_guard){ 0 };
    if (!*where)
        return 0;
    if (secret_load_from(&password, where, PASSWORD_BYTES, e) != 0)
        return -1;
    if (password.n == 0) {
        rc = err_set(e, ERR_INPUT, "is empty; write a password of up to %d characters into it",
                     PASSWORD_BYTES);
    } else {
        memcpy(text + sizeof ADMIN_USER, password.bytes, password.n);
        digest_of(text, sizeof ADMIN_USER + password.n, g->digest);
        OPENSSL_cleanse(text, sizeof text);
        g->has_password = true;
    }
    secret_free(&password);
    return rc;
}

/* The bytes behind "Basic "; -1 when there are none. Digests are compared: neither the length of the password nor where
 * it differs can be timed. */
static int read_basic(struct str authorization, unsigned char *out, size_t *n)
{
    struct str scheme, token;
    int length;

    if (!str_next_word(&authorization, "", &scheme) || !str_eq_nocase(scheme, "basic") ||
        !str_next_word(&authorization, "", &token) || token.n % 4 != 0 || token.n > TOKEN_BYTES)
        return -1;
    length = EVP_DecodeBlock(out, (const unsigned char *)token.p, (int)token.n);
    if (length < 0)
        return -1;
    for (size_t i = 1; i <= 2 && token.p[token.n - i] == '='; i++)
        length--;
    *n = (size_t)length;
    return 0;
}

static bool knows_password(const struct admin_guard *g, struct str authorization)
{
    unsigned char said[TOKEN_BYTES], digest[32];
    size_t n;

    if (read_basic(authorization, said, &n) != 0)
        return false;
    digest_of(said, n, digest);
    OPENSSL_cleanse(said, sizeof said);
    return secret_eq(digest, g->digest, sizeof digest);
}

/* ---- the host ---- */

static bool is_loopback(const struct sockaddr_storage *addr)
{
    static const struct cidr networks[] = {
        { { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127 }, 104 },
        { { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 }, 128 },
    };

    return cidrs_have(&(struct cidrs){ 2, networks }, addr);
}

bool admin_is_local(const struct opt_address *address)
{
    return !address->any && is_loopback(&address->addr);
}

/* HTTP/1.0 may come without a name; no browser speaks it. */
static bool names_this_machine(struct str host)
{
    struct sockaddr_storage addr;

    if (host.n == 0 || str_eq_nocase(host, "localhost"))
        return true;
    if (host.n > 2 && host.p[0] == '[')
        host = (struct str){ host.p + 1, host.n - 2 };
    return cidr_address(host, &addr) && is_loopback(&addr);
}

enum admin_verdict admin_guard_judge(const struct admin_guard *g, struct str host, struct str authorization)
{
    if (g->has_password)
        return knows_password(g, authorization) ? ADMIN_WELCOME : ADMIN_WRONG_PASSWORD;
    return names_this_machine(host) ? ADMIN_WELCOME : ADMIN_WRONG_HOST;
}

/* ---- how often he may guess ---- */

enum { GUESSES_SETS = 64 };

void admin_visitors_init(struct admin_visitors *v)
{
    guesses_init(&v->guesses, GUESSES_SETS);
    verified_init(&v->known);
}

void admin_visitors_free(struct admin_visitors *v)
{
    guesses_free(&v->guesses);
    verified_free(&v->known);
}

enum admin_verdict admin_guard_admit(const struct admin_guard *g, struct admin_visitors *v,
                                     const struct http_request *request, uint64_t now_ns, unsigned *retry_s)
{
    const uint64_t source = source_key(request->peer);
    struct verified_key key;
    bool known, listened_to;

    if (!g->has_password || request->authorization.n == 0) /* as a browser comes at first */
        return admin_guard_judge(g, request->host, request->authorization);
    key = verified_key(&v->known, g->digest, (const char *)&source, sizeof source);
    known = verified_has(&v->known, &key);
    listened_to = guesses_take(&v->guesses, 0, source, now_ns, retry_s);
    if ((!listened_to && !known) || !knows_password(g, request->authorization))
        return listened_to ? ADMIN_WRONG_PASSWORD : ADMIN_TOO_MANY_WRONG;
    if (listened_to)
        guesses_give_back(&v->guesses, 0, source);
    if (!known)
        verified_add(&v->known, &key);
    *retry_s = 0; /* also where it was known alone */
    return ADMIN_WELCOME;
}

/* ---- who asks ---- */

static bool is_one_of(struct str s, const char *const *words)
{
    for (; *words; words++)
        if (str_eq(s, *words))
            return true;
    return false;
}

bool admin_guard_is_foreign(const struct http_request *request)
{
    static const char *const for_programs[] = { "/metrics", "/healthz", "/readyz", NULL };
    static const char *const foreign[] = { "cross-site", "same-site", NULL };

    if (!is_one_of(request->fetch_site, foreign) || is_one_of(request->path, for_programs))
        return false;
    /* Of the stream there is nothing to be looked at: who is led there would hold a place of it. */
    return !str_eq(request->fetch_mode, "navigate") || !str_eq(request->fetch_dest, "document") ||
           str_eq(request->path, "/events");
}
