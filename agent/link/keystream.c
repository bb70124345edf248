#include "agent/link/keystream.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

/* Each time that all of it was used, twice as much is made: who encrypts little gets little. */
enum { FIRST_BYTES = 4 * KEYSTREAM_BLOCK_BYTES, MAX_BYTES = KEYSTREAM_MAX_BYTES };

static const unsigned char zeros[MAX_BYTES];

static void forget(struct keystream *k)
{
    OPENSSL_cleanse(k->ahead, k->made);
    k->used = k->made = 0;
    k->next = FIRST_BYTES;
}

struct keystream *keystream_new(size_t key_bytes)
{
    const char *name = key_bytes == 16 ? "AES-128-CTR" : key_bytes == 24 ? "AES-192-CTR" : "AES-256-CTR";
    struct keystream *k = OPENSSL_zalloc(sizeof *k);

    if (!k)
        return NULL;
    k->key_bytes = key_bytes;
    k->cipher = EVP_CIPHER_fetch(NULL, name, "provider=default");
    k->ctx = EVP_CIPHER_CTX_new();
    if (!k->cipher || !k->ctx) {
        keystream_free(k);
        return NULL;
    }
    forget(k);
    return k;
}

struct keystream *keystream_copy(const struct keystream *k)
{
    struct keystream *copy = OPENSSL_memdup(k, sizeof *k);

    if (!copy)
        return NULL;
    EVP_CIPHER_up_ref(copy->cipher);
    copy->ctx = EVP_CIPHER_CTX_new();
    if (!copy->ctx || EVP_CIPHER_CTX_copy(copy->ctx, k->ctx) != 1) {
        keystream_free(copy);
        return NULL;
    }
    return copy;
}

void keystream_free(struct keystream *k)
{
    if (!k)
        return;
    EVP_CIPHER_CTX_free(k->ctx);
    EVP_CIPHER_free(k->cipher);
    OPENSSL_clear_free(k, sizeof *k);
}

bool keystream_begin(struct keystream *k, const unsigned char *key, const unsigned char *iv)
{
    forget(k);
    return EVP_EncryptInit_ex2(k->ctx, EVP_CIPHER_CTX_get0_cipher(k->ctx) ? NULL : k->cipher, key, iv,
                               NULL) == 1;
}

static bool crypt_directly(struct keystream *k, unsigned char *out, const unsigned char *in, size_t n)
{
    int done = 0;

    return n == 0 ||
           (n <= INT32_MAX && EVP_EncryptUpdate(k->ctx, out, &done, in, (int)n) == 1 && (size_t)done == n);
}

static bool make_ahead(struct keystream *k)
{
    k->used = k->made = 0;
    if (!crypt_directly(k, k->ahead, zeros, k->next))
        return false;
    k->made = k->next;
    k->next = k->next < MAX_BYTES ? 2 * k->next : MAX_BYTES;
    return true;
}

/* As words while there are enough, since compilers do not know that no byte of one is one of the other. */
static void take_ahead(struct keystream *k, unsigned char *out, const unsigned char *in, size_t n)
{
    const unsigned char *ahead = k->ahead + k->used;
    size_t i = 0;

    for (; i + KEYSTREAM_BLOCK_BYTES <= n; i += KEYSTREAM_BLOCK_BYTES)
        keystream_xor(out + i, in + i, ahead + i);
    for (; i < n; i++)
        out[i] = in[i] ^ ahead[i];
    k->used += n;
}

/* What is there is taken first; then small pieces are made ahead for, and large ones need nobody's help. */
bool keystream_crypt(struct keystream *k, unsigned char *out, const unsigned char *in, size_t n)
{
    while (n > 0) {
        size_t piece = k->made - k->used;

        if (piece == 0 && n >= MAX_BYTES)
            return crypt_directly(k, out, in, n);
        if (piece == 0 && !make_ahead(k))
            return false;
        piece = k->made - k->used < n ? k->made - k->used : n;
        take_ahead(k, out, in, piece);
        out += piece;
        in += piece;
        n -= piece;
    }
    return true;
}
