#include "relay/edge/basic_auth.h"

#include "shared/mem.h"
#include "shared/utf8.h"

#include <crypt.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- what he says ---- */

static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Strict: whole groups of four, = at the end alone. */
static bool decode(struct str in, struct basic_auth *out)
{
    size_t padding = 0;

    if (in.n == 0 || in.n % 4 != 0 || in.n / 4 * 3 > BASIC_AUTH_BYTES)
        return false;
    while (padding < 2 && in.p[in.n - 1 - padding] == '=')
        padding++;
    for (size_t i = 0; i < in.n; i += 4) {
        uint32_t bits = 0;

        for (size_t j = i; j < i + 4; j++) {
            int value = j < in.n - padding ? value_of(in.p[j]) : 0;

            if (value < 0)
                return false;
            bits = bits << 6 | (uint32_t)value;
        }
        out->text[out->n++] = (char)(bits >> 16);
        out->text[out->n++] = (char)(bits >> 8 & 255);
        out->text[out->n++] = (char)(bits & 255);
    }
    out->n -= padding;
    out->text[out->n] = '\0';
    return true;
}

/* RFC 7617 2: no control characters in either. A NUL would end what is hashed. */
static bool has_control(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)text[i] < ' ' || text[i] == 127)
            return true;
    return false;
}

static bool split(struct basic_auth *a)
{
    char *colon = memchr(a->text, ':', a->n);

    if (!colon || has_control(a->text, a->n))
        return false;
    *colon = '\0';
    a->user = a->text;
    a->password = colon + 1;
    return true;
}

bool basic_auth_read(const struct h1_head *head, struct basic_auth *out)
{
    int at = h1_field_find(head, "authorization", 0);
    struct str value, scheme;

    out->n = 0;
    if (at < 0 || h1_field_find(head, "authorization", at + 1) >= 0)
        return false;
    value = h1_text(head, head->fields[at].value);
    if (!str_next_word(&value, "", &scheme) || !str_eq_nocase(scheme, "basic"))
        return false;
    return decode(str_trim(value), out) && split(out);
}

void basic_auth_wipe(struct basic_auth *a)
{
    OPENSSL_cleanse(a, sizeof *a);
}

/* ---- whether it is so ---- */

static struct str nth_hash(const char *passwords, size_t n)
{
    struct str rest = str_of(passwords);
    struct htpasswd_entry entry = { 0 };

    for (size_t i = 0; i <= n && htpasswd_next(&rest, &entry); i++)
        ;
    return entry.hash;
}

static uint32_t number_of(const char *user, const unsigned char seed[32])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    uint32_t n;

    if (!HMAC(EVP_sha256(), seed, 32, (const unsigned char *)user, strlen(user), digest, NULL))
        abort(); /* OpenSSL has no SHA-256: TLS would be broken as well */
    memcpy(&n, digest, sizeof n);
    return n;
}

struct str basic_auth_hash(const char *passwords, const char *user, const unsigned char seed[32], bool *known)
{
    const uint32_t stranger = number_of(user, seed);
    struct str rest = str_of(passwords), hash = { 0 };
    struct htpasswd_entry entry;

    while (htpasswd_next(&rest, &entry))
        if (str_eq(entry.user, user))
            hash = entry.hash;
    *known = hash.n > 0;
    return *known ? hash : nth_hash(passwords, stranger % htpasswd_count(str_of(passwords)));
}

bool basic_auth_matches(const char *password, const char *hash)
{
    struct crypt_data *data = mem_new(sizeof *data);
    /* By this name of libxcrypt's: sanitizers have a crypt_r of their own, for which the library would be left out. */
    const char *made = crypt_rn(password, hash, data, sizeof *data);
    bool matches = made && strlen(made) == strlen(hash) && CRYPTO_memcmp(made, hash, strlen(hash)) == 0;

    OPENSSL_cleanse(data, sizeof *data);
    free(data);
    return matches;
}
