/* relay/edge/basic_auth.h - HTTP Basic (RFC 7617): what a visitor says of himself, and whether it is so. Pure, but slow where
 * it says so. */
#ifndef RELAY_EDGE_BASIC_AUTH_H
#define RELAY_EDGE_BASIC_AUTH_H
#include "shared/htpasswd.h"
#include "shared/http/h1.h"

#include <stdbool.h>

enum { BASIC_AUTH_BYTES = 512 }; /* of user and password together, with the colon */

struct basic_auth {
    char text[BASIC_AUTH_BYTES + 1]; /* "USER\0PASSWORD" */
    const char *user, *password;
    size_t n; /* of both, with the NUL between them */
};

/* Into out, which is to be wiped. False: he says nothing, or nothing that is well formed. */
bool basic_auth_read(const struct h1_head *head, struct basic_auth *out);
void basic_auth_wipe(struct basic_auth *a);
/* The hash that his password has to have. For a user who is not there it is somebody else's, always the same one's, so that
 * it takes as long to find out that it is not right; *known is false then. seed is a secret of ours. */
struct str basic_auth_hash(const char *passwords, const char *user, const unsigned char seed[32],
                           bool *known);
/* Slow: for threads that nobody waits for. */
bool basic_auth_matches(const char *password, const char *hash);
#endif
