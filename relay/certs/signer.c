#include "relay/certs/signer.h"

#include "relay/certs/signer_parts.h"
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

/* ---- types ---- */

static const struct {
    const char *text;
    unsigned rsa_bits; /* 0: the curve */
    const char *curve;
} types[] = {
    [KEY_ECDSA] = { "ecdsa", 0, "P-256" },     [KEY_P384] = { "p384", 0, "P-384" },
    [KEY_RSA2048] = { "rsa", 2048, NULL },     [KEY_RSA3072] = { "rsa3072", 3072, NULL },
    [KEY_RSA4096] = { "rsa4096", 4096, NULL },
};

enum { TYPES = sizeof types / sizeof types[0] };

const char *key_type_text(enum key_type type)
{
    return types[type].text;
}

int key_type_read(struct str word, enum key_type *type, struct err *e)
{
    if (str_eq(word, "rsa2048")) /* the same by its longer name */
        word = STR("rsa");
    for (int i = 0; i < TYPES; i++)
        if (str_eq(word, types[i].text)) {
            *type = (enum key_type)i;
            return 0;
        }
    return err_set(e, ERR_INPUT, "not a type of key: ecdsa, p384, rsa, rsa3072 or rsa4096");
}

bool signer_is(const struct signer *s, enum key_type type)
{
    char curve[32];

    if (types[type].rsa_bits > 0)
        return EVP_PKEY_is_a(s->key, "RSA") && EVP_PKEY_get_bits(s->key) == (int)types[type].rsa_bits;
    return EVP_PKEY_get_group_name(s->key, curve, sizeof curve, NULL) == 1 &&
           OBJ_txt2nid(curve) == EC_curve_nist2nid(types[type].curve);
}

bool signer_same(const struct signer *a, const struct signer *b)
{
    return EVP_PKEY_eq(a->key, b->key) == 1;
}

/* ---- making, keeping ---- */

struct signer *signer_make(enum key_type type)
{
    EVP_PKEY *key = types[type].curve ? EVP_EC_gen(types[type].curve) : EVP_RSA_gen(types[type].rsa_bits);

    if (!key)
        abort(); /* no memory or no randomness: nothing here could be trusted */
    return holding(key);
}

struct signer *signer_new(void)
{
    return signer_make(KEY_ECDSA);
}

int signer_save(const struct signer *s, const char *path, struct err *e)
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

struct signer *signer_read(const char *pem, size_t n, struct err *e)
{
    BIO *bio = BIO_new_mem_buf(pem, (int)n);
    EVP_PKEY *key = n <= MAX_KEY_BYTES ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;

    BIO_free(bio);
    if (key)
        return holding(key);
    ERR_clear_error();
    err_set(e, ERR_INPUT, "not a private key without a passphrase");
    return NULL;
}

static struct signer *load(const char *path, const char *remedy, struct err *e)
{
    struct err why = { 0 };
    struct signer *s;
    struct secret pem;

    if (secret_load(&pem, path, MAX_KEY_BYTES, e) != 0)
        return NULL;
    s = signer_read((const char *)pem.bytes, pem.n, &why);
    secret_free(&pem);
    if (!s)
        err_set(e, why.code, "%s: %s; %s", path, why.text, remedy);
    return s;
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
    if (signer_save(s, path, e) == 0)
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

/* ---- certificates and TLS ---- */

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

int signer_request(const struct signer *s, X509_REQ *request, struct err *e)
{
    return X509_REQ_set_pubkey(request, s->key) == 1 && X509_REQ_sign(request, s->key, EVP_sha256()) > 0
               ? 0
               : refuse(e, "cannot sign a certificate request");
}
