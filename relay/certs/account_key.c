/* An account's key, changed (RFC 8555, section 7.3.5): the new one is on disk before the CA hears of it, and the old one until
 * the CA has said that it takes the new one. */
#include "relay/certs/account.h"

#include "relay/certs/acme_parts.h"
#include "relay/certs/jws.h"
#include "shared/json.h"
#include "shared/mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- the key that may be the new one ---- */

static int commit_next(struct acme_ca *ca, struct signer *next, struct acme_why *why)
{
    char *from = account_path(ca, "account.key.next"), *to = account_path(ca, "account.key");
    struct err e = { 0 };
    int rc = rename(from, to) == 0 ? 0 : err_errno(&e, errno, "cannot rename %s to account.key", from);

    if (rc == 0) {
        struct signer *before = ca->account.key;

        pthread_rwlock_wrlock(&ca->account.use);
        ca->account.key = next;
        pthread_rwlock_unlock(&ca->account.use);
        signer_free(before);
    } else {
        signer_free(next);
        rc = acme_fail_err(why, ACME_CONFIG, &e);
    }
    free(from);
    free(to);
    return rc;
}

static void drop_next(struct acme_ca *ca)
{
    char *path = account_path(ca, "account.key.next");

    unlink(path);
    free(path);
}

/* A key change whose reply was lost: the CA says whether it knows the new key. */
int account_settle(struct acme_ca *ca, struct job *job, struct acme_why *why)
{
    char *path = account_path(ca, "account.key.next"), *kid = NULL;
    json_t *payload = json_pack("{s:b}", "onlyReturnExisting", 1);
    struct acme_directory d = { 0 };
    struct err e = { 0 };
    struct signer *next = signer_load(path, &e);
    int status, rc = next ? acme_directory_get(ca, job, &d, why) : acme_fail_err(why, ACME_CONFIG, &e);

    if (rc == 0)
        rc = account_ask(ca, job, next, d.new_account, payload, &kid, &status, why);
    if (rc == 0) {
        rc = commit_next(ca, next, why);
        next = NULL;
    } else if (why->class == ACME_NO_ACCOUNT) {
        acme_why_free(why);
        drop_next(ca);
        rc = 0;
    }
    ca->account.unsettled = rc != 0;
    signer_free(next);
    acme_directory_free(&d);
    json_decref(payload);
    free(kid);
    free(path);
    return rc;
}

/* ---- changing the key, and the end ---- */

static json_t *key_change(const struct acme_ca *ca, const struct signer *next, const char *url, struct err *e)
{
    struct buf jwk = { 0 }, text = { 0 };
    json_t *inner = NULL;

    if (signer_jwk(ca->account.key, &jwk, e) == 0) {
        char *payload = mem_format("{\"account\":\"%s\",\"oldKey\":%s}", ca->account.kid, buf_text(&jwk));
        struct jws jws = { .key = next, .url = url, .payload = payload };

        if (jws_make(&jws, &text, e) == 0)
            inner = json_read(buf_bytes(&text), text.len, e);
        free(payload);
    }
    buf_free(&jwk);
    buf_free(&text);
    return inner;
}

/* No request of the old key may be under way then: it would arrive too late. */
static int send_key_change(struct acme_ca *ca, struct job *job, const struct signer *next, const char *url,
                           struct acme_why *why)
{
    struct account *a = &ca->account;
    struct acme_reply reply = { 0 };
    struct err e = { 0 };
    json_t *inner = key_change(ca, next, url, &e);
    int rc = inner ? 0 : acme_fail_err(why, ACME_CONFIG, &e);

    if (rc == 0) {
        struct acme_by by = { a->key, a->kid };

        pthread_rwlock_wrlock(&a->use);
        rc = acme_post(ca, job, &by, url, inner, NULL, &reply, why);
        pthread_rwlock_unlock(&a->use);
    }
    acme_reply_free(&reply);
    json_decref(inner);
    return rc;
}

static int change_key(struct acme_ca *ca, struct job *job, const char *url, struct acme_why *why)
{
    struct signer *next = signer_make(KEY_ECDSA);
    char *path = account_path(ca, "account.key.next");
    struct err e = { 0 };
    int rc = signer_save(next, path, &e) == 0 ? send_key_change(ca, job, next, url, why)
                                              : acme_fail_err(why, ACME_CONFIG, &e);

    free(path);
    if (rc == 0)
        return commit_next(ca, next, why);
    signer_free(next);
    /* Only an answer that refuses says for sure that the old key still holds. */
    if (why->status >= 400 && why->status <= 499)
        drop_next(ca);
    else
        ca->account.unsettled = true;
    return -1;
}

int account_rollover(struct acme_ca *ca, struct job *job, struct acme_why *why)
{
    struct acme_directory d = { 0 };
    int rc;

    pthread_mutex_lock(&ca->account.making);
    rc = account_ready_locked(ca, job, why);
    rc = rc == 0 ? acme_directory_get(ca, job, &d, why) : rc;
    if (rc == 0 && !d.key_change)
        rc = acme_fail(why, ACME_REFUSED, "%.200s has no keyChange: this CA changes no keys",
                       ca->conf.directory);
    rc = rc == 0 ? change_key(ca, job, d.key_change, why) : rc;
    pthread_mutex_unlock(&ca->account.making);
    acme_directory_free(&d);
    return rc;
}
