#include "agent/link/ctr_provider.h"

#include <openssl/evp.h>
#include <openssl/provider.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { BYTES = 100 * 1000 };

static unsigned char key[32], iv[16], plain[BYTES], want[BYTES], got[BYTES + 16];

static EVP_CIPHER_CTX *begin(EVP_CIPHER *cipher)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

    assert_non_null(ctx);
    assert_int_equal(EVP_CipherInit(ctx, cipher, key, iv, 1), 1);
    return ctx;
}

static void fill(void)
{
    assert_int_equal(RAND_bytes(key, sizeof key), 1);
    assert_int_equal(RAND_bytes(plain, sizeof plain), 1);
    memset(iv, 0xff, sizeof iv); /* the counter runs over all of its bytes */
    iv[15] = 0xf0;
}

/* What OpenSSL's own makes of it, in one piece. */
static void want_from(const char *name)
{
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, name, "provider=default");
    EVP_CIPHER_CTX *ctx = begin(cipher);
    int n = 0;

    assert_int_equal(EVP_CipherUpdate(ctx, want, &n, plain, BYTES), 1);
    assert_int_equal(n, BYTES);
    EVP_CIPHER_CTX_free(ctx);
    EVP_CIPHER_free(cipher);
}

static EVP_CIPHER *ours(const char *name)
{
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, name, NULL);

    assert_non_null(cipher);
    assert_string_equal(OSSL_PROVIDER_get0_name(EVP_CIPHER_get0_provider(cipher)), CTR_PROVIDER);
    return cipher;
}

/* size 0: of any length */
static void crypt_in_pieces(EVP_CIPHER_CTX *ctx, size_t size)
{
    for (size_t at = 0, n; at < BYTES; at += n) {
        n = size > 0 ? size : (size_t)rand() % (rand() % 4 ? 40 : 9000);
        n = n < BYTES - at ? n : BYTES - at;
        if (n > 0)
            assert_int_equal(EVP_Cipher(ctx, got + at, plain + at, (unsigned)n), n);
    }
}

static void test_same_bytes_in_any_pieces(void **state)
{
    static const char *const names[] = { "AES-128-CTR", "AES-192-CTR", "AES-256-CTR" };
    static const size_t sizes[] = { 16, 1, 15, 17, 48, 4096, 5000, BYTES, 0, 0, 0 };

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        for (size_t j = 0; j < sizeof sizes / sizeof *sizes; j++) {
            EVP_CIPHER *cipher;
            EVP_CIPHER_CTX *ctx;

            fill();
            want_from(names[i]);
            cipher = ours(names[i]);
            ctx = begin(cipher);
            memset(got, 0, sizeof got);
            crypt_in_pieces(ctx, sizes[j]);
            assert_memory_equal(got, want, BYTES);
            EVP_CIPHER_CTX_free(ctx);
            EVP_CIPHER_free(cipher);
        }
}

/* As libssh2 asks for it, by the name that has been there for ever; and onto the same bytes. */
static void test_by_its_old_name_in_place(void **state)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

    (void)state;
    fill();
    want_from("AES-256-CTR");
    assert_int_equal(EVP_CipherInit(ctx, EVP_aes_256_ctr(), key, iv, 0), 1);
    assert_string_equal(OSSL_PROVIDER_get0_name(EVP_CIPHER_get0_provider(EVP_CIPHER_CTX_get0_cipher(ctx))),
                        CTR_PROVIDER);
    assert_int_equal(EVP_CIPHER_CTX_get_key_length(ctx), 32);
    assert_int_equal(EVP_CIPHER_CTX_get_iv_length(ctx), 16);
    assert_int_equal(EVP_CIPHER_CTX_get_block_size(ctx), 1);
    assert_int_equal(EVP_CIPHER_CTX_get_mode(ctx), EVP_CIPH_CTR_MODE);
    memcpy(got, plain, BYTES);
    for (size_t at = 0; at < BYTES; at += 16)
        assert_int_equal(EVP_Cipher(ctx, got + at, got + at, 16), 16);
    assert_memory_equal(got, want, BYTES);
    EVP_CIPHER_CTX_free(ctx);
}

static void test_a_new_key_begins_anew(void **state)
{
    EVP_CIPHER *cipher = ours("AES-256-CTR");
    EVP_CIPHER_CTX *ctx;

    (void)state;
    fill();
    ctx = begin(cipher);
    crypt_in_pieces(ctx, 16);
    fill();
    want_from("AES-256-CTR");
    assert_int_equal(EVP_CipherInit(ctx, NULL, key, iv, 1), 1);
    crypt_in_pieces(ctx, 16);
    assert_memory_equal(got, want, BYTES);
    assert_int_equal(EVP_CipherInit(ctx, NULL, NULL, iv, 1), 1); /* the same key, from the start */
    crypt_in_pieces(ctx, 32);
    assert_memory_equal(got, want, BYTES);
    EVP_CIPHER_CTX_free(ctx);
    EVP_CIPHER_free(cipher);
}

static void test_a_copy_goes_its_own_way(void **state)
{
    EVP_CIPHER *cipher = ours("AES-128-CTR");
    EVP_CIPHER_CTX *first, *second = EVP_CIPHER_CTX_new();

    (void)state;
    fill();
    want_from("AES-128-CTR");
    first = begin(cipher);
    assert_int_equal(EVP_Cipher(first, got, plain, 24), 24);
    assert_int_equal(EVP_CIPHER_CTX_copy(second, first), 1);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(EVP_Cipher(i == 0 ? first : second, got + 24, plain + 24, BYTES - 24), BYTES - 24);
        assert_memory_equal(got, want, BYTES);
        memset(got + 24, 0, BYTES - 24);
    }
    EVP_CIPHER_CTX_free(first);
    EVP_CIPHER_CTX_free(second);
    EVP_CIPHER_free(cipher);
}

/* The same context may be another's the next time. */
static void test_contexts_that_change_hands(void **state)
{
    EVP_CIPHER *stream = ours("AES-256-CTR"), *block = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    unsigned char cbc[BYTES];
    int n = 0;

    (void)state;
    for (int i = 0; i < 20; i++) {
        fill();
        assert_int_equal(EVP_CipherInit(ctx, block, key, iv, 1), 1);
        assert_int_equal(EVP_CipherUpdate(ctx, cbc, &n, plain, BYTES), 1);
        want_from("AES-256-CTR");
        if (i % 2) { /* often the memory of the one before */
            EVP_CIPHER_CTX_free(ctx);
            ctx = EVP_CIPHER_CTX_new();
        }
        assert_int_equal(EVP_CipherInit(ctx, stream, key, iv, 1), 1);
        crypt_in_pieces(ctx, 16);
        assert_memory_equal(got, want, BYTES);
        if (i % 3)
            EVP_CIPHER_CTX_reset(ctx);
        assert_int_equal(EVP_CipherInit(ctx, block, key, iv, 1), 1);
        for (size_t at = 0; at < BYTES; at += 16)
            assert_int_equal(EVP_Cipher(ctx, got + at, plain + at, 16), 16);
        assert_memory_equal(got, cbc, BYTES);
    }
    EVP_CIPHER_CTX_free(ctx);
    EVP_CIPHER_free(stream);
    EVP_CIPHER_free(block);
}

static void test_many_contexts_in_turns(void **state)
{
    enum { MANY = 300, BLOCKS = 40 };
    EVP_CIPHER *cipher = ours("AES-256-CTR");
    EVP_CIPHER_CTX *many[MANY];

    (void)state;
    fill();
    want_from("AES-256-CTR");
    for (int i = 0; i < MANY; i++)
        many[i] = begin(cipher);
    for (size_t at = 0; at < (size_t)16 * BLOCKS; at += 16)
        for (int i = 0; i < MANY; i++) {
            assert_int_equal(EVP_Cipher(many[i], got, plain + at, 16), 16);
            assert_memory_equal(got, want + at, 16);
        }
    for (int i = 0; i < MANY; i++)
        EVP_CIPHER_CTX_free(many[i]);
    EVP_CIPHER_free(cipher);
}

static void *crypt_in_a_thread(void *same)
{
    unsigned char out[16];

    for (int i = 0; i < 50; i++) {
        EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

        if (EVP_CipherInit(ctx, EVP_aes_256_ctr(), key, iv, 1) != 1)
            *(bool *)same = false;
        for (size_t at = 0; at < (size_t)16 * 1000; at += 16)
            if (EVP_Cipher(ctx, out, plain + at, 16) != 16 || memcmp(out, want + at, 16) != 0)
                *(bool *)same = false;
        EVP_CIPHER_CTX_free(ctx);
    }
    return NULL;
}

static void test_threads(void **state)
{
    bool same[4] = { true, true, true, true };
    pthread_t threads[4];

    (void)state;
    fill();
    want_from("AES-256-CTR");
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, crypt_in_a_thread, &same[i]), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < 4; i++)
        assert_true(same[i]);
}

static void test_other_ciphers_stay_as_they_are(void **state)
{
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);

    (void)state;
    assert_string_equal(OSSL_PROVIDER_get0_name(EVP_CIPHER_get0_provider(cipher)), "default");
    EVP_CIPHER_free(cipher);
}

static int start(void **state)
{
    struct err e = { 0 };

    (void)state;
    return ctr_provider_start(&e) == 0 && ctr_provider_start(&e) == 0 ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bytes_in_any_pieces),
        cmocka_unit_test(test_by_its_old_name_in_place),
        cmocka_unit_test(test_a_new_key_begins_anew),
        cmocka_unit_test(test_a_copy_goes_its_own_way),
        cmocka_unit_test(test_contexts_that_change_hands),
        cmocka_unit_test(test_many_contexts_in_turns),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_other_ciphers_stay_as_they_are),
    };

    return cmocka_run_group_tests(tests, start, NULL);
}
