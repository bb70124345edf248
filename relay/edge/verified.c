#include "relay/edge/verified.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

enum { SAID_BYTES = 1024 };

void verified_init(struct verified *v)
{
    *v = (struct verified){ 0 };
    if (RAND_bytes(v->seed, sizeof v->seed) != 1)
        abort(); /* OpenSSL has no entropy: TLS would be broken as well */
}

struct verified_key verified_key(const struct verified *v, const unsigned char list[VERIFIED_KEY_BYTES],
                                 const char *said, size_t n)
{
    unsigned char text[VERIFIED_KEY_BYTES + SAID_BYTES], digest[EVP_MAX_MD_SIZE];
    struct verified_key key;

    n = n < SAID_BYTES ? n : SAID_BYTES;
    memcpy(text, list, VERIFIED_KEY_BYTES);
    memcpy(text + VERIFIED_KEY_BYTES, said, n);
    if (!HMAC(EVP_sha256(), v->seed, sizeof v->seed, text, VERIFIED_KEY_BYTES + n, digest, NULL))
        abort(); /* OpenSSL has no SHA-256: TLS would be broken as well */
    OPENSSL_cleanse(text, sizeof text);
    memcpy(key.bytes, digest, sizeof key.bytes);
    return key;
}

static struct verified_place *set_of(struct verified *v, const struct verified_key *key)
{
    return v->places[key->bytes[0] % VERIFIED_SETS];
}

bool verified_has(struct verified *v, const struct verified_key *key)
{
    struct verified_place *set = set_of(v, key);

    for (int i = 0; i < VERIFIED_WAYS; i++)
        if (set[i].used > 0 && CRYPTO_memcmp(&set[i].key, key, sizeof *key) == 0) {
            set[i].used = ++v->askings;
            return true;
        }
    return false;
}

/* In place of the one that was not asked for the longest. */
void verified_add(struct verified *v, const struct verified_key *key)
{
    struct verified_place *set = set_of(v, key), *oldest = set;

    for (int i = 1; i < VERIFIED_WAYS; i++)
        if (set[i].used < oldest->used)
            oldest = &set[i];
    *oldest = (struct verified_place){ *key, ++v->askings };
}
