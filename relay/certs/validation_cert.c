#include "relay/certs/validation_cert.h"

#include "relay/certs/own_cert.h"
#include "relay/certs/signer.h"
#include "relay/edge/tls.h"
#include "shared/buf.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VALIDATION_DAYS = 7 };

static const char acme_identifier[] = "1.3.6.1.5.5.7.1.31";

/* ---- the certificate ---- */

static int put_identifier(X509 *cert, const unsigned char sha256[32], struct err *e)
{
    unsigned char der[2 + 32] = { V_ASN1_OCTET_STRING, 32 };
    ASN1_OBJECT *oid = OBJ_txt2obj(acme_identifier, 1);
    ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
    X509_EXTENSION *ext = NULL;
    int rc = -1;

    memcpy(der + 2, sha256, 32);
    if (oid && value && ASN1_OCTET_STRING_set(value, der, sizeof der) == 1)
        ext = X509_EXTENSION_create_by_OBJ(NULL, oid, 1, value);
    if (ext && X509_add_ext(cert, ext, -1) == 1)
        rc = 0;
    else
        (void)own_cert_refuse(e, "cannot put acmeIdentifier into a certificate");
    X509_EXTENSION_free(ext);
    ASN1_OCTET_STRING_free(value);
    ASN1_OBJECT_free(oid);
    return rc;
}

/* An issuer must have a name (RFC 5280). It is not the validated one: that may have 253 characters, a common name 64. */
static void put_issuer(X509 *cert)
{
    X509_NAME *name = X509_get_subject_name(cert);

    X509_NAME_add_entry_by_txt(name, "O", MBSTRING_ASC, (const unsigned char *)"acme-tls/1", -1, -1, 0);
    X509_set_issuer_name(cert, name);
}

static X509 *make_cert(const struct challenge *c, const struct signer *key, time_t now, struct err *e)
{
    X509 *cert = own_cert_new(key, now, VALIDATION_DAYS);

    put_issuer(cert);
    if (own_cert_extend_names(cert, "", &c->name, 1, e) == 0 && put_identifier(cert, c->sha256, e) == 0 &&
        signer_sign(key, cert, e) == 0)
        return cert;
    X509_free(cert);
    return NULL;
}

SSL_CTX *validation_context(const struct challenge *c, time_t now, struct err *e)
{
    struct signer *key = signer_new();
    X509 *cert = make_cert(c, key, now, e);
    SSL_CTX *ctx = cert ? tls_validation_context() : NULL;

    if (ctx && (SSL_CTX_use_certificate(ctx, cert) != 1 || signer_use(key, ctx, e) != 0)) {
        SSL_CTX_free(ctx);
        ctx = NULL;
    }
    X509_free(cert);
    signer_free(key);
    return ctx;
}

/* ---- by which name it is asked for ---- */

static void reverse_v4(const unsigned char address[4], char out[DOMAIN_BYTES])
{
    snprintf(out, DOMAIN_BYTES, "%d.%d.%d.%d.in-addr.arpa", address[3], address[2], address[1], address[0]);
}

static void reverse_v6(const unsigned char address[16], char out[DOMAIN_BYTES])
{
    struct buf text = { 0 };

    for (int i = 15; i >= 0; i--)
        buf_printf(&text, "%x.%x.", address[i] & 15, address[i] >> 4);
    snprintf(out, DOMAIN_BYTES, "%sip6.arpa", buf_text(&text));
    buf_free(&text);
}

void validation_server_name(const char *name, char out[DOMAIN_BYTES])
{
    unsigned char address[16];

    if (inet_pton(AF_INET, name, address) == 1)
        reverse_v4(address, out);
    else if (inet_pton(AF_INET6, name, address) == 1)
        reverse_v6(address, out);
    else
        snprintf(out, DOMAIN_BYTES, "%s", name);
}
