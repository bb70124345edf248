#define OPENSSL_SUPPRESS_DEPRECATED /* what libssh2 calls */
#include "agent/link/shadow.h"

#include <dlfcn.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

enum { DRAWN = 4096, DRAWN_BYTES = 16 };

/* The linker hands out ours, also to libraries, and finds OpenSSL's behind it. */
static void test_in_front_of_openssl(void **state)
{
    static const char *const names[] = { "HMAC_Init_ex", "RAND_bytes" }; /* EVP_Cipher is in keystream.c */

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct shadow shadow = { .name = names[i] };
        void *ours = dlsym(RTLD_DEFAULT, names[i]), *theirs = shadow_of(&shadow);
        Dl_info where;

        assert_ptr_not_equal(ours, theirs);
        assert_ptr_equal(shadow_of(&shadow), theirs);
        assert_int_not_equal(dladdr(theirs, &where), 0);
        assert_non_null(strstr(where.dli_fname, "libcrypto"));
    }
}

/* ---- RAND_bytes ---- */

static int compare(const void *a, const void *b)
{
    return memcmp(a, b, DRAWN_BYTES);
}

static void test_random_bytes_never_come_twice(void **state)
{
    static unsigned char drawn[DRAWN][DRAWN_BYTES];

    (void)state;
    for (int i = 0; i < DRAWN; i++) {
        unsigned char others[32];

        assert_int_equal(RAND_bytes(drawn[i], DRAWN_BYTES), 1);
        assert_int_equal(RAND_bytes(others, i % 32), 1); /* so that they begin anywhere */
    }
    qsort(drawn, DRAWN, DRAWN_BYTES, compare);
    for (int i = 1; i < DRAWN; i++)
        assert_memory_not_equal(drawn[i - 1], drawn[i], DRAWN_BYTES);
}

static void test_random_bytes_of_any_length_and_no_more(void **state)
{
    (void)state;
    for (int n = 0; n < 200; n++) {
        unsigned char bytes[256] = { 0 }, zeros[256] = { 0 };
        int filled = 0;

        for (int try = 0; try < 40; try++) {
            assert_int_equal(RAND_bytes(bytes, n), 1);
            filled |= n == 0 || bytes[n - 1] != 0;
        }
        assert_true(filled);
        assert_memory_equal(bytes + n, zeros, sizeof bytes - (size_t)n);
    }
    assert_int_not_equal(RAND_bytes(NULL, -1), 1);
}

static void test_a_child_draws_others(void **state)
{
    unsigned char mine[DRAWN_BYTES], its[DRAWN_BYTES];
    int ends[2], how;
    pid_t child;

    (void)state;
    assert_int_equal(RAND_bytes(mine, 1), 1); /* a pool is there */
    assert_int_equal(pipe(ends), 0);
    child = fork();
    if (child == 0)
        _exit(RAND_bytes(its, sizeof its) == 1 && write(ends[1], its, sizeof its) == sizeof its ? 0 : 1);
    assert_int_equal(RAND_bytes(mine, sizeof mine), 1);
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_int_equal(how, 0);
    assert_int_equal(read(ends[0], its, sizeof its), sizeof its);
    assert_memory_not_equal(mine, its, sizeof mine);
    close(ends[0]);
    close(ends[1]);
}

/* ---- HMAC_Init_ex ---- */

/* RFC 4231, test case 2. */
static const char key[] = "Jefe", text[] = "what do ya want for nothing?";
static const unsigned char want_256[] = {
    0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e, 0x6a, 0x04, 0x24, 0x26, 0x08, 0x95, 0x75, 0xc7,
    0x5a, 0x00, 0x3f, 0x08, 0x9d, 0x27, 0x39, 0x83, 0x9d, 0xec, 0x58, 0xb9, 0x64, 0xec, 0x38, 0x43,
};
/* RFC 2202, test case 2, and that of RFC 4231 for SHA-512. */
static const unsigned char want_1[] = { 0xef, 0xfc, 0xdf, 0x6a, 0xe5, 0xeb, 0x2f, 0xa2, 0xd2, 0x74,
                                        0x16, 0xd5, 0xf1, 0x84, 0xdf, 0x9c, 0x25, 0x9a, 0x7c, 0x79 };
static const unsigned char want_512[] = {
    0x16, 0x4b, 0x7a, 0x7b, 0xfc, 0xf8, 0x19, 0xe2, 0xe3, 0x95, 0xfb, 0xe7, 0x3b, 0x56, 0xe0, 0xa3,
    0x87, 0xbd, 0x64, 0x22, 0x2e, 0x83, 0x1f, 0xd6, 0x10, 0x27, 0x0c, 0xd7, 0xea, 0x25, 0x05, 0x54,
    0x97, 0x58, 0xbf, 0x75, 0xc0, 0x5a, 0x99, 0x4a, 0x6d, 0x03, 0x4f, 0x65, 0xf8, 0xf0, 0xe6, 0xfd,
    0xca, 0xea, 0xb1, 0xa3, 0x4d, 0x4a, 0x6b, 0x4b, 0x63, 0x6e, 0x07, 0x0a, 0x38, 0xbc, 0xe7, 0x37,
};

static void check_hmac(const EVP_MD *md, const unsigned char *want, unsigned bytes)
{
    HMAC_CTX *ctx = HMAC_CTX_new();
    unsigned char got[EVP_MAX_MD_SIZE];
    unsigned n = 0;

    assert_int_equal(HMAC_Init_ex(ctx, key, sizeof key - 1, md, NULL), 1);
    for (int again = 0; again < 2; again++) { /* the second time with key and hash of the first */
        assert_int_equal(HMAC_Update(ctx, (const unsigned char *)text, sizeof text - 1), 1);
        assert_int_equal(HMAC_Final(ctx, got, &n), 1);
        assert_int_equal(n, bytes);
        assert_memory_equal(got, want, bytes);
        assert_int_equal(HMAC_Init_ex(ctx, NULL, 0, again ? md : NULL, NULL), 1);
    }
    HMAC_CTX_free(ctx);
}

static void test_hmac_before_and_after_the_start(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        check_hmac(EVP_sha256(), want_256, sizeof want_256);
        check_hmac(EVP_sha1(), want_1, sizeof want_1);
        check_hmac(EVP_sha512(), want_512, sizeof want_512);
        shadow_start(); /* once is enough */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hmac_before_and_after_the_start),
        cmocka_unit_test(test_in_front_of_openssl),
        cmocka_unit_test(test_random_bytes_never_come_twice),
        cmocka_unit_test(test_random_bytes_of_any_length_and_no_more),
        cmocka_unit_test(test_a_child_draws_others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
