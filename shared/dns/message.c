#include "shared/dns/message.h"

#include <arpa/inet.h>
#include <string.h>

enum {
    LABEL_BYTES = 63,
    NAME_BYTES = 255,
    POINTER = 0xc0,
    OPCODE_SHIFT = 11,
    COUNTS_AT = 4,
    STRING_BYTES = 255
};

const char *msg_rcode_text(int rcode)
{
    static const char *const texts[] = { "NOERROR",  "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED",
                                         "YXDOMAIN", "YXRRSET", "NXRRSET",  "NOTAUTH",  "NOTZONE" };

    return rcode >= 0 && rcode < (int)(sizeof texts / sizeof texts[0]) ? texts[rcode] : "an unknown error";
}

enum msg_type msg_type_of(enum dns_type type)
{
    switch (type) {
    case DNS_TYPE_A: return MSG_A;
    case DNS_TYPE_AAAA: return MSG_AAAA;
    case DNS_TYPE_TXT: return MSG_TXT;
    default: return MSG_CNAME;
    }
}

/* ---- writing ---- */

void msg_u16(struct buf *out, unsigned n)
{
    unsigned char bytes[2] = { (unsigned char)(n >> 8), (unsigned char)n };

    buf_add(out, bytes, sizeof bytes);
}

void msg_u32(struct buf *out, uint32_t n)
{
    msg_u16(out, n >> 16);
    msg_u16(out, n & 0xffff);
}

void msg_begin(struct buf *out, uint16_t id, enum msg_opcode opcode, unsigned flags)
{
    msg_u16(out, id);
    msg_u16(out, flags | (unsigned)opcode << OPCODE_SHIFT);
    for (int i = 0; i < 4; i++)
        msg_u16(out, 0);
}

void msg_count(struct buf *out, enum msg_section section, int more)
{
    unsigned char *at = (unsigned char *)out->mem + out->start + COUNTS_AT + 2 * (size_t)section;
    unsigned n = (unsigned)((at[0] << 8 | at[1]) + more);

    at[0] = (unsigned char)(n >> 8);
    at[1] = (unsigned char)n;
}

/* One byte of a label as it is written in text: itself, or \DDD. */
static bool label_byte(const char **text, unsigned char *byte)
{
    const char *p = *text;

    if (*p != '\\') {
        *byte = (unsigned char)*p;
        *text = p + 1;
        return true;
    }
    for (int i = 1; i <= 3; i++)
        if (p[i] < '0' || p[i] > '9')
            return false;
    *byte = (unsigned char)((p[1] - '0') * 100 + (p[2] - '0') * 10 + (p[3] - '0'));
    *text = p + 4;
    return true;
}

int msg_name(struct buf *out, const char *name, struct err *e)
{
    unsigned char wire[NAME_BYTES + 1];
    size_t n = 0;

    for (const char *at = name; *at;) {
        size_t length_at = n++;

        while (*at && *at != '.') {
            if (n >= NAME_BYTES || !label_byte(&at, &wire[n]))
                return err_set(e, ERR_INPUT, "%.80s is no DNS name", name);
            n++;
        }
        if (n - length_at - 1 > LABEL_BYTES || n - length_at == 1)
            return err_set(e, ERR_INPUT, "%.80s is no DNS name: a label has 1 to %d bytes", name,
                           LABEL_BYTES);
        wire[length_at] = (unsigned char)(n - length_at - 1);
        at += *at == '.';
    }
    if (n >= NAME_BYTES)
        return err_set(e, ERR_INPUT, "%.80s is longer than a DNS name can be", name);
    wire[n++] = 0;
    buf_add(out, wire, n);
    return 0;
}

int msg_question(struct buf *out, const char *name, uint16_t type, enum msg_class class, struct err *e)
{
    if (msg_name(out, name, e) != 0)
        return -1;
    msg_u16(out, type);
    msg_u16(out, class);
    msg_count(out, MSG_QUESTION, 1);
    return 0;
}

int msg_record(struct buf *out, enum msg_section section, const char *name, uint16_t type,
               enum msg_class class, uint32_t ttl, const void *rdata, size_t n, struct err *e)
{
    if (msg_name(out, name, e) != 0)
        return -1;
    msg_u16(out, type);
    msg_u16(out, class);
    msg_u32(out, ttl);
    msg_u16(out, (unsigned)n);
    buf_add(out, n > 0 ? rdata : "", n);
    msg_count(out, section, 1);
    return 0;
}

int msg_rdata(struct buf *out, enum dns_type type, const char *value, struct err *e)
{
    unsigned char address[16];
    size_t n = strlen(value);

    switch (type) {
    case DNS_TYPE_A:
    case DNS_TYPE_AAAA:
        if (inet_pton(type == DNS_TYPE_A ? AF_INET : AF_INET6, value, address) != 1)
            return err_set(e, ERR_INPUT, "%.80s is no address of its kind", value);
        buf_add(out, address, type == DNS_TYPE_A ? 4 : 16);
        return 0;
    case DNS_TYPE_TXT:
        do { /* an empty text is one empty string */
            unsigned char piece = (unsigned char)(n < STRING_BYTES ? n : STRING_BYTES);

            buf_add(out, &piece, 1);
            buf_add(out, value, piece);
            value += piece;
            n -= piece;
        } while (n > 0);
        return 0;
    default: return msg_name(out, value, e);
    }
}

/* ---- reading ---- */

static unsigned u16_at(const struct msg *m, size_t at)
{
    return (unsigned)(m->bytes[at] << 8 | m->bytes[at + 1]);
}

int msg_open(struct msg *m, const void *bytes, size_t n, struct err *e)
{
    *m = (struct msg){ .bytes = bytes, .n = n, .at = MSG_HEAD_BYTES };
    if (n < MSG_HEAD_BYTES || n > MSG_MAX_BYTES)
        return err_set(e, ERR_PEER, "not a DNS message: %zu bytes", n);
    m->id = (uint16_t)u16_at(m, 0);
    m->flags = (uint16_t)u16_at(m, 2);
    for (size_t i = 0; i < 4; i++)
        m->counts[i] = (uint16_t)u16_at(m, COUNTS_AT + 2 * i);
    return 0;
}

int msg_rcode(const struct msg *m)
{
    return m->flags & 0xf;
}

static size_t put_byte(char *out, unsigned char byte)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyz0123456789-_*";

    if (byte >= 'A' && byte <= 'Z')
        byte = (unsigned char)(byte + 'a' - 'A');
    if (byte && strchr(plain, byte)) {
        out[0] = (char)byte;
        return 1;
    }
    out[0] = '\\';
    out[1] = (char)('0' + byte / 100);
    out[2] = (char)('0' + byte / 10 % 10);
    out[3] = (char)('0' + byte % 10);
    return 4;
}

/* Pointers only ever go back, so there is an end. */
bool msg_read_name(const struct msg *m, size_t *at, char out[MSG_NAME_TEXT])
{
    size_t p = *at, before = *at, text = 0, wire = 1;
    bool jumped = false;

    for (;;) {
        unsigned length;

        if (p >= m->n)
            return false;
        length = m->bytes[p];
        if ((length & POINTER) == POINTER) {
            if (p + 2 > m->n)
                return false;
            if (!jumped)
                *at = p + 2;
            jumped = true;
            p = u16_at(m, p) & 0x3fff;
            if (p >= before || p < MSG_HEAD_BYTES)
                return false;
            before = p;
            continue;
        }
        wire += length + 1;
        if (length > LABEL_BYTES || wire > NAME_BYTES + 1 || p + 1 + length > m->n)
            return false;
        p++;
        if (length == 0)
            break;
        if (text > 0)
            out[text++] = '.';
        for (unsigned i = 0; i < length; i++)
            text += put_byte(out + text, m->bytes[p + i]);
        p += length;
    }
    out[text] = 0;
    if (!jumped)
        *at = p;
    return true;
}

static int broken(const struct msg *m, struct err *e)
{
    return err_set(e, ERR_PEER, "not a well-formed DNS message at byte %zu of %zu", m->at, m->n);
}

int msg_next(struct msg *m, struct msg_record *r, struct err *e)
{
    size_t at = m->at, section = MSG_QUESTION;

    while (section <= MSG_ADDITIONAL && m->taken[section] == m->counts[section])
        section++;
    if (section > MSG_ADDITIONAL)
        return at == m->n ? 0 : broken(m, e);
    *r = (struct msg_record){ .section = (enum msg_section)section, .begins_at = at };
    if (!msg_read_name(m, &at, r->name) || at + 4 > m->n)
        return broken(m, e);
    r->type = (uint16_t)u16_at(m, at);
    r->class = (uint16_t)u16_at(m, at + 2);
    at += 4;
    if (section != MSG_QUESTION) {
        if (at + 6 > m->n)
            return broken(m, e);
        r->ttl = (uint32_t)u16_at(m, at) << 16 | u16_at(m, at + 2);
        r->rdata_n = u16_at(m, at + 4);
        r->rdata = m->bytes + at + 6;
        at += 6 + r->rdata_n;
        if (at > m->n)
            return broken(m, e);
    }
    m->at = at;
    m->taken[section]++;
    return 1;
}

static bool text_value(const struct msg_record *r, struct buf *out)
{
    for (size_t i = 0; i < r->rdata_n; i += 1u + r->rdata[i]) {
        if (i + 1 + r->rdata[i] > r->rdata_n)
            return false;
        buf_add(out, r->rdata + i + 1, r->rdata[i]);
    }
    return r->rdata_n > 0;
}

bool msg_value(const struct msg *m, const struct msg_record *r, struct buf *out)
{
    char text[MSG_NAME_TEXT];
    size_t at = (size_t)(r->rdata - m->bytes);

    switch (r->type) {
    case MSG_A:
    case MSG_AAAA:
        if (r->rdata_n != (r->type == MSG_A ? 4 : 16) ||
            !inet_ntop(r->type == MSG_A ? AF_INET : AF_INET6, r->rdata, text, sizeof text))
            return false;
        break;
    case MSG_TXT: return text_value(r, out);
    case MSG_NS:
    case MSG_CNAME:
        if (!msg_read_name(m, &at, text) || at != (size_t)(r->rdata - m->bytes) + r->rdata_n)
            return false;
        break;
    default: return false;
    }
    buf_add_text(out, text);
    return true;
}
