/* relay/edge/request_id.h - a name for each request, that nobody can guess and no other request has.
 *
 * A value, for one thread. Randomness is fetched for many requests at once. */
#ifndef RELAY_EDGE_REQUEST_ID_H
#define RELAY_EDGE_REQUEST_ID_H
#include "shared/str.h"

enum {
    REQUEST_ID_BYTES = 129
}; /* the longest that is taken from others, and a NUL; ours have 32 hex digits */

struct request_ids {
    unsigned char pool[4096];
    size_t left; /* bytes at its end that are not used yet */
};

void request_id_make(struct request_ids *ids, char out[REQUEST_ID_BYTES]);
/* True for what others may use: a token of RFC 9110 that fits. */
bool request_id_is_well(struct str id);
#endif
