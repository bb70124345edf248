/* shared/ctl/status_room.h - how much of a status fits on the terminal that it is printed on. */
#ifndef SHARED_CTL_STATUS_ROOM_H
#define SHARED_CTL_STATUS_ROOM_H
#include "shared/buf.h"

#include <jansson.h>

enum status_part { STATUS_PROBLEMS, STATUS_LANES, STATUS_DOMAINS, STATUS_PORTS, STATUS_PARTS };

/* Cuts the lines that say what is wrong, and says how many rows each table may have; nothing is left out where stdout is no
 * terminal. */
void status_room(const json_t *status, struct buf *problems, size_t rows[STATUS_PARTS]);
#endif
