/* tests/linesim/sim.h - the whole simulator: a line each way, listeners in front of it, connections on it.
 *
 * Everything runs on one thread. Bytes wait in their connection (conn.h), parcels that stand for them on the
 * line (line.h); sim_run moves what is due and gives waiting senders fair turns. */
#ifndef TESTS_LINESIM_SIM_H
#define TESTS_LINESIM_SIM_H
#include "tests/linesim/line.h"
#include "tests/linesim/loop.h"
#include "tests/linesim/settings.h"

#include <stdbool.h>
#include <sys/queue.h>

struct conn;
struct flow;
struct listener;
TAILQ_HEAD(conns, conn);
TAILQ_HEAD(flows, flow);

struct sim {
    struct loop loop;
    struct line line[2];             /* UP, DOWN */
    struct flows waiting[2];         /* who has something to send, in the order of their turns */
    uint64_t in[2], out[2], lost[2]; /* bytes: read from senders, written to receivers, swallowed */
    struct conns conns, ended;       /* ended ones are freed when no event of this pass can mean them */
    uint32_t last_id;
    size_t listeners_n;
    struct listener *listeners;
    char *scratch; /* SCRATCH_BYTES, for bytes that pass straight through */
    bool stop;
};

enum { SCRATCH_BYTES = 256 << 10 };

must_check int sim_init(struct sim *s, struct err *e);
void sim_free(struct sim *s); /* resets the connections that are left */
void sim_run(struct sim *s);  /* until s->stop */

void sim_set(struct sim *s, const struct line_conf conf[2]);
/* LINE_SWALLOWS also loses what is on the line at that moment. */
void sim_set_mode(struct sim *s, int direction, enum line_mode mode);
#endif
