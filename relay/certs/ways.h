/* relay/certs/ways.h - the ways to meet a challenge that this relay has by itself: http-01 and tls-alpn-01. For orders on
 * job threads; the same for the nonces of a pre-flight.
 *
 * Alive on the control plane's loop, from ways_start until `closed`. What is put up on a thread goes to the board on the
 * loop; the thread waits until every worker shows it. */
#ifndef RELAY_CERTS_WAYS_H
#define RELAY_CERTS_WAYS_H
#include "relay/certs/board.h"
#include "relay/certs/challenge.h"
#include "shared/loop.h"

struct ways;

enum {
    WAYS_SHOW_MS = 60 * 1000,
    WAYS_NONCE_MAX = 64
}; /* in which every worker shows it, or there is an error */

struct ways *ways_start(struct loop *loop, struct board *borrows);
/* From the loop: who waits gets ERR_STOPPED, and so does who comes later. `closed` is called from the loop. */
void ways_stop(struct ways *w, void (*closed)(void *user), void *user);
/* Once closed, and when every job that was given the ways has ended. NULL is fine. */
void ways_free(struct ways *w);

/* For both types; borrowed as long as w lives. Its functions are called from any job's thread, several at once. */
const struct challenge_ways *ways_challenges(const struct ways *w);

/* Shows the nonce (1 to 64 characters of base64url) as the body of GET /.well-known/tunnel-check/NONCE, to anybody, with
 * and without TLS. -1 with the reason: nothing is left behind. */
must_check int ways_put_nonce(struct ways *w, const char *nonce, struct job *job, struct err *e);
void ways_take_nonce(struct ways *w, const char *nonce);
#endif
