/* agent/carry/service_tls.h - the client's side of TLS, of one connection to an https:// service; and what is wrong with
 * it, in words for whoever set it up. Bytes in, bytes out: shared/tls_pipe.h. */
#ifndef AGENT_CARRY_SERVICE_TLS_H
#define AGENT_CARRY_SERVICE_TLS_H
#include "agent/carry/trust.h"
#include "shared/tls_pipe.h"

/* A value, embedded; it must stay where it is. */
struct service_tls {
    struct tls_pipe pipe; /* for writing and ending */
    struct buf out;       /* its output: to send, and then to empty */
    struct trust_peer peer;
    bool no_protocol; /* it speaks none of those that it was offered */
    bool
        turned_away; /* it has ended the handshake, as it sees it: it has read nothing of what was said behind that */
};

/* Borrows both until service_tls_free. The first bytes to send stand in out. */
void service_tls_init(struct service_tls *t, struct trust *trust, const struct service *service);
void service_tls_free(struct service_tls *t);

/* As tls_pipe_feed. What it says of a failure names the service and the remedy. */
must_check int service_tls_feed(struct service_tls *t, const char *bytes, size_t n, struct buf *plain,
                                struct err *e);
#endif
