/* shared/lane_msg.h - the control conversation's messages: one JSON object a line (design: section 3). Pure.
 *
 * Types and members that are unknown are ignored; a line that is malformed, or a known type with a member that is
 * missing or wrong, is an error that ends the lane. */
#ifndef SHARED_LANE_MSG_H
#define SHARED_LANE_MSG_H
#include "shared/buf.h"
#include "shared/err.h"
#include "shared/lane_lines.h"
#include "shared/lane_types.h"

/* Fills m from one line (without its newline). Free it in any case. Type and v are filled also where the members are
 * wrong, as far as the line is JSON. A version other than LANE_VERSION is an error, in words for an `error` line. */
must_check int lane_msg_read(struct lane_msg *m, const char *line, size_t n, struct err *e);
void lane_msg_free(struct lane_msg *m);
/* Adds one line with its newline. m needs type, v (0: the line carries none) and the type's members only; a text that
 * is NULL is written as an empty one. Whoever fills a claim keeps its line within LANE_LINE_BYTES, by parts. */
void lane_msg_write(struct buf *out, const struct lane_msg *m);
const char *lane_how_text(enum lane_how how);
const char *lane_service_text(enum lane_service state);
#endif
