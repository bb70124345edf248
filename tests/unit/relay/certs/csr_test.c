#include "relay/certs/csr.h"

#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "relay/certs/signer_parts.h"

static X509_REQ *made(const struct signer *key, const char *const *names, size_t n)
{
    struct buf der = { 0 };
    const unsigned char *at;
    X509_REQ *request;

    assert_int_equal(csr_make(key, names, n, &der, NULL), 0);
    at = (const unsigned char *)buf_bytes(&der);
    request = d2i_X509_REQ(NULL, &at, (long)der.len);
    assert_non_null(request);
    buf_free(&der);
    return request;
}

/* Names as they were given, addresses as bytes, no subject, and a signature of the key. */
static void test_what_is_in_it(void **state)
{
    static const char *const names[] = { "a.test", "*.a.test", "192.0.2.1", "2001:db8::1" };
    static const enum key_type types[] = { KEY_ECDSA, KEY_P384, KEY_RSA2048 };
    static const unsigned char v4[] = { 192, 0, 2, 1 };

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct signer *key = signer_make(types[i]);
        X509_REQ *request = made(key, names, 4);
        STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions(request);
        GENERAL_NAMES *have = X509V3_get_d2i(extensions, NID_subject_alt_name, NULL, NULL);

        assert_int_equal(X509_REQ_verify(request, key->key), 1);
        assert_int_equal(X509_NAME_entry_count(X509_REQ_get_subject_name(request)), 0);
        assert_int_equal(sk_X509_EXTENSION_num(extensions), 1);
        assert_int_equal(sk_GENERAL_NAME_num(have), 4);
        for (int n = 0; n < 2; n++) {
            const GENERAL_NAME *name = sk_GENERAL_NAME_value(have, n);

            assert_int_equal(name->type, GEN_DNS);
            assert_string_equal((const char *)ASN1_STRING_get0_data(name->d.dNSName), names[n]);
        }
        assert_int_equal(sk_GENERAL_NAME_value(have, 2)->type, GEN_IPADD);
        assert_memory_equal(ASN1_STRING_get0_data(sk_GENERAL_NAME_value(have, 2)->d.iPAddress), v4, 4);
        assert_int_equal(ASN1_STRING_length(sk_GENERAL_NAME_value(have, 3)->d.iPAddress), 16);
        GENERAL_NAMES_free(have);
        sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
        X509_REQ_free(request);
        signer_free(key);
    }
}

/* A key that cannot sign with SHA-256. */
static void test_a_key_that_cannot_sign(void **state)
{
    static const char *const names[] = { "a.test" };
    struct signer key = { EVP_PKEY_Q_keygen(NULL, NULL, "X25519") };
    struct buf der = { 0 };
    struct err e = { 0 };

    (void)state;
    assert_int_equal(csr_make(&key, names, 1, &der, &e), -1);
    assert_non_null(strstr(e.text, "cannot sign a certificate request"));
    assert_int_equal(der.len, 0);
    EVP_PKEY_free(key.key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_in_it),
        cmocka_unit_test(test_a_key_that_cannot_sign),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
