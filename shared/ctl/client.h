/* shared/ctl/client.h - asking a daemon: which control socket, and one request over it. Blocking. */
#ifndef SHARED_CTL_CLIENT_H
#define SHARED_CTL_CLIENT_H
#include "shared/buf.h"
#include "shared/err.h"

#include <stdbool.h>

#define CLIENT_RELAY_SOCKET "/run/tunnel-relay/control.sock"
#define CLIENT_AGENT_SOCKET "/run/tunnel-agent/control.sock"

enum { CLIENT_PATIENCE_S = 10 }; /* for what a daemon answers at once */

enum client_side { CLIENT_ANY, CLIENT_RELAY, CLIENT_AGENT };

/* given (--socket) wins over the side (--relay, --agent), that over $TUNNEL_SOCKET, and that over whichever of the two
 * usual sockets is there. NULL with ERR_INPUT when both are, or ERR_MISSING when neither is. */
const char *client_find_socket(const char *given, enum client_side side, struct err *e);

/* A connection to the daemon, or -1 with the reason and what to do. */
must_check int client_connect(const char *socket_path, struct err *e);
/* Sends one request and adds the reply's content to out. Returns its HTTP status, or -1 when no daemon answers. */
int client_ask(const char *socket_path, const char *method, const char *path, struct buf *out, struct err *e);
/* The same with content, and with so many seconds for the reply. */
int client_tell(const char *socket_path, const char *method, const char *path, const struct buf *content,
                int patience_s, struct buf *out, struct err *e);

/* An answer that goes on. */
struct client_stream {
    void (*content)(void *user, int status, const char *bytes,
                    size_t n); /* status: HTTP's, 200 of a stream */
    void *user;
    bool (*stopped)(void); /* asked whenever something has come, and every second: true is enough */
};
/* Returns its HTTP status when the daemon has ended it, or we were stopped; -1 when it broke off, or no daemon answers. */
int client_stream(const char *socket_path, const char *path, const struct client_stream *s, struct err *e);
#endif
