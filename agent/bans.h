/* agent/bans.h - whom this agent's relays are asked to refuse, at what it serves.
 *
 * Kept in STATE_DIR/bans.json, written only when somebody bans or unbans. Relays are told when they welcome a lane: before
 * the claim, so that nobody slips in. Those taken back are remembered until they would have ended, for a relay that was
 * not there. */
#ifndef AGENT_BANS_H
#define AGENT_BANS_H
#include "agent/certs/passing.h"
#include "shared/bans.h"
#include "shared/http/server.h"
#include "shared/lane_types.h"

struct agent_bans {
    const struct passing_host *host;
    char *path;
    struct bans bans, lifted;
    struct ban_answer *answers; /* of relays, each of one ban */
    size_t answers_n;
};

/* Borrows host. */
void agent_bans_init(struct agent_bans *b, const char *state_dir, const struct passing_host *host);
void agent_bans_free(struct agent_bans *b);
void agent_bans_welcomed(struct agent_bans *b, const char *relay);
void agent_bans_hear(struct agent_bans *b, const char *relay, const struct lane_msg *m); /* a LANE_BAN */

void agent_bans_answer_list(struct agent_bans *b, struct http_reply *reply);
void agent_bans_answer_add(struct agent_bans *b, const struct http_request *request,
                           struct http_reply *reply);
void agent_bans_answer_remove(struct agent_bans *b, const struct http_request *request,
                              struct http_reply *reply);
#endif
