/* shared/notify.h - what a supervisor such as systemd gives and wants: readiness, watchdog, inherited sockets.
 *
 * Without one (no NOTIFY_SOCKET, WATCHDOG_USEC or LISTEN_FDS in the environment) every function does nothing. */
#ifndef SHARED_NOTIFY_H
#define SHARED_NOTIFY_H
#include "shared/err.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum { NOTIFY_TEXT = 1000 }; /* room for what a person is told */

void notify_ready(const char *status); /* with what there is to say, or "" */
void notify_status(const char *status);
void notify_reloading(void); /* notify_ready says when it is over */
void notify_stopping(void);
void notify_watchdog(void); /* still alive */
/* How often notify_watchdog is expected, in ms; 0: never. Call it at half that time. */
int64_t notify_watchdog_ms(void);

/* Sockets that the supervisor opened for us. The first call reads LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES and takes
 * them out of the environment, so that no child believes they are for it. */
struct inherited {
    int fds[64]; /* -1: taken */
    char names[64][32];
    int n;
};

must_check int inherited_read(struct inherited *in, struct err *e);
/* The listening socket that is bound to this address, or -1. It is the caller's from then on. */
int inherited_take(struct inherited *in, const struct sockaddr *addr);
int inherited_take_unix(struct inherited *in, const char *path);
/* Closes what nobody took and logs each, because a socket that nobody serves makes its clients hang. */
void inherited_close_rest(struct inherited *in);
#endif
