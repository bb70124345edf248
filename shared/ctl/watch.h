/* shared/ctl/watch.h - commands that go on until ctrl-C: then they end well, and at once. */
#ifndef SHARED_CTL_WATCH_H
#define SHARED_CTL_WATCH_H
#include "shared/ctl/ctl.h"

/* From now on SIGINT and SIGTERM only interrupt whatever waits, and are remembered. */
void watch_begin(void);
bool watch_stopped(void); /* one of them has come */
void watch_stop(void);    /* as ctrl-C does */

/* Shows a screen, again and again, each from its top, until ctrl-C or until `show` says that no daemon answers, which is
 * the result then; with `once` it is shown once. */
enum ctl_exit watch_screen(struct ctl *c, unsigned every_ms, bool once,
                           enum ctl_exit (*show)(struct ctl *c, void *user), void *user);
/* Waits; false: it was ended by ctrl-C. */
bool watch_sleep(unsigned ms);
#endif
