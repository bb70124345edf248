#include "shared/ctl/cert_folder.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "tests/unit/temp.h"

/* A name, a key, and a certificate that another one has signed. */
struct made {
    EVP_PKEY *key;
    X509 *cert;
};

static struct made make(const char *name, const struct made *by, bool ca, long days)
{
    struct made made = { EVP_EC_gen("P-256"), X509_new() };
    X509_NAME *subject = X509_get_subject_name(made.cert);
    static long serial;
    X509_EXTENSION *ext;

    X509_set_version(made.cert, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(made.cert), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(made.cert), 0);
    X509_gmtime_adj(X509_getm_notAfter(made.cert), days * 86400);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(made.cert, by ? X509_get_subject_name(by->cert) : subject);
    X509_set_pubkey(made.cert, made.key);
    ext = X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, ca ? "critical,CA:TRUE" : "CA:FALSE");
    X509_add_ext(made.cert, ext, -1);
    X509_EXTENSION_free(ext);
    assert_true(X509_sign(made.cert, by ? by->key : made.key, EVP_sha256()) > 0);
    return made;
}

static void made_free(struct made *made)
{
    EVP_PKEY_free(made->key);
    X509_free(made->cert);
}

static void make_folders(const struct temp *t, const char *path)
{
    char whole[256];

    snprintf(whole, sizeof whole, "%s/%s", t->folder, path);
    for (char *slash = whole + strlen(t->folder) + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = 0;
        mkdir(whole, 0700);
        *slash = '/';
    }
}

/* What belongs into the file comes in this order; NULL ends it. */
static void put(const struct temp *t, const char *path, EVP_PKEY *key, ...)
{
    char whole[256];
    va_list certs;
    X509 *cert;
    FILE *f;

    make_folders(t, path);
    snprintf(whole, sizeof whole, "%s/%s", t->folder, path);
    f = fopen(whole, "w");
    assert_non_null(f);
    fputs("# a comment\n", f);
    if (key)
        PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL);
    va_start(certs, key);
    while ((cert = va_arg(certs, X509 *)))
        PEM_write_X509(f, cert);
    va_end(certs);
    fclose(f);
}

static struct cert_folder read_all(const struct temp *t, const char *folder)
{
    char whole[256];
    struct cert_folder found;
    struct err e = { 0 };

    snprintf(whole, sizeof whole, "%s/%s", t->folder, folder);
    if (cert_folder_read(whole, &found, &e) != 0)
        fail_msg("%s", e.text);
    return found;
}

static int count(const char *text, const char *word)
{
    int n = 0;

    for (; (text = strstr(text, word)); text++)
        n++;
    return n;
}

static void assert_found(const struct cert_found *found, const struct temp *t, const char *path, int certs)
{
    char whole[256];

    snprintf(whole, sizeof whole, "%s/%s", t->folder, path);
    assert_string_equal(found->path, whole);
    if (certs == 0) {
        assert_null(found->chain_pem);
        return;
    }
    assert_null(found->why);
    assert_int_equal(count(found->chain_pem, "BEGIN CERTIFICATE"), certs);
    assert_int_equal(count(found->key_pem, "BEGIN PRIVATE KEY"), 1);
}

/* An authority with an intermediate, and what it has issued. */
struct pki {
    struct made root, between, a, b;
};

static struct pki pki_make(void)
{
    struct pki p;

    p.root = make("root", NULL, true, 3650);
    p.between = make("between", &p.root, true, 1000);
    p.a = make("a", &p.between, false, 90);
    p.b = make("b", &p.between, false, 30);
    return p;
}

static void pki_free(struct pki *p)
{
    made_free(&p->root);
    made_free(&p->between);
    made_free(&p->a);
    made_free(&p->b);
}

static void test_certbot(void **state)
{
    struct pki p = pki_make();
    struct cert_folder found;
    char target[256], link[256];
    const struct temp *t = *state;

    put(t, "le/archive/a.com/fullchain1.pem", NULL, p.a.cert, p.between.cert, NULL);
    put(t, "le/archive/a.com/privkey1.pem", p.a.key, NULL);
    put(t, "le/live/a.com/cert.pem", NULL, p.a.cert, NULL);
    put(t, "le/live/a.com/chain.pem", NULL, p.between.cert, NULL);
    put(t, "le/live/README", NULL, NULL);
    put(t, "le/keys/0000_key-certbot.pem", p.b.key, NULL);
    for (int i = 0; i < 2; i++) {
        const char *base = i == 0 ? "fullchain" : "privkey";

        snprintf(target, sizeof target, "../../archive/a.com/%s1.pem", base);
        snprintf(link, sizeof link, "%s/le/live/a.com/%s.pem", t->folder, base);
        assert_int_equal(symlink(target, link), 0);
    }
    found = read_all(t, "le");
    assert_int_equal(found.n, 1);
    assert_found(&found.list[0], t, "le/live/a.com/fullchain.pem", 2);
    cert_folder_free(&found);
    found = read_all(t, "le/live/a.com");
    assert_int_equal(found.n, 1);
    cert_folder_free(&found);
    pki_free(&p);
}

/* All in one folder; without --bundle the issuer is in a file of its own. */
static void test_lego(void **state)
{
    struct pki p = pki_make();
    struct cert_folder found;

    put(*state, ".lego/certificates/a.com.crt", NULL, p.a.cert, p.between.cert, NULL);
    put(*state, ".lego/certificates/a.com.issuer.crt", NULL, p.between.cert, p.root.cert, NULL);
    put(*state, ".lego/certificates/a.com.key", p.a.key, NULL);
    put(*state, ".lego/certificates/_.b.com.crt", NULL, p.b.cert, NULL);
    put(*state, ".lego/certificates/_.b.com.key", p.b.key, NULL);
    put(*state, ".lego/accounts/ca/me@x.com/keys/me@x.com.key", p.root.key, NULL);
    found = read_all(*state, ".lego");
    assert_int_equal(found.n, 2); /* the one that is good for longer comes first */
    assert_found(&found.list[0], *state, ".lego/certificates/a.com.crt", 2);
    assert_found(&found.list[1], *state, ".lego/certificates/_.b.com.crt", 2);
    cert_folder_free(&found);
    pki_free(&p);
}

static void test_acme_sh_and_caddy(void **state)
{
    struct pki p = pki_make();
    struct cert_folder found;

    put(*state, "acme/a.com_ecc/fullchain.cer", NULL, p.a.cert, p.between.cert, NULL);
    put(*state, "acme/a.com_ecc/a.com.cer", NULL, p.a.cert, NULL);
    put(*state, "acme/a.com_ecc/ca.cer", NULL, p.between.cert, NULL);
    put(*state, "acme/a.com_ecc/a.com.key", p.a.key, NULL);
    put(*state, "acme/ca/x/account.key", p.root.key, NULL);
    found = read_all(*state, "acme");
    assert_int_equal(found.n, 1);
    assert_found(&found.list[0], *state, "acme/a.com_ecc/fullchain.cer", 2);
    cert_folder_free(&found);

    put(*state, "caddy/certificates/ca-directory/wildcard_.b.com/wildcard_.b.com.crt", NULL, p.b.cert,
        p.between.cert, NULL);
    put(*state, "caddy/certificates/ca-directory/wildcard_.b.com/wildcard_.b.com.key", p.b.key, NULL);
    found = read_all(*state, "caddy");
    assert_int_equal(found.n, 1);
    assert_found(&found.list[0], *state,
                 "caddy/certificates/ca-directory/wildcard_.b.com/wildcard_.b.com.crt", 2);
    cert_folder_free(&found);
    pki_free(&p);
}

static void test_one_file_with_both(void **state)
{
    struct pki p = pki_make();
    struct cert_folder found;

    put(*state, "haproxy/a.pem", p.a.key, p.a.cert, p.between.cert, NULL);
    found = read_all(*state, "haproxy");
    assert_int_equal(found.n, 1);
    assert_found(&found.list[0], *state, "haproxy/a.pem", 2);
    cert_folder_free(&found);
    pki_free(&p);
}

static void test_says_which_certificate_has_no_key(void **state)
{
    const struct temp *t = *state;
    struct pki p = pki_make();
    struct cert_folder found;
    char path[256];
    FILE *f;

    put(t, "x/a.crt", NULL, p.a.cert, p.between.cert, NULL);
    put(t, "x/b.key", p.b.key, NULL);
    found = read_all(t, "x");
    assert_int_equal(found.n, 1);
    assert_found(&found.list[0], t, "x/a.crt", 0);
    assert_string_equal(found.list[0].why, "its key is not in this folder");
    cert_folder_free(&found);
    snprintf(path, sizeof path, "%s/x/a.key", t->folder);
    f = fopen(path, "w");
    PEM_write_PKCS8PrivateKey(f, p.a.key, EVP_aes_128_cbc(), "secret", 6, NULL, NULL);
    fclose(f);
    found = read_all(t, "x");
    assert_int_equal(found.n, 1);
    assert_non_null(strstr(found.list[0].why, "has a passphrase"));
    cert_folder_free(&found);
    pki_free(&p);
}

static void test_what_is_no_certificate_is_passed_by(void **state)
{
    const struct temp *t = *state;
    struct cert_folder found;
    char path[256];
    struct err e;

    put(t, "y/notes.txt", NULL, NULL);
    snprintf(path, sizeof path, "%s/y/pipe", t->folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    snprintf(path, sizeof path, "%s/y/loop", t->folder);
    assert_int_equal(symlink(".", path), 0);
    snprintf(path, sizeof path, "%s/y/nothing", t->folder);
    assert_int_equal(symlink("elsewhere", path), 0);
    found = read_all(t, "y");
    assert_int_equal(found.n, 0);
    cert_folder_free(&found);
    snprintf(path, sizeof path, "%s/missing", t->folder);
    assert_int_equal(cert_folder_read(path, &found, &e), -1);
    assert_non_null(strstr(e.text, "missing"));
    cert_folder_free(&found);
}

#define IN_A_FOLDER(test) cmocka_unit_test_setup_teardown(test, temp_make, temp_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_FOLDER(test_certbot),
        IN_A_FOLDER(test_lego),
        IN_A_FOLDER(test_acme_sh_and_caddy),
        IN_A_FOLDER(test_one_file_with_both),
        IN_A_FOLDER(test_says_which_certificate_has_no_key),
        IN_A_FOLDER(test_what_is_no_certificate_is_passed_by),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
