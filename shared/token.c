#include "shared/token.h"

#include "shared/value.h"

#include <arpa/inet.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

enum {
    VERSION = 1,
    HEADER_BYTES = 6,
    HEADER_CHECK_BYTES = 3,
    CHECK_BYTES = 8,
    EXPIRY_BYTES = 8,
    PORT_BYTES = 2,
    MAX_BYTES = TOKEN_MAX_CHARS / 4 * 3,
};

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
static const char base64_chars[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char user_chars[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";

/* ---- what may stand in it ---- */

bool token_is_id(const char *text)
{
    return strlen(text) == TOKEN_ID_CHARS && strspn(text, "0123456789abcdef") == TOKEN_ID_CHARS;
}

static bool is_host(const char *host)
{
    struct in6_addr v6;

    return *host && *host != '-' && (!host[strspn(host, user_chars)] || inet_pton(AF_INET6, host, &v6) == 1);
}

static bool is_host_key(const char *key)
{
    static const char prefix[] = "SHA256:";
    const char *digest = key + sizeof prefix - 1;

    return strncmp(key, prefix, sizeof prefix - 1) == 0 && strlen(digest) == 43 &&
           strspn(digest, base64_chars) == 43;
}

int token_check_host(const char *host, struct err *e)
{
    if (!is_host(host) || strlen(host) >= DOMAIN_BYTES)
        return err_set(e, ERR_INPUT, "not a host name or an address (such as relay.example.net)");
    return 0;
}

int token_check(const struct token *t, struct err *e)
{
    if (!token_is_id(t->id))
        return err_set(e, ERR_INPUT, "its id is wrong");
    if (value_name(str_of(t->relay), e) != 0)
        return err_wrap(e, "the relay's name");
    if (value_name(str_of(t->name), e) != 0)
        return err_wrap(e, "the agent's name");
    if (token_check_host(t->host, e) != 0)
        return -1;
    if (!t->user[0] || t->user[0] == '-' || t->user[strspn(t->user, user_chars)])
        return err_set(e, ERR_INPUT, "the user to log in as is not a user's name");
    if (!is_host_key(t->host_key))
        return err_set(e, ERR_INPUT, "the host key is not SHA256: and 43 characters");
    if (t->port == 0 || t->expires <= 0)
        return err_set(e, ERR_INPUT, "its port or its expiry is wrong");
    return 0;
}

/* ---- written ---- */

static void add_number(struct buf *out, uint64_t n, size_t bytes)
{
    while (bytes-- > 0) {
        unsigned char byte = (unsigned char)(n >> (8 * bytes));

        buf_add(out, &byte, 1);
    }
}

static void add_text(struct buf *out, const char *text)
{
    add_number(out, strlen(text), 1);
    buf_add_text(out, text);
}

static unsigned hex_digit(char c)
{
    return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
}

static void add_check(struct buf *out, size_t n)
{
    unsigned char digest[SHA256_DIGEST_LENGTH];

    SHA256((const unsigned char *)buf_bytes(out), out->len, digest);
    buf_add(out, digest, n);
}

/* Six bits a character, the rest of the last one zero. */
static void add_base64url(struct buf *out, const struct buf *from)
{
    const unsigned char *bytes = (const unsigned char *)buf_bytes(from);
    unsigned held = 0, bits = 0;

    for (size_t i = 0; i < from->len; i++) {
        held = held << 8 | bytes[i];
        for (bits += 8; bits >= 6; bits -= 6)
            buf_add(out, &alphabet[held >> (bits - 6) & 63], 1);
    }
    if (bits > 0)
        buf_add(out, &alphabet[held << (6 - bits) & 63], 1);
}

void token_write(struct buf *out, const struct token *t)
{
    struct buf body = { 0 }, whole = { 0 };

    for (size_t i = 0; i < TOKEN_ID_BYTES; i++)
        add_number(&body, hex_digit(t->id[2 * i]) << 4 | hex_digit(t->id[2 * i + 1]), 1);
    add_number(&body, (uint64_t)t->expires, EXPIRY_BYTES);
    add_number(&body, t->port, PORT_BYTES);
    buf_add(&body, t->seed, sizeof t->seed);
    add_text(&body, t->relay);
    add_text(&body, t->name);
    add_text(&body, t->user);
    add_text(&body, t->host);
    add_text(&body, t->host_key);

    add_number(&whole, VERSION, 1);
    add_number(&whole, body.len + CHECK_BYTES, 2);
    add_check(&whole, HEADER_CHECK_BYTES);
    buf_add(&whole, buf_bytes(&body), body.len);
    add_check(&whole, CHECK_BYTES);
    add_base64url(out, &whole);
    explicit_bzero(body.mem, body.room);
    explicit_bzero(whole.mem, whole.room);
    buf_free(&body);
    buf_free(&whole);
}

/* ---- read ---- */

#define COPY_IT_WHOLE "copy the whole line that tunnelctl invite printed"

struct bytes {
    unsigned char mem[MAX_BYTES];
    size_t n, at;
    bool spare; /* bits are left over that are not zero */
};

/* -1: a character that no token has. */
static int decode(struct bytes *b, struct str text, struct err *e)
{
    unsigned held = 0, bits = 0;

    for (size_t i = 0; i < text.n; i++) {
        const char *at = text.p[i] ? strchr(alphabet, text.p[i]) : NULL;

        if (!at)
            return err_set(
                e, ERR_INPUT,
                "the token was altered: its character %zu is none that a token has; " COPY_IT_WHOLE, i + 1);
        held = (held << 6 | (unsigned)(at - alphabet)) & 0xffff;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            b->mem[b->n++] = (unsigned char)(held >> bits);
        }
    }
    b->spare = bits >= 6 || (held & ((1u << bits) - 1)) != 0;
    return 0;
}

static bool check_is_right(const struct bytes *b, size_t end, size_t n)
{
    unsigned char digest[SHA256_DIGEST_LENGTH];

    SHA256(b->mem, end, digest);
    return memcmp(b->mem + end, digest, n) == 0;
}

static int check_whole(const struct bytes *b, struct err *e)
{
    size_t whole;

    if (b->n < HEADER_BYTES)
        return err_set(e, ERR_INPUT, "the token is cut short: hardly its beginning is there; " COPY_IT_WHOLE);
    if (!check_is_right(b, HEADER_BYTES - HEADER_CHECK_BYTES, HEADER_CHECK_BYTES))
        return err_set(
            e, ERR_INPUT,
            "the token was altered, or it is none: its first 8 characters do not fit together; " COPY_IT_WHOLE);
    if (b->mem[0] != VERSION)
        return err_set(e, ERR_INPUT,
                       "the token is of version %d, and only %d is known here; update this side", b->mem[0],
                       VERSION);
    whole = HEADER_BYTES + (size_t)(b->mem[1] << 8 | b->mem[2]);
    if (b->n < whole)
        return err_set(e, ERR_INPUT,
                       "the token is cut short: %zu of its %zu characters are there; " COPY_IT_WHOLE,
                       (b->n * 8 + 5) / 6, (whole * 8 + 5) / 6);
    if (b->n > whole || b->spare || whole < HEADER_BYTES + CHECK_BYTES ||
        !check_is_right(b, whole - CHECK_BYTES, CHECK_BYTES))
        return err_set(
            e, ERR_INPUT,
            "the token was altered: its checksum is wrong, so a character was changed or added; " COPY_IT_WHOLE);
    return 0;
}

static const unsigned char *take(struct bytes *b, size_t n)
{
    const unsigned char *at = b->mem + b->at;

    if (b->n - CHECK_BYTES - b->at < n)
        return NULL;
    b->at += n;
    return at;
}

static int take_number(struct bytes *b, size_t n, uint64_t *number)
{
    const unsigned char *at = take(b, n);

    *number = 0;
    for (size_t i = 0; at && i < n; i++)
        *number = *number << 8 | at[i];
    return at ? 0 : -1;
}

static int take_text(struct bytes *b, char *out, size_t room)
{
    const unsigned char *at;
    uint64_t number;
    size_t n;

    if (take_number(b, 1, &number) != 0)
        return -1;
    n = (size_t)number; /* of one byte */
    if (n >= room || !(at = take(b, n)) || memchr(at, 0, n))
        return -1;
    memcpy(out, at, n);
    out[n] = 0;
    return 0;
}

static int take_fields(struct bytes *b, struct token *t)
{
    const unsigned char *id, *seed;
    uint64_t expires, port;

    b->at = HEADER_BYTES;
    if (!(id = take(b, TOKEN_ID_BYTES)) || take_number(b, EXPIRY_BYTES, &expires) != 0 ||
        take_number(b, PORT_BYTES, &port) != 0 || !(seed = take(b, sizeof t->seed)))
        return -1;
    for (size_t i = 0; i < TOKEN_ID_BYTES; i++)
        snprintf(t->id + 2 * i, 3, "%02x", id[i]);
    memcpy(t->seed, seed, sizeof t->seed);
    t->port = (uint16_t)port;
    t->expires = expires > INT64_MAX / 2 ? 0 : (time_t)expires;
    if (take_text(b, t->relay, sizeof t->relay) != 0 || take_text(b, t->name, sizeof t->name) != 0 ||
        take_text(b, t->user, sizeof t->user) != 0 || take_text(b, t->host, sizeof t->host) != 0 ||
        take_text(b, t->host_key, sizeof t->host_key) != 0)
        return -1;
    return b->at == b->n - CHECK_BYTES ? 0 : -1;
}

int token_read(struct token *t, struct str text, struct err *e)
{
    struct bytes b = { .n = 0 };
    int rc;

    *t = (struct token){ 0 };
    text = str_trim(text);
    if (text.n > TOKEN_MAX_CHARS)
        return err_set(e, ERR_INPUT, "that is no token: it has more than %d characters; " COPY_IT_WHOLE,
                       TOKEN_MAX_CHARS);
    rc = decode(&b, text, e) == 0 ? check_whole(&b, e) : -1;
    if (rc == 0 && (take_fields(&b, t) != 0 || token_check(t, e) != 0))
        rc = err_set(e, ERR_INPUT, "the token is whole, but says what no relay would; ask for another one");
    explicit_bzero(&b, sizeof b);
    if (rc != 0)
        token_wipe(t);
    return rc;
}

void token_wipe(struct token *t)
{
    explicit_bzero(t, sizeof *t);
}
