/* relay/edge/h2_rules.h - what RFC 9113 says of a visitor's frames by their headers and what they are about, before anything
 * acts on them: sizes, streams and the connection, what may stand in a field block, which streams are over. Pure.
 *
 * A value; nothing to free. libnghttp2 sees the same frames afterwards, and finds what depends on their contents; by
 * itself it would pass over some of this in silence, and a frame's header that comes in pieces would puzzle it. */
#ifndef RELAY_EDGE_H2_RULES_H
#define RELAY_EDGE_H2_RULES_H
#include "shared/str.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    H2_FRAME_HEAD = 9,
    H2_MAX_FRAME =
        16384, /* bytes of a payload: the least that RFC 9113 allows, and the most that we ask for */
    H2_PREFACE = 24,
    H2_SHORT_FRAME = 5,    /* a payload that is looked at as a whole: of PRIORITY, or WINDOW_UPDATE */
    H2_ENDED_STREAMS = 64, /* of so many it is remembered that the visitor himself has ended them */
    H2_GAPS = 4,           /* between streams that he has used */
};

struct h2_rules {
    uint32_t length, stream; /* of the frame that has begun last */
    uint8_t kind, flags;
    bool begins;          /* with the last piece */
    bool adds_nothing;    /* a WINDOW_UPDATE by 0 */
    uint32_t most_window; /* that its settings have asked for */

    uint8_t head[H2_FRAME_HEAD + H2_SHORT_FRAME],
        head_n;              /* what there is of the frame that is about to begin */
    uint8_t look[6], look_n; /* at one setting */
    uint32_t left;           /* of the preface, or of a payload */
    uint32_t block_stream;   /* whose field block is not whole, or 0 */

    uint32_t last_stream; /* the highest that he has begun */
    struct {
        uint32_t stream;
        bool reset;
    } ended[H2_ENDED_STREAMS];
    uint32_t ended_n;
    struct {
        uint32_t from, to;
    } gaps[H2_GAPS]; /* left out, and closed by that: RFC 9113 5.1.1 */
    uint32_t gap_n;
};

void h2_rules_init(struct h2_rules *r);

/* Cuts the next piece off: a frame, or as much of it as there is. Without any bytes when even the frame's header is not
 * whole; it is valid until the next call. Returns 0, or the error by which the connection ends (RFC 9113 7). */
uint32_t h2_rules_next(struct h2_rules *r, struct str *rest, struct str *piece);
/* For a frame that begins, and whose stream is not open: 0 when it begins one, or may have been under way. Otherwise an
 * error of the connection, or of the stream. */
uint32_t h2_rules_without_stream(struct h2_rules *r, bool *of_stream);
/* The visitor has ended or reset this stream himself: nothing of it can be under way. */
void h2_rules_ended(struct h2_rules *r, uint32_t stream, bool reset);
#endif
