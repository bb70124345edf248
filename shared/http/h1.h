/* shared/http/h1.h - HTTP/1.1 messages as bytes: heads, bodies, trailers. Pure: bytes in, events out.
 *
 * Strict on purpose: what two parsers could read in two ways is refused, since that is how a request is
 * smuggled past a proxy. A caller never copies framing fields but writes its own, from `framing`.
 *
 * Everything found in a head is kept as offsets into the caller's bytes, so the buffer may move while it
 * grows. Nothing allocates, and there is nothing to free. Idle connections need no struct h1_head (2 KiB). */
#ifndef SHARED_HTTP_H1_H
#define SHARED_HTTP_H1_H
#include "shared/err.h"
#include "shared/str.h"

#include <stdint.h>
#include <sys/types.h>

enum {
    H1_MAX_FIELDS = 128,
    H1_MAX_METHOD = 32,             /* bytes; longer is 501 */
    H1_MAX_EMPTY_LINES = 4,         /* forgiven in front of a request */
    H1_MAX_CONNECTION_OPTIONS = 32, /* what Connection may list; they are compared with every field */
    H1_MAX_CHUNK_LINE = 1024,       /* size and extensions */
    H1_MAX_TRAILERS = 65536,        /* bytes of the whole section: as many as of a head by default */
};

enum h1_kind { H1_REQUEST, H1_RESPONSE, H1_TRAILERS };
enum h1_framing { H1_NO_BODY, H1_LENGTH, H1_CHUNKED, H1_UNTIL_CLOSE };

struct h1_limits {
    uint32_t max_uri, max_header; /* bytes of the target, and of the whole head */
};

struct h1_span {
    uint32_t at, n; /* see h1_text */
};

struct h1_field {
    struct h1_span name, value; /* the name as it was written, the value without blanks around it */
};

struct h1_head {
    const char *bytes; /* where the head lies: set by h1_head_parse, and by whoever moves it afterwards */
    const char *why;   /* of a refusal: a constant text for the log, without a byte of the peer's */
    enum h1_kind kind;
    enum h1_framing framing;
    int64_t content_length; /* as the field says, also where no body follows (HEAD, 304); -1 without one */
    int status; /* of a response; of a refusal what to answer: 400, 414, 417, 431, 501, 505 or 502 */
    int minor;  /* HTTP/1.minor: 0 or 1 */
    struct h1_span method, target, reason;
    struct h1_span
        path; /* begins with '/', or is "*", or is empty: CONNECT, and an absolute-form without one,
                         * which means "/", or "*" for OPTIONS */
    struct h1_span authority; /* Host, without an empty port; empty only in HTTP/1.0 */
    struct h1_span host;      /* the authority without its port; [IPv6] keeps its brackets */
    struct h1_span upgrade;   /* the value of Upgrade when HTTP/1.1 and Connection ask for it, or empty */
    bool keep_alive;          /* by version, Connection and framing: another message may follow this one */
    bool expects_continue;    /* a body is held back until 100 (Continue) */
    bool te_trailers;         /* TE: trailers */

    /* The parser's own. */
    bool to_head, to_connect, closes, keeps, upgrades, names_fields;
    uint8_t state, empty_lines, connection_options;
    uint32_t seen, at, mark; /* fields with a meaning; bytes looked at; where the part being read began */

    uint32_t field_count;
    struct h1_field fields[H1_MAX_FIELDS]; /* last: h1_*_init leaves the unused ones alone */
};

void h1_request_init(struct h1_head *h);
/* What follows a response head depends on the request: nothing does after HEAD or a granted CONNECT. */
void h1_response_init(struct h1_head *h, struct str request_method);

/* Reads on where it stopped; `bytes` begins with the head and holds all that came so far, n bytes, at any
 * address. Returns the length of the head with its empty line; 0 when it needs more; -1 when it is refused,
 * as soon as no further byte could make it right. Then `status` and `why` are set, and the connection
 * cannot be used again. 1xx responses are heads like others, without a body: parse the next one with a new
 * h1_response_init. */
must_check ssize_t h1_head_parse(struct h1_head *h, const char *bytes, size_t n,
                                 const struct h1_limits *limits);
/* Parses a trailer section, complete with its empty line, into the fields of h, which needs no init; no
 * bytes are no fields. -1 with `why` for bad syntax, and for every field that a merge with the head would
 * make dangerous: framing, routing, who is asking (RFC 9110 6.5.1). They are refused, not dropped: no
 * honest sender writes them. */
must_check int h1_trailers_parse(struct h1_head *h, const char *bytes, size_t n);

static inline struct str h1_text(const struct h1_head *h, struct h1_span span)
{
    return (struct str){ h->bytes + span.at, span.n };
}

/* Index of the first field of this name (any case) at or after `from`, or -1. */
int h1_field_find(const struct h1_head *h, const char *name, uint32_t from);
/* True for what stays on this connection: Connection and what it names, Keep-Alive, TE, Upgrade and so on. */
bool h1_field_is_hop(const struct h1_head *h, const struct h1_field *field);
/* True for NAME, IPv4 or [IPv6], maybe with a port, even an empty one; *host is set without it. For HTTP/2 too. */
bool h1_authority_parse(struct str authority, struct str *host);
bool h1_is_token(struct str s); /* of RFC 9110, such as a field's name */

enum h1_body_event {
    H1_BODY_MORE,    /* all input is used; more is to come */
    H1_BODY_DATA,    /* *data is the next piece of the body, inside the input */
    H1_BODY_TRAILER, /* *data is the next piece of the trailer section, for h1_trailers_parse */
    H1_BODY_END,     /* the message is complete; what was not used belongs to the next one */
    H1_BODY_BAD,     /* see `why`; for good */
};

struct h1_body {
    const char *why;
    uint64_t left; /* bytes of the body or of the chunk */
    uint32_t line_bytes, trailer_bytes;
    uint8_t state, digits, padded; /* padded: blanks in a chunk's first line are taken */
};

/* For H1_LENGTH, length is what h->content_length says. */
void h1_body_init(struct h1_body *b, enum h1_framing framing, int64_t length);
/* Call it until it says MORE, END or BAD, also when no input is left: END uses none. Chunk extensions are
 * checked and dropped. TRAILER pieces are H1_MAX_TRAILERS bytes at most; without fields there are none. */
enum h1_body_event h1_body_feed(struct h1_body *b, const char *in, size_t n, size_t *used, struct str *data);
/* What it means that the input ended here: END or BAD. */
enum h1_body_event h1_body_eof(struct h1_body *b);
#endif
