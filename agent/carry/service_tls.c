#include "agent/carry/service_tls.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

void service_tls_init(struct service_tls *t, struct trust *trust, const struct service *service)
{
    struct buf nothing = { 0 };

    t->out = nothing;
    tls_pipe_init(&t->pipe, trust_context(trust), &t->out);
    trust_prepare(&t->peer, trust, service, t->pipe.ssl);
    if (tls_pipe_feed(&t->pipe, "", 0, &nothing, NULL, NULL) != 0)
        return; /* it says so again with the first bytes that come */
}

void service_tls_free(struct service_tls *t)
{
    /* Or OpenSSL would take a connection that was reset for a reason not to resume its session. */
    SSL_set_shutdown(t->pipe.ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    tls_pipe_free(&t->pipe);
    buf_free(&t->out);
    trust_peer_free(&t->peer);
}

/* ---- what is wrong ---- */

#define OR_OFF "or write verify = off into its section"

/* What stands in a certificate can be anything. */
static bool is_name(const ASN1_STRING *text)
{
    static const char chars[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_*";
    const char *bytes = (const char *)ASN1_STRING_get0_data(text);
    int n = ASN1_STRING_length(text);

    for (int i = 0; i < n; i++)
        if (!bytes[i] || !strchr(chars, bytes[i]))
            return false;
    return n > 0;
}

/* The names that it is for, as far as there is room: "a.test, *.b.test"; "" when it is for none. */
static const char *names_of(X509 *certificate, char *text, size_t room)
{
    GENERAL_NAMES *names =
        certificate ? X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL) : NULL;
    size_t at = 0;

    text[0] = 0;
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        int n;

        if (name->type != GEN_DNS || !is_name(name->d.dNSName))
            continue;
        n = snprintf(text + at, room - at, "%s%.*s", at > 0 ? ", " : "", ASN1_STRING_length(name->d.dNSName),
                     (const char *)ASN1_STRING_get0_data(name->d.dNSName));
        if (n < 0 || (size_t)n >= room - at) {
            text[at] = 0; /* the last one is not whole */
            break;
        }
        at += (size_t)n;
    }
    GENERAL_NAMES_free(names);
    return text;
}

static void say_unknown_authority(const struct service_tls *t, const char *reason, struct err *e)
{
    if (trust_has_authorities(t->peer.trust))
        err_set(
            e, ERR_PEER,
            "its certificate is by nobody whom this machine trusts (%s); install its authority's certificate "
            "(update-ca-certificates), " OR_OFF,
            reason);
    else
        err_set(
            e, ERR_PEER,
            "this machine trusts nobody, because there are no authorities' certificates in %s; install the "
            "package ca-certificates, " OR_OFF,
            trust_folder());
}

static void say_certificate(const struct service_tls *t, long result, struct err *e)
{
    const char *reason = X509_verify_cert_error_string(result);
    char names[100];

    switch (result) {
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE: say_unknown_authority(t, reason, e); break;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        if (*names_of(t->peer.refused, names, sizeof names))
            err_set(
                e, ERR_PEER,
                "its certificate is not for this name or address, but for %s; write one of those into service, " OR_OFF,
                names);
        else
            err_set(
                e, ERR_PEER,
                "its certificate is not for this name or address; write what it is for into service, " OR_OFF);
        break;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        err_set(e, ERR_PEER, "its certificate is not valid yet; set this machine's clock right, " OR_OFF);
        break;
    case X509_V_ERR_CERT_HAS_EXPIRED:
        err_set(e, ERR_PEER, "its certificate has expired; renew it there, " OR_OFF);
        break;
    default: err_set(e, ERR_PEER, "its certificate cannot be verified (%s); renew it there, " OR_OFF, reason);
    }
}

static void say_handshake(const struct service_tls *t, unsigned long code, struct err *e)
{
    const char *reason = ERR_reason_error_string(code);

    switch (ERR_GET_REASON(code)) {
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_PACKET_LENGTH_TOO_LONG:
    case SSL_R_BAD_PACKET_LENGTH:
        err_set(e, ERR_PEER, "it does not speak TLS at this port; write http:// if it speaks HTTP there");
        return;
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
        err_set(e, ERR_PEER,
                "it speaks no TLS from 1.2 on, and what is older is not safe; update its software");
        return;
    default: break;
    }
    if (t->peer.wants_certificate)
        err_set(
            e, ERR_PEER,
            "it wants a client's certificate, and ends without one (%s); let it admit this machine without",
            reason ? reason : "it gave no reason");
    else
        err_set(e, ERR_PEER, "TLS with it failed: %s", reason ? reason : "it broke the protocol");
}

/* With TLS 1.3 a service looks at our side of the handshake when we may have begun to speak already. */
static bool is_about_the_handshake(unsigned long code)
{
    switch (ERR_GET_REASON(code)) {
    case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
    case SSL_R_TLSV1_ALERT_ACCESS_DENIED:
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED: return true;
    default: return false;
    }
}

static void explain(const struct service_tls *t, unsigned long code, struct err *e)
{
    long result = SSL_get_verify_result(t->pipe.ssl);

    if (t->peer.service->verify && result != X509_V_OK)
        say_certificate(t, result, e);
    else
        say_handshake(t, code, e);
    err_wrap(e, "%s port %u", t->peer.service->at.host, t->peer.service->at.port);
}

int service_tls_feed(struct service_tls *t, const char *bytes, size_t n, struct buf *plain, struct err *e)
{
    unsigned long code = 0;
    int rc = tls_pipe_feed(&t->pipe, bytes, n, plain, &code, e);

    if (rc < 0) {
        trust_forget_session(&t->peer);
        t->turned_away = is_about_the_handshake(code);
        t->no_protocol = ERR_GET_REASON(code) == SSL_AD_REASON_OFFSET + SSL_AD_NO_APPLICATION_PROTOCOL;
        explain(t, code, e);
    }
    return rc;
}
