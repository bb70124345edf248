#define OPENSSL_SUPPRESS_DEPRECATED /* HMAC_Init_ex, which libssh2 calls all the same */
#include "agent/link/shadow.h"

#include <assert.h>
#include <dlfcn.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

enum {
    POOL_BYTES = 1024,
    PADDING_BYTES = 19, /* of a packet, at most, with blocks of 16 bytes; more may be for a key */
};

static _Atomic(EVP_MD *) sha256; /* for good, once it is there */

/* Used from its end, each byte once. */
struct pool {
    size_t left;
    unsigned char bytes[POOL_BYTES];
};

static _Thread_local struct pool pool;

void *shadow_of(struct shadow *s)
{
    void *function = atomic_load_explicit(&s->function, memory_order_relaxed);

    if (!function) {
        function = dlsym(RTLD_NEXT, s->name);
        assert(function); /* ours was found, so OpenSSL's is linked behind it */
        atomic_store_explicit(&s->function, function, memory_order_relaxed);
    }
    return function;
}

int HMAC_Init_ex(HMAC_CTX *ctx, const void *key, int len, const EVP_MD *md, ENGINE *impl)
{
    static struct shadow shadow = { .name = "HMAC_Init_ex" };
    int (*theirs)(HMAC_CTX *, const void *, int, const EVP_MD *, ENGINE *) = shadow_of(&shadow);
    const EVP_MD *found = sha256;

    return theirs(ctx, key, len, found && md == EVP_sha256() ? found : md, impl);
}

/* Behind each of its bytes the pool forgets it, as the generator would. */
int RAND_bytes(unsigned char *buf, int num)
{
    static struct shadow shadow = { .name = "RAND_bytes" };
    int (*theirs)(unsigned char *, int) = shadow_of(&shadow);
    size_t n = (size_t)num;

    if (num <= 0 || n > PADDING_BYTES)
        return theirs(buf, num);
    if (pool.left < n) {
        if (theirs(pool.bytes, POOL_BYTES) != 1)
            return 0;
        pool.left = POOL_BYTES;
    }
    pool.left -= n;
    memcpy(buf, pool.bytes + pool.left, n);
    OPENSSL_cleanse(pool.bytes + pool.left, n);
    return 1;
}

/* A child is not to use the same bytes as its parent. */
static void on_forked(void)
{
    OPENSSL_cleanse(&pool, sizeof pool);
}

void shadow_start(void)
{
    static bool started;

    if (started)
        return;
    started = true;
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    pthread_atfork(NULL, NULL, on_forked);
}
