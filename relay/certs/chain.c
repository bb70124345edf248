#include "relay/certs/chain.h"

#include "relay/certs/acme_msg.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>

/* ---- reading ---- */

/* The text between the certificates: CAs put comments there, but nothing that looks like another kind of PEM, or a web page. */
static bool is_pem_of_certificates(const char *bytes, size_t n)
{
    static const char begin[] = "-----BEGIN ";
    const char *at = memmem(bytes, n, begin, sizeof begin - 1), *end = bytes + n;

    if (!at || memchr(bytes, '<', (size_t)(at - bytes)) || memchr(bytes, '\0', n))
        return false;
    for (; at; at = memmem(at, (size_t)(end - at), begin, sizeof begin - 1)) {
        at += sizeof begin - 1;
        if ((size_t)(end - at) < 16 || memcmp(at, "CERTIFICATE-----", 16) != 0)
            return false;
    }
    return true;
}

static int read_certs(BIO *pem, struct chain *out, struct err *e)
{
    X509 *cert;

    while ((cert = PEM_read_bio_X509(pem, NULL, NULL, NULL))) {
        if (out->n == CHAIN_MAX) {
            X509_free(cert);
            return err_set(e, ERR_LIMIT, "the chain has more than %d certificates", (int)CHAIN_MAX);
        }
        out->certs[out->n++] = cert;
    }
    if (out->n > 0 && ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE)
        return 0;
    return err_set(e, ERR_PEER, "certificate %zu of the chain is damaged", out->n + 1);
}

int chain_read(const char *bytes, size_t n, struct chain *out, struct err *e)
{
    BIO *pem;
    int rc;

    if (n > CHAIN_MAX_BYTES)
        return err_set(e, ERR_LIMIT, "the chain is larger than %d bytes", (int)CHAIN_MAX_BYTES);
    if (!is_pem_of_certificates(bytes, n))
        return err_set(e, ERR_PEER, "what was sent is no chain of certificates in PEM form");
    pem = BIO_new_mem_buf(bytes, (int)n);
    ERR_clear_error();
    rc = read_certs(pem, out, e);
    ERR_clear_error();
    BIO_free(pem);
    if (rc != 0)
        chain_free(out);
    return rc;
}

void chain_free(struct chain *c)
{
    for (size_t i = 0; i < c->n; i++)
        X509_free(c->certs[i]);
    *c = (struct chain){ 0 };
}

void chain_write(const struct chain *c, struct buf *pem)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text;
    long n;

    for (size_t i = 0; i < c->n; i++)
        PEM_write_bio_X509(bio, c->certs[i]);
    n = BIO_get_mem_data(bio, &text);
    buf_add(pem, text, (size_t)n);
    BIO_free(bio);
}

/* ---- what it says ---- */

static time_t time_of(const ASN1_TIME *at)
{
    struct tm tm;

    return ASN1_TIME_to_tm(at, &tm) == 1 ? timegm(&tm) : 0;
}

time_t chain_begins(const struct chain *c)
{
    return time_of(X509_get0_notBefore(c->certs[0]));
}

time_t chain_ends(const struct chain *c)
{
    return time_of(X509_get0_notAfter(c->certs[0]));
}

/* The names are those in the leaf itself: a wildcard covers no other name here, because that is not what was asked for. */
static bool is_name(const GENERAL_NAME *have, const char *name)
{
    ASN1_OCTET_STRING *address;
    bool same;

    if (have->type == GEN_DNS)
        return !acme_is_address(name) && (size_t)ASN1_STRING_length(have->d.dNSName) == strlen(name) &&
               strncasecmp((const char *)ASN1_STRING_get0_data(have->d.dNSName), name, strlen(name)) == 0;
    if (have->type != GEN_IPADD || !acme_is_address(name) || !(address = a2i_IPADDRESS(name)))
        return false;
    same = ASN1_OCTET_STRING_cmp(have->d.iPAddress, address) == 0;
    ASN1_OCTET_STRING_free(address);
    return same;
}

bool chain_has_name(const struct chain *c, const char *name)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(c->certs[0], NID_subject_alt_name, NULL, NULL);
    bool found = false;

    for (int i = 0; i < sk_GENERAL_NAME_num(names) && !found; i++)
        found = is_name(sk_GENERAL_NAME_value(names, i), name);
    GENERAL_NAMES_free(names);
    return found;
}

bool chain_is_issued_by(const struct chain *c, const char *part)
{
    X509_NAME *issuer = X509_get_issuer_name(c->certs[c->n - 1]);
    int at = X509_NAME_get_index_by_NID(issuer, NID_commonName, -1);
    unsigned char *text = NULL;
    bool found;

    if (at < 0 || ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(issuer, at))) < 0)
        return false;
    found = strcasestr((const char *)text, part) != NULL;
    OPENSSL_free(text);
    return found;
}

/* ---- is it what was asked for ---- */

static int check_links(const struct chain *c, struct err *e)
{
    for (size_t i = 0; i + 1 < c->n; i++)
        if (X509_check_issued(c->certs[i + 1], c->certs[i]) != X509_V_OK ||
            X509_verify(c->certs[i], X509_get0_pubkey(c->certs[i + 1])) != 1) {
            ERR_clear_error();
            return err_set(e, ERR_PEER, "certificate %zu of the chain is not signed by the one after it",
                           i + 1);
        }
    return 0;
}

int chain_check_times(const struct chain *c, time_t now, struct err *e)
{
    time_t begins = chain_begins(c), ends = chain_ends(c);

    if (begins > now + CHAIN_CLOCK_SLACK_S)
        return err_set(e, ERR_PEER,
                       "the certificate is valid in %lld s only; is this machine's clock behind the CA's?",
                       (long long)(begins - now));
    if (ends <= now)
        return err_set(e, ERR_PEER,
                       "the certificate has expired %lld s ago; is this machine's clock ahead of the CA's?",
                       (long long)(now - ends));
    return 0;
}

int chain_check_content(const struct chain *c, const struct signer *key, const char *const *names,
                        size_t names_n, struct err *e)
{
    if (signer_matches(key, c->certs[0], e) != 0)
        return -1;
    for (size_t i = 0; i < names_n; i++)
        if (!chain_has_name(c, names[i]))
            return err_set(e, ERR_PEER, "the certificate is not for %s", names[i]);
    return check_links(c, e);
}

int chain_check(const struct chain *c, const struct signer *key, const char *const *names, size_t names_n,
                time_t now, struct err *e)
{
    return chain_check_content(c, key, names, names_n, e) == 0 ? chain_check_times(c, now, e) : -1;
}
