#include "shared/proxy2.h"

#include "shared/proxy_wire.h"
#include "shared/utf8.h"

#include <assert.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

enum { HEAD_BYTES = PROXY_WIRE_HEAD_BYTES };
enum { LOCAL = PROXY_WIRE_LOCAL, PROXY = PROXY_WIRE_PROXY };
enum { UNSPEC = PROXY_WIRE_UNSPEC, TCP4 = PROXY_WIRE_TCP4, TCP6 = PROXY_WIRE_TCP6 };
enum { TLV_ALPN = 0x01, TLV_AUTHORITY = PROXY_WIRE_AUTHORITY, TLV_ROUTE = 0xe3, TLV_ITEM = 0xe4 };

/* ---- the opening and its answer ---- */

/* Where things stand in an opening; the bytes between are the same in every one. */
enum { STREAM_AT = 19, STREAM_BYTES = 8, RANDOM_AT = 30, PROOF_AT = 49 };

static const char opening[] = PROXY_WIRE_SIGNATURE "\x20\0\0\x31"
                                                   "\xe0\0\x08--stream"
                                                   "\xe1\0\x10---- random ----"
                                                   "\xe2\0\x10---- proof -----";

_Static_assert(sizeof opening - 1 == PROXY2_OPEN_BYTES && PROOF_AT + PROXY2_ANSWER_BYTES == PROXY2_OPEN_BYTES,
               "an opening is as long as its parts");

static bool is_fixed(size_t at)
{
    return !(at >= STREAM_AT && at < STREAM_AT + STREAM_BYTES) &&
           !(at >= RANDOM_AT && at < RANDOM_AT + PROXY2_RANDOM_BYTES) && at < PROOF_AT;
}

static void put_stream(unsigned char out[STREAM_BYTES], uint64_t stream)
{
    for (int i = STREAM_BYTES - 1; i >= 0; i--, stream >>= 8)
        out[i] = (unsigned char)stream;
}

static uint64_t get_stream(const unsigned char in[STREAM_BYTES])
{
    uint64_t stream = 0;

    for (int i = 0; i < STREAM_BYTES; i++)
        stream = stream << 8 | in[i];
    return stream;
}

/* The side's name is part of the text, so that nobody can send the relay its own proof back as an answer. */
static void prove(unsigned char out[PROXY2_ANSWER_BYTES], const char side[5],
                  const unsigned char secret[PROXY2_SECRET_BYTES], uint64_t stream,
                  const unsigned char random[PROXY2_RANDOM_BYTES])
{
    unsigned char text[5 + STREAM_BYTES + PROXY2_RANDOM_BYTES], whole[EVP_MAX_MD_SIZE];

    memcpy(text, side, 5);
    put_stream(text + 5, stream);
    memcpy(text + 5 + STREAM_BYTES, random, PROXY2_RANDOM_BYTES);
    if (!HMAC(EVP_sha256(), secret, PROXY2_SECRET_BYTES, text, sizeof text, whole, NULL)) {
        fprintf(stderr, "out of memory: cannot compute an HMAC\n");
        abort();
    }
    memcpy(out, whole, PROXY2_ANSWER_BYTES);
}

void proxy2_open_write(unsigned char out[PROXY2_OPEN_BYTES], const unsigned char secret[PROXY2_SECRET_BYTES],
                       uint64_t stream, const unsigned char random[PROXY2_RANDOM_BYTES])
{
    memcpy(out, opening, PROXY2_OPEN_BYTES);
    put_stream(out + STREAM_AT, stream);
    memcpy(out + RANDOM_AT, random, PROXY2_RANDOM_BYTES);
    prove(out + PROOF_AT, "relay", secret, stream, random);
}

bool proxy2_open_begins(const unsigned char *in, size_t n)
{
    if (n > PROXY2_OPEN_BYTES)
        return false;
    for (size_t i = 0; i < n; i++)
        if (is_fixed(i) && in[i] != (unsigned char)opening[i])
            return false;
    return true;
}

int proxy2_open_read(const unsigned char in[PROXY2_OPEN_BYTES],
                     const unsigned char secret[PROXY2_SECRET_BYTES], uint64_t *stream,
                     unsigned char random[PROXY2_RANDOM_BYTES])
{
    unsigned char proof[PROXY2_ANSWER_BYTES];

    if (!proxy2_open_begins(in, PROXY2_OPEN_BYTES))
        return -1;
    *stream = get_stream(in + STREAM_AT);
    memcpy(random, in + RANDOM_AT, PROXY2_RANDOM_BYTES);
    prove(proof, "relay", secret, *stream, random);
    return CRYPTO_memcmp(proof, in + PROOF_AT, sizeof proof) == 0 ? 0 : -1;
}

void proxy2_answer(unsigned char out[PROXY2_ANSWER_BYTES], const unsigned char secret[PROXY2_SECRET_BYTES],
                   uint64_t stream, const unsigned char random[PROXY2_RANDOM_BYTES])
{
    prove(out, "agent", secret, stream, random);
}

/* ---- the second header, written ---- */

static void add_text(struct buf *out, unsigned char type, struct str text)
{
    assert(text.n <= PROXY2_TEXT_BYTES);
    if (text.n > 0)
        proxy_wire_add_tlv(out, type, text);
}

void proxy2_use_write(struct buf *out, const struct proxy2_use *use)
{
    unsigned char head[HEAD_BYTES] = { [PROXY_WIRE_SIGNATURE_BYTES] = use->local ? LOCAL : PROXY };
    struct buf rest = { 0 };

    assert(use->item.n > 0);
    memcpy(head, PROXY_WIRE_SIGNATURE, PROXY_WIRE_SIGNATURE_BYTES);
    if (!use->local)
        head[13] = proxy_wire_add_addresses(&rest, &use->source, &use->dest);
    add_text(&rest, TLV_ITEM, use->item);
    add_text(&rest, TLV_ROUTE, use->route);
    add_text(&rest, TLV_AUTHORITY, use->sni);
    if (use->http2)
        add_text(&rest, TLV_ALPN, STR("h2"));
    head[14] = (unsigned char)(rest.len >> 8);
    head[15] = (unsigned char)rest.len;
    buf_add(out, head, sizeof head);
    buf_add(out, buf_bytes(&rest), rest.len);
    buf_free(&rest);
}

/* ---- the second header, read ---- */

/* Of the first 16 bytes, as many as are there. A stranger is refused at his first wrong byte. */
static int check_head(const unsigned char *in, size_t n, struct err *e)
{
    if (memcmp(in, PROXY_WIRE_SIGNATURE, n < PROXY_WIRE_SIGNATURE_BYTES ? n : PROXY_WIRE_SIGNATURE_BYTES) !=
        0)
        return err_set(e, ERR_PEER, "the stream goes on with something other than a PROXY v2 header");
    if (n > 12 && in[12] != LOCAL && in[12] != PROXY)
        return err_set(e, ERR_PEER,
                       "version and command 0x%02x of a PROXY header are neither LOCAL nor PROXY of v2",
                       in[12]);
    if (n > 13 && in[12] == LOCAL && in[13] != UNSPEC)
        return err_set(e, ERR_PEER, "a LOCAL PROXY header has the address family 0x%02x; it must have none",
                       in[13]);
    if (n > 13 && in[12] == PROXY && in[13] != TCP4 && in[13] != TCP6)
        return err_set(e, ERR_PEER,
                       "a PROXY header's address family 0x%02x is neither TCP over IPv4 nor over IPv6",
                       in[13]);
    if (n >= HEAD_BYTES && HEAD_BYTES + proxy_wire_length(in) > PROXY2_USE_MAX_BYTES)
        return err_set(e, ERR_LIMIT, "a PROXY header of %zu bytes; at most %d are allowed",
                       HEAD_BYTES + proxy_wire_length(in), PROXY2_USE_MAX_BYTES);
    return 0;
}

static bool is_printable(struct str text)
{
    while (text.n > 0) {
        size_t n = utf8_printable(text.p, text.n);

        if (n == 0)
            return false;
        text.p += n;
        text.n -= n;
    }
    return true;
}

static bool begins(struct str text, struct str with)
{
    return text.n > with.n && memcmp(text.p, with.p, with.n) == 0;
}

/* Names have no blank and nothing outside ASCII: what is compared and logged looks like what it is. */
static bool is_host(struct str text)
{
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] <= ' ' || text.p[i] > '~')
            return false;
    return text.n > 0;
}

/* One text, at most once each; no other kind. */
static int set_text(struct proxy2_use *use, unsigned char type, struct str text, struct err *e)
{
    struct str *to = type == TLV_ITEM        ? &use->item
                     : type == TLV_ROUTE     ? &use->route
                     : type == TLV_AUTHORITY ? &use->sni
                                             : NULL;
    bool well;

    if (type == TLV_ALPN && str_eq(text, "h2") && !use->http2) {
        use->http2 = true;
        return 0;
    }
    if (type == TLV_ALPN)
        return err_set(e, ERR_PEER, "the TLV 0x01 of a PROXY header is not h2, once");

    if (!to)
        return err_set(e, ERR_PEER, "a PROXY header holds a TLV of the unknown type 0x%02x", type);
    if (to->n > 0)
        return err_set(e, ERR_PEER, "a PROXY header holds the TLV 0x%02x twice", type);
    if (type == TLV_ITEM)
        well = is_printable(text) && (begins(text, STR("domain:")) || begins(text, STR("tcp:")));
    else if (type == TLV_ROUTE)
        well = text.n > 0 && text.p[0] == '/' && is_printable(text);
    else
        well = is_host(text);
    if (!well || text.n > PROXY2_TEXT_BYTES)
        return err_set(e, ERR_PEER, "the TLV 0x%02x of a PROXY header is not what such a text looks like",
                       type);
    *to = text;
    return 0;
}

static int read_texts(struct proxy2_use *use, struct str rest, struct err *e)
{
    unsigned char type;
    struct str text;
    int rc;

    while ((rc = proxy_wire_next_tlv(&rest, &type, &text)) > 0)
        if (set_text(use, type, text, e) != 0)
            return -1;
    if (rc < 0)
        return err_set(e, ERR_PEER, "a PROXY header's last TLV is cut short");
    return use->item.n > 0 ? 0 : err_set(e, ERR_PEER, "a PROXY header does not say what the stream is for");
}

ssize_t proxy2_use_read(struct proxy2_use *use, const unsigned char *in, size_t n, struct err *e)
{
    size_t len = n < HEAD_BYTES ? 0 : proxy_wire_length(in);
    struct str texts;
    ssize_t used;

    *use = (struct proxy2_use){ 0 };
    if (check_head(in, n, e) != 0)
        return -1;
    if (n < HEAD_BYTES || n - HEAD_BYTES < len)
        return 0;
    use->local = in[12] == LOCAL;
    used = proxy_wire_addresses(in[13], in + HEAD_BYTES, len, &use->source, &use->dest);
    if (used < 0)
        return err_set(e, ERR_PEER, "a PROXY header is too short for its addresses");
    texts = (struct str){ (const char *)in + HEAD_BYTES + used, len - (size_t)used };
    if (read_texts(use, texts, e) != 0)
        return -1;
    return (ssize_t)(HEAD_BYTES + len);
}
