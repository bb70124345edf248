#include "shared/dns/sigv4.h"

#include <ctype.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum { HASH_BYTES = 32, PARAMETERS = 32, DAY_CHARS = 8 };

void sigv4_time(int64_t now_s, char out[SIGV4_TIME_BYTES])
{
    time_t t = (time_t)now_s;
    struct tm tm;

    strftime(out, SIGV4_TIME_BYTES, "%Y%m%dT%H%M%SZ", gmtime_r(&t, &tm));
}

/* ---- the canonical request ---- */

static void add_escaped(struct buf *out, unsigned char byte, const char *also)
{
    if (isalnum(byte) || (byte && (strchr("-._~", byte) || strchr(also, byte))))
        buf_add(out, &byte, 1);
    else
        buf_printf(out, "%%%02X", byte);
}

static int hex_of(const char *at)
{
    char digits[3] = { at[0], at[0] ? at[1] : 0, 0 };

    return isxdigit((unsigned char)digits[0]) && isxdigit((unsigned char)digits[1])
               ? (int)strtol(digits, NULL, 16)
               : -1;
}

/* A part of the query, escaped as AWS does it, however it was escaped before. */
static void add_part(struct buf *out, const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int byte = text[i] == '%' && i + 2 < n ? hex_of(text + i + 1) : -1;

        if (byte >= 0)
            i += 2;
        add_escaped(out, byte >= 0 ? (unsigned char)byte : (unsigned char)text[i], "");
    }
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names and values are joined by a byte that sorts before all others while they are sorted. */
static void add_query(struct buf *out, const char *query)
{
    struct buf parts[PARAMETERS] = { 0 };
    const char *texts[PARAMETERS] = { 0 };
    size_t n = 0;

    for (const char *at = query; *at; n++) {
        size_t length = strcspn(at, "&"), name = strcspn(at, "=&");

        if (n == PARAMETERS)
            abort(); /* our own mistake: a request has a handful */
        add_part(&parts[n], at, name);
        buf_add(&parts[n], "\1", 1);
        if (name < length)
            add_part(&parts[n], at + name + 1, length - name - 1);
        texts[n] = buf_text(&parts[n]);
        at += length + (at[length] == '&');
    }
    qsort(texts, n, sizeof texts[0], by_text);
    for (size_t i = 0; i < n; i++) {
        size_t name = strcspn(texts[i], "\1");

        buf_printf(out, "%s%.*s=%s", i > 0 ? "&" : "", (int)name, texts[i], texts[i] + name + 1);
    }
    for (size_t i = 0; i < n; i++)
        buf_free(&parts[i]);
}

static void sort_headers(const struct sigv4_request *r, struct sigv4_header out[SIGV4_HEADERS])
{
    for (size_t i = 0; i < r->headers_n; i++) {
        size_t at = i;

        for (; at > 0 && strcasecmp(out[at - 1].name, r->headers[i].name) > 0; at--)
            out[at] = out[at - 1];
        out[at] = r->headers[i];
    }
}

static void add_lower(struct buf *out, const char *name)
{
    for (; *name; name++)
        buf_add(out, &(char){ (char)tolower((unsigned char)*name) }, 1);
}

/* Without blanks at its ends, and one for many within. */
static void add_trimmed(struct buf *out, const char *value)
{
    const char *blank = "";

    for (; *value == ' '; value++)
        ;
    for (; *value; value++) {
        if (*value == ' ') {
            blank = " ";
            continue;
        }
        buf_add_text(out, blank);
        buf_add(out, value, 1);
        blank = "";
    }
}

/* "host:example.com\n…" or "host;…". Headers of one name are one, with their values in the order they came. */
static void add_headers(struct buf *out, const struct sigv4_request *r, bool names_alone)
{
    struct sigv4_header sorted[SIGV4_HEADERS];

    sort_headers(r, sorted);
    for (size_t i = 0; i < r->headers_n; i++) {
        bool again = i > 0 && strcasecmp(sorted[i - 1].name, sorted[i].name) == 0;

        if (names_alone && again)
            continue;
        if (i > 0)
            buf_add_text(out, names_alone ? ";" : again ? "," : "\n");
        if (!again)
            add_lower(out, sorted[i].name);
        if (names_alone)
            continue;
        if (!again)
            buf_add_text(out, ":");
        add_trimmed(out, sorted[i].value);
    }
}

static void add_hash(struct buf *out, const void *bytes, size_t n)
{
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned length = 0;

    if (EVP_Digest(bytes, n, hash, &length, EVP_sha256(), NULL) != 1)
        abort(); /* out of memory */
    for (unsigned i = 0; i < length; i++)
        buf_printf(out, "%02x", hash[i]);
}

void sigv4_canonical(const struct sigv4_request *r, struct buf *out)
{
    buf_printf(out, "%s\n", r->method);
    for (const char *at = *r->path ? r->path : "/"; *at; at++)
        add_escaped(out, (unsigned char)*at, "/");
    buf_add_text(out, "\n");
    add_query(out, r->query);
    buf_add_text(out, "\n");
    add_headers(out, r, false);
    buf_add_text(out, "\n\n");
    add_headers(out, r, true);
    buf_add_text(out, "\n");
    add_hash(out, r->body, r->body_n);
}

/* ---- the signature ---- */

static void hmac(unsigned char out[HASH_BYTES], const unsigned char *key, size_t key_n, const char *text,
                 size_t n)
{
    unsigned char result[EVP_MAX_MD_SIZE];

    if (!HMAC(EVP_sha256(), key, (int)key_n, (const unsigned char *)text, n, result, NULL))
        abort(); /* out of memory */
    memcpy(out, result, HASH_BYTES);
    explicit_bzero(result, sizeof result);
}

static void derive(const struct sigv4_key *key, const char *time, unsigned char out[HASH_BYTES])
{
    struct secret first = { 0 };

    secret_init(&first, 4 + key->secret->n);
    memcpy(first.bytes, "AWS4", 4);
    memcpy(first.bytes + 4, key->secret->bytes, key->secret->n);
    hmac(out, first.bytes, first.n, time, DAY_CHARS);
    secret_free(&first);
    hmac(out, out, HASH_BYTES, key->region, strlen(key->region));
    hmac(out, out, HASH_BYTES, key->service, strlen(key->service));
    hmac(out, out, HASH_BYTES, "aws4_request", strlen("aws4_request"));
}

void sigv4_authorization(const struct sigv4_request *r, const struct sigv4_key *key, const char *time,
                         struct buf *out)
{
    unsigned char derived[HASH_BYTES], signature[HASH_BYTES];
    struct buf canonical = { 0 }, text = { 0 }, scope = { 0 };

    buf_printf(&scope, "%.*s/%s/%s/aws4_request", DAY_CHARS, time, key->region, key->service);
    sigv4_canonical(r, &canonical);
    buf_printf(&text, "AWS4-HMAC-SHA256\n%s\n%s\n", time, buf_text(&scope));
    add_hash(&text, buf_bytes(&canonical), canonical.len);
    derive(key, time, derived);
    hmac(signature, derived, HASH_BYTES, buf_bytes(&text), text.len);
    explicit_bzero(derived, sizeof derived);

    buf_printf(out, "AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=", key->id, buf_text(&scope));
    add_headers(out, r, true);
    buf_add_text(out, ", Signature=");
    for (size_t i = 0; i < HASH_BYTES; i++)
        buf_printf(out, "%02x", signature[i]);
    buf_free(&canonical);
    buf_free(&text);
    buf_free(&scope);
}
