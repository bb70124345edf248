#include "shared/htpasswd.h"

#include "shared/utf8.h"
#include "shared/value.h"

#include <stdlib.h>
#include <string.h>

#define REMEDY "make it anew with `htpasswd -B FILE USER` or `openssl passwd -6`"

enum {
    BCRYPT_COST_MAX = 14,
    SHA_ROUNDS_MAX = 1000000,
    YESCRYPT_LOG_N_MAX = 14, /* with blocks of 4 KiB: 64 MiB */
    SALT_MAX = 86
};

static const char base64[] = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/* ---- lines ---- */

static struct str next_line(struct str *rest)
{
    const char *end = memchr(rest->p, '\n', rest->n);
    struct str line = { rest->p, end ? (size_t)(end - rest->p) : rest->n };
    size_t used = line.n + (end ? 1 : 0);

    rest->p += used;
    rest->n -= used;
    if (line.n > 0 && line.p[line.n - 1] == '\r')
        line.n--;
    return line;
}

static bool says_nothing(struct str line)
{
    return str_trim(line).n == 0 || line.p[0] == '#';
}

/* Without a colon the hash is empty. */
static struct htpasswd_entry split(struct str line)
{
    const char *colon = memchr(line.p, ':', line.n), *more;
    struct htpasswd_entry entry = { line, { line.p + line.n, 0 } };

    if (!colon)
        return entry;
    entry.user.n = (size_t)(colon - line.p);
    entry.hash = (struct str){ colon + 1, line.n - entry.user.n - 1 };
    more = memchr(entry.hash.p, ':', entry.hash.n);
    if (more)
        entry.hash.n = (size_t)(more - entry.hash.p);
    return entry;
}

bool htpasswd_next(struct str *rest, struct htpasswd_entry *entry)
{
    while (rest->n > 0) {
        struct str line = next_line(rest);

        if (says_nothing(line))
            continue;
        *entry = split(line);
        return true;
    }
    return false;
}

size_t htpasswd_count(struct str text)
{
    struct htpasswd_entry entry;
    size_t n = 0;

    while (htpasswd_next(&text, &entry))
        n++;
    return n;
}

/* ---- hashes ---- */

static bool begins(struct str s, const char *with)
{
    size_t n = strlen(with);

    return s.n >= n && memcmp(s.p, with, n) == 0;
}

static bool is_base64(struct str s, size_t min, size_t max)
{
    for (size_t i = 0; i < s.n; i++)
        if (!s.p[i] || !strchr(base64, s.p[i]))
            return false;
    return s.n >= min && s.n <= max;
}

/* Up to the next $, which is cut off too; all that is left, where there is none. */
static struct str field(struct str *rest)
{
    const char *end = memchr(rest->p, '$', rest->n);
    struct str s = { rest->p, end ? (size_t)(end - rest->p) : rest->n };
    size_t used = s.n + (end ? 1 : 0);

    rest->p += used;
    rest->n -= used;
    return s;
}

/* "10$", and 53 characters of salt and hash. */
static const char *bcrypt_wrong(struct str rest)
{
    struct str cost = field(&rest);
    int64_t n;

    if (cost.n != 2 || !is_base64(rest, 53, 53) ||
        value_number((struct str){ cost.p + (cost.p[0] == '0'), cost.p[0] == '0' ? 1 : 2 }, 4, 99, &n,
                     NULL) != 0)
        return "is no whole bcrypt hash; " REMEDY;
    return n > BCRYPT_COST_MAX ? "has a bcrypt cost above 14, at which a check takes too long; " REMEDY
                               : NULL;
}

/* "rounds=5000$" may stand in front of the salt. */
static const char *sha_wrong(struct str rest, size_t hash_bytes)
{
    static const char word[] = "rounds=";
    struct str salt = field(&rest);
    int64_t n = 0;

    if (begins(salt, word)) {
        if (value_number((struct str){ salt.p + strlen(word), salt.n - strlen(word) }, 1000, INT32_MAX, &n,
                         NULL) != 0)
            return "has no number of rounds from 1000 to 1000000; " REMEDY;
        salt = field(&rest);
    }
    if (!is_base64(salt, 1, 16) || !is_base64(rest, hash_bytes, hash_bytes))
        return "is no whole hash of SHA-crypt; " REMEDY;
    return n > SHA_ROUNDS_MAX ? "has more than 1000000 rounds, with which a check takes too long; " REMEDY
                              : NULL;
}

/* "j9T": the flavour, how much work and memory, how large a block. */
static const char *yescrypt_wrong(struct str rest)
{
    struct str how = field(&rest), salt = field(&rest);
    const char *n = how.n == 3 ? strchr(base64, how.p[1]) : NULL;

    if (how.n != 3 || how.p[0] != 'j' || !n || !*n || !strchr("5T", how.p[2]) || !how.p[2] ||
        !is_base64(salt, 1, SALT_MAX) || !is_base64(rest, 43, 43))
        return "is no whole yescrypt hash as mkpasswd makes them; " REMEDY;
    return n - base64 + 1 > YESCRYPT_LOG_N_MAX
               ? "has a yescrypt cost at which a check takes too much memory; " REMEDY
               : NULL;
}

static const char *hash_wrong(struct str hash)
{
    const struct str rest = { hash.p + 3, hash.n - (hash.n < 3 ? hash.n : 3) };

    if (begins(hash, "$2y$") || begins(hash, "$2b$") || begins(hash, "$2a$"))
        return bcrypt_wrong((struct str){ hash.p + 4, hash.n - 4 });
    if (begins(hash, "$6$"))
        return sha_wrong(rest, 86);
    if (begins(hash, "$5$"))
        return sha_wrong(rest, 43);
    if (begins(hash, "$y$"))
        return yescrypt_wrong(rest);
    if (begins(hash, "$apr1$") || begins(hash, "$1$"))
        return "has a hash of MD5, which is guessed quickly; " REMEDY;
    if (begins(hash, "{SHA}") || begins(hash, "{SSHA}"))
        return "has a hash of SHA-1, which is guessed quickly; " REMEDY;
    if (begins(hash, "$"))
        return "has a hash of a kind that is not known here; " REMEDY;
    return "has a password as it is, or a hash of the old crypt; " REMEDY;
}

/* ---- the check ---- */

static bool is_printable(struct str s)
{
    for (size_t n; s.n > 0; s.p += n, s.n -= n)
        if ((n = utf8_printable(s.p, s.n)) == 0)
            return false;
    return true;
}

static const char *entry_wrong(const struct htpasswd_entry *entry)
{
    if (entry->hash.n == 0)
        return "is not USER:HASH; " REMEDY;
    if (entry->user.n == 0 || entry->user.n > HTPASSWD_USER_BYTES || !is_printable(entry->user))
        return "has no name of a user of 1 to 255 printable bytes in front of its colon";
    return entry->hash.n > HTPASSWD_HASH_BYTES ? "has a hash that is too long; " REMEDY
                                               : hash_wrong(entry->hash);
}

/* Of entries that are well: none is shorter than its hash. */
enum { ENTRY_BYTES_MIN = 45, ENTRIES_MAX = HTPASSWD_BYTES / ENTRY_BYTES_MIN };

struct named {
    struct str user;
    int line;
};

static int by_user(const void *a, const void *b)
{
    const struct named *left = a, *right = b;
    size_t n = left->user.n < right->user.n ? left->user.n : right->user.n;
    int order = memcmp(left->user.p, right->user.p, n);

    if (order == 0 && left->user.n != right->user.n)
        return left->user.n < right->user.n ? -1 : 1;
    return order != 0 ? order : left->line - right->line;
}

static int check_twice(struct named *list, size_t n, struct err *e)
{
    qsort(list, n, sizeof *list, by_user);
    for (size_t i = 1; i < n; i++)
        if (list[i].user.n == list[i - 1].user.n &&
            memcmp(list[i].user.p, list[i - 1].user.p, list[i].user.n) == 0)
            return err_set(e, ERR_INPUT, "line %d names the same user as line %d; leave one of them out",
                           list[i].line, list[i - 1].line);
    return 0;
}

int htpasswd_check(struct str text, struct err *e)
{
    struct named list[ENTRIES_MAX];
    struct str rest = text;
    size_t n = 0;

    if (text.n > HTPASSWD_BYTES)
        return err_set(e, ERR_INPUT, "it is larger than %d KiB", HTPASSWD_BYTES / 1024);
    for (int line = 1; rest.n > 0; line++) {
        struct str one = next_line(&rest);
        struct htpasswd_entry entry;
        const char *why;

        if (says_nothing(one))
            continue;
        entry = split(one);
        if ((why = entry_wrong(&entry)))
            return err_set(e, ERR_INPUT, "line %d %s", line, why);
        list[n++] = (struct named){ entry.user, line };
    }
    return n > 0 ? check_twice(list, n, e)
                 : err_set(e, ERR_INPUT,
                           "it names nobody, so that nobody could come in; add a line with "
                           "`htpasswd -B FILE USER`, or USER: and what `openssl passwd -6` prints");
}
