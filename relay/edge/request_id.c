#include "relay/edge/request_id.h"

#include "shared/http/h1.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdlib.h>

enum { RANDOM_BYTES = 16 };

void request_id_make(struct request_ids *ids, char out[REQUEST_ID_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char *random;

    if (ids->left < RANDOM_BYTES) {
        if (RAND_bytes(ids->pool, sizeof ids->pool) != 1)
            abort(); /* OpenSSL has no entropy: TLS would be broken as well */
        ids->left = sizeof ids->pool;
    }
    random = ids->pool + sizeof ids->pool - ids->left;
    for (size_t i = 0; i < RANDOM_BYTES; i++) {
        out[2 * i] = digits[random[i] >> 4];
        out[2 * i + 1] = digits[random[i] & 15];
    }
    out[2 * (size_t)RANDOM_BYTES] = 0;
    OPENSSL_cleanse(random, RANDOM_BYTES);
    ids->left -= RANDOM_BYTES;
}

bool request_id_is_well(struct str id)
{
    return h1_is_token(id) && id.n < REQUEST_ID_BYTES;
}
