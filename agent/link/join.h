/* agent/link/join.h - one enrolment: logs in to a relay's sshd with a token's one-time key, and hands over our own public
 * key.
 *
 * Alive on the loop until it calls `ended`. It tries once, within a minute. */
#ifndef AGENT_LINK_JOIN_H
#define AGENT_LINK_JOIN_H
#include "shared/loop.h"
#include "shared/token.h"

struct join;

/* why->code is ERR_NONE when the relay has enrolled us; otherwise why says what is wrong, for the person who asked. */
typedef void (*join_ended_cb)(void *user, const struct err *why);

/* Copies the token and our public key. */
struct join *join_start(struct loop *loop, const struct token *token, const char *key, join_ended_cb ended,
                        void *user);
void join_stop(struct join *j);
#endif
