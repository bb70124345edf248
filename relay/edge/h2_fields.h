/* relay/edge/h2_fields.h - the fields of HTTP/2 as heads in the words of HTTP/1.1, and back. Pure.
 *
 * A request becomes a text that the one strict parser of heads reads; what could make that text another one than was
 * meant is refused here. */
#ifndef RELAY_EDGE_H2_FIELDS_H
#define RELAY_EDGE_H2_FIELDS_H
#include "shared/buf.h"
#include "shared/http/h1.h"

#include <nghttp2/nghttp2.h>

/* One field section as it comes, field by field. A value; all zero bytes is an empty one. */
struct h2_fields {
    struct buf method, scheme, authority, path; /* of a request */
    struct buf protocol;                        /* of an extended CONNECT (RFC 8441) */
    struct buf lines;                           /* the others, each "name: value" with its CRLF */
    struct buf cookie, host, length;
    uint32_t bytes;  /* of all fields, as SETTINGS_MAX_HEADER_LIST_SIZE counts them */
    const char *why; /* it is refused: a constant text */
    bool too_large;
    bool trails;           /* trailers are announced: HTTP/1.1 has a place for them only behind chunks */
    bool unknown_protocol; /* it is refused for what it would connect to */
};

void h2_fields_free(struct h2_fields *f);
/* False from the first field on for which it is refused, or after which it is larger than max. */
bool h2_fields_add(struct h2_fields *f, struct str name, struct str value, uint32_t max);
/* With this head, and unless nothing follows it, the body goes on in chunks. */
bool h2_fields_wants_chunks(const struct h2_fields *f);
/* Adds the head of a request; chunked: of which the body goes on so. An extended CONNECT becomes the GET that opens a
 * WebSocket, with this key. -1: see why. */
must_check int h2_fields_request(struct h2_fields *f, bool chunked, const char *websocket_key,
                                 struct buf *out);
/* Adds a trailer section with its empty line; nothing when it has no fields. */
void h2_fields_trailers(const struct h2_fields *f, struct buf *out);

/* A head of a response, or its trailers, as fields for nghttp2. They lie in the text, whose names are made lower case.
 * What is about a connection of HTTP/1.1 is left out. */
struct h2_list {
    nghttp2_nv *nv; /* to be freed */
    size_t n;
    size_t text_bytes; /* how long the section is, with its empty line */
};

enum h2_section {
    H2_HEAD, /* begins with a status line */
    H2_SWITCHED, /* the same, a 101 as who asked by an extended CONNECT sees it: 200, without what is HTTP/1.1's alone */
    H2_TRAILERS,
};

/* The text is well formed: we wrote it, or checked it. */
void h2_list_make(struct h2_list *list, char *text, size_t n, enum h2_section section);
#endif
