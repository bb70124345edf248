/* shared/ctl/capture.h - another program, run for what it says. */
#ifndef SHARED_CTL_CAPTURE_H
#define SHARED_CTL_CAPTURE_H
#include "shared/buf.h"

/* Adds what it says, on both of its outputs, to out (1 MiB at most). Its exit code; -1: it cannot be run, or was killed. It is
 * found as a shell finds it; argv ends with NULL. */
int capture(const char *const *argv, struct buf *out);
#endif
