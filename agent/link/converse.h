/* agent/link/converse.h - the control conversation with the relay, the agent's side of it. Pure.
 *
 *   hello -> welcome -> claim -> claimed, ping, pong, abort, ended, …     away -> resync -> hello again
 *
 * A value, embedded. Bytes of the session channel go in; what is to be written there stands in converse_out. */
#ifndef AGENT_LINK_CONVERSE_H
#define AGENT_LINK_CONVERSE_H
#include "agent/carry/sites.h"
#include "shared/lane_msg.h"
#include "shared/secret.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

enum converse_state {
    CONVERSE_HELLO,   /* waits for welcome */
    CONVERSE_UP,      /* welcomed */
    CONVERSE_AWAY,    /* tunnel-lane says that the relay is gone, and tries to find it again */
    CONVERSE_GOODBYE, /* the relay wants no new streams on this lane */
};

struct converse_events {
    void (*welcomed)(void *user); /* the secret is another one */
    void (*aborted)(void *user, uint64_t stream);
    void (*away)(void *user); /* the relay has gone, whether or not it comes back */
};

struct converse {
    const struct converse_events *events;
    void *user;
    const char *relay, *boot;
    int64_t lane; /* relay: its name in our configuration, for the log */
    struct sites *sites;
    int64_t port;
    char reached[INET6_ADDRSTRLEN]; /* the relay's address that led us there; "" when it is not known */

    enum converse_state state;
    struct lane_lines in;
    struct buf out;
    uint64_t taken;                     /* bytes of out that went on their way */
    uint64_t pinged;                    /* where the last ping ends */
    struct secret secret;               /* bytes is NULL before the first welcome */
    int64_t heartbeat_ms, pings, pongs; /* pongs: number of the latest ping that was answered */
    int64_t rtt_ms;                     /* -1 while none is known */
};

/* Borrows relay, boot and sites. */
void converse_init(struct converse *c, const char *relay, int64_t lane, const char *boot, struct sites *sites,
                   const struct converse_events *events, void *user);
void converse_free(struct converse *c);

void converse_hello(struct converse *c, int port); /* the forward is granted */
/* -1: the lane is to end. ERR_STOPPED: the relay said so; ERR_PEER: it does not keep to the protocol, which it is told
 * by a line in converse_out. */
must_check int converse_feed(struct converse *c, const char *bytes, size_t n, int64_t now_ms, struct err *e);
struct buf *converse_out(struct converse *c);
void converse_took(struct converse *c, size_t n); /* takes n bytes off converse_out */

void converse_claim(
    struct converse *c); /* the sites are others; does nothing before welcome, which claims anyway */
/* Such as how a service is doing. False: the relay is not there to hear it. */
bool converse_say(struct converse *c, const struct lane_msg *m);
/* False when an answer is not to be expected: nobody is there, or the ping before has none. */
bool converse_ping(struct converse *c, int64_t now_ms);
/* A ping whose answer (converse_answered) shows that the relay was there after this call; 0: nobody is there. */
uint64_t converse_ask(struct converse *c, int64_t now_ms);
bool converse_answered(const struct converse *c, uint64_t ping);
void converse_goodbye(struct converse *c, const char *why);
/* Returns the place that converse_said is to be asked about. */
uint64_t converse_ended(struct converse *c, uint64_t stream, enum lane_how how, const char *detail);
/* How many bytes of it the service has taken in all. */
void converse_consumed(struct converse *c, uint64_t stream, uint64_t total);
bool converse_said(const struct converse *c, uint64_t place);
#endif
