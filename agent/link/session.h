/* agent/link/session.h - one SSH session with a relay's sshd, and the lane or the plain forward on it.
 *
 * Alive on the loop, until it calls `ended`. It tries once; agent/link/supervise.h starts the next one. */
#ifndef AGENT_LINK_SESSION_H
#define AGENT_LINK_SESSION_H
#include "agent/carry/limits.h"
#include "agent/carry/sites.h"
#include "shared/err.h"
#include "shared/loop.h"

#include <stdbool.h>
#include <stdint.h>

/* Borrowed until `ended`. */
struct session_conf {
    const char *relay; /* its name in the configuration */
    const char *host, *user, *key_file;
    const char *host_key, *known_hosts_file; /* one of them; the other is "" */
    uint16_t port;
    int64_t lane; /* our own number of it, from 0 */
    bool plain;   /* no relay there: a forward from remote_address and remote_port to the only one of sites */
    const char *remote_address;
    uint16_t remote_port;
    const char *boot; /* random, one for the life of this process */
    struct sites *sites;
    struct limits *limits;
    struct dial_names *names; /* of this relay's machine */
    uint32_t dial_ms;         /* for a connection to it */
};

/* What the next attempt should know about this one. */
enum session_outcome {
    SESSION_BROKE,     /* the line, sshd, or a time limit */
    SESSION_UNGREETED, /* the same, before an SSH server was known to be there */
    SESSION_UNREACHED, /* nobody was there to connect to, so the attempt has cost nobody anything */
    SESSION_NAMELESS,  /* the host's name could not be looked up */
    SESSION_KEY,       /* our key was refused, or is not there */
    SESSION_HOST_KEY,  /* it is another machine than the pinned one, or nobody can tell */
    SESSION_SENT_AWAY, /* the relay does not want this lane */
    SESSION_TWIN,      /* another machine is there with our key */
};

struct session_events {
    void (*up)(void *user); /* the relay has welcomed us; again after it has been away */
    void (*ended)(void *user, enum session_outcome outcome, const struct err *why); /* last */
};

struct session_info {
    const char *state;            /* opening, up, away, draining, closing */
    int64_t rtt_ms;               /* -1: not measured yet */
    size_t streams;               /* in use */
    uint64_t bytes_in, bytes_out; /* to and from services */
    const char *failed_at;        /* the step that it ended in: connect, handshake, hostkey, login, … */
};

struct session;

struct session *session_start(struct loop *loop, const struct session_conf *conf,
                              const struct session_events *events, void *user);
void session_stop(struct session *s);  /* ends now; `ended` still comes */
void session_drain(struct session *s); /* takes no new streams, and ends with the last one in use */
void session_claim(struct session *s); /* the names of the sites have changed */
/* To the relay, such as how a service is doing. False: it is not there to hear it. */
bool session_say(struct session *s, const struct lane_msg *m);
void session_look(struct session *s); /* the network has changed: is the line still there? */
struct session_info session_info(const struct session *s);
#endif
