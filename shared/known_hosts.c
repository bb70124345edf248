#include "shared/known_hosts.h"

#include "shared/ssh_key.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

enum {
    NAME_BYTES = 300,  /* [HOST]:PORT of the longest host there is */
    HASH_BYTES = 20,   /* SHA-1 */
    HASH_CHARS = 28,   /* its base64 */
    LINE_BYTES = 16384 /* longer ones are none that ssh would write */
};

enum marker { NO_MARKER, AUTHORITY, REVOKED, UNKNOWN_MARKER };

struct line {
    enum marker marker;
    struct str hosts, type, key; /* key: with what stands behind it */
};

/* ---- which hosts a line is about ---- */

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

/* Of the last * it remembers where it stood, and what it stood for; so it needs no recursion. */
static bool pattern_fits(struct str pattern, const char *name)
{
    const char *again = NULL;
    size_t i = 0, star = pattern.n;

    while (*name) {
        if (i < pattern.n && pattern.p[i] == '*') {
            star = i++;
            again = name;
        } else if (i < pattern.n && (pattern.p[i] == '?' || lower(pattern.p[i]) == *name)) {
            i++;
            name++;
        } else if (star < pattern.n) {
            i = star + 1;
            name = ++again;
        } else {
            return false;
        }
    }
    while (i < pattern.n && pattern.p[i] == '*')
        i++;
    return i == pattern.n;
}

static bool list_fits(struct str list, const char *name)
{
    bool fits = false;

    while (list.n > 0) {
        const char *comma = memchr(list.p, ',', list.n);
        size_t n = comma ? (size_t)(comma - list.p) : list.n;
        bool is_except = n > 0 && list.p[0] == '!';
        struct str pattern = { list.p + is_except, n - is_except };

        if (pattern.n > 0 && pattern_fits(pattern, name)) {
            if (is_except)
                return false;
            fits = true;
        }
        list = (struct str){ list.p + n + (comma != NULL), list.n - n - (comma != NULL) };
    }
    return fits;
}

static bool decode_hash(struct str text, unsigned char out[HASH_BYTES + 1])
{
    return text.n == HASH_CHARS && text.p[HASH_CHARS - 1] == '=' && !memchr(text.p, '=', HASH_CHARS - 1) &&
           EVP_DecodeBlock(out, (const unsigned char *)text.p, HASH_CHARS) == HASH_BYTES + 1;
}

/* |1|SALT|HASH: of one host, which only who knows it already can read. */
static bool hash_fits(struct str hosts, const char *name)
{
    unsigned char salt[HASH_BYTES + 1], hash[HASH_BYTES + 1], made[HASH_BYTES];
    struct str rest = { hosts.p + 3, hosts.n - 3 };
    const char *bar = memchr(rest.p, '|', rest.n);
    unsigned n = sizeof made;

    if (!bar || !decode_hash((struct str){ rest.p, (size_t)(bar - rest.p) }, salt) ||
        !decode_hash((struct str){ bar + 1, rest.n - (size_t)(bar - rest.p) - 1 }, hash))
        return false;
    return HMAC(EVP_sha1(), salt, HASH_BYTES, (const unsigned char *)name, strlen(name), made, &n) &&
           CRYPTO_memcmp(made, hash, HASH_BYTES) == 0;
}

static bool hosts_fit(struct str hosts, const char *name)
{
    if (hosts.n > 0 && hosts.p[0] == '|')
        return hosts.n > 3 && memcmp(hosts.p, "|1|", 3) == 0 && hash_fits(hosts, name);
    return list_fits(hosts, name);
}

/* ---- lines ---- */

/* False for empty lines, comments, and lines with less than three fields. */
static bool read_line(struct str text, struct line *out)
{
    struct str rest = str_trim(text), marker;

    *out = (struct line){ NO_MARKER, { 0 }, { 0 }, { 0 } };
    if (rest.n == 0 || rest.p[0] == '#')
        return false;
    if (rest.p[0] == '@') {
        if (!str_next_word(&rest, "", &marker))
            return false;
        out->marker = str_eq(marker, "@revoked")          ? REVOKED
                      : str_eq(marker, "@cert-authority") ? AUTHORITY
                                                          : UNKNOWN_MARKER;
    }
    if (!str_next_word(&rest, "", &out->hosts) || !str_next_word(&rest, "", &out->type))
        return false;
    out->key = str_trim(rest);
    return out->key.n > 0;
}

static int read_key(const struct line *line, size_t number, char out[SSH_KEY_LINE_BYTES], struct err *e)
{
    char text[256];

    snprintf(text, sizeof text, "ssh-ed25519 %.*s", (int)(line->key.n < 200 ? line->key.n : 200),
             line->key.p);
    if (ssh_key_parse(text, out, NULL) != 0)
        return err_set(e, ERR_INPUT, "line %zu: the ed25519 key of this host is damaged", number);
    return 0;
}

static int take_line(struct known_hosts_found *out, const struct line *line, size_t number, const char *key,
                     struct err *e)
{
    char shown[SSH_KEY_LINE_BYTES];
    bool same;

    if (line->marker == UNKNOWN_MARKER)
        return err_set(e, ERR_INPUT, "line %zu: a marker that is neither @revoked nor @cert-authority",
                       number);
    if (line->marker == AUTHORITY) {
        out->authority = number;
        return 0;
    }
    if (!str_eq(line->type, "ssh-ed25519")) {
        out->other = line->marker == NO_MARKER ? number : out->other;
        return 0;
    }
    if (read_key(line, number, shown, e) != 0)
        return -1;
    same = strcmp(shown, key) == 0;
    if (line->marker == REVOKED ? !same
                                : out->answer == KNOWN_HOSTS_REVOKED || out->answer == KNOWN_HOSTS_YES)
        return 0; /* another key is revoked; or nothing is left to be found out */
    out->answer = line->marker == REVOKED ? KNOWN_HOSTS_REVOKED : same ? KNOWN_HOSTS_YES : KNOWN_HOSTS_OTHER;
    out->line = number;
    return 0;
}

static int look_up(struct known_hosts_found *out, struct str text, const char *name, const char *key,
                   struct err *e)
{
    *out = (struct known_hosts_found){ .answer = KNOWN_HOSTS_NO };
    for (size_t number = 1; text.n > 0; number++) {
        const char *end = memchr(text.p, '\n', text.n);
        size_t n = end ? (size_t)(end - text.p) : text.n;
        size_t shown = n > 0 && text.p[n - 1] == '\r' ? n - 1 : n;
        struct line line;

        if (shown <= LINE_BYTES && read_line((struct str){ text.p, shown }, &line) &&
            hosts_fit(line.hosts, name) && take_line(out, &line, number, key, e) != 0)
            return -1;
        text = (struct str){ text.p + n + (end != NULL), text.n - n - (end != NULL) };
    }
    return 0;
}

int known_hosts_look_up(struct known_hosts_found *out, struct str text, const char *host, uint16_t port,
                        const char *key, struct err *e)
{
    struct known_hosts_found bare;
    char name[NAME_BYTES], with_port[NAME_BYTES];
    size_t n = 0;

    for (; n < sizeof name - 16 && host[n]; n++)
        name[n] = lower(host[n]);
    name[n] = 0;
    if (port == 22)
        return look_up(out, text, name, key, e);
    snprintf(with_port, sizeof with_port, "[%.280s]:%u", name, port);
    if (look_up(out, text, with_port, key, e) != 0)
        return -1;
    if (out->answer != KNOWN_HOSTS_NO)
        return 0;
    if (look_up(&bare, text, name, key, e) != 0)
        return -1;
    if (bare.answer != KNOWN_HOSTS_OTHER)
        *out = bare; /* another machine's port may well have another key */
    return 0;
}
