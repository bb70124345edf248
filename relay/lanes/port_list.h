/* relay/lanes/port_list.h - tcp_ports: a list of N and N-M. Pure. */
#ifndef RELAY_LANES_PORT_LIST_H
#define RELAY_LANES_PORT_LIST_H
#include "shared/err.h"
#include "shared/opt.h"
#include "shared/str.h"

#include <stdbool.h>

must_check int port_list_read(struct str word, uint16_t *first, uint16_t *last, struct err *e);
/* Of a list that was checked. */
bool port_list_has(const struct opt_words *list, unsigned port);
#endif
