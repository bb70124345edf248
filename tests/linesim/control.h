/* tests/linesim/control.h - the control socket: its clients, who send commands (command.h), a line each. */
#ifndef TESTS_LINESIM_CONTROL_H
#define TESTS_LINESIM_CONTROL_H
#include "tests/linesim/sim.h"

struct control;

/* Listens at path, which must not exist yet; copies it. NULL when that fails. */
struct control *control_new(struct sim *s, const char *path, struct err *e);
void control_free(struct control *c); /* removes the socket file; NULL is fine */
#endif
