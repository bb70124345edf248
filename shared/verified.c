#include "shared/verified.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdlib.h>

void verified_init(struct verified *v)
{
    *v = (struct verified){ .hash = EVP_MD_fetch(NULL, "SHA256", NULL), .at_work = EVP_MD_CTX_new() };
    if (!v->hash || !v->at_work || RAND_bytes(v->seed, sizeof v->seed) != 1)
        abort(); /* OpenSSL has no SHA-256, no memory or no entropy: TLS would be broken as well */
}

void verified_free(struct verified *v)
{
    EVP_MD_CTX_free(v->at_work);
    EVP_MD_free(v->hash);
    OPENSSL_cleanse(v, sizeof *v);
}

/* What is in front has a fixed length, and nobody sees the result: so a plain hash will do. */
struct verified_key verified_key(const struct verified *v, const unsigned char list[VERIFIED_KEY_BYTES],
                                 const char *said, size_t n)
{
    struct verified_key key;

    if (EVP_DigestInit_ex2(v->at_work, v->hash, NULL) != 1 ||
        EVP_DigestUpdate(v->at_work, v->seed, sizeof v->seed) != 1 ||
        EVP_DigestUpdate(v->at_work, list, VERIFIED_KEY_BYTES) != 1 ||
        EVP_DigestUpdate(v->at_work, said, n) != 1 || EVP_DigestFinal_ex(v->at_work, key.bytes, NULL) != 1)
        abort(); /* as above */
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
