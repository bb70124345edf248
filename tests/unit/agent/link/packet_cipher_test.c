#include "agent/link/packet_cipher.h"

#include "agent/link/crypt_method.h"
#include "agent/link/keystream.h"

#include <openssl/rand.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { PACKET_MAX = 35000 - 35000 % KEYSTREAM_BLOCK_BYTES, PACKETS = 200 };

static const char *const names[] = { "aes128-ctr", "aes192-ctr", "aes256-ctr" };

static unsigned char key[32], iv[16], plain[PACKET_MAX], got[PACKET_MAX], want[PACKET_MAX];

static const struct crypt_method *find(const char *name)
{
    for (const struct crypt_method *const *at = libssh2_crypt_methods(); *at; at++)
        if (strcmp((*at)->name, name) == 0)
            return *at;
    return NULL;
}

static void *begin(const struct crypt_method *m, int encrypts)
{
    void *cipher = NULL;
    int free_iv = 0, free_key = 0;

    assert_int_equal(m->init(NULL, m, iv, &free_iv, key, &free_key, encrypts, &cipher), 0);
    assert_true(free_iv && free_key);
    return cipher;
}

static void make_packet(size_t bytes)
{
    size_t length = bytes - 4;

    assert_int_equal(RAND_bytes(plain, (int)bytes), 1);
    plain[0] = plain[1] = 0;
    plain[2] = (unsigned char)(length >> 8);
    plain[3] = (unsigned char)length;
}

static int crypt_blocks(const struct crypt_method *m, void *cipher, unsigned char *packet, size_t bytes)
{
    for (size_t at = 0; at < bytes; at += KEYSTREAM_BLOCK_BYTES)
        if (m->crypt(NULL, packet + at, KEYSTREAM_BLOCK_BYTES, &cipher) != 0)
            return -1;
    return 0;
}

static void test_packets_there_and_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        const struct crypt_method *m = find(names[i]);
        struct keystream *stream = keystream_new(16 + 8 * i);
        void *out, *in;

        assert_int_equal(RAND_bytes(key, sizeof key), 1);
        assert_int_equal(RAND_bytes(iv, sizeof iv), 1);
        out = begin(m, 1);
        in = begin(m, 0);
        assert_true(keystream_begin(stream, key, iv));
        for (int n = 0; n < PACKETS; n++) {
            size_t most = n % 3 ? 20 : PACKET_MAX / KEYSTREAM_BLOCK_BYTES;
            size_t bytes = KEYSTREAM_BLOCK_BYTES * (1 + (size_t)rand() % most);

            make_packet(bytes);
            memcpy(got, plain, bytes);
            assert_int_equal(crypt_blocks(m, out, got, bytes), 0);
            assert_true(keystream_crypt(stream, want, plain, bytes));
            assert_memory_equal(got, want, bytes);
            assert_int_equal(crypt_blocks(m, in, got, bytes), 0);
            assert_memory_equal(got, plain, bytes);
        }
        keystream_free(stream);
        assert_int_equal(m->dtor(NULL, &out), 0);
        assert_int_equal(m->dtor(NULL, &in), 0);
        assert_null(out);
    }
}

/* Whatever is not a packet as libssh2 1.10.0 lays it out is an error, and not encrypted wrongly. */
static void test_what_is_no_packet(void **state)
{
    const struct crypt_method *m = find("aes256-ctr");
    void *cipher = begin(m, 1);

    (void)state;
    make_packet(48);
    plain[3] = 45;
    assert_int_equal(crypt_blocks(m, cipher, plain, 48), -1); /* not a number of blocks */
    m->dtor(NULL, &cipher);
    cipher = begin(m, 1);
    make_packet(48);
    plain[1] = 1;
    assert_int_equal(crypt_blocks(m, cipher, plain, 48), -1); /* longer than any */
    m->dtor(NULL, &cipher);
    cipher = begin(m, 1);
    make_packet(48);
    assert_int_equal(m->crypt(NULL, plain, KEYSTREAM_BLOCK_BYTES, &cipher), 0);
    assert_int_equal(m->crypt(NULL, plain + 32, KEYSTREAM_BLOCK_BYTES, &cipher), -1); /* not the next one */
    m->dtor(NULL, &cipher);
}

static void test_other_methods_are_libssh2s(void **state)
{
    const struct crypt_method *ours = find("aes256-ctr"), *theirs = find("aes256-cbc");

    (void)state;
    assert_non_null(theirs);
    assert_ptr_not_equal(ours->crypt, theirs->crypt);
    assert_string_equal(theirs->pem_annotation, "DEK-Info: AES-256-CBC");
}

/* Of other versions than 1.10.0 the table is of another kind. */
static void test_another_table_is_left_alone(void **state)
{
    (void)state;
    assert_false(packet_cipher_start());
}

int main(void)
{
    const struct CMUnitTest others[] = { cmocka_unit_test(test_another_table_is_left_alone) };
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_packets_there_and_back),
        cmocka_unit_test(test_what_is_no_packet),
        cmocka_unit_test(test_other_methods_are_libssh2s),
    };

    if (!packet_cipher_start() && strcmp(libssh2_version(0), "1.10.0") != 0)
        return cmocka_run_group_tests(others, NULL, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
