/* tests/linesim/listener.h - an end of the line where programs connect, and the target at the other end. */
#ifndef TESTS_LINESIM_LISTENER_H
#define TESTS_LINESIM_LISTENER_H
#include "tests/linesim/address.h"
#include "tests/linesim/sim.h"

struct listener {
    struct sim *sim;
    size_t index;
    struct watch watch;
    int keeper; /* holds the port while connections are refused */
    struct address address, target;
};

/* Adds the listener described by "ADDRESS:PORT=TARGET"; it listens when this returns. */
must_check int listener_add(struct sim *s, const char *text, struct err *e);
/* While refusing, the port is closed but stays ours. */
must_check int listener_refuse(struct listener *l, bool refuse, struct err *e);
void listener_free(struct listener *l);
#endif
