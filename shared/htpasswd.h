/* shared/htpasswd.h - who may come in, as `htpasswd -B` and others write it: USER:HASH, one a line. Pure.
 *
 * Taken are hashes that are slow to guess from: bcrypt ($2y$, $2b$, $2a$), yescrypt ($y$), SHA-512 and SHA-256 crypt ($6$,
 * $5$), each up to a cost at which one check of a password of usual length takes about a second. Lines that are empty or begin with # are left out, and so
 * is what stands behind a second colon. */
#ifndef SHARED_HTPASSWD_H
#define SHARED_HTPASSWD_H
#include "shared/err.h"
#include "shared/str.h"

#include <stdbool.h>

enum {
    HTPASSWD_BYTES = 16 * 1024, /* of the whole text: a claim's line has to hold it */
    HTPASSWD_USER_BYTES = 255,
    HTPASSWD_HASH_BYTES = 160,
};

struct htpasswd_entry {
    struct str user, hash;
};

/* Says which line is wrong, and what would be right; never what stands in it. */
must_check int htpasswd_check(struct str text, struct err *e);
/* Cuts the next entry off *rest, of a text that was checked. False when none is left. */
bool htpasswd_next(struct str *rest, struct htpasswd_entry *entry);
size_t htpasswd_count(struct str text);
#endif
