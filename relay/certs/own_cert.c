#include "relay/certs/own_cert.h"

#include "shared/buf.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <time.h>

enum { SERIAL_BYTES = 16, CLOCK_SLACK_S = 3600, DAY_S = 86400 };

int own_cert_refuse(struct err *e, const char *what)
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

/* Not by ASN1_TIME_set: where time_t of OpenSSL has 32 bits, ours has 64. */
static void put_time(ASN1_TIME *to, time_t at)
{
    struct tm utc;
    char text[sizeof "20361121032425Z"];

    if (!gmtime_r(&at, &utc) || strftime(text, sizeof text, "%Y%m%d%H%M%SZ", &utc) == 0 ||
        ASN1_TIME_set_string_X509(to, text) != 1)
        abort(); /* out of memory; years have four digits */
}

void own_cert_put_times(X509 *cert, time_t from, time_t to)
{
    put_time(X509_getm_notBefore(cert), from);
    put_time(X509_getm_notAfter(cert), to);
}

X509 *own_cert_new(const struct signer *key, time_t now, int days)
{
    X509 *cert = X509_new();

    if (!cert)
        abort(); /* out of memory */
    X509_set_version(cert, X509_VERSION_3);
    put_serial(cert);
    own_cert_put_times(cert, now - CLOCK_SLACK_S, now + (time_t)days * DAY_S);
    signer_put_public(key, cert);
    return cert;
}

int own_cert_extend(X509 *cert, X509 *issuer, int nid, const char *value, struct err *e)
{
    X509_EXTENSION *ext;
    X509V3_CTX ctx;
    int rc;

    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    rc = ext && X509_add_ext(cert, ext, -1) == 1
             ? 0
             : own_cert_refuse(e, "cannot put an extension into a certificate");
    X509_EXTENSION_free(ext);
    return rc;
}

static const char *kind_of(const char *name)
{
    unsigned char address[16];

    return inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1 ? "IP" : "DNS";
}

int own_cert_extend_names(X509 *cert, const char *prefix, const char *const *names, size_t n, struct err *e)
{
    struct buf text = { 0 };
    int rc;

    buf_add_text(&text, prefix);
    for (size_t i = 0; i < n; i++)
        buf_printf(&text, "%s%s:%s", i > 0 ? "," : "", kind_of(names[i]), names[i]);
    rc = own_cert_extend(cert, NULL, NID_subject_alt_name, buf_text(&text), e);
    buf_free(&text);
    return rc;
}
