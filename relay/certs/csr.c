#include "relay/certs/csr.h"

#include "relay/certs/acme_msg.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

/* A name as a certificate has it; an address as its bytes. */
static GENERAL_NAME *general_name(const char *name)
{
    GENERAL_NAME *general = GENERAL_NAME_new();

    if (!general)
        abort(); /* out of memory */
    if (acme_is_address(name)) {
        general->type = GEN_IPADD;
        general->d.iPAddress = a2i_IPADDRESS(name);
    } else {
        general->type = GEN_DNS;
        general->d.dNSName = ASN1_IA5STRING_new();
        ASN1_STRING_set(general->d.dNSName, name, (int)strlen(name));
    }
    return general;
}

static int put_names(X509_REQ *request, const char *const *names, size_t n)
{
    STACK_OF(X509_EXTENSION) *extensions = NULL;
    GENERAL_NAMES *all = sk_GENERAL_NAME_new_null();
    int ok;

    for (size_t i = 0; i < n; i++)
        sk_GENERAL_NAME_push(all, general_name(names[i]));
    ok = X509V3_add1_i2d(&extensions, NID_subject_alt_name, all, 0, X509V3_ADD_DEFAULT) == 1 &&
         X509_REQ_add_extensions(request, extensions) == 1;
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    GENERAL_NAMES_free(all);
    return ok ? 0 : -1;
}

int csr_make(const struct signer *key, const char *const *names, size_t n, struct buf *out, struct err *e)
{
    X509_REQ *request = X509_REQ_new();
    unsigned char *der = NULL;
    int length, rc;

    if (!request)
        abort(); /* out of memory */
    X509_REQ_set_version(request, X509_REQ_VERSION_1);
    rc = put_names(request, names, n) == 0
             ? signer_request(key, request, e)
             : err_set(e, ERR_SYSTEM, "cannot put %zu names into a certificate request", n);
    ERR_clear_error();
    length = rc == 0 ? i2d_X509_REQ(request, &der) : 0;
    if (length > 0)
        buf_add(out, der, (size_t)length);
    OPENSSL_free(der);
    X509_REQ_free(request);
    return rc;
}
