/* shared/status/problems.h - what is wrong, out of a daemon's /v1/status: each with its reason, since when, and what happens
 * next; the worst first. Pure but for the clock. */
#ifndef SHARED_STATUS_PROBLEMS_H
#define SHARED_STATUS_PROBLEMS_H
#include "shared/buf.h"

#include <jansson.h>

/* Adds a line for each, indented by two blanks; nothing where all is well.
 * Whatever a peer has written is made showable. */
void problems_add(struct buf *out, const json_t *status);
#endif
