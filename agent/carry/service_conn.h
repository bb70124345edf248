/* agent/carry/service_conn.h - one connection to a service: TCP or a Unix socket, and TLS on it where the service is
 * https://. Its user sees the same either way: plain bytes, with backpressure and half-close.
 *
 * Alive on the loop until it calls `ended`, once, last, from the loop. After service_conn_reset no other event comes. */
#ifndef AGENT_CARRY_SERVICE_CONN_H
#define AGENT_CARRY_SERVICE_CONN_H
#include "agent/carry/service.h"
#include "agent/carry/traffic.h"
#include "agent/carry/trust.h"
#include "shared/dial.h"
#include "shared/lane_types.h"
#include "shared/loop.h"
#include "shared/proxy2.h"

#include <stdbool.h>
#include <stddef.h>

struct service_conn;

struct service_conn_events {
    void (*ready)(void *user);                                 /* it may be written to */
    void (*received)(void *user, const char *bytes, size_t n); /* borrows the bytes until it returns */
    void (*eof)(void *user);                                   /* the service sends no more; we still may */
    void (*drained)(void *user);                               /* after having been full */
    void (*sent)(void *user); /* the kernel has taken more of what was queued */
    /* LANE_EOF: both sides are done. LANE_REFUSED, LANE_UNREACHABLE, LANE_SILENT: it was never reached, or it is not
     * what it should be, and detail says what to do. LANE_RESET: it broke off, or what it sent may be cut off. */
    void (*ended)(void *user, enum lane_how how, const char *detail);
};

/* Copies service; borrows the others until the end. */
struct service_conn *service_conn_start(struct loop *loop, const struct service *service,
                                        struct dial_names *names, struct trust *trust,
                                        const struct service_conn_events *events, void *user);
/* Who comes; right after the start, once. A service that wants to know is told before everything else, TLS too. The
 * connection and its bytes are counted as traffic, which may be NULL. */
void service_conn_introduce(struct service_conn *s, const struct proxy2_use *use, struct traffic *traffic);
/* That it was reached shows that it is well. Not so with TLS: a service says what it makes of us only afterwards. */
bool service_conn_is_proof(const struct service_conn *s);

/* By HTTP/2 or not; to the former TLS has to agree; right after the start. */
void service_conn_speak_http2(struct service_conn *s, bool http2);
/* TLS with it is well, but it does not choose HTTP/2, which was asked for. It may be asked until `ended` returns. */
bool service_conn_declined(const struct service_conn *s);

/* Only once it is ready. */
void service_conn_write(struct service_conn *s, const char *bytes, size_t n);
void service_conn_shutdown(struct service_conn *s); /* half-close, behind what is queued */
void service_conn_reset(struct service_conn *s);    /* now, and the service sees a reset */
void service_conn_pause(struct service_conn *s);    /* stops reading */
void service_conn_resume(struct service_conn *s);

bool service_conn_full(const struct service_conn *s);     /* until drained */
size_t service_conn_queued(const struct service_conn *s); /* bytes of memory that wait to be sent */
/* Bytes given to service_conn_write that the kernel has not taken: at most so many. */
size_t service_conn_unsent(const struct service_conn *s);
#endif
