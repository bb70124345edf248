#include "relay/certs/signer.h"

#include "shared/file.h"
#include "shared/mem.h"
#include "shared/secret.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <unistd.h>

enum { MAX_KEY_BYTES = 65536 }; /* a chain of certificates may stand beside it */

struct signer {
    EVP_PKEY *key;
};

static int refuse(struct err *e, const char *what)
{
    unsigned long code = ERR_get_error();
    const char *reason = ERR_reason_error_string(code);

    ERR_clear_error();
    return err_set(e, ERR_SYSTEM, "%s: %s", what, reason ? reason : "the library gives no reason");
}

static struct signer *holding(EVP_PKEY *takes)
{
    struct signer *s = mem_new(sizeof *s);

    s->key = takes;
    return s;
}

struct signer *signer_new(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");

    if (!key)
        abort(); /* no memory or no randomness: nothing here could be trusted */
    return holding(key);
}

static int save(const struct signer *s, const char *path, struct err *e)
{
    BIO *bio = BIO_new(BIO_s_secmem());
    char *text;
    long n;
    int rc;

    if (!bio || PEM_write_bio_PrivateKey(bio, s->key, NULL, NULL, 0, NULL, NULL) != 1)
        rc = refuse(e, "cannot encode a key");
    else {
        n = BIO_get_mem_data(bio, &text);
        rc = file_write(path, text, (size_t)n, 0600, e);
    }
    BIO_free(bio);
    return rc;
}

/* Or OpenSSL would ask for one on the terminal, and wait. */
static int no_passphrase(char *out, int room, int to_write, void *unused)
{
    (void)out, (void)room, (void)to_write, (void)unused;
    return -1;
}

static struct signer *load(const char *path, const char *remedy, struct err *e)
{
    struct secret pem;
    EVP_PKEY *key;
    BIO *bio;

    if (secret_load(&pem, path, MAX_KEY_BYTES, e) != 0)
        return NULL;
    bio = BIO_new_mem_buf(pem.bytes, (int)pem.n);
    key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
    BIO_free(bio);
    secret_free(&pem);
    if (key)
        return holding(key);
    ERR_clear_error();
    err_set(e, ERR_INPUT, "%s: not a private key without a passphrase; %s", path, remedy);
    return NULL;
}

struct signer *signer_load(const char *path, struct err *e)
{
    return load(path, "give it in PEM form, as openssl pkey prints it", e);
}

struct signer *signer_open(const char *path, struct err *e)
{
    struct signer *s;

    if (access(path, F_OK) == 0 || errno != ENOENT)
        return load(path, "restore it from a backup", e);
    s = signer_new();
    if (save(s, path, e) == 0)
        return s;
    signer_free(s);
    return NULL;
}

void signer_free(struct signer *s)
{
    if (!s)
        return;
    EVP_PKEY_free(s->key);
    free(s);
}

void signer_put_public(const struct signer *s, X509 *cert)
{
    X509_set_pubkey(cert, s->key);
}

int signer_sign(const struct signer *s, X509 *cert, struct err *e)
{
    return X509_sign(cert, s->key, EVP_sha256()) > 0 ? 0 : refuse(e, "cannot sign a certificate");
}

int signer_matches(const struct signer *s, X509 *cert, struct err *e)
{
    return X509_check_private_key(cert, s->key) == 1
               ? 0
               : refuse(e, "the key does not belong to the certificate");
}

int signer_use(const struct signer *s, SSL_CTX *ctx, struct err *e)
{
    return SSL_CTX_use_PrivateKey(ctx, s->key) == 1 ? 0 : refuse(e, "cannot use a key for TLS");
}
