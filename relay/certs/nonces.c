#include "relay/certs/nonces.h"

#include <ctype.h>
#include <string.h>

static bool is_nonce(struct str text)
{
    if (text.n == 0 || text.n >= NONCE_BYTES)
        return false;
    for (size_t i = 0; i < text.n; i++)
        if (!isalnum((unsigned char)text.p[i]) && text.p[i] != '-' && text.p[i] != '_')
            return false;
    return true;
}

bool nonces_put(struct nonces *pool, struct str nonce, uint64_t now_ms)
{
    struct nonce *place;

    if (!is_nonce(nonce))
        return false;
    if (pool->n == NONCES_MAX)
        memmove(pool->all, pool->all + 1, --pool->n * sizeof pool->all[0]);
    place = &pool->all[pool->n++];
    memcpy(place->text, nonce.p, nonce.n);
    place->text[nonce.n] = '\0';
    place->until_ms = now_ms + NONCES_FRESH_MS;
    return true;
}

/* When the newest is too old, so are all. */
bool nonces_take(struct nonces *pool, char out[NONCE_BYTES], uint64_t now_ms)
{
    const struct nonce *newest;

    if (pool->n == 0)
        return false;
    newest = &pool->all[--pool->n];
    memcpy(out, newest->text, NONCE_BYTES);
    if (newest->until_ms > now_ms)
        return true;
    pool->n = 0;
    return false;
}
