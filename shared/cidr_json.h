/* shared/cidr_json.h - lists of networks as members of JSON objects: ["192.0.2.0/24", "2001:db8::/32"]. Pure. */
#ifndef SHARED_CIDR_JSON_H
#define SHARED_CIDR_JSON_H
#include "shared/arena.h"
#include "shared/cidr.h"
#include "shared/err.h"

#include <jansson.h>

enum { CIDR_JSON_MAX = 500 }; /* of each list: a claim's line has to hold them */

void cidr_json_set(json_t *to, const char *key, const struct cidrs *cidrs); /* an empty list is no member */
/* The list is in the arena. Without such a member it is empty. */
must_check int cidr_json_get(const json_t *object, const char *key, struct cidrs *cidrs, struct arena *arena,
                             struct err *e);
#endif
