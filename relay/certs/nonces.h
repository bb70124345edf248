/* relay/certs/nonces.h - what a CA has given us to sign requests with, each once. A value, embedded; pure: the time is an
 * argument. */
#ifndef RELAY_CERTS_NONCES_H
#define RELAY_CERTS_NONCES_H
#include "shared/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NONCES_MAX = 32, NONCE_BYTES = 257, NONCES_FRESH_MS = 120000 };

struct nonces {
    struct nonce {
        char text[NONCE_BYTES];
        uint64_t until_ms;
    } all[NONCES_MAX];
    size_t n;
};

/* Keeps it for a while; the oldest gives way. False when it is none: 1 to 256 characters of base64url. */
bool nonces_put(struct nonces *pool, struct str nonce, uint64_t now_ms);
/* The newest; false when there is none that is fresh. */
bool nonces_take(struct nonces *pool, char out[NONCE_BYTES], uint64_t now_ms);
#endif
