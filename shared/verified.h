/* shared/verified.h - whose passwords were found to be right lately, so that a request costs nothing more.
 *
 * A value, embedded, of a fixed size; one for each thread. What it keeps is a keyed hash of the site's list of passwords, the
 * user and his password: so it knows nothing of a list that has changed. */
#ifndef SHARED_VERIFIED_H
#define SHARED_VERIFIED_H
#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { VERIFIED_SETS = 128, VERIFIED_WAYS = 4, VERIFIED_KEY_BYTES = 32 };

struct verified_key {
    unsigned char bytes[VERIFIED_KEY_BYTES];
};

struct verified {
    EVP_MD *hash; /* got once: OpenSSL looks for it longer than it takes */
    EVP_MD_CTX *at_work;
    unsigned char seed[VERIFIED_KEY_BYTES];
    struct verified_place {
        struct verified_key key;
        uint64_t used; /* when it was asked for last, in askings; 0: free */
    } places[VERIFIED_SETS][VERIFIED_WAYS];
    uint64_t askings;
};

void verified_init(struct verified *v);
void verified_free(struct verified *v); /* and wipes it */
/* list: a hash of the whole list; said: user and password. */
struct verified_key verified_key(const struct verified *v, const unsigned char list[VERIFIED_KEY_BYTES],
                                 const char *said, size_t n);
bool verified_has(struct verified *v, const struct verified_key *key);
void verified_add(struct verified *v, const struct verified_key *key);
#endif
