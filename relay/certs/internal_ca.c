#include "relay/certs/internal_ca.h"

#include "shared/file.h"
#include "shared/mem.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SERIAL_BYTES = 16, CLOCK_SLACK_S = 3600, DAY_S = 86400 };

struct internal_ca {
    struct signer *key;
    X509 *root;
};

/* ---- parts of a certificate ---- */

static int refuse(struct err *e, const char *what)
{
    ERR_clear_error();
    return err_set(e, ERR_SYSTEM, "%s", what);
}

static void put_serial(X509 *cert)
{
    unsigned char random[SERIAL_BYTES];
    BIGNUM *n;

    if (RAND_bytes(random, sizeof random) != 1)
        abort();       /* no randomness */
    random[0] &= 0x7f; /* a serial number is positive */
    n = BN_bin2bn(random, sizeof random, NULL);
    BN_to_ASN1_INTEGER(n, X509_get_serialNumber(cert));
    BN_free(n);
}

/* Visitors' clocks are a little wrong: it has been valid for an hour already. */
static void put_times(X509 *cert, time_t now, int days)
{
    ASN1_TIME_set(X509_getm_notBefore(cert), now - CLOCK_SLACK_S);
    ASN1_TIME_set(X509_getm_notAfter(cert), now + (time_t)days * DAY_S);
}

static int put_extension(X509 *cert, X509 *issuer, int nid, const char *value, struct err *e)
{
    X509_EXTENSION *ext;
    X509V3_CTX ctx;
    int rc;

    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    rc =
        ext && X509_add_ext(cert, ext, -1) == 1 ? 0 : refuse(e, "cannot put an extension into a certificate");
    X509_EXTENSION_free(ext);
    return rc;
}

static void put_name(X509_NAME *name, const char *text)
{
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)text, -1, -1, 0);
}

static X509 *new_cert(const struct signer *key, time_t now, int days)
{
    X509 *cert = X509_new();

    if (!cert)
        abort(); /* out of memory */
    X509_set_version(cert, X509_VERSION_3);
    put_serial(cert);
    put_times(cert, now, days);
    signer_put_public(key, cert);
    return cert;
}

/* ---- the root ---- */

static X509 *make_root(const struct signer *key, time_t now, struct err *e)
{
    X509 *root = new_cert(key, now, INTERNAL_ROOT_DAYS);

    put_name(X509_get_subject_name(root), "Internal root of this relay");
    X509_set_issuer_name(root, X509_get_subject_name(root));
    if (put_extension(root, root, NID_basic_constraints, "critical,CA:TRUE,pathlen:0", e) == 0 &&
        put_extension(root, root, NID_key_usage, "critical,keyCertSign,cRLSign", e) == 0 &&
        put_extension(root, root, NID_subject_key_identifier, "hash", e) == 0 &&
        signer_sign(key, root, e) == 0)
        return root;
    X509_free(root);
    return NULL;
}

static void put_pem(struct buf *out, X509 *cert)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text;
    long n;

    PEM_write_bio_X509(bio, cert);
    n = BIO_get_mem_data(bio, &text);
    buf_add(out, text, (size_t)n);
    BIO_free(bio);
}

static X509 *load_root(const char *path, struct err *e)
{
    struct buf pem = { 0 };
    X509 *root = NULL;
    BIO *bio;

    if (file_read(path, 65536, &pem, e) == 0) {
        bio = BIO_new_mem_buf(buf_bytes(&pem), (int)pem.len);
        root = PEM_read_bio_X509(bio, NULL, NULL, NULL);
        BIO_free(bio);
        if (!root) {
            refuse(
                e,
                "not a certificate; restore it from a backup, or move root.pem and root.key away for a new root");
            err_wrap(e, "%s", path);
        }
    }
    buf_free(&pem);
    return root;
}

static int save_root(const char *path, X509 *root, struct err *e)
{
    struct buf pem = { 0 };
    int rc;

    put_pem(&pem, root);
    rc = file_write(path, buf_bytes(&pem), pem.len, 0600, e);
    buf_free(&pem);
    return rc;
}

/* What cannot be looked at is not missing: nothing is made in its place. */
static bool is_there(const char *path)
{
    return access(path, F_OK) == 0 || errno != ENOENT;
}

static int load_both(struct internal_ca *ca, const char *key_path, const char *root_path, struct err *e)
{
    if (!is_there(key_path))
        return err_set(
            e, ERR_MISSING,
            "%s is there, but %s is missing; restore it from a backup, or move root.pem away for a "
            "new root",
            root_path, key_path);
    ca->key = signer_open(key_path, e);
    if (!ca->key)
        return -1;
    ca->root = load_root(root_path, e);
    if (!ca->root)
        return -1;
    if (signer_matches(ca->key, ca->root, NULL) != 0)
        return err_set(
            e, ERR_INPUT,
            "%s does not belong to %s; restore both from one backup, or move both away for a new root",
            key_path, root_path);
    return 0;
}

/* The key is written first: a kill in between leaves a key without a root, for which one is made at the next start. */
static int open_root(struct internal_ca *ca, const char *key_path, const char *root_path, time_t now,
                     struct err *e)
{
    if (is_there(root_path))
        return load_both(ca, key_path, root_path, e);
    ca->key = signer_open(key_path, e);
    if (!ca->key)
        return -1;
    ca->root = make_root(ca->key, now, e);
    return ca->root ? save_root(root_path, ca->root, e) : -1;
}

struct internal_ca *internal_ca_open(const char *folder, time_t now, struct err *e)
{
    struct internal_ca *ca = mem_new(sizeof *ca);
    char *key_path = mem_format("%s/root.key", folder), *root_path = mem_format("%s/root.pem", folder);

    if (file_make_folder(folder, 0700, e) != 0 || open_root(ca, key_path, root_path, now, e) != 0) {
        err_wrap(e, "internal issuer");
        internal_ca_free(ca);
        ca = NULL;
    }
    free(key_path);
    free(root_path);
    return ca;
}

void internal_ca_free(struct internal_ca *ca)
{
    if (!ca)
        return;
    signer_free(ca->key);
    X509_free(ca->root);
    free(ca);
}

/* ---- leaves ---- */

static char *names_text(const char *const *names, size_t n)
{
    struct buf text = { 0 };
    char *copy;

    buf_add_text(&text, "critical");
    for (size_t i = 0; i < n; i++)
        buf_printf(&text, ",DNS:%s", names[i]);
    copy = mem_copy_n(buf_bytes(&text), text.len);
    buf_free(&text);
    return copy;
}

X509 *internal_ca_issue(const struct internal_ca *ca, const struct signer *key, const char *const *names,
                        size_t n, time_t now, struct err *e)
{
    X509 *leaf = new_cert(key, now, INTERNAL_LEAF_DAYS);
    char *alternatives = names_text(names, n);
    int rc;

    /* The subject stays empty: a common name has at most 64 characters, a host name 253. */
    X509_set_issuer_name(leaf, X509_get_subject_name(ca->root));
    rc = put_extension(leaf, ca->root, NID_subject_alt_name, alternatives, e);
    if (rc == 0)
        rc = put_extension(leaf, ca->root, NID_basic_constraints, "critical,CA:FALSE", e);
    if (rc == 0)
        rc = put_extension(leaf, ca->root, NID_key_usage, "critical,digitalSignature", e);
    if (rc == 0)
        rc = put_extension(leaf, ca->root, NID_ext_key_usage, "serverAuth", e);
    if (rc == 0)
        rc = put_extension(leaf, ca->root, NID_authority_key_identifier, "keyid", e);
    if (rc == 0)
        rc = signer_sign(ca->key, leaf, e);
    free(alternatives);
    if (rc == 0)
        return leaf;
    X509_free(leaf);
    return NULL;
}

X509 *internal_ca_root(const struct internal_ca *ca)
{
    return ca->root;
}

void internal_ca_root_pem(const struct internal_ca *ca, struct buf *out)
{
    put_pem(out, ca->root);
}
