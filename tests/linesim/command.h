/* tests/linesim/command.h - what the control socket's words do, and what is answered. */
#ifndef TESTS_LINESIM_COMMAND_H
#define TESTS_LINESIM_COMMAND_H
#include "shared/buf.h"
#include "tests/linesim/sim.h"

extern const char command_help[];

/* Carries out one line and adds the answer, a line of JSON: {"ok": true, …} or {"ok": false, "error": "…"}.
 * A command that is not understood changes nothing. */
void command_run(struct sim *s, struct str line, struct buf *answer);
#endif
