#include "relay/certs/revoke.h"

#include "relay/certs/account.h"
#include "relay/certs/chain.h"
#include "relay/certs/jws.h"

#include <string.h>

/* The payload; NULL with the reason. */
static json_t *request(const char *chain_pem, enum revoke_reason reason, struct acme_why *why)
{
    struct chain chain = { 0 };
    struct buf text = { 0 };
    struct err e = { 0 };
    unsigned char *der = NULL;
    json_t *payload = NULL;
    int n;

    if (chain_read(chain_pem, strlen(chain_pem), &chain, &e) != 0) {
        (void)acme_fail_err(why, ACME_CONFIG, &e);
        return NULL;
    }
    n = i2d_X509(chain.certs[0], &der);
    if (n > 0) {
        base64url_add(&text, der, (size_t)n);
        payload = json_pack("{s:s,s:i}", "certificate", buf_text(&text), "reason", (int)reason);
    }
    OPENSSL_free(der);
    buf_free(&text);
    chain_free(&chain);
    return payload;
}

static int post(struct acme_ca *ca, struct job *job, const struct signer *key, const char *url,
                const json_t *payload, struct acme_why *why)
{
    struct acme_by by = { .key = key };
    struct acme_reply reply = { 0 };
    int rc = key ? acme_post(ca, job, &by, url, payload, "application/json", &reply, why)
                 : account_post(ca, job, url, payload, "application/json", &reply, why);

    acme_reply_free(&reply);
    if (rc == 0 || !acme_problem_is(why, "alreadyRevoked"))
        return rc;
    acme_why_free(why);
    return 0;
}

int revoke_by_key(struct acme_ca *ca, struct job *job, const char *chain_pem, const struct signer *key,
                  enum revoke_reason reason, struct acme_why *why)
{
    struct acme_directory d = { 0 };
    json_t *payload = request(chain_pem, reason, why);
    int rc = payload ? acme_directory_get(ca, job, &d, why) : -1;

    if (rc == 0)
        rc = post(ca, job, key, d.revoke_cert, payload, why);
    json_decref(payload);
    acme_directory_free(&d);
    return rc;
}

int revoke_run(struct acme_ca *ca, struct job *job, const char *chain_pem, const struct signer *key,
               enum revoke_reason reason, struct acme_why *why)
{
    struct acme_directory d = { 0 };
    json_t *payload = request(chain_pem, reason, why);
    int rc = payload ? acme_directory_get(ca, job, &d, why) : -1;

    if (rc == 0) {
        rc = post(ca, job, NULL, d.revoke_cert, payload, why);
        if (rc != 0 && key && why->class != ACME_STOPPED && why->class != ACME_LATER) {
            acme_why_free(why);
            rc = post(ca, job, key, d.revoke_cert, payload, why);
        }
    }
    json_decref(payload);
    acme_directory_free(&d);
    return rc;
}
