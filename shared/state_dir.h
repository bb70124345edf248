/* shared/state_dir.h - the folder that a daemon writes, held by one process at a time. */
#ifndef SHARED_STATE_DIR_H
#define SHARED_STATE_DIR_H
#include "shared/err.h"

/* Makes the folder when it is missing (0700), checks that we can write it and others cannot, and holds it until the
 * descriptor returned is closed. -1 with the reason; ERR_TAKEN says who holds it. */
must_check int state_dir_take(const char *path, struct err *e);
#endif
