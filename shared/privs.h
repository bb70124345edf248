/* shared/privs.h - what a daemon that root has started gives up, before it has opened or read anything.
 *
 * For good: a process that has become another user stays one. */
#ifndef SHARED_PRIVS_H
#define SHARED_PRIVS_H
#include "shared/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct privs_user {
    uid_t uid;
    gid_t gid;
    char name[64]; /* "tunnel-relay", or "user 1234" where the machine has no such user */
};

/* True when we are root and this folder belongs to somebody else: who that is. */
bool privs_owner(const char *state_dir, struct privs_user *user);
/* Makes the folder of this path the user's, if it is missing, and the file of a log, if it is missing. Nothing is made where
 * anybody but root could redirect us; then the user himself has to be able to. */
must_check int privs_give_folder(const char *path_in_it, const struct privs_user *user, struct err *e);
must_check int privs_give_file(const char *path, mode_t mode, const struct privs_user *user, struct err *e);
/* Becomes the user, with his groups, HOME, USER and LOGNAME, before the first thread. With `ports` ports below 1024 can be
 * bound on; programs that we run cannot. no_new_privs is left to whoever starts us (our units set it): a hook may be meant to use sudo. */
must_check int privs_become(const struct privs_user *user, bool ports, struct err *e);
/* What a supervisor has let us keep is ours, and not that of programs that we run. */
void privs_keep_from_children(void);
#endif
