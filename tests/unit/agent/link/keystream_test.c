#include "agent/link/keystream.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

enum { BYTES = 40 * 1000 };

static unsigned char key[32], iv[16], plain[BYTES], want[BYTES], got[BYTES];

/* What OpenSSL makes of it, in one piece. */
static void fill(const EVP_CIPHER *cipher)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int n = 0;

    assert_int_equal(RAND_bytes(key, sizeof key), 1);
    assert_int_equal(RAND_bytes(plain, sizeof plain), 1);
    memset(iv, 0xff, sizeof iv); /* the counter runs over all of its bytes */
    assert_int_equal(EVP_EncryptInit_ex2(ctx, cipher, key, iv, NULL), 1);
    assert_int_equal(EVP_EncryptUpdate(ctx, want, &n, plain, BYTES), 1);
    EVP_CIPHER_CTX_free(ctx);
}

static struct keystream *begin(size_t key_bytes)
{
    struct keystream *k = keystream_new(key_bytes);

    assert_non_null(k);
    assert_true(keystream_begin(k, key, iv));
    return k;
}

static void test_blocks_in_place(void **state)
{
    const EVP_CIPHER *const ciphers[] = { EVP_aes_128_ctr(), EVP_aes_192_ctr(), EVP_aes_256_ctr() };

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct keystream *k;

        fill(ciphers[i]);
        k = begin(16 + 8 * i);
        memcpy(got, plain, BYTES);
        for (size_t at = 0; at < BYTES; at += KEYSTREAM_BLOCK_BYTES)
            assert_true(keystream_block(k, got + at));
        assert_memory_equal(got, want, BYTES);
        keystream_free(k);
    }
}

/* Blocks, and pieces of any length that leave the stream between two blocks. */
static void test_blocks_and_pieces_mixed(void **state)
{
    (void)state;
    for (int i = 0; i < 50; i++) {
        struct keystream *k;

        fill(EVP_aes_256_ctr());
        k = begin(32);
        memcpy(got, plain, BYTES);
        for (size_t at = 0, n; at < BYTES; at += n) {
            n = rand() % 2 ? KEYSTREAM_BLOCK_BYTES : (size_t)rand() % 9000;
            n = n < BYTES - at ? n : BYTES - at;
            if (n == KEYSTREAM_BLOCK_BYTES)
                assert_true(keystream_block(k, got + at));
            else
                assert_true(keystream_crypt(k, got + at, got + at, n));
        }
        assert_memory_equal(got, want, BYTES);
        keystream_free(k);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks_in_place),
        cmocka_unit_test(test_blocks_and_pieces_mixed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
