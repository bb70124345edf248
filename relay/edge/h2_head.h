/* relay/edge/h2_head.h - heads between the words of HTTP/1.1 and the fields of HTTP/2, on the way to a service: what goes
 * there, and what comes back. Pure; relay/edge/h2_fields.h is the same for visitors. */
#ifndef RELAY_EDGE_H2_HEAD_H
#define RELAY_EDGE_H2_HEAD_H
#include "relay/edge/h2_fields.h"

/* Adds the text of a request's head, as relay/edge/headers.h writes it, with the pseudo-header fields as its first lines:
 * ":method: GET" and so on. */
void h2_head_add_pseudo(struct buf *out, struct str text, const char *scheme);
/* Lines, up to an empty one or the end, as fields for nghttp2; they lie in the text, whose names are made lower case. What
 * is about a connection of HTTP/1.1 is left out, but for TE: trailers. */
void h2_head_list(struct h2_list *list, char *text, size_t n);
/* Adds the head of a response. */
void h2_head_add_response(struct buf *out, int status, const struct h2_fields *fields);
#endif
