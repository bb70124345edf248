/* The part of a signer that speaks JSON Web Signatures. */
#include "relay/certs/jws.h"
#include "relay/certs/signer.h"
#include "relay/certs/signer_parts.h"
#include "shared/mem.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdlib.h>

enum { MAX_SIGNATURE_BYTES = 1024 };

struct jws_kind { /* of a key */
    const char *alg, *curve;
    int width; /* of a coordinate, and of r and s, in bytes; 0: RSA */
    const char *digest;
};

static const struct jws_kind kinds[] = {
    { "ES256", "P-256", 32, "SHA256" },
    { "ES384", "P-384", 48, "SHA384" },
    { "RS256", NULL, 0, "SHA256" },
};

static const struct jws_kind *kind_of(const struct signer *s)
{
    return signer_is(s, KEY_ECDSA) ? &kinds[0] : signer_is(s, KEY_P384) ? &kinds[1] : &kinds[2];
}

const char *signer_jws_alg(const struct signer *s)
{
    return kind_of(s)->alg;
}

/* ---- the public key ---- */

/* base64url of a number; width 0: as many bytes as it has. */
static int put_number(const struct signer *s, const char *param, int width, struct buf *out, struct err *e)
{
    unsigned char bytes[MAX_SIGNATURE_BYTES];
    BIGNUM *n = NULL;
    int rc;

    if (EVP_PKEY_get_bn_param(s->key, param, &n) != 1)
        return err_set(e, ERR_SYSTEM, "the key has no \"%s\"; is it of a type that ACME knows?", param);
    width = width > 0 ? width : BN_num_bytes(n);
    rc = width <= (int)sizeof bytes && BN_bn2binpad(n, bytes, width) == width
             ? 0
             : err_set(e, ERR_SYSTEM, "the key's \"%s\" is too long", param);
    BN_free(n);
    if (rc == 0)
        base64url_add(out, bytes, (size_t)width);
    return rc;
}

int signer_jwk(const struct signer *s, struct buf *out, struct err *e)
{
    const struct jws_kind *kind = kind_of(s);
    int rc;

    if (kind->width > 0) {
        buf_printf(out, "{\"crv\":\"%s\",\"kty\":\"EC\",\"x\":\"", kind->curve);
        rc = put_number(s, OSSL_PKEY_PARAM_EC_PUB_X, kind->width, out, e);
        buf_add_text(out, "\",\"y\":\"");
        rc = rc == 0 ? put_number(s, OSSL_PKEY_PARAM_EC_PUB_Y, kind->width, out, e) : rc;
    } else {
        buf_add_text(out, "{\"e\":\"");
        rc = put_number(s, OSSL_PKEY_PARAM_RSA_E, 0, out, e);
        buf_add_text(out, "\",\"kty\":\"RSA\",\"n\":\"");
        rc = rc == 0 ? put_number(s, OSSL_PKEY_PARAM_RSA_N, 0, out, e) : rc;
    }
    buf_add_text(out, "\"}");
    return rc;
}

/* ---- signatures ---- */

/* From DER to r and s side by side, each with zero bytes in front where it is short. */
static int add_fixed(const unsigned char *der, size_t n, int width, struct buf *out)
{
    ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)n);
    unsigned char *at = (unsigned char *)buf_space(out, (size_t)width * 2);
    int rc = sig && BN_bn2binpad(ECDSA_SIG_get0_r(sig), at, width) == width &&
                     BN_bn2binpad(ECDSA_SIG_get0_s(sig), at + width, width) == width
                 ? 0
                 : -1;

    ECDSA_SIG_free(sig);
    if (rc == 0)
        buf_added(out, (size_t)width * 2);
    return rc;
}

int signer_jws_sign(const struct signer *s, const void *bytes, size_t n, struct buf *out, struct err *e)
{
    const struct jws_kind *kind = kind_of(s);
    unsigned char signature[MAX_SIGNATURE_BYTES];
    size_t signature_n = sizeof signature;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    int rc = -1;

    if (!ctx)
        abort(); /* out of memory */
    if (EVP_DigestSignInit_ex(ctx, NULL, kind->digest, NULL, NULL, s->key, NULL) == 1 &&
        EVP_DigestSign(ctx, signature, &signature_n, bytes, n) == 1) {
        rc = kind->width > 0 ? add_fixed(signature, signature_n, kind->width, out) : 0;
        if (kind->width == 0)
            buf_add(out, signature, signature_n);
    }
    EVP_MD_CTX_free(ctx);
    if (rc == 0)
        return 0;
    ERR_clear_error();
    return err_set(e, ERR_SYSTEM, "cannot sign a message with a key for %s", kind->alg);
}
