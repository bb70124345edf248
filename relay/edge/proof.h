/* relay/edge/proof.h - that it is a lane's agent who answers at its port: any process could listen on one that a lane has
 * left. The secret never crosses it.
 *
 * A value; proof_free wipes it. */
#ifndef RELAY_EDGE_PROOF_H
#define RELAY_EDGE_PROOF_H
#include "shared/proxy2.h"

struct proof {
    uint64_t id; /* of the stream */
    unsigned char secret[PROXY2_SECRET_BYTES], random[PROXY2_RANDOM_BYTES], answer[PROXY2_ANSWER_BYTES];
    size_t answer_n;
};

enum proof_verdict { PROOF_UNFINISHED, PROOF_RIGHT, PROOF_WRONG };

/* What is to be sent first. */
void proof_begin(struct proof *p, uint64_t id, const unsigned char secret[PROXY2_SECRET_BYTES],
                 unsigned char opening[PROXY2_OPEN_BYTES]);
/* What came back: nothing may be behind the answer. */
enum proof_verdict proof_take(struct proof *p, const char *bytes, size_t n);
void proof_free(struct proof *p);
#endif
