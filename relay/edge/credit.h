/* relay/edge/credit.h - how many bytes a stream may hold that its service has not taken.
 *
 * The agent tells by `consumed` what the service has taken. Until then the bytes are in libssh2's window at the agent, which
 * cannot be made smaller, or in the agent: so a stalled service holds no more than its credit. A service that keeps up gets
 * more, or a long line would stand still between two of the agent's words. Pure; plain data. */
#ifndef RELAY_EDGE_CREDIT_H
#define RELAY_EDGE_CREDIT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct credit {
    uint64_t sent, consumed; /* in all */
    uint64_t bytes;          /* may be sent and not consumed */
    uint64_t from;           /* consumed when it was last judged whether the service keeps up, */
    int64_t from_ms;         /* and when that was */
    bool waited;             /* for more of it, since then */
};

void credit_init(struct credit *c);
size_t credit_room(const struct credit *c);
void credit_use(struct credit *c, size_t n, int64_t now_ms);
/* The agent's word. False: it says nothing new, or of bytes that nobody has sent. */
bool credit_give(struct credit *c, uint64_t total, int64_t now_ms);
#endif
