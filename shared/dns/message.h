/* shared/dns/message.h - DNS messages as bytes: written, and read strictly. Pure.
 *
 * Names in and out are texts without a trailing dot, in lower case; a byte that no host name has is \DDD. "" is the root. */
#ifndef SHARED_DNS_MESSAGE_H
#define SHARED_DNS_MESSAGE_H
#include "shared/buf.h"
#include "shared/dns/rrset.h"
#include "shared/err.h"

#include <stdbool.h>
#include <stdint.h>

enum { MSG_HEAD_BYTES = 12, MSG_MAX_BYTES = 65535, MSG_UDP_BYTES = 512, MSG_NAME_TEXT = 1024 };

enum msg_type {
    MSG_A = 1,
    MSG_NS = 2,
    MSG_CNAME = 5,
    MSG_SOA = 6,
    MSG_TXT = 16,
    MSG_AAAA = 28,
    MSG_DNAME = 39,
    MSG_OPT = 41,
    MSG_TSIG = 250,
    MSG_CAA = 257
};
enum msg_class { MSG_IN = 1, MSG_CH = 3, MSG_NONE = 254, MSG_ANY = 255 };
enum msg_opcode { MSG_QUERY = 0, MSG_UPDATE = 5 };
enum msg_flag { MSG_QR = 0x8000, MSG_AA = 0x0400, MSG_TC = 0x0200, MSG_RD = 0x0100 };
enum msg_section {
    MSG_QUESTION,
    MSG_ANSWER,
    MSG_AUTHORITY,
    MSG_ADDITIONAL
}; /* of an update: zone, prerequisites, updates */
enum msg_rcode {
    MSG_NOERROR = 0,
    MSG_FORMERR = 1,
    MSG_SERVFAIL = 2,
    MSG_NXDOMAIN = 3,
    MSG_NOTIMP = 4,
    MSG_REFUSED = 5,
    MSG_YXDOMAIN = 6,
    MSG_YXRRSET = 7,
    MSG_NXRRSET = 8,
    MSG_NOTAUTH = 9,
    MSG_NOTZONE = 10
};
const char *msg_rcode_text(int rcode);
enum msg_type msg_type_of(enum dns_type type); /* not of DNS_TYPE_ALIAS, which is none */

/* ---- writing: into an empty buffer, sections in their order ---- */

void msg_begin(struct buf *out, uint16_t id, enum msg_opcode opcode, unsigned flags);
/* -1 when a name is none: a label is empty or too long, or all of it is. */
must_check int msg_question(struct buf *out, const char *name, uint16_t type, enum msg_class class,
                            struct err *e);
/* rdata may be NULL with n = 0, as updates have it. */
must_check int msg_record(struct buf *out, enum msg_section section, const char *name, uint16_t type,
                          enum msg_class class, uint32_t ttl, const void *rdata, size_t n, struct err *e);
must_check int msg_name(struct buf *out, const char *name, struct err *e); /* uncompressed */
void msg_u16(struct buf *out, unsigned n);
void msg_u32(struct buf *out, uint32_t n);
void msg_count(struct buf *out, enum msg_section section,
               int more); /* adds to a section's count in the head */
/* The RDATA of a value as struct dns_rrset has it. -1 when it is none of its type. */
must_check int msg_rdata(struct buf *out, enum dns_type type, const char *value, struct err *e);

/* ---- reading ---- */

struct msg {
    const unsigned char *bytes; /* borrowed */
    size_t n, at;               /* at: of the next record */
    uint16_t id, flags, counts[4], taken[4];
};

struct msg_record {
    enum msg_section section;
    char name[MSG_NAME_TEXT];
    uint16_t type, class;
    uint32_t ttl;
    const unsigned char *rdata; /* NULL for a question */
    size_t rdata_n, begins_at;
};

must_check int msg_open(struct msg *m, const void *bytes, size_t n, struct err *e);
/* The next question or record. 1: there it is; 0: that was all, and nothing stands behind it; -1: not well-formed. */
must_check int msg_next(struct msg *m, struct msg_record *r, struct err *e);
int msg_rcode(const struct msg *m);
/* Reads a name at *at, which moves behind it. False when it is not well-formed. */
must_check bool msg_read_name(const struct msg *m, size_t *at, char out[MSG_NAME_TEXT]);
/* A record's value, added to out as struct dns_rrset has it: A, AAAA, TXT, CNAME, NS. False when it is not well-formed. */
must_check bool msg_value(const struct msg *m, const struct msg_record *r, struct buf *out);
#endif
