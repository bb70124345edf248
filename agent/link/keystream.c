#include "agent/link/keystream.h"

#include "agent/link/shadow.h"

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <openssl/rand.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    BLOCK_BYTES = 16,
    /* Each time that all of it was used, twice as much is made: who encrypts little gets little. */
    FIRST_BYTES = 4 * BLOCK_BYTES,
    MAX_BYTES = 4096,
    KNOWN = 64, /* contexts that a thread remembers; a lane has two */
};

struct keystream {
    size_t used, made, next;
    EVP_CIPHER *cipher;
    EVP_CIPHER_CTX *ctx; /* has gone on to the end of what is made ahead */
    size_t key_bytes;
    unsigned char ahead[MAX_BYTES];
};

static const unsigned char zeros[MAX_BYTES];
static _Atomic(OSSL_PROVIDER *) ours; /* for good, once it is there */

/* Counts the key streams that came or went: from then on a context may be somebody else's. */
static _Atomic unsigned changes = 1;

static void forget(struct keystream *k)
{
    OPENSSL_cleanse(k->ahead, k->made);
    k->used = k->made = 0;
    k->next = FIRST_BYTES;
}

/* ---- a context ---- */

static void ctx_free(void *ctx)
{
    struct keystream *k = ctx;

    if (!k)
        return;
    changes++;
    EVP_CIPHER_CTX_free(k->ctx);
    EVP_CIPHER_free(k->cipher);
    OPENSSL_clear_free(k, sizeof *k);
}

static struct keystream *ctx_new(const char *name, size_t key_bytes)
{
    struct keystream *k = OPENSSL_zalloc(sizeof *k);

    if (!k)
        return NULL;
    changes++;
    k->key_bytes = key_bytes;
    k->cipher = EVP_CIPHER_fetch(NULL, name, "provider=default");
    k->ctx = EVP_CIPHER_CTX_new();
    if (!k->cipher || !k->ctx) {
        ctx_free(k);
        return NULL;
    }
    forget(k);
    return k;
}

static void *ctx_new_128(void *provider)
{
    (void)provider;
    return ctx_new("AES-128-CTR", 16);
}

static void *ctx_new_192(void *provider)
{
    (void)provider;
    return ctx_new("AES-192-CTR", 24);
}

static void *ctx_new_256(void *provider)
{
    (void)provider;
    return ctx_new("AES-256-CTR", 32);
}

static void *ctx_dup(void *ctx)
{
    const struct keystream *k = ctx;
    struct keystream *copy = OPENSSL_memdup(k, sizeof *k);

    if (!copy)
        return NULL;
    changes++;
    EVP_CIPHER_up_ref(copy->cipher);
    copy->ctx = EVP_CIPHER_CTX_new();
    if (!copy->ctx || EVP_CIPHER_CTX_copy(copy->ctx, k->ctx) != 1) {
        ctx_free(copy);
        return NULL;
    }
    return copy;
}

/* ---- what it does ---- */

/* Both ways are one. Key and counter may come one after the other. */
static int begin(void *ctx, const unsigned char *key, size_t key_bytes, const unsigned char *iv,
                 size_t iv_bytes, const OSSL_PARAM params[])
{
    struct keystream *k = ctx;

    (void)params;
    if ((key && key_bytes != k->key_bytes) || (iv && iv_bytes != BLOCK_BYTES))
        return 0;
    forget(k);
    return EVP_EncryptInit_ex2(k->ctx, EVP_CIPHER_CTX_get0_cipher(k->ctx) ? NULL : k->cipher, key, iv, NULL);
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

static void take_ahead(struct keystream *k, unsigned char *out, const unsigned char *in, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = in[i] ^ k->ahead[k->used + i];
    k->used += n;
}

/* The same for a whole block, as words, since the bytes of one may be those of the other. */
static void take_block(struct keystream *k, unsigned char *out, const unsigned char *in)
{
    uint64_t data[2], stream[2];

    memcpy(data, in, BLOCK_BYTES);
    memcpy(stream, k->ahead + k->used, BLOCK_BYTES);
    data[0] ^= stream[0];
    data[1] ^= stream[1];
    memcpy(out, data, BLOCK_BYTES);
    k->used += BLOCK_BYTES;
}

/* What is there is taken first; then small pieces are made ahead for, and large ones need nobody's help. */
static bool crypt_any(struct keystream *k, unsigned char *out, const unsigned char *in, size_t n)
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

static int encrypt(void *ctx, unsigned char *out, size_t *out_bytes, size_t room, const unsigned char *in,
                   size_t n)
{
    struct keystream *k = ctx;

    if (room < n)
        return 0;
    *out_bytes = n;
    if (n == BLOCK_BYTES && k->made - k->used >= BLOCK_BYTES) {
        take_block(k, out, in);
        return 1;
    }
    return crypt_any(k, out, in, n);
}

static int end(void *ctx, unsigned char *out, size_t *out_bytes, size_t room)
{
    (void)ctx;
    (void)out;
    (void)room;
    *out_bytes = 0;
    return 1;
}

/* ---- EVP_Cipher, which libssh2 calls for each block: what OpenSSL does around ours takes longer than ours ---- */

#define SELF "keystream" /* asked of a context, this tells where its key stream is */

/* What this thread found out about a context, and when. */
struct known {
    const EVP_CIPHER_CTX *ctx;
    struct keystream *k; /* NULL: the context is not ours */
    unsigned changes;
};

static _Thread_local struct known known[KNOWN];

static inline struct known *known_at(const EVP_CIPHER_CTX *ctx)
{
    return &known[((uintptr_t)ctx >> 4 ^ (uintptr_t)ctx >> 10) % KNOWN];
}

static inline bool is_known(const struct known *at, const EVP_CIPHER_CTX *ctx)
{
    return at->ctx == ctx && at->changes == changes;
}

static struct keystream *find_out(EVP_CIPHER_CTX *ctx)
{
    const EVP_CIPHER *cipher = EVP_CIPHER_CTX_get0_cipher(ctx);
    const OSSL_PROVIDER *provider = ours;
    void *k = NULL;
    OSSL_PARAM self[] = { OSSL_PARAM_octet_ptr(SELF, &k, 0), OSSL_PARAM_END };

    if (!provider || !cipher || EVP_CIPHER_get0_provider(cipher) != provider ||
        EVP_CIPHER_CTX_get_params(ctx, self) != 1)
        return NULL;
    return k;
}

/* The first time, and when nothing is made ahead. */
__attribute__((noinline)) static int cipher_slowly(EVP_CIPHER_CTX *ctx, unsigned char *out,
                                                   const unsigned char *in, unsigned n)
{
    static struct shadow shadow = { .name = "EVP_Cipher" };
    int (*theirs)(EVP_CIPHER_CTX *, unsigned char *, const unsigned char *, unsigned) = shadow_of(&shadow);
    unsigned now = changes;

    if (!is_known(known_at(ctx), ctx))
        *known_at(ctx) = (struct known){ ctx, find_out(ctx), now };
    return theirs(ctx, out, in, n);
}

int EVP_Cipher(EVP_CIPHER_CTX *c, unsigned char *out, const unsigned char *in, unsigned inl)
{
    const struct known *at = known_at(c);
    struct keystream *k = is_known(at, c) ? at->k : NULL;

    if (!k || inl != BLOCK_BYTES || !in || k->made - k->used < BLOCK_BYTES)
        return cipher_slowly(c, out, in, inl);
    take_block(k, out, in);
    return BLOCK_BYTES;
}

/* ---- what OpenSSL asks ---- */

static int tell(OSSL_PARAM params[], const char *name, size_t value)
{
    OSSL_PARAM *p = OSSL_PARAM_locate(params, name);

    return !p || OSSL_PARAM_set_size_t(p, value);
}

static int tell_sizes(OSSL_PARAM params[], size_t key_bytes)
{
    return tell(params, OSSL_CIPHER_PARAM_KEYLEN, key_bytes) &&
           tell(params, OSSL_CIPHER_PARAM_IVLEN, BLOCK_BYTES);
}

static int tell_cipher(OSSL_PARAM params[], size_t key_bytes)
{
    OSSL_PARAM *mode = OSSL_PARAM_locate(params, OSSL_CIPHER_PARAM_MODE);

    return tell_sizes(params, key_bytes) && tell(params, OSSL_CIPHER_PARAM_BLOCK_SIZE, 1) &&
           (!mode || OSSL_PARAM_set_uint(mode, EVP_CIPH_CTR_MODE));
}

static int tell_128(OSSL_PARAM params[])
{
    return tell_cipher(params, 16);
}

static int tell_192(OSSL_PARAM params[])
{
    return tell_cipher(params, 24);
}

static int tell_256(OSSL_PARAM params[])
{
    return tell_cipher(params, 32);
}

static int tell_of(void *ctx, OSSL_PARAM params[])
{
    const struct keystream *k = ctx;
    OSSL_PARAM *self = OSSL_PARAM_locate(params, SELF);

    return tell_sizes(params, k->key_bytes) && (!self || OSSL_PARAM_set_octet_ptr(self, k, sizeof *k));
}

static int set_nothing(void *ctx, const OSSL_PARAM params[])
{
    (void)ctx;
    (void)params;
    return 1; /* such as padding, which a stream has none of */
}

#define CIPHER(bits)                                                      \
    static const OSSL_DISPATCH aes_##bits[] = {                           \
        { OSSL_FUNC_CIPHER_NEWCTX, (void (*)(void))ctx_new_##bits },      \
        { OSSL_FUNC_CIPHER_FREECTX, (void (*)(void))ctx_free },           \
        { OSSL_FUNC_CIPHER_DUPCTX, (void (*)(void))ctx_dup },             \
        { OSSL_FUNC_CIPHER_ENCRYPT_INIT, (void (*)(void))begin },         \
        { OSSL_FUNC_CIPHER_DECRYPT_INIT, (void (*)(void))begin },         \
        { OSSL_FUNC_CIPHER_UPDATE, (void (*)(void))encrypt },             \
        { OSSL_FUNC_CIPHER_FINAL, (void (*)(void))end },                  \
        { OSSL_FUNC_CIPHER_CIPHER, (void (*)(void))encrypt },             \
        { OSSL_FUNC_CIPHER_GET_PARAMS, (void (*)(void))tell_##bits },     \
        { OSSL_FUNC_CIPHER_GET_CTX_PARAMS, (void (*)(void))tell_of },     \
        { OSSL_FUNC_CIPHER_SET_CTX_PARAMS, (void (*)(void))set_nothing }, \
        { 0, NULL },                                                      \
    }

CIPHER(128);
CIPHER(192);
CIPHER(256);

static const OSSL_ALGORITHM *on_query(void *provider, int operation, int *no_cache)
{
    static const OSSL_ALGORITHM ciphers[] = {
        { "AES-128-CTR", "provider=" KEYSTREAM_PROVIDER, aes_128, NULL },
        { "AES-192-CTR", "provider=" KEYSTREAM_PROVIDER, aes_192, NULL },
        { "AES-256-CTR", "provider=" KEYSTREAM_PROVIDER, aes_256, NULL },
        { NULL, NULL, NULL, NULL },
    };

    (void)provider;
    *no_cache = 0;
    return operation == OSSL_OP_CIPHER ? ciphers : NULL;
}

static int on_start(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *core, const OSSL_DISPATCH **out,
                    void **provider)
{
    static const OSSL_DISPATCH functions[] = {
        { OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))on_query },
        { 0, NULL },
    };

    (void)core;
    *out = functions;
    *provider = (void *)(uintptr_t)handle; /* something that is not NULL */
    return 1;
}

/* OpenSSL's random numbers come out of AES-CTR too, a few at a time. They have theirs before ours is there. */
static bool begin_random(void)
{
    unsigned char byte;

    return RAND_bytes(&byte, 1) == 1 && RAND_priv_bytes(&byte, 1) == 1;
}

static OSSL_PROVIDER *load_ours(void)
{
    OSSL_PROVIDER *loaded = OSSL_PROVIDER_load(NULL, KEYSTREAM_PROVIDER);

    ours = loaded;
    return loaded;
}

int keystream_start(struct err *e)
{
    static OSSL_PROVIDER *theirs;
    const char *why;

    if (ours)
        return 0;
    theirs = theirs ? theirs : OSSL_PROVIDER_load(NULL, "default");
    if (!theirs || !begin_random() || !OSSL_PROVIDER_add_builtin(NULL, KEYSTREAM_PROVIDER, on_start) ||
        !load_ours() || !EVP_set_default_properties(NULL, "?provider=" KEYSTREAM_PROVIDER)) {
        why = ERR_reason_error_string(ERR_get_error());
        return err_set(e, ERR_SYSTEM, "OpenSSL cannot be set up: %s; is its configuration file in order?",
                       why ? why : "no reason given");
    }
    return 0;
}
