/* agent/carry/stream.h - one stream: an SSH channel that sshd opened for the relay, carried to a service.
 *
 * Alive on the loop, and on its lane: it takes the channel, and calls the lane's `ended` once, last. The lane calls
 * carry_run after each feed, because only then can the channel have something new. */
#ifndef AGENT_CARRY_STREAM_H
#define AGENT_CARRY_STREAM_H
#include "agent/carry/limits.h"
#include "agent/carry/sites.h"
#include "agent/link/ssh_pipe.h"
#include "shared/lane_msg.h"
#include "shared/loop.h"

#include <stdbool.h>
#include <stdint.h>

struct carry;

/* What a stream asks of its lane. Borrowed until the stream's end. */
struct carry_lane {
    struct loop *loop;
    struct ssh_pipe *pipe;
    struct sites *sites;
    struct limits *limits;
    const char *relay;            /* for the log */
    const unsigned char *secret;  /* NULL while there is none */
    uint64_t bytes_in, bytes_out; /* to and from services, counted by the streams */

    /* Tells the relay how a stream ended; says where in the conversation that stands. */
    uint64_t (*say_ended)(void *user, uint64_t stream, enum lane_how how, const char *detail);
    /* Tells the relay how many bytes the service has taken: room for as many more. */
    void (*say_consumed)(void *user, uint64_t stream, uint64_t total);
    /* True once libssh2 has taken the conversation up to there. */
    bool (*said)(void *user, uint64_t place);
    /* Asks the relay whether it lives: a number for `answered`; 0: it has gone. Not for streams of a plain forward. */
    uint64_t (*ask)(void *user);
    bool (*answered)(void *user, uint64_t ping);
    /* Bytes for the relay were added to the pipe. False when so many wait that services are not to be read. */
    bool (*added)(void *user);
    void (*ended)(void *user, struct carry *c);
    void *user;
};

struct carry *carry_start(struct carry_lane *lane, LIBSSH2_CHANNEL *channel);
/* Bytes to a service, and from one. */
static inline void carry_count(struct carry_lane *lane, size_t in, size_t out)
{
    lane->bytes_in += in;
    lane->bytes_out += out;
    lane->limits->bytes_in += in;
    lane->limits->bytes_out += out;
}

/* Of a plain forward: without headers, straight to this site's service. */
struct carry *carry_start_plain(struct carry_lane *lane, LIBSSH2_CHANNEL *channel, const struct site *site);
/* Ends at once: the session is going down, and frees the channel itself. */
void carry_stop(struct carry *c);

/* Does what can be done now. The stream may be gone afterwards. */
void carry_run(struct carry *c);
void carry_hold(
    struct carry *c); /* the lane is full: reads the service no further until carry_run finds room */
/* The lane's secret is another one: a stream that proved itself with the one before is of no use, unless it is in use. */
void carry_close_warm(struct carry *c);
void carry_close_unused(
    struct carry *c);               /* no new streams are wanted: neither a warm one nor one that begins */
void carry_orphan(struct carry *c); /* the relay has gone, and its visitor with it */
bool carry_abort(struct carry *c, uint64_t stream); /* true when it was this one */

bool carry_in_use(const struct carry *c);
/* ---- for limits.c ---- */

struct carry_link {
    struct carry *prev, *next;
};
struct carry_link *carry_link(struct carry *c); /* its place among all streams */
uint64_t carry_held(const struct carry *c);     /* bytes that wait in it, for either side */
void carry_look(struct carry *c);               /* once a second */
bool carry_is_stuck(const struct carry *c);     /* at the last look nothing had moved since the one before */
void carry_shed(struct carry *c);               /* gives up what it holds, and ends */

/* The lane's list of its streams. */
struct carry **carry_next(struct carry *c);
#endif
