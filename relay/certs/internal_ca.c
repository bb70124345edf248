#include "relay/certs/internal_ca.h"

#include "relay/certs/own_cert.h"
#include "shared/file.h"
#include "shared/mem.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct internal_ca {
    struct signer *key;
    X509 *root;
};

/* ---- the root ---- */

static void put_name(X509_NAME *name, const char *text)
{
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)text, -1, -1, 0);
}

static X509 *make_root(const struct signer *key, time_t now, struct err *e)
{
    X509 *root = own_cert_new(key, now, INTERNAL_ROOT_DAYS);

    put_name(X509_get_subject_name(root), "Internal root of this relay");
    X509_set_issuer_name(root, X509_get_subject_name(root));
    if (own_cert_extend(root, root, NID_basic_constraints, "critical,CA:TRUE,pathlen:0", e) == 0 &&
        own_cert_extend(root, root, NID_key_usage, "critical,keyCertSign,cRLSign", e) == 0 &&
        own_cert_extend(root, root, NID_subject_key_identifier, "hash", e) == 0 &&
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
            own_cert_refuse(
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

X509 *internal_ca_issue(const struct internal_ca *ca, const struct signer *key, const char *const *names,
                        size_t n, time_t now, struct err *e)
{
    X509 *leaf = own_cert_new(key, now, INTERNAL_LEAF_DAYS);
    int rc;

    /* The subject stays empty: a common name has at most 64 characters, a host name 253. */
    X509_set_issuer_name(leaf, X509_get_subject_name(ca->root));
    rc = own_cert_extend_names(leaf, "critical,", names, n, e);
    if (rc == 0)
        rc = own_cert_extend(leaf, ca->root, NID_basic_constraints, "critical,CA:FALSE", e);
    if (rc == 0)
        rc = own_cert_extend(leaf, ca->root, NID_key_usage, "critical,digitalSignature", e);
    if (rc == 0)
        rc = own_cert_extend(leaf, ca->root, NID_ext_key_usage, "serverAuth", e);
    if (rc == 0)
        rc = own_cert_extend(leaf, ca->root, NID_authority_key_identifier, "keyid", e);
    if (rc == 0)
        rc = signer_sign(ca->key, leaf, e);
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
