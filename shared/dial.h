/* shared/dial.h - a TCP connection to a host: its addresses looked up, then tried as RFC 8305 says ("happy eyeballs"): the
 * families by turns, each a moment after the one before, and the first that answers is taken. Or a connection to a Unix
 * socket.
 *
 * Alive on the loop until it calls `done`, once, from the loop; after that, or after dial_stop, it is gone for its user,
 * and tidies up by itself. */
#ifndef SHARED_DIAL_H
#define SHARED_DIAL_H
#include "shared/err.h"
#include "shared/loop.h"
#include "shared/stream.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum {
    DIAL_ADDRESSES = 4,
    DIAL_NAMES = 16,
    DIAL_NAMES_MS = 5000,
    DIAL_RECALL_MS = 1000,
    DIAL_TURN_MS = 250,
    DIAL_AGAIN_MS = 1000,
    DIAL_FULL_MS =
        20 /* until a Unix socket whose queue was full is tried again; then ever later, up to eight times this */
};

/* What names were found to mean within the last DIAL_NAMES_MS; not longer, because containers move. A value, embedded;
 * all zero bytes is an empty one, and there is nothing to free. */
struct dial_names {
    /* Whoever answers has to prove who it is. So when no name server tells what a name means, within DIAL_RECALL_MS,
     * what it meant last will do; where that refuses, the name server is waited for all the same. */
    bool proved;
    struct {
        char host[256];
        int64_t until_ms;
        struct sockaddr_storage found[DIAL_ADDRESSES];
        size_t n;
    } names[DIAL_NAMES];
};

/* What the name was found to mean last, of one family, however long ago. */
bool dial_names_find(const struct dial_names *names, const char *host, int family,
                     struct sockaddr_storage *found);

/* Exactly one of s and why is there. The connection is the user's: the first thing to do is stream_hand_over. Why is
 * ERR_MISSING: the name has no address; ERR_PEER: refused; ERR_TIMEOUT: no answer; ERR_SYSTEM: no way to it. */
typedef void (*dial_done_cb)(void *user, struct stream *s, const struct err *why);

struct dial;

/* Copies host: a name, an address, or the absolute path of a Unix socket, which has no port. Gives up after patience_ms for the lookup, and as much for all addresses together.
 * Borrows names, which may be NULL, until the end. */
struct dial *dial_start(struct loop *loop, const char *host, uint16_t port, uint32_t patience_ms,
                        struct dial_names *names, dial_done_cb done, void *user);
/* From now on whoever has not answered is asked anew each second, beside the attempts that wait: TCP itself asks at 0, 1, 3
 * and 7 s, and so hears late of a path that is back. */
void dial_again(struct dial *d);
void dial_stop(struct dial *d); /* no `done` comes */
#endif
