#include "agent/link/ctr_provider.h"

#include "agent/link/keystream.h"

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <openssl/rand.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

static _Atomic(OSSL_PROVIDER *) ours; /* for good, once it is there */

/* ---- a context is a key stream ---- */

static void *ctx_new_128(void *provider)
{
    (void)provider;
    return keystream_new(16);
}

static void *ctx_new_192(void *provider)
{
    (void)provider;
    return keystream_new(24);
}

static void *ctx_new_256(void *provider)
{
    (void)provider;
    return keystream_new(32);
}

static void ctx_free(void *ctx)
{
    keystream_free(ctx);
}

static void *ctx_dup(void *ctx)
{
    return keystream_copy(ctx);
}

/* Both ways are one. Key and counter may come one after the other. */
static int begin(void *ctx, const unsigned char *key, size_t key_bytes, const unsigned char *iv,
                 size_t iv_bytes, const OSSL_PARAM params[])
{
    struct keystream *k = ctx;

    (void)params;
    if ((key && key_bytes != k->key_bytes) || (iv && iv_bytes != KEYSTREAM_BLOCK_BYTES))
        return 0;
    return keystream_begin(k, key, iv);
}

static int encrypt(void *ctx, unsigned char *out, size_t *out_bytes, size_t room, const unsigned char *in,
                   size_t n)
{
    if (room < n)
        return 0;
    *out_bytes = n;
    return keystream_crypt(ctx, out, in, n);
}

static int end(void *ctx, unsigned char *out, size_t *out_bytes, size_t room)
{
    (void)ctx;
    (void)out;
    (void)room;
    *out_bytes = 0;
    return 1;
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
           tell(params, OSSL_CIPHER_PARAM_IVLEN, KEYSTREAM_BLOCK_BYTES);
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

    return tell_sizes(params, k->key_bytes);
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
        { "AES-128-CTR", "provider=" CTR_PROVIDER, aes_128, NULL },
        { "AES-192-CTR", "provider=" CTR_PROVIDER, aes_192, NULL },
        { "AES-256-CTR", "provider=" CTR_PROVIDER, aes_256, NULL },
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
    OSSL_PROVIDER *loaded = OSSL_PROVIDER_load(NULL, CTR_PROVIDER);

    ours = loaded;
    return loaded;
}

int ctr_provider_start(struct err *e)
{
    static OSSL_PROVIDER *theirs;
    const char *why;

    if (ours)
        return 0;
    theirs = theirs ? theirs : OSSL_PROVIDER_load(NULL, "default");
    if (!theirs || !begin_random() || !OSSL_PROVIDER_add_builtin(NULL, CTR_PROVIDER, on_start) ||
        !load_ours() || !EVP_set_default_properties(NULL, "?provider=" CTR_PROVIDER)) {
        why = ERR_reason_error_string(ERR_get_error());
        return err_set(e, ERR_SYSTEM, "OpenSSL cannot be set up: %s; is its configuration file in order?",
                       why ? why : "no reason given");
    }
    return 0;
}
