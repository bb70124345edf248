/* shared/hook.h - a program of the user's that is run when something has become another thing. */
#ifndef SHARED_HOOK_H
#define SHARED_HOOK_H
#include "shared/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hook_variable {
    const char *name, *value; /* "TUNNEL_NAME", and what it is */
};

struct hook;
struct hook_end {
    bool started; /* false: it cannot be run */
    int64_t status;
    int signal; /* 0: none ended it */
};

/* Alive on the loop until `ended`, once, last: also when it could not be started, which is logged. Its environment is our
 * PATH and the variables, nothing else. It is killed after a minute. option: the key that names the program, for messages; a constant. */
struct hook *hook_run(struct loop *loop, const char *option, const char *path,
                      const struct hook_variable *variables, size_t n,
                      void (*ended)(void *user, const struct hook_end *end), void *user);
void hook_cut(struct hook *h); /* kills it and what it has started; `ended` is still called, later */
#endif
