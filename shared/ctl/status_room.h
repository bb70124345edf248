/* shared/ctl/status_room.h - how much of a status fits on the terminal that it is printed on. */
#ifndef SHARED_CTL_STATUS_ROOM_H
#define SHARED_CTL_STATUS_ROOM_H
#include "shared/buf.h"

#include <jansson.h>

enum status_part {
    STATUS_PROBLEMS,
    STATUS_NOTICES,
    STATUS_LANES,
    STATUS_DOMAINS,
    STATUS_PORTS,
    STATUS_PARTS
};

/* Cuts the lines that say what is wrong, and what relays say, and tells how many rows each table may have; nothing is left
 * out where stdout is no terminal. Returns how many lines are left that nobody needs. */
size_t status_room(const json_t *status, struct buf *problems, struct buf *notices,
                   size_t rows[STATUS_PARTS]);
#endif
