/* shared/domain.h - host names as sites have them. Pure. */
#ifndef SHARED_DOMAIN_H
#define SHARED_DOMAIN_H
#include "shared/err.h"
#include "shared/str.h"

#include <stdbool.h>

enum { DOMAIN_BYTES = 254 }; /* of a whole name with its NUL */

enum domain_form { DOMAIN_EXACT, DOMAIN_WILDCARD /* or *.NAME */ };

/* -1 unless text is a name of lower-case labels, at least one dot or "localhost", in A-label form. An IPv4
 * address is none. */
must_check int domain_check(const char *text, enum domain_form form, struct err *e);
/* Lower case, in A-label form, without a trailing dot, into out. False when it cannot be one: empty, too long, or with a NUL in it. */
bool domain_normalize(struct str host, char out[DOMAIN_BYTES]);
/* True when pattern is name, or "*." and name without its first label. Both normalized. */
bool domain_matches(const char *pattern, const char *name);
/* The name with "www." in front, or without it where it is there. False for "*.NAME", which has no such other name. */
bool domain_other_www(const char *name, char other[DOMAIN_BYTES + 4]);
#endif
