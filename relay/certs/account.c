#include "relay/certs/account.h"

#include "relay/certs/acme_parts.h"
#include "relay/certs/jws.h"
#include "shared/json.h"
#include "shared/mem.h"
#include "shared/secret.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { MAX_KEY_BYTES = 4096, PAUSE_MS = 60000 /* after a failure */ };

void account_init(struct account *a)
{
    pthread_rwlockattr_t writers_first;

    pthread_mutex_init(&a->making, NULL);
    pthread_rwlockattr_init(&writers_first);
    pthread_rwlockattr_setkind_np(&writers_first, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&a->use, &writers_first);
    pthread_rwlockattr_destroy(&writers_first);
}

void account_free(struct account *a)
{
    signer_free(a->key);
    free(a->kid);
    pthread_rwlock_destroy(&a->use);
    pthread_mutex_destroy(&a->making);
}

/* ---- making one ---- */

static int read_eab_key(const struct acme_ca *ca, struct buf *out, struct err *e)
{
    struct secret key = { 0 };
    struct str text;
    int rc;

    if (secret_load_from(&key, ca->conf.eab_key_file, MAX_KEY_BYTES, e) != 0)
        return -1;
    text = str_trim((struct str){ (const char *)key.bytes, key.n });
    while (text.n > 0 && text.p[text.n - 1] == '=') /* base64url has no padding; some CAs' pages show it */
        text.n--;
    rc = base64url_read(text, out, e);
    if (rc == 0 && out->len == 0)
        rc = err_set(e, ERR_INPUT, "is empty");
    if (rc != 0)
        err_wrap(e, "eab_key_file = %s: write the key as the CA shows it", ca->conf.eab_key_file);
    secret_free(&key);
    return rc;
}

/* externalAccountBinding; NULL with the reason. */
static json_t *binding(const struct acme_ca *ca, const char *url, struct err *e)
{
    struct buf key = { 0 }, text = { 0 };
    json_t *json = NULL;

    if (read_eab_key(ca, &key, e) == 0 &&
        jws_bind(ca->account.key, ca->conf.eab_kid, &key, url, &text, e) == 0)
        json = json_read(buf_bytes(&text), text.len, e);
    if (key.mem)
        explicit_bzero(key.mem, key.room);
    buf_free(&key);
    buf_free(&text);
    return json;
}

/* The payload of newAccount; NULL with the reason. */
static json_t *wish(const struct acme_ca *ca, const struct acme_directory *d, struct err *e)
{
    json_t *json, *bound = NULL;

    if (*ca->conf.eab_kid && !(bound = binding(ca, d->new_account, e)))
        return NULL;
    if (!bound && d->eab_required) {
        err_set(e, ERR_INPUT,
                "%.200s makes accounts for its customers alone; get a key id and a key from its web pages, "
                "and set eab_kid and eab_key_file",
                ca->conf.directory);
        return NULL;
    }
    json = json_pack("{s:b}", "termsOfServiceAgreed", 1);
    if (*ca->conf.email)
        json_object_set_new(json, "contact", json_pack("[o]", json_sprintf("mailto:%s", ca->conf.email)));
    if (bound)
        json_object_set_new(json, "externalAccountBinding", bound);
    return json;
}

static void set_kid(struct account *a, char *takes)
{
    pthread_rwlock_wrlock(&a->use);
    free(a->kid);
    a->kid = takes;
    pthread_rwlock_unlock(&a->use);
}

static int check_status(const struct acme_reply *reply, struct acme_why *why)
{
    enum acme_status status = ACME_VALID;
    struct err e = { 0 };

    if (reply->json && acme_account_read(reply->json, &status, &e) != 0)
        return acme_fail(why, ACME_LATER, "what the CA says of our account cannot be read: %.200s", e.text);
    if (status == ACME_VALID)
        return 0;
    return acme_fail(why, ACME_ACCOUNT,
                     "our account at the CA is %s; move its folder away to have another one",
                     acme_status_text(status));
}

/* newAccount with this payload, by this key: the account's URL. */
int account_ask(struct acme_ca *ca, struct job *job, const struct signer *key, const char *url,
                const json_t *payload, char **kid, int *status, struct acme_why *why)
{
    struct acme_by by = { .key = key };
    struct acme_reply reply = { 0 };
    int rc = acme_post(ca, job, &by, url, payload, NULL, &reply, why);

    rc = rc == 0 ? check_status(&reply, why) : rc;
    rc = rc == 0 ? acme_location(url, &reply, kid, why) : rc;
    *status = reply.status;
    acme_reply_free(&reply);
    return rc;
}

static int make(struct acme_ca *ca, struct job *job, struct acme_why *why)
{
    struct acme_directory d = { 0 };
    struct err e = { 0 };
    json_t *payload = NULL;
    char *kid = NULL;
    int status = 0, rc;

    if (acme_directory_get(ca, job, &d, why) != 0)
        return -1;
    payload = wish(ca, &d, &e);
    rc = payload ? account_count(ca, why) : acme_fail_err(why, ACME_ACCOUNT, &e);
    if (rc == 0) {
        rc = account_ask(ca, job, ca->account.key, d.new_account, payload, &kid, &status, why);
        if (status != 201)
            account_uncount(ca); /* it made none: it knows the key already, or refuses */
    }
    if (rc == 0) {
        set_kid(&ca->account, kid);
        rc = account_save(ca, why);
    }
    json_decref(payload);
    acme_directory_free(&d);
    return rc;
}

/* ---- ready ---- */

static uint64_t now_ms(void)
{
    return uv_hrtime() / 1000000;
}

static void remember_failure(struct account *a, const struct acme_why *why)
{
    if (why->class == ACME_STOPPED)
        return;
    a->failed = why->class;
    a->failed_why = why->err;
    a->failed_until_ms =
        now_ms() + (uint64_t)(why->retry_after_ms > PAUSE_MS ? why->retry_after_ms : PAUSE_MS);
}

static int make_unless_failed(struct acme_ca *ca, struct job *job, struct acme_why *why)
{
    struct account *a = &ca->account;
    uint64_t now = now_ms();
    int rc;

    if (a->failed_until_ms > now) {
        why->retry_after_ms = (int64_t)(a->failed_until_ms - now);
        return acme_fail_err(why, a->failed, &a->failed_why);
    }
    rc = make(ca, job, why);
    if (rc != 0)
        remember_failure(a, why);
    return rc;
}

/* With the lock `making` held. */
int account_ready_locked(struct acme_ca *ca, struct job *job, struct acme_why *why)
{
    struct account *a = &ca->account;

    if (!a->loaded && account_load(ca, why) != 0)
        return -1;
    if (a->deactivated)
        return acme_fail(why, ACME_ACCOUNT,
                         "our account at %.120s was deactivated; move %s away to have another one",
                         ca->conf.directory, ca->conf.folder);
    if (a->unsettled && account_settle(ca, job, why) != 0)
        return -1;
    return a->kid ? 0 : make_unless_failed(ca, job, why);
}

int account_ready(struct acme_ca *ca, struct job *job, struct acme_why *why)
{
    int rc;

    pthread_mutex_lock(&ca->account.making);
    rc = account_ready_locked(ca, job, why);
    pthread_mutex_unlock(&ca->account.making);
    return rc;
}

int account_url(struct acme_ca *ca, struct job *job, char **url, struct acme_why *why)
{
    int rc;

    pthread_mutex_lock(&ca->account.making);
    rc = account_ready_locked(ca, job, why);
    if (rc == 0)
        *url = mem_copy(ca->account.kid);
    pthread_mutex_unlock(&ca->account.making);
    return rc;
}

int account_thumbprint(struct acme_ca *ca, struct job *job, char out[JWS_THUMBPRINT_BYTES],
                       struct acme_why *why)
{
    struct err e = { 0 };
    int rc;

    pthread_mutex_lock(&ca->account.making);
    rc = account_ready_locked(ca, job, why);
    if (rc == 0 && jws_thumbprint(ca->account.key, out, &e) != 0)
        rc = acme_fail_err(why, ACME_CONFIG, &e);
    pthread_mutex_unlock(&ca->account.making);
    return rc;
}

/* ---- using it ---- */

/* *kid: a copy of what it was signed for. */
static int post_once(struct acme_ca *ca, struct job *job, const char *url, const json_t *payload,
                     const char *accept, struct acme_reply *reply, char **kid, struct acme_why *why)
{
    struct account *a = &ca->account;
    struct acme_by by;
    int rc;

    if (account_ready(ca, job, why) != 0)
        return -1;
    pthread_rwlock_rdlock(&a->use);
    *kid = mem_copy(a->kid ? a->kid : "");
    by = (struct acme_by){ a->key, *kid };
    rc = acme_post(ca, job, &by, url, payload, accept, reply, why);
    pthread_rwlock_unlock(&a->use);
    return rc;
}

/* The CA does not know this account: unless another has noticed before, there is none. */
static void forget(struct acme_ca *ca, const char *kid)
{
    struct account *a = &ca->account;

    pthread_mutex_lock(&a->making);
    if (a->kid && strcmp(a->kid, kid) == 0)
        set_kid(a, NULL);
    pthread_mutex_unlock(&a->making);
}

/* `unauthorized` is said of many things; of a dead account, too. Then the account itself says so. */
static void look_at_account(struct acme_ca *ca, struct job *job, struct acme_why *why)
{
    struct acme_directory d = { 0 };
    json_t *payload = json_pack("{s:b}", "onlyReturnExisting", 1);
    struct acme_why said;
    char *kid = NULL;
    int status;

    acme_why_init(&said);
    pthread_rwlock_rdlock(&ca->account.use);
    if (acme_directory_get(ca, job, &d, &said) == 0 &&
        account_ask(ca, job, ca->account.key, d.new_account, payload, &kid, &status, &said) != 0 &&
        (said.class == ACME_ACCOUNT || acme_problem_is(&said, "unauthorized")))
        acme_fail(why, ACME_ACCOUNT,
                  "the CA refuses our account (%.200s); move %.100s away to have another one", said.err.text,
                  ca->conf.folder);
    pthread_rwlock_unlock(&ca->account.use);
    acme_why_free(&said);
    acme_directory_free(&d);
    json_decref(payload);
    free(kid);
}

int account_post(struct acme_ca *ca, struct job *job, const char *url, const json_t *payload,
                 const char *accept, struct acme_reply *reply, struct acme_why *why)
{
    char *kid = NULL;
    int rc = post_once(ca, job, url, payload, accept, reply, &kid, why);

    if (rc != 0 && kid && why->class == ACME_NO_ACCOUNT) {
        forget(ca, kid);
        free(kid);
        kid = NULL;
        acme_reply_free(reply);
        acme_why_free(why);
        rc = post_once(ca, job, url, payload, accept, reply, &kid, why);
    }
    if (rc != 0 && acme_problem_is(why, "unauthorized"))
        look_at_account(ca, job, why);
    if (rc != 0 && why->class == ACME_NO_ACCOUNT)
        why->class = ACME_LATER;
    free(kid);
    return rc;
}

/* ---- the end of it ---- */

int account_deactivate(struct acme_ca *ca, struct job *job, struct acme_why *why)
{
    json_t *payload = json_pack("{s:s}", "status", "deactivated");
    struct account *a = &ca->account;
    struct acme_reply reply = { 0 };
    int rc;

    pthread_mutex_lock(&a->making);
    rc = account_ready_locked(ca, job, why);
    if (rc == 0) {
        struct acme_by by = { a->key, a->kid };

        rc = acme_post(ca, job, &by, a->kid, payload, NULL, &reply, why);
    }
    if (rc == 0) {
        a->deactivated = true;
        rc = account_save(ca, why);
    }
    pthread_mutex_unlock(&a->making);
    acme_reply_free(&reply);
    json_decref(payload);
    return rc;
}
