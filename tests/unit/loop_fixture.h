/* tests/unit/loop_fixture.h - a loop for one test, which must end empty: loop_free asserts it.
 *
 *   cmocka_unit_test_setup_teardown(test_that, loop_make, loop_end)   state holds the struct loop */
#ifndef TESTS_UNIT_LOOP_FIXTURE_H
#define TESTS_UNIT_LOOP_FIXTURE_H
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "shared/loop.h"

enum {
    LOOP_FIXTURE_PATIENCE_S = 60
}; /* a loop that waits for ever ends the program, not the patience of CI */

static inline int loop_make(void **state)
{
    struct loop *l = calloc(1, sizeof *l);

    alarm(LOOP_FIXTURE_PATIENCE_S);
    signal(SIGPIPE, SIG_IGN); /* as the daemons do: libuv writes with write() */
    *state = l;
    return l ? loop_init(l, NULL) : -1;
}

static inline int loop_end(void **state)
{
    struct loop *l = *state;

    loop_run(l);
    loop_free(l);
    free(l);
    alarm(0);
    return 0;
}

/* Handles what is ready now, and what follows from it on this machine without waiting. */
static inline void loop_settle(struct loop *l)
{
    for (int i = 0; i < 8; i++)
        uv_run(&l->uv, UV_RUN_NOWAIT);
}

static inline void loop_until(struct loop *l, const bool *happened)
{
    while (!*happened && uv_run(&l->uv, UV_RUN_ONCE))
        continue;
}
#endif
