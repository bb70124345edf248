/* relay/edge/h2_parts.h - what h2_session.c and h2_stream.c share. */
#ifndef RELAY_EDGE_H2_PARTS_H
#define RELAY_EDGE_H2_PARTS_H
#include "relay/edge/h2_patience.h"
#include "relay/edge/h2_rules.h"
#include "relay/edge/h2_session.h"

struct h2_session {
    nghttp2_session *ng;
    struct h2_rules rules;
    struct h2_stream *streams, *dirty, **dirty_end;
    uint32_t max_header;
    unsigned stream_n;   /* that are not closed */
    struct buf settings; /* the first frame, until it is sent */
    uint64_t now_ms, began_ms;
    uint64_t sent_bytes; /* of bodies */
    uint32_t owed_bytes; /* of DATA that nghttp2 has not heard of: they are to be had back by the visitor */
    struct h2_patience patience;
    int ignored; /* frames that have begun, and of which nghttp2 has not told */
    bool draining, ended;
    bool settled; /* our SETTINGS have been acknowledged */
    bool drops;   /* the frame that has begun last */
};

/* ---- h2_stream.c ---- */

struct h2_stream *h2_stream_new(struct h2_session *s, int32_t id);
struct h2_fields *h2_stream_fields(struct h2_stream *st); /* to which the next field belongs */
void h2_stream_received(struct h2_stream *st, const void *bytes, size_t n);
void h2_stream_fields_whole(struct h2_stream *st, bool ends);
void h2_stream_remote_end(struct h2_stream *st);
void h2_stream_head_sent(struct h2_stream *st); /* one that is not the end */
#endif
