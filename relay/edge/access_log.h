/* relay/edge/access_log.h - where the lines of the access log go: a bounded queue, and a thread that writes it.
 *
 * A counted object. Workers add lines and never wait: for a disk that is slow or full lines are kept up to a bound, then
 * left out and counted, and the log tells how many. A file never ends in half a line. Opened anew by each commit, so
 * that files can be rotated: what waits then goes to the new one, or, when it is another path or format, to the old one
 * before that. */
#ifndef RELAY_EDGE_ACCESS_LOG_H
#define RELAY_EDGE_ACCESS_LOG_H
#include "relay/edge/access_line.h"
#include "relay/edge/log_tap.h"
#include "shared/err.h"

struct access_log;

struct access_log *access_log_new(void); /* off, with one reference */
struct access_log *access_log_hold(struct access_log *l);
/* The last one writes what can be written at once, and ends the thread. NULL is fine. */
void access_log_release(struct access_log *l);

/* The words that are no path. */
extern const char *const access_log_words[];

/* From the control plane's thread. Opens `where`: "off", "stdout", or the path of a file or FIFO. Prepare can fail and
 * changes nothing; commit, with the descriptor (-1 for off) that it takes, cannot. */
must_check int access_log_prepare(struct access_log *l, const char *where, int *fd, struct err *e);
void access_log_commit(struct access_log *l, const char *where, enum access_format format, int fd);

/* Before any worker runs: who watches sees what is added, whether or not it goes to a file. Borrows it until the last
 * worker has ended. */
void access_log_set_tap(struct access_log *l, struct log_tap *tap);
bool access_log_writes(const struct access_log *l); /* to a file */

/* From any thread. on: some one reads it, in a file or as it happens. */
bool access_log_on(const struct access_log *l);
void access_log_add(struct access_log *l, const struct access_entry *entry);
#endif
