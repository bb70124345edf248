/* shared/hook.h - a program of the user's that is run when something has become another thing. */
#ifndef SHARED_HOOK_H
#define SHARED_HOOK_H
#include "shared/loop.h"

struct hook_variable {
    const char *name, *value; /* "TUNNEL_NAME", and what it is */
};

/* Alive on the loop until `ended`, once, last: also when it could not be started, which is logged. Its environment is ours and
 * the variables. It is killed after a minute. option: the key that names the program, for messages; a constant. */
void hook_run(struct loop *loop, const char *option, const char *path, const struct hook_variable *variables,
              size_t n, void (*ended)(void *user), void *user);
#endif
