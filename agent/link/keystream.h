/* agent/link/keystream.h - AES in counter mode for who encrypts 16 bytes at a time, as libssh2 does.
 *
 * Counter mode is a key stream, made by encrypting counters, that is XORed onto the data. OpenSSL makes it many times faster
 * when it is asked for many blocks at once, and on a machine without AES instructions only then in constant time. So OpenSSL
 * makes some of it ahead here, and it is handed out. The bytes are the same. Pure. */
#ifndef AGENT_LINK_KEYSTREAM_H
#define AGENT_LINK_KEYSTREAM_H
#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { KEYSTREAM_BLOCK_BYTES = 16, KEYSTREAM_MAX_BYTES = 4096 };

struct keystream {
    size_t used, made, next;
    EVP_CIPHER *cipher;
    EVP_CIPHER_CTX *ctx; /* has gone on to the end of what is made ahead */
    size_t key_bytes;
    unsigned char ahead[KEYSTREAM_MAX_BYTES];
};

/* Of AES-128, -192 or -256. NULL when OpenSSL fails, or memory. */
struct keystream *keystream_new(size_t key_bytes);
struct keystream *keystream_copy(const struct keystream *k);
void keystream_free(struct keystream *k); /* NULL is fine */
/* A NULL key or counter stays what it was. */
bool keystream_begin(struct keystream *k, const unsigned char *key, const unsigned char *iv);
/* Encrypts or decrypts, which is one; `out` may be `in`. */
bool keystream_crypt(struct keystream *k, unsigned char *out, const unsigned char *in, size_t n);

/* One block; `out` may be `in`. */
static inline void keystream_xor(unsigned char *out, const unsigned char *in, const unsigned char *stream)
{
    uint64_t a[2], b[2];

    memcpy(a, in, KEYSTREAM_BLOCK_BYTES);
    memcpy(b, stream, KEYSTREAM_BLOCK_BYTES);
    a[0] ^= b[0];
    a[1] ^= b[1];
    memcpy(out, a, KEYSTREAM_BLOCK_BYTES);
}

/* keystream_crypt for one block in place, nearly always without a call. */
static inline bool keystream_block(struct keystream *k, unsigned char *block)
{
    if (k->made - k->used < KEYSTREAM_BLOCK_BYTES)
        return keystream_crypt(k, block, block, KEYSTREAM_BLOCK_BYTES);
    keystream_xor(block, block, k->ahead + k->used);
    k->used += KEYSTREAM_BLOCK_BYTES;
    return true;
}
#endif
