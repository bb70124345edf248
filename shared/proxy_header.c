#include "shared/proxy_header.h"

#include "shared/proxy_wire.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>

enum { HEAD_BYTES = PROXY_WIRE_HEAD_BYTES, TLV_CRC32C = 0x03, CRC_BYTES = 4 };

static const char v1_begin[] = "PROXY ";

/* True when the n bytes and the text are alike as far as both go. */
static bool begins_alike(const unsigned char *in, size_t n, const char *text, size_t len)
{
    return memcmp(in, text, n < len ? n : len) == 0;
}

enum proxy_header_sign proxy_header_sign(const unsigned char *in, size_t n)
{
    const size_t v1 = sizeof v1_begin - 1, v2 = PROXY_WIRE_SIGNATURE_BYTES;

    if (begins_alike(in, n, v1_begin, v1))
        return n < v1 ? PROXY_HEADER_MAYBE : PROXY_HEADER_SURE;
    if (begins_alike(in, n, PROXY_WIRE_SIGNATURE, v2))
        return n < v2 ? PROXY_HEADER_MAYBE : PROXY_HEADER_SURE;
    return PROXY_HEADER_NONE;
}

/* ---- v1: one line of text ---- */

static const char unknown[] = "PROXY UNKNOWN";

/* Of a line that is not whole yet: false as soon as no end could make it right. */
static bool can_be_v1(const unsigned char *in, size_t n)
{
    static const char *const starts[] = { "PROXY TCP4 ", "PROXY TCP6 " };
    static const char used[] = "0123456789abcdefABCDEF:. ";

    if (begins_alike(in, n, unknown, sizeof unknown - 1))
        return n < sizeof unknown || in[sizeof unknown - 1] == ' ' || in[sizeof unknown - 1] == '\r';
    if (!begins_alike(in, n, starts[0], 11) && !begins_alike(in, n, starts[1], 11))
        return false;
    for (size_t i = 11; i < n; i++)
        if (!memchr(used, in[i], sizeof used - 1) && !(in[i] == '\r' && i + 1 == n))
            return false;
    return true;
}

/* Between two words there is one blank, and none behind the last. */
static struct str take_word(struct str *rest)
{
    const char *blank = memchr(rest->p, ' ', rest->n);
    struct str word = { rest->p, blank ? (size_t)(blank - rest->p) : rest->n };

    rest->p += blank ? word.n + 1 : word.n;
    rest->n -= blank ? word.n + 1 : word.n;
    return word;
}

static bool read_address(struct str word, bool v6, struct sockaddr_storage *to)
{
    char text[INET6_ADDRSTRLEN];

    if (word.n >= sizeof text || memchr(word.p, 0, word.n))
        return false;
    memcpy(text, word.p, word.n);
    text[word.n] = 0;
    to->ss_family = v6 ? AF_INET6 : AF_INET;
    return inet_pton(to->ss_family, text,
                     v6 ? (void *)&((struct sockaddr_in6 *)to)->sin6_addr
                        : (void *)&((struct sockaddr_in *)to)->sin_addr) == 1;
}

/* Zeros in front are refused, as the document wants it: some would read them as octal. */
static bool read_port(struct str word, struct sockaddr_storage *to)
{
    unsigned port = 0;

    if (word.n == 0 || word.n > 5 || (word.n > 1 && word.p[0] == '0'))
        return false;
    for (size_t i = 0; i < word.n; i++) {
        if (word.p[i] < '0' || word.p[i] > '9')
            return false;
        port = 10 * port + (unsigned)(word.p[i] - '0');
    }
    ((struct sockaddr_in *)to)->sin_port = htons((uint16_t)port); /* which lies alike in both families */
    return port <= UINT16_MAX;
}

static bool read_line(struct proxy_header *h, struct str line)
{
    size_t known = sizeof unknown - 1;
    struct str word;
    bool v6;

    h->local =
        line.n >= known && memcmp(line.p, unknown, known) == 0 && (line.n == known || line.p[known] == ' ');
    if (h->local)
        return true;
    take_word(&line); /* "PROXY" */
    word = take_word(&line);
    v6 = str_eq(word, "TCP6");
    return (v6 || str_eq(word, "TCP4")) && read_address(take_word(&line), v6, &h->source) &&
           read_address(take_word(&line), v6, &h->dest) && read_port(take_word(&line), &h->source) &&
           read_port(line, &h->dest);
}

static ssize_t read_v1(struct proxy_header *h, const unsigned char *in, size_t n, struct err *e)
{
    size_t most = n < PROXY_HEADER_V1_BYTES ? n : PROXY_HEADER_V1_BYTES;
    const unsigned char *end = memmem(in, most, "\r\n", 2);

    if (!end && most < PROXY_HEADER_V1_BYTES && can_be_v1(in, n))
        return 0;
    if (!end && most == PROXY_HEADER_V1_BYTES)
        return err_set(e, ERR_LIMIT, "a PROXY header of v1 is not at its end after %d bytes",
                       PROXY_HEADER_V1_BYTES);
    if (!end || !read_line(h, (struct str){ (const char *)in, (size_t)(end - in) }))
        return err_set(
            e, ERR_PEER,
            "a PROXY header of v1 is not PROXY TCP4 or TCP6, two addresses and two ports, nor PROXY UNKNOWN");
    return end - in + 2;
}

/* ---- v2: binary ---- */

static uint32_t crc32c(uint32_t crc, const unsigned char *in, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        crc ^= in[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
    }
    return crc;
}

/* Over the whole header, in which the value itself counts as zeros. */
static int check_crc(const unsigned char *in, size_t n, struct str value, struct err *e)
{
    static const unsigned char zeros[CRC_BYTES] = { 0 };
    const unsigned char *is = (const unsigned char *)value.p;
    uint32_t crc = ~(uint32_t)0;

    if (value.n != CRC_BYTES)
        return err_set(e, ERR_PEER, "the CRC32C of a PROXY header has %zu bytes, not 4", value.n);
    crc = crc32c(crc, in, (size_t)(is - in));
    crc = crc32c(crc, zeros, CRC_BYTES);
    crc = ~crc32c(crc, is + CRC_BYTES, n - (size_t)(is - in) - CRC_BYTES);
    if (is[0] != crc >> 24 || is[1] != (crc >> 16 & 0xff) || is[2] != (crc >> 8 & 0xff) ||
        is[3] != (crc & 0xff))
        return err_set(e, ERR_PEER, "the CRC32C of a PROXY header does not fit its bytes");
    return 0;
}

static int check_tlvs(const unsigned char *in, size_t n, size_t at, struct err *e)
{
    struct str rest = { (const char *)in + at, n - at }, value;
    bool has_crc = false;
    unsigned char type;
    int rc;

    while ((rc = proxy_wire_next_tlv(&rest, &type, &value)) > 0) {
        if (type != TLV_CRC32C)
            continue;
        if (has_crc)
            return err_set(e, ERR_PEER, "a PROXY header has two CRC32C");
        has_crc = true;
        if (check_crc(in, n, value, e) != 0)
            return -1;
    }
    return rc == 0 ? 0 : err_set(e, ERR_PEER, "a PROXY header's last TLV is cut short");
}

/* What of the first 16 bytes is there. LOCAL has a family that says nothing. */
static int check_head(const unsigned char *in, size_t n, struct err *e)
{
    bool local = n > 12 && in[12] == PROXY_WIRE_LOCAL;

    if (n > 12 && !local && in[12] != PROXY_WIRE_PROXY)
        return err_set(e, ERR_PEER,
                       "version and command 0x%02x of a PROXY header are neither LOCAL nor PROXY of v2",
                       in[12]);
    if (n > 13 && !local && in[13] != PROXY_WIRE_UNSPEC && in[13] != PROXY_WIRE_TCP4 &&
        in[13] != PROXY_WIRE_TCP6)
        return err_set(e, ERR_PEER,
                       "a PROXY header's address family 0x%02x is neither TCP over IPv4 nor over IPv6",
                       in[13]);
    if (n >= HEAD_BYTES && HEAD_BYTES + proxy_wire_length(in) > PROXY_HEADER_MAX_BYTES)
        return err_set(e, ERR_LIMIT, "a PROXY header of %zu bytes; at most %d are allowed",
                       HEAD_BYTES + proxy_wire_length(in), PROXY_HEADER_MAX_BYTES);
    return 0;
}

static ssize_t read_v2(struct proxy_header *h, const unsigned char *in, size_t n, struct err *e)
{
    size_t whole;
    ssize_t used;

    if (check_head(in, n, e) != 0)
        return -1;
    if (n < HEAD_BYTES || n < HEAD_BYTES + proxy_wire_length(in))
        return 0;
    whole = HEAD_BYTES + proxy_wire_length(in);
    h->local = in[12] == PROXY_WIRE_LOCAL || in[13] == PROXY_WIRE_UNSPEC;
    if (h->local && in[13] != PROXY_WIRE_UNSPEC)
        return (ssize_t)whole; /* how long the addresses are that are to be skipped depends on the family */
    used = proxy_wire_addresses(in[13], in + HEAD_BYTES, whole - HEAD_BYTES, &h->source, &h->dest);
    if (used < 0)
        return err_set(e, ERR_PEER, "a PROXY header is too short for its addresses");
    return check_tlvs(in, whole, HEAD_BYTES + (size_t)used, e) == 0 ? (ssize_t)whole : -1;
}

ssize_t proxy_header_read(struct proxy_header *header, const unsigned char *in, size_t n, struct err *e)
{
    *header = (struct proxy_header){ 0 };
    if (n == 0)
        return 0;
    if (proxy_header_sign(in, n) == PROXY_HEADER_NONE)
        return err_set(e, ERR_PEER, "the connection does not begin with a PROXY header");
    return in[0] == (unsigned char)v1_begin[0] ? read_v1(header, in, n, e) : read_v2(header, in, n, e);
}

/* ---- written ---- */

static void add_v1(struct buf *out, const struct proxy_header *header)
{
    struct sockaddr_storage source, dest;
    char from[INET6_ADDRSTRLEN], to[INET6_ADDRSTRLEN];
    struct buf addresses = { 0 };
    const struct sockaddr_in *source4 = (const void *)&source, *dest4 = (const void *)&dest;
    const struct sockaddr_in6 *source6 = (const void *)&source, *dest6 = (const void *)&dest;
    bool is_ipv4 = proxy_wire_add_addresses(&addresses, &header->source, &header->dest) == PROXY_WIRE_TCP4;

    /* Read back, both are of one family. */
    (void)!proxy_wire_addresses(is_ipv4 ? PROXY_WIRE_TCP4 : PROXY_WIRE_TCP6,
                                (const unsigned char *)buf_bytes(&addresses), addresses.len, &source, &dest);
    buf_free(&addresses);
    inet_ntop(source.ss_family, is_ipv4 ? (const void *)&source4->sin_addr : &source6->sin6_addr, from,
              sizeof from);
    inet_ntop(dest.ss_family, is_ipv4 ? (const void *)&dest4->sin_addr : &dest6->sin6_addr, to, sizeof to);
    buf_printf(out, "PROXY %s %s %s %u %u\r\n", is_ipv4 ? "TCP4" : "TCP6", from, to, ntohs(source4->sin_port),
               ntohs(dest4->sin_port)); /* the port lies alike in both families */
}

static void add_v2(struct buf *out, const struct proxy_header *header, struct str authority)
{
    unsigned char head[PROXY_WIRE_HEAD_BYTES] = { 0 };
    struct buf rest = { 0 };

    memcpy(head, PROXY_WIRE_SIGNATURE, PROXY_WIRE_SIGNATURE_BYTES);
    head[12] = header->local ? PROXY_WIRE_LOCAL : PROXY_WIRE_PROXY;
    head[13] = PROXY_WIRE_UNSPEC;
    if (!header->local)
        head[13] = proxy_wire_add_addresses(&rest, &header->source, &header->dest);
    if (authority.n > 0)
        proxy_wire_add_tlv(&rest, PROXY_WIRE_AUTHORITY, authority);
    head[14] = (unsigned char)(rest.len >> 8);
    head[15] = (unsigned char)rest.len;
    buf_add(out, head, sizeof head);
    buf_add(out, buf_bytes(&rest), rest.len);
    buf_free(&rest);
}

void proxy_header_write(struct buf *out, enum proxy_header_version version, const struct proxy_header *header,
                        struct str authority)
{
    switch (version) {
    case PROXY_HEADER_NO: return;
    case PROXY_HEADER_V1:
        if (header->local)
            buf_add_text(out, "PROXY UNKNOWN\r\n");
        else
            add_v1(out, header);
        return;
    case PROXY_HEADER_V2: add_v2(out, header, authority); return;
    }
}
