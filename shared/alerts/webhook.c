#include "shared/alerts/webhook.h"

#include "shared/http/fetch.h"
#include "shared/json.h"
#include "shared/mem.h"
#include "shared/secret.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { URL_BYTES = 2000, TOKEN_BYTES = 4000, ANSWER_BYTES = 64 * 1024, HEADERS = 6 };

struct webhook_post {
    struct job *job;
    char *text, *token_file, *agent;
    struct webhook at; /* of text */
    struct event_message message;
    struct webhook_end end;
    void (*ended)(void *user, const struct webhook_end *end);
    void *user;
};

/* ---- the option's value ---- */

/* What stands behind the word and blanks; NULL: another word stands there. */
static const char *behind(const char *text, const char *word)
{
    size_t n = strlen(word);

    if (strncmp(text, word, n) != 0 || (text[n] != ' ' && text[n] != '\t'))
        return NULL;
    return text + n + strspn(text + n, " \t");
}

int webhook_read(struct webhook *w, const char *text, struct err *e)
{
    static const char forms[] = "write https://HOST/PATH (JSON is sent) or ntfy https://HOST/TOPIC";
    const char *json = behind(text, "json"), *ntfy = behind(text, "ntfy"), *host, *at;
    size_t n;

    *w = (struct webhook){ .ntfy = ntfy != NULL, .url = ntfy ? ntfy : json ? json : text };
    if (strncmp(w->url, "https://", 8) != 0 && strncmp(w->url, "http://", 7) != 0)
        return err_set(e, ERR_INPUT, "is no URL; %s", forms);
    for (const char *c = w->url; *c; c++)
        if ((unsigned char)*c <= ' ' || (unsigned char)*c >= 0x7f)
            return err_set(e, ERR_INPUT,
                           "holds a blank or a character that a URL does not have; write it as %%NN, and %s",
                           forms);
    host = strstr(w->url, "://") + 3;
    n = strcspn(host, "/?#");
    if ((at = memrchr(host, '@', n))) {
        w->has_credentials = true;
        n -= (size_t)(at + 1 - host);
        host = at + 1;
    }
    if (n == 0 || *host == ':' || n >= sizeof w->host || strlen(w->url) > URL_BYTES)
        return err_set(e, ERR_INPUT, "%s; %s", n == 0 || *host == ':' ? "names no host" : "is too long",
                       forms);
    snprintf(w->host, sizeof w->host, "%.*s", (int)n, host);
    return 0;
}

/* ---- what was answered ---- */

enum webhook_verdict webhook_judge(int status, const char *host, struct err *why)
{
    if (status >= 200 && status < 300)
        return WEBHOOK_TAKEN;
    if (status == 408 || status == 425 || status == 429 || status >= 500) {
        (void)err_set(why, ERR_PEER,
                      status == 429 ? "%s answers %d, it is being asked too often; it is tried again"
                                    : "%s answers %d; is that server well? it is tried again",
                      host, status);
        return WEBHOOK_LATER;
    }
    if (status == 401 || status == 403)
        (void)err_set(
            why, ERR_PEER,
            "%s answers %d, it does not let us in; put the token that it wants into webhook_token_file", host,
            status);
    else if (status >= 300 && status < 400)
        (void)err_set(
            why, ERR_PEER,
            "%s answers %d and names another address, which is not followed; write that one as webhook", host,
            status);
    else
        (void)err_set(
            why, ERR_PEER,
            "%s answers %d, it takes no such message; compare webhook with what that service asks for", host,
            status);
    return WEBHOOK_REFUSED;
}

/* ---- one post ---- */

static int add_token(struct buf *field, const char *token_file, struct err *e)
{
    struct secret token = { 0 };
    int rc = secret_load_from(&token, token_file, TOKEN_BYTES, e);

    for (size_t i = 0; rc == 0 && i < token.n; i++)
        if (token.bytes[i] <= ' ' || token.bytes[i] >= 0x7f)
            rc = err_set(e, ERR_INPUT, "%s holds a blank or a further line; it has to hold the token alone",
                         token_file);
    if (rc == 0) {
        buf_add_text(field, "Authorization: Bearer ");
        buf_add(field, token.bytes, token.n);
    }
    secret_free(&token);
    return rc;
}

/* There is no answer. */
static void not_asked(struct webhook_post *p)
{
    char why[sizeof p->end.why.text];

    p->end.verdict = p->end.why.code == ERR_INPUT ? WEBHOOK_REFUSED : WEBHOOK_LATER;
    if (p->end.why.code != ERR_PEER && p->end.why.code != ERR_TIMEOUT)
        return;
    snprintf(why, sizeof why, "%.300s", p->end.why.text);
    (void)err_set(&p->end.why, p->end.why.code, "%s; is it there, and does this machine reach it?", why);
}

static void post_now(struct webhook_post *p, struct job *job, struct buf *token)
{
    char title[sizeof p->message.title + 16], priority[32], tags[80];
    const char *headers[HEADERS] = { p->at.ntfy ? "Content-Type: text/plain; charset=utf-8"
                                                : "Content-Type: application/json" };
    const struct fetch_request q = { .method = "POST",
                                     .url = p->at.url,
                                     .headers = headers,
                                     .body = buf_bytes(&p->message.body),
                                     .body_n = p->message.body.len,
                                     .user_agent = p->agent,
                                     .max_bytes = ANSWER_BYTES,
                                     .job = job };
    struct fetch_reply reply = { 0 };
    size_t n = 1;
    int rc;

    if (p->at.ntfy) {
        snprintf(title, sizeof title, "Title: %s", p->message.title);
        snprintf(priority, sizeof priority, "Priority: %s", p->message.priority);
        snprintf(tags, sizeof tags, "Tags: %s", p->message.tags);
        headers[n++] = title;
        headers[n++] = priority;
        headers[n++] = tags;
    }
    if (token->len > 0)
        headers[n++] = buf_text(token);
    rc = fetch(&q, &reply, &p->end.why);
    if (rc != 0 && (reply.status < 200 || reply.status >= 300)) /* an answer's content does not matter */
        not_asked(p);
    else
        p->end.verdict = webhook_judge(reply.status, p->at.host, &p->end.why);
    p->end.retry_after_ms = fetch_retry_after_ms(&reply, time(NULL));
    fetch_reply_free(&reply);
}

static void on_thread(struct job *job, void *user)
{
    struct webhook_post *p = user;
    struct buf token = { 0 };

    p->end = (struct webhook_end){ .verdict = WEBHOOK_LATER, .retry_after_ms = -1 };
    if (!*p->token_file || add_token(&token, p->token_file, &p->end.why) == 0)
        post_now(p, job, &token);
    else
        (void)err_wrap(&p->end.why, "webhook_token_file");
    if (token.len > 0)
        explicit_bzero((char *)(uintptr_t)buf_bytes(&token), token.len);
    buf_free(&token);
    fetch_rest();
}

static void post_free(struct webhook_post *p)
{
    buf_free(&p->message.body);
    free(p->text);
    free(p->token_file);
    free(p->agent);
    free(p);
}

static void on_ended(void *user)
{
    struct webhook_post *p = user;
    void (*ended)(void *user, const struct webhook_end *end) = p->ended;
    const struct webhook_end end = p->end;

    user = p->user;
    post_free(p);
    ended(user, &end);
}

struct webhook_post *webhook_post(struct loop *loop, const char *text, const char *token_file,
                                  const struct event *event, const struct event_source *source,
                                  void (*ended)(void *user, const struct webhook_end *end), void *user,
                                  struct err *e)
{
    struct webhook_post *p = mem_new(sizeof *p);
    json_t *json;

    p->text = mem_copy(text);
    p->token_file = mem_copy(token_file);
    p->agent = mem_format("tunnel-%s/%s%s", source->role, TUNNEL_VERSION, TUNNEL_CONTACT);
    p->ended = ended;
    p->user = user;
    if (webhook_read(&p->at, p->text, e) != 0) {
        post_free(p);
        return NULL;
    }
    if (p->at.ntfy) {
        event_ntfy(&p->message, event, source);
    } else {
        json = event_json(event, source);
        json_write(&p->message.body, json);
        json_decref(json);
    }
    p->job = job_start(loop, on_thread, on_ended, p, e);
    if (p->job)
        return p;
    post_free(p);
    return NULL;
}

void webhook_cancel(struct webhook_post *post)
{
    job_cancel(post->job);
}
