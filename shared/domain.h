/* shared/domain.h - host names as sites have them. Pure. */
#ifndef SHARED_DOMAIN_H
#define SHARED_DOMAIN_H
#include "shared/err.h"
#include "shared/str.h"

#include <stdbool.h>

enum { DOMAIN_BYTES = 254 }; /* of a whole name with its NUL */

enum domain_form {
    DOMAIN_EXACT,
    DOMAIN_WILDCARD, /* or *.NAME */
    DOMAIN_SITE,     /* what a site can be called: also the bare name of a machine in a LAN, or an address */
};

/* -1 unless text is a name of lower-case labels, at least one dot or "localhost", in A-label form. An address is none,
 * but for a site; then it is as inet_ntop prints it. */
must_check int domain_check(const char *text, enum domain_form form, struct err *e);
bool domain_is_address(const char *name); /* IPv4 or IPv6, without brackets */
/* Lower case, in A-label form, without a trailing dot, into out; [IPv6] without its brackets, as inet_ntop prints it. False
 * when it cannot be one: empty, too long, or with a NUL in it. */
bool domain_normalize(struct str host, char out[DOMAIN_BYTES]);
/* True when pattern is name, or "*." and name without its first label. Both normalized. */
bool domain_matches(const char *pattern, const char *name);
/* The name with "www." in front, or without it where it is there. False for "*.NAME", which has no such other name. */
bool domain_other_www(const char *name, char other[DOMAIN_BYTES + 4]);
#endif
