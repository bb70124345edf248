#include "relay/certs/facts.h"

#include "relay/certs/jws.h"
#include "shared/mem.h"

#include <arpa/inet.h>
#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

/* ---- names ---- */

static char *lower_case(const unsigned char *bytes, size_t n)
{
    char *text = mem_copy_n((const char *)bytes, n);

    for (char *c = text; *c; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c + ('a' - 'A'));
    return text;
}

/* NULL for what no site is called by. */
static char *name_of(const GENERAL_NAME *general)
{
    char address[INET6_ADDRSTRLEN];
    int kind;
    const ASN1_STRING *value = GENERAL_NAME_get0_value(general, &kind);
    const unsigned char *bytes = ASN1_STRING_get0_data(value);
    size_t n = (size_t)ASN1_STRING_length(value);

    if (kind == GEN_DNS)
        return memchr(bytes, 0, n) ? NULL : lower_case(bytes, n);
    if (kind != GEN_IPADD || (n != 4 && n != 16))
        return NULL;
    inet_ntop(n == 4 ? AF_INET : AF_INET6, bytes, address, sizeof address);
    return mem_copy(address);
}

static void add_names(struct facts *f, X509 *leaf)
{
    GENERAL_NAMES *all = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
    int n = all ? sk_GENERAL_NAME_num(all) : 0;

    f->names = mem_new(((size_t)n + 1) * sizeof *f->names);
    for (int i = 0; i < n; i++) {
        char *name = name_of(sk_GENERAL_NAME_value(all, i));

        if (name)
            f->names[f->names_n++] = name;
    }
    GENERAL_NAMES_free(all);
}

/* ---- the rest ---- */

static char *issuer_of(X509 *leaf)
{
    X509_NAME *issuer = X509_get_issuer_name(leaf);
    int at = X509_NAME_get_index_by_NID(issuer, NID_commonName, -1);
    unsigned char *utf8 = NULL;
    char *text;
    int n;

    if (at < 0)
        at = X509_NAME_get_index_by_NID(issuer, NID_organizationName, -1);
    if (at < 0)
        return mem_copy("");
    n = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(issuer, at)));
    text = mem_copy_n(n > 0 ? (const char *)utf8 : "", n > 0 ? (size_t)n : 0);
    OPENSSL_free(utf8);
    return text;
}

static char *serial_of(X509 *leaf)
{
    BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(leaf), NULL);
    char *hex = number ? BN_bn2hex(number) : NULL;
    char *text = mem_copy(hex ? hex : "");

    OPENSSL_free(hex);
    BN_free(number);
    return text;
}

/* The content octets of the serial number as DER has them: a leading 00 is part of it. */
static char *ari_id_of(X509 *leaf)
{
    const ASN1_OCTET_STRING *key = X509_get0_authority_key_id(leaf);
    unsigned char *der = NULL, *content;
    int n = i2d_ASN1_INTEGER(X509_get_serialNumber(leaf), &der);
    struct buf id = { 0 };
    char *text = NULL;

    /* A serial number has at most 20 bytes, so that its length takes one; another one is no certificate of a CA's. */
    if (key && n > 2 && der[1] < 0x80) {
        content = der + 2;
        base64url_add(&id, ASN1_STRING_get0_data(key), (size_t)ASN1_STRING_length(key));
        buf_add_text(&id, ".");
        base64url_add(&id, content, (size_t)n - 2);
        text = mem_copy(buf_text(&id));
    }
    OPENSSL_free(der);
    buf_free(&id);
    return text;
}

static char *key_type_of(X509 *leaf, bool *rsa)
{
    const EVP_PKEY *key = X509_get0_pubkey(leaf);
    int kind = key ? EVP_PKEY_get_base_id(key) : 0, bits = key ? EVP_PKEY_get_bits(key) : 0;

    *rsa = kind == EVP_PKEY_RSA || kind == EVP_PKEY_RSA_PSS;
    if (*rsa)
        return mem_format("rsa %d", bits);
    if (kind == EVP_PKEY_EC)
        return mem_format("ecdsa P-%d", bits);
    return mem_copy(kind ? OBJ_nid2ln(kind) : "unknown");
}

int facts_read(const char *pem, size_t n, struct facts *out, struct err *e)
{
    X509 *leaf;

    *out = (struct facts){ 0 };
    if (chain_read(pem, n, &out->chain, e) != 0)
        return -1;
    leaf = out->chain.certs[0];
    add_names(out, leaf);
    out->not_before = chain_begins(&out->chain);
    out->not_after = chain_ends(&out->chain);
    out->ca = issuer_of(leaf);
    out->serial = serial_of(leaf);
    out->ari_id = ari_id_of(leaf);
    out->key_type = key_type_of(leaf, &out->rsa);
    return 0;
}

void facts_free(struct facts *f)
{
    chain_free(&f->chain);
    for (size_t i = 0; i < f->names_n; i++)
        free(f->names[i]);
    free(f->names);
    free(f->ca);
    free(f->serial);
    free(f->ari_id);
    free(f->key_type);
    *f = (struct facts){ 0 };
}

/* As Let's Encrypt names its staging environment now, and did before 2021. */
bool facts_is_staging(const struct facts *f)
{
    return strstr(f->ca, "(STAGING)") || strncmp(f->ca, "Fake LE ", 8) == 0;
}
