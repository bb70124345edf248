#include "relay/certs/acme.h"

#include "relay/certs/acme_parts.h"
#include "relay/certs/jws.h"
#include "shared/mem.h"
#include "shared/value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uv.h>

#define USER_AGENT "tunnel-relay/" TUNNEL_VERSION TUNNEL_CONTACT
#define NO_CODING  "Accept-Encoding: identity" /* who says nothing has to understand all of them */

enum {
    DIRECTORY_MS = 24 * 3600 * 1000,
    REDIRECTS = 5,
    /* A refused nonce comes with a new one, so that trying costs little; Pebble can be told to refuse nine of ten. */
    NONCE_TRIES = 120,
    NONCE_TRIES_AT_ONCE = 20,
    NONCE_PAUSE_MS = 100,
    HEAD_TRIES = 10,
    SHOWN_HOST = 120,
    MAX_URL = 2048,
};

/* ---- one CA ---- */

struct acme_ca *acme_ca_new(const struct acme_conf *conf)
{
    struct acme_ca *ca = mem_new(sizeof *ca);

    ca->conf = (struct acme_conf){
        .name = mem_copy(conf->name),
        .directory = mem_copy(conf->directory),
        .email = mem_copy(conf->email ? conf->email : ""),
        .ca_file = mem_copy(conf->ca_file ? conf->ca_file : ""),
        .eab_kid = mem_copy(conf->eab_kid ? conf->eab_kid : ""),
        .eab_key_file = mem_copy(conf->eab_key_file ? conf->eab_key_file : ""),
        .folder = mem_copy(conf->folder),
    };
    pthread_mutex_init(&ca->asking, NULL);
    pthread_mutex_init(&ca->lock, NULL);
    account_init(&ca->account);
    return ca;
}

void acme_ca_free(struct acme_ca *ca)
{
    if (!ca)
        return;
    account_free(&ca->account);
    json_decref(ca->directory);
    pthread_mutex_destroy(&ca->lock);
    pthread_mutex_destroy(&ca->asking);
    free((char *)ca->conf.name);
    free((char *)ca->conf.directory);
    free((char *)ca->conf.email);
    free((char *)ca->conf.ca_file);
    free((char *)ca->conf.eab_kid);
    free((char *)ca->conf.eab_key_file);
    free((char *)ca->conf.folder);
    free(ca);
}

const struct acme_conf *acme_ca_conf(const struct acme_ca *ca)
{
    return &ca->conf;
}

int64_t acme_ca_clock_ahead_s(struct acme_ca *ca)
{
    int64_t ahead;

    pthread_mutex_lock(&ca->lock);
    ahead = ca->clock_ahead_s;
    pthread_mutex_unlock(&ca->lock);
    return ahead;
}

static uint64_t now_ms(void)
{
    return uv_hrtime() / 1000000;
}

/* ---- one request ---- */

/* "HOST" of https://HOST/…, for messages. */
static struct str host_of(const char *url)
{
    const char *host = strncmp(url, "https://", 8) == 0 ? url + 8 : url;
    size_t n = strcspn(host, "/?#");

    return (struct str){ host, n < SHOWN_HOST ? n : SHOWN_HOST };
}

static void note_reply(struct acme_ca *ca, const struct fetch_reply *raw)
{
    struct str nonce = fetch_field(raw, "replay-nonce");
    int64_t date = fetch_date_s(raw);

    pthread_mutex_lock(&ca->lock);
    if (nonce.p)
        nonces_put(&ca->nonces, nonce, now_ms());
    if (date >= 0)
        ca->clock_ahead_s = (int64_t)time(NULL) - date;
    pthread_mutex_unlock(&ca->lock);
}

static enum acme_class class_of(const struct err *e)
{
    switch (e->code) {
    case ERR_STOPPED: return ACME_STOPPED;
    case ERR_INPUT:
    case ERR_MISSING: return ACME_CONFIG;
    default: return ACME_LATER;
    }
}

/* Without a word on what the reply means. */
static int ask(struct acme_ca *ca, struct job *job, const struct fetch_request *request,
               struct acme_reply *reply, struct acme_why *why)
{
    struct fetch_request q = *request;
    struct err e = { 0 };

    acme_why_free(why); /* what an earlier reply said is not true of this one, which may never come */
    if (strncmp(q.url, "https://", 8) != 0)
        return acme_fail(why, ACME_CONFIG, "%.200s is no https:// URL; a CA is asked over TLS alone", q.url);
    q.user_agent = USER_AGENT;
    q.ca_file = ca->conf.ca_file;
    q.max_bytes = ACME_MAX_BYTES;
    q.job = job;
    if (fetch(&q, &reply->raw, &e) != 0)
        return acme_fail_err(why, class_of(&e), &e);
    reply->status = reply->raw.status;
    note_reply(ca, &reply->raw);
    /* A date is one of the CA's clock. */
    reply->retry_after_ms =
        fetch_retry_after_ms(&reply->raw, (int64_t)time(NULL) - acme_ca_clock_ahead_s(ca));
    return 0;
}

void acme_reply_free(struct acme_reply *reply)
{
    json_decref(reply->json);
    fetch_reply_free(&reply->raw);
    *reply = (struct acme_reply){ 0 };
}

/* ---- what a reply means ---- */

static bool is_of_type(const struct acme_reply *reply, const char *type)
{
    struct str field = fetch_field(&reply->raw, "content-type");

    return field.n >= strlen(type) && strncasecmp(field.p, type, strlen(type)) == 0 &&
           (field.n == strlen(type) || strchr("; \t", field.p[strlen(type)]));
}

static int judge_fine(const char *url, const char *accept, struct acme_reply *reply, struct acme_why *why)
{
    struct str type = fetch_field(&reply->raw, "content-type");
    struct err e = { 0 };

    if (reply->raw.body.len == 0 || accept)
        return 0; /* whoever has asked for another kind of body looks at it */
    if (is_of_type(reply, "application/json"))
        reply->json = acme_json(buf_bytes(&reply->raw.body), reply->raw.body.len, &e);
    else
        err_set(&e, ERR_PEER, "of the type \"%.*s\", where application/json was to be",
                type.n < 60 ? (int)type.n : 60, type.p ? type.p : "");
    if (reply->json)
        return 0;
    return acme_fail(why, ACME_LATER,
                     "%.*s answers with %d and what is no ACME message: %s; is it really a CA, and no other "
                     "server in between?",
                     STR_ARG(host_of(url)), reply->status, e.text);
}

static const char *remedy_of(enum acme_class class)
{
    switch (class) {
    case ACME_LATER: return "it is asked again later";
    case ACME_REFUSED: return "it would be refused again; change the configuration";
    case ACME_ACCOUNT: return "the account needs you";
    default: return "it is tried again, more slowly";
    }
}

static int judge_refusal(const char *url, struct acme_reply *reply, struct acme_why *why)
{
    struct buf said = { 0 };
    struct err unused;

    json_decref(why->problem);
    why->problem = acme_json(buf_bytes(&reply->raw.body), reply->raw.body.len, &unused);
    why->class = acme_problem_class(why->problem, reply->status);
    acme_problem_show(why->problem, &said);
    acme_fail(why, why->class, "%.*s answers with %d, %.230s; %s", STR_ARG(host_of(url)), reply->status,
              said.len > 0 ? buf_text(&said) : "without a reason", remedy_of(why->class));
    buf_free(&said);
    return -1;
}

static int judge(const char *url, const char *accept, struct acme_reply *reply, struct acme_why *why)
{
    why->status = reply->status;
    why->retry_after_ms = reply->retry_after_ms;
    if (reply->status >= 200 && reply->status <= 299)
        return judge_fine(url, accept, reply, why);
    if (reply->status >= 300 && reply->status <= 399)
        return acme_fail(why, ACME_CONFIG,
                         "%.*s answers with %d, a redirect, which a signed request must not follow; is "
                         "`directory` right?",
                         STR_ARG(host_of(url)), reply->status);
    return judge_refusal(url, reply, why);
}

/* ---- GET ---- */

char *acme_resolve(const char *base, struct str url)
{
    struct str host = host_of(base);

    if (url.n > MAX_URL || url.n < 2)
        return NULL;
    if (url.n > 8 && strncmp(url.p, "https://", 8) == 0)
        return mem_copy_n(url.p, url.n);
    if (url.p[0] == '/' && url.p[1] != '/' && host.n < SHOWN_HOST)
        return mem_format("https://%.*s%.*s", STR_ARG(host), STR_ARG(url));
    return NULL;
}

static bool is_redirect(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

int acme_get(struct acme_ca *ca, struct job *job, const char *url, struct acme_reply *reply,
             struct acme_why *why)
{
    static const char *const headers[] = { "Accept: application/json", NO_CODING, "Cache-Control: no-cache",
                                           NULL };
    char *at = mem_copy(url), *next = NULL;
    int rc;

    for (int i = 0;; i++) {
        struct fetch_request q = { .method = "GET", .url = at, .headers = headers };

        rc = ask(ca, job, &q, reply, why);
        if (rc != 0 || !is_redirect(reply->status) || i == REDIRECTS ||
            !(next = acme_resolve(at, fetch_field(&reply->raw, "location"))))
            break;
        free(at);
        at = next;
        acme_reply_free(reply);
    }
    rc = rc == 0 ? judge(at, NULL, reply, why) : rc;
    if (rc == 0 && !reply->json)
        rc = acme_fail(why, ACME_LATER, "%.*s answers with %d and nothing", STR_ARG(host_of(at)),
                       reply->status);
    free(at);
    return rc;
}

/* ---- the directory ---- */

/* A copy, because references of one JSON value are not to be counted by two threads. */
static bool have_directory(struct acme_ca *ca, bool fresh, json_t **copy)
{
    *copy = NULL;
    pthread_mutex_lock(&ca->lock);
    if (ca->directory && (!fresh || ca->directory_until_ms > now_ms()))
        *copy = json_deep_copy(ca->directory);
    pthread_mutex_unlock(&ca->lock);
    return *copy != NULL;
}

static void keep_directory(struct acme_ca *ca, const json_t *directory)
{
    pthread_mutex_lock(&ca->lock);
    json_decref(ca->directory);
    ca->directory = json_deep_copy(directory);
    ca->directory_until_ms = now_ms() + DIRECTORY_MS;
    pthread_mutex_unlock(&ca->lock);
}

/* What it says now is to be asked anew: one of its URLs is gone. */
static void doubt_directory(struct acme_ca *ca)
{
    pthread_mutex_lock(&ca->lock);
    ca->directory_until_ms = 0;
    pthread_mutex_unlock(&ca->lock);
}

static int fetch_directory(struct acme_ca *ca, struct job *job, struct acme_directory *out,
                           struct acme_why *why)
{
    struct acme_reply reply = { 0 };
    struct err e = { 0 };
    int rc = acme_get(ca, job, ca->conf.directory, &reply, why);

    if (rc == 0 && acme_directory_read(json_incref(reply.json), out, &e) == 0)
        keep_directory(ca, out->json);
    else if (rc == 0)
        rc = acme_fail(why, ACME_CONFIG,
                       "what is at %.200s is no ACME directory: %.120s; is `directory` right?",
                       ca->conf.directory, e.text);
    acme_reply_free(&reply);
    return rc;
}

/* One asks, the others wait for what it hears. When it is not reached, what we know is good for longer. */
int acme_directory_get(struct acme_ca *ca, struct job *job, struct acme_directory *out, struct acme_why *why)
{
    json_t *copy;
    int rc = 0;

    if (have_directory(ca, true, &copy))
        return acme_directory_read(copy, out, &why->err);
    pthread_mutex_lock(&ca->asking);
    if (have_directory(ca, true, &copy))
        rc = acme_directory_read(copy, out, &why->err);
    else
        rc = fetch_directory(ca, job, out, why);
    pthread_mutex_unlock(&ca->asking);
    if (rc == 0 || why->class != ACME_LATER || !have_directory(ca, false, &copy))
        return rc;
    acme_why_free(why);
    return acme_directory_read(copy, out, &why->err);
}

/* ---- POST ---- */

static bool have_nonce(struct acme_ca *ca, char out[NONCE_BYTES])
{
    bool have;

    pthread_mutex_lock(&ca->lock);
    have = nonces_take(&ca->nonces, out, now_ms());
    pthread_mutex_unlock(&ca->lock);
    return have;
}

/* Each asks for as many as it takes, so that nobody is in want because others are quicker. */
static int take_nonce(struct acme_ca *ca, struct job *job, char out[NONCE_BYTES], struct acme_why *why)
{
    struct fetch_request q = { .method = "HEAD" };
    struct acme_directory d = { 0 };
    int rc = 0;

    if (have_nonce(ca, out))
        return 0;
    if (acme_directory_get(ca, job, &d, why) != 0)
        return -1;
    q.url = d.new_nonce;
    for (int tries = 0; rc == 0; tries++) {
        struct acme_reply reply = { 0 };

        rc = ask(ca, job, &q, &reply, why);
        rc = rc == 0 ? judge(q.url, "nothing", &reply, why) : rc;
        acme_reply_free(&reply);
        if (rc == 0 && have_nonce(ca, out))
            break;
        if (rc == 0 && tries == HEAD_TRIES)
            rc = acme_fail(why, ACME_LATER, "%.*s gives no Replay-Nonce; is it really a CA?",
                           STR_ARG(host_of(q.url)));
    }
    acme_directory_free(&d);
    return rc;
}

static int send_signed(struct acme_ca *ca, struct job *job, const struct jws *jws, const char *accept,
                       struct acme_reply *reply, struct acme_why *why)
{
    char accepted[128];
    const char *headers[] = { "Content-Type: application/jose+json", "Cache-Control: no-cache", NO_CODING,
                              accepted, NULL };
    struct buf body = { 0 };
    struct err e = { 0 };
    int rc;

    snprintf(accepted, sizeof accepted, "Accept: %s", accept ? accept : "application/json");
    rc = jws_make(jws, &body, &e);
    if (rc != 0)
        rc = acme_fail_err(why, ACME_CONFIG, &e);
    else
        rc = ask(ca, job,
                 &(struct fetch_request){ .method = "POST",
                                          .url = jws->url,
                                          .headers = headers,
                                          .body = buf_bytes(&body),
                                          .body_n = body.len },
                 reply, why);
    buf_free(&body);
    return rc == 0 ? judge(jws->url, accept, reply, why) : rc;
}

static int pause_for_nonce(struct job *job, int tries, struct acme_why *why)
{
    if (tries < NONCE_TRIES_AT_ONCE || job_sleep(job, NONCE_PAUSE_MS))
        return 0;
    return acme_fail(why, ACME_STOPPED, "the request was given up, as asked");
}

int acme_post(struct acme_ca *ca, struct job *job, const struct acme_by *by, const char *url,
              const json_t *payload, const char *accept, struct acme_reply *reply, struct acme_why *why)
{
    char *text = payload ? json_dumps(payload, JSON_COMPACT) : mem_copy("");
    char nonce[NONCE_BYTES];
    struct jws jws = { .key = by->key, .kid = by->kid, .nonce = nonce, .url = url, .payload = text };
    int rc;

    for (int tries = 1;; tries++) {
        rc = take_nonce(ca, job, nonce, why);
        rc = rc == 0 ? send_signed(ca, job, &jws, accept, reply, why) : rc;
        if (rc == 0 || why->class != ACME_BAD_NONCE)
            break;
        if (tries == NONCE_TRIES) {
            acme_fail(why, ACME_LATER, "%.*s refuses each of %d nonces that it gave; it is asked again later",
                      STR_ARG(host_of(url)), tries);
            break;
        }
        acme_reply_free(reply);
        acme_why_free(why);
        rc = pause_for_nonce(job, tries, why);
        if (rc != 0)
            break;
    }
    if (rc != 0 && why->status == 404)
        doubt_directory(ca);
    free(text);
    return rc;
}

int acme_location(const char *asked, const struct acme_reply *reply, char **url, struct acme_why *why)
{
    *url = acme_resolve(asked, fetch_field(&reply->raw, "location"));
    return *url ? 0
                : acme_fail(why, ACME_LATER,
                            "the CA answers with %d, and does not say in Location where what it made is",
                            reply->status);
}
