#include "shared/dns/tsig.h"

#include "shared/dns/conf.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

enum { TIME_BYTES = 6, KEY_BYTES = 512 };

static const struct {
    const char *name;
    const EVP_MD *(*hash)(void);
    size_t mac_bytes;
} algorithms[] = {
    [DNS_HMAC_SHA256] = { "hmac-sha256", EVP_sha256, 32 },
    [DNS_HMAC_SHA384] = { "hmac-sha384", EVP_sha384, 48 },
    [DNS_HMAC_SHA512] = { "hmac-sha512", EVP_sha512, 64 },
    [DNS_HMAC_SHA1] = { "hmac-sha1", EVP_sha1, 20 },
};
enum { ALGORITHMS_N = sizeof algorithms / sizeof algorithms[0] };

/* ---- key files ---- */

static int read_base64(struct secret *out, struct str text, struct err *e)
{
    unsigned char *room;
    int n, padding = 0;

    if (text.n == 0 || text.n % 4 != 0 || text.n > KEY_BYTES * 4 / 3)
        return err_set(e, ERR_INPUT, "the TSIG key is no base64 text; tsig-keygen makes one");
    while (padding < 2 && text.p[text.n - 1 - (size_t)padding] == '=')
        padding++;
    if (memchr(text.p, '=', text.n - (size_t)padding))
        return err_set(e, ERR_INPUT, "the TSIG key is no base64 text; tsig-keygen makes one");
    secret_free(out);
    secret_init(out, text.n);
    room = out->bytes;
    n = EVP_DecodeBlock(room, (const unsigned char *)text.p, (int)text.n);
    if (n <= padding) {
        secret_free(out);
        return err_set(e, ERR_INPUT, "the TSIG key is no base64 text; tsig-keygen makes one");
    }
    out->n = (size_t)(n - padding);
    return 0;
}

/* The next word of BIND's syntax: { } ; by themselves, text in quotes, or what is between blanks. */
static bool next_token(struct str *rest, struct str *token)
{
    static const char blanks[] = " \t\r\n", ends[] = " \t\r\n{};\"";
    const char *p = rest->p, *end = rest->p + rest->n, *stop;

    for (;;) {
        while (p < end && strchr(blanks, *p))
            p++;
        if (end - p >= 2 && p[0] == '/' && p[1] == '*') {
            stop = memmem(p + 2, (size_t)(end - p - 2), "*/", 2);
            p = stop ? stop + 2 : end;
        } else if (p < end && (*p == '#' || (end - p >= 2 && p[0] == '/' && p[1] == '/'))) {
            stop = memchr(p, '\n', (size_t)(end - p));
            p = stop ? stop : end;
        } else {
            break;
        }
    }
    if (p == end)
        return false;
    stop = p + 1;
    if (*p == '"') {
        stop = memchr(p + 1, '"', (size_t)(end - p - 1));
        *token = (struct str){ p + 1, stop ? (size_t)(stop - p - 1) : (size_t)(end - p - 1) };
        stop = stop ? stop + 1 : end;
    } else {
        while (!strchr("{};", *p) && stop < end && !strchr(ends, *stop))
            stop++;
        *token = (struct str){ p, (size_t)(stop - p) };
    }
    *rest = (struct str){ stop, (size_t)(end - stop) };
    return true;
}

static int read_algorithm(struct tsig_key *key, struct str word, struct err *e)
{
    for (int i = 0; i < ALGORITHMS_N; i++)
        if (str_eq_nocase(word, algorithms[i].name)) {
            key->algorithm = i;
            return 0;
        }
    return err_set(
        e, ERR_INPUT,
        "the TSIG key's algorithm %.*s is none of hmac-sha256, hmac-sha384, hmac-sha512 and hmac-sha1",
        (int)(word.n < 40 ? word.n : 40), word.p);
}

static int read_statement(struct tsig_key *key, struct str rest, struct err *e)
{
    static const char shape[] =
        "not BIND's form of a key: key \"NAME\" { algorithm hmac-sha256; secret \"...\"; };";
    struct str word, value, end;

    if (!next_token(&rest, &word) || !domain_normalize(word, key->name) || !next_token(&rest, &word) ||
        !str_eq(word, "{"))
        return err_set(e, ERR_INPUT, shape);
    while (next_token(&rest, &word) && !str_eq(word, "}")) {
        if (!next_token(&rest, &value) || !next_token(&rest, &end) || !str_eq(end, ";"))
            return err_set(e, ERR_INPUT, shape);
        if (str_eq(word, "algorithm") ? read_algorithm(key, value, e) != 0
            : str_eq(word, "secret")  ? read_base64(&key->bytes, value, e) != 0
                                      : err_set(e, ERR_INPUT, shape) != 0)
            return -1;
    }
    if (!key->bytes.bytes)
        return err_set(e, ERR_INPUT, "the TSIG key has no secret");
    return 0;
}

int tsig_key_read(struct tsig_key *key, struct str text, struct err *e)
{
    struct str rest = text, word;

    if (!next_token(&rest, &word))
        return err_set(e, ERR_INPUT, "the TSIG key is empty");
    if (str_eq(word, "key"))
        return read_statement(key, rest, e);
    text = str_trim(word);
    if (next_token(&rest, &word))
        return err_set(e, ERR_INPUT,
                       "more than one word; write the base64 secret alone, or BIND's key { } form");
    return read_base64(&key->bytes, text, e);
}

void tsig_key_free(struct tsig_key *key)
{
    secret_free(&key->bytes);
}

/* ---- MACs ---- */

static void u48(struct buf *out, int64_t n)
{
    msg_u16(out, (unsigned)(n >> 32) & 0xffff);
    msg_u32(out, (uint32_t)n);
}

struct variables {
    int64_t time_s;
    unsigned fudge, error;
    const unsigned char *other;
    size_t other_n;
};

/* What is signed: (length and MAC of the request,) the message without its TSIG record, and the record's variables. */
static int compute(struct tsig_mac *mac, const struct tsig_key *key, const struct tsig_mac *request,
                   const void *message, size_t n, const struct variables *v, struct err *e)
{
    struct buf all = { 0 };
    unsigned length = 0;
    int rc = -1;

    if (request) {
        msg_u16(&all, (unsigned)request->n);
        buf_add(&all, request->bytes, request->n);
    }
    buf_add(&all, message, n);
    if (msg_name(&all, key->name, e) != 0)
        goto out;
    msg_u16(&all, MSG_ANY);
    msg_u32(&all, 0);
    if (msg_name(&all, algorithms[key->algorithm].name, e) != 0)
        goto out;
    u48(&all, v->time_s);
    msg_u16(&all, v->fudge);
    msg_u16(&all, v->error);
    msg_u16(&all, (unsigned)v->other_n);
    buf_add(&all, v->other_n ? (const char *)v->other : "", v->other_n);
    if (!HMAC(algorithms[key->algorithm].hash(), key->bytes.bytes, (int)key->bytes.n,
              (const unsigned char *)buf_bytes(&all), all.len, mac->bytes, &length)) {
        err_set(e, ERR_SYSTEM, "OpenSSL has no %s", algorithms[key->algorithm].name);
        goto out;
    }
    mac->n = length;
    rc = 0;
out:
    buf_free(&all);
    return rc;
}

int tsig_sign(struct buf *message, const struct tsig_key *key, int64_t now_s, const struct tsig_mac *request,
              struct tsig_mac *mac, struct err *e)
{
    const struct variables v = { .time_s = now_s, .fudge = TSIG_FUDGE_S };
    struct buf rdata = { 0 };
    unsigned id =
        ((const unsigned char *)buf_bytes(message))[0] << 8 | ((const unsigned char *)buf_bytes(message))[1];
    int rc = -1;

    if (compute(mac, key, request, buf_bytes(message), message->len, &v, e) != 0 ||
        msg_name(&rdata, algorithms[key->algorithm].name, e) != 0)
        goto out;
    u48(&rdata, now_s);
    msg_u16(&rdata, TSIG_FUDGE_S);
    msg_u16(&rdata, (unsigned)mac->n);
    buf_add(&rdata, mac->bytes, mac->n);
    msg_u16(&rdata, id);
    msg_u16(&rdata, 0);
    msg_u16(&rdata, 0);
    rc =
        msg_record(message, MSG_ADDITIONAL, key->name, MSG_TSIG, MSG_ANY, 0, buf_bytes(&rdata), rdata.len, e);
out:
    buf_free(&rdata);
    return rc;
}

/* ---- answers ---- */

struct record { /* a TSIG record's RDATA */
    struct variables v;
    const unsigned char *mac;
    size_t mac_n;
    unsigned original_id;
};

static unsigned u16(const unsigned char *p)
{
    return (unsigned)(p[0] << 8 | p[1]);
}

static int64_t read_u48(const unsigned char *p)
{
    return (int64_t)u16(p) << 32 | (int64_t)u16(p + 2) << 16 | (int64_t)u16(p + 4);
}

static bool read_record(const struct msg *m, const struct msg_record *r, const char *algorithm,
                        struct record *out)
{
    size_t at = (size_t)(r->rdata - m->bytes), end = at + r->rdata_n;
    char name[MSG_NAME_TEXT];

    if (!msg_read_name(m, &at, name) || strcmp(name, algorithm) != 0 || end < at || end - at < TIME_BYTES + 4)
        return false;
    out->v.time_s = read_u48(m->bytes + at);
    out->v.fudge = u16(m->bytes + at + TIME_BYTES);
    out->mac_n = u16(m->bytes + at + TIME_BYTES + 2);
    at += TIME_BYTES + 4;
    out->mac = m->bytes + at;
    if (end - at < out->mac_n + 6)
        return false;
    at += out->mac_n;
    out->original_id = u16(m->bytes + at);
    out->v.error = u16(m->bytes + at + 2);
    out->v.other_n = u16(m->bytes + at + 4);
    out->v.other = m->bytes + at + 6;
    return end - at - 6 == out->v.other_n;
}

/* The message as it was before it was signed: without the record, which is the last one, and with the id of then. */
static void unsigned_message(struct buf *out, const struct msg *m, const struct msg_record *r,
                             const struct record *t)
{
    buf_add(out, m->bytes, r->begins_at);
    msg_count(out, MSG_ADDITIONAL, -1);
    out->mem[out->start] = (char)(t->original_id >> 8);
    out->mem[out->start + 1] = (char)t->original_id;
}

static int judge(struct tsig_answer *answer, const struct msg *m, const struct msg_record *r,
                 const struct record *t, const struct tsig_key *key, const struct tsig_mac *request,
                 int64_t now_s, struct err *e)
{
    struct buf before = { 0 };
    struct tsig_mac mac;
    int rc;

    answer->error = (int)t->v.error;
    if (t->mac_n == 0) {
        answer->verdict = TSIG_REFUSED;
        return 0;
    }
    unsigned_message(&before, m, r, t);
    rc = compute(&mac, key, request, buf_bytes(&before), before.len, &t->v, e);
    buf_free(&before);
    if (rc != 0)
        return -1;
    if (t->mac_n != mac.n || !secret_eq(t->mac, mac.bytes, mac.n)) {
        answer->verdict = TSIG_FORGED;
        return 0;
    }
    answer->verdict = TSIG_GOOD;
    if (t->v.error == TSIG_BADTIME && t->v.other_n == TIME_BYTES)
        answer->server_s = read_u48(t->v.other);
    else if (now_s > t->v.time_s + t->v.fudge || now_s < t->v.time_s - t->v.fudge)
        answer->verdict = TSIG_OLD;
    return 0;
}

int tsig_verify(struct tsig_answer *answer, const void *bytes, size_t n, const struct tsig_key *key,
                const struct tsig_mac *request, int64_t now_s, struct err *e)
{
    struct msg_record r;
    struct record t = { 0 };
    struct msg m;
    int rc;

    *answer = (struct tsig_answer){ .verdict = TSIG_UNSIGNED };
    if (msg_open(&m, bytes, n, e) != 0)
        return -1;
    while ((rc = msg_next(&m, &r, e)) == 1) {
        if (r.section != MSG_ADDITIONAL || r.type != MSG_TSIG)
            continue;
        if (m.at != n || r.class != MSG_ANY || r.ttl != 0)
            return err_set(e, ERR_PEER,
                           "not a well-formed DNS message: its TSIG record is not as it should be");
        if (strcmp(r.name, key->name) != 0 || !read_record(&m, &r, algorithms[key->algorithm].name, &t)) {
            answer->verdict = TSIG_FORGED;
            return 0;
        }
        return judge(answer, &m, &r, &t, key, request, now_s, e);
    }
    return rc;
}
