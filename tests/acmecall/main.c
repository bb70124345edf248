/* acmecall: talks to an ACME server, for tests: what the relay does, without a relay.
 *
 *   acmecall KEY=VALUE... order NAME... | thumbprint | account | rollover | deactivate | revoke FILE REASON [KEYFILE] |
 *                         renewal-info ID | certs-of FILE
 *
 * KEYs: directory ca_file email eab_kid eab_key_file folder, and of an order challenges (a list) profile preferred_chain
 * replaces key key_file resume_url timeout_ms. Answers to challenges: www=FOLDER gets FOLDER/TOKEN (http-01), and
 * dns=http://HOST:PORT is pebble-challtestsrv's management (dns-01); tls-alpn-01 is shown to nobody; unable=TYPE fails to be
 * shown; out=FILE gets the chain. stop_at=open|put|taken: the job is cancelled there. Several calls in one process: one
 * behind a "then" waits for those before it, one behind an "and" does not; "KEY=VALUE"s in front of one hold from there on.
 * Prints a line of JSON for each. Ends with 0 unless used
 * wrongly. */
#include "relay/certs/account.h"
#include "relay/certs/order.h"
#include "relay/certs/renewal_info.h"
#include "relay/certs/revoke.h"
#include "shared/file.h"
#include "shared/json.h"
#include "shared/loop.h"
#include "shared/mem.h"

#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct call {
    struct acme_conf conf;
    const char *challenges, *profile, *preferred_chain, *replaces, *key, *key_file, *resume_url, *timeout_ms,
        *www, *dns, *unable, *out, *stop_at;
    struct acme_ca *ca;
    struct job *job;
    int argc;
    char **argv;
    json_t *said, *notes, *shown; /* what is printed */
};

#define KEY(name)                          \
    {                                      \
#name, offsetof(struct call, name) \
    }
#define CONF(name)                              \
    {                                           \
#name, offsetof(struct call, conf.name) \
    }

static const struct {
    const char *name;
    size_t offset;
} keys[] = {
    CONF(directory), CONF(ca_file),        CONF(email),   CONF(eab_kid), CONF(eab_key_file), CONF(folder),
    KEY(challenges), KEY(profile),         KEY(key),      KEY(key_file), KEY(resume_url),    KEY(timeout_ms),
    KEY(www),        KEY(preferred_chain), KEY(replaces), KEY(dns),      KEY(unable),        KEY(out),
    KEY(stop_at),
};

static void usage(const char *why)
{
    fprintf(stderr, "acmecall: %s; see the top of tests/acmecall/main.c\n", why);
    exit(2);
}

static bool set_key(struct call *c, const char *arg)
{
    size_t n = strcspn(arg, "=");

    for (size_t i = 0; i < sizeof keys / sizeof keys[0] && arg[n] == '='; i++)
        if (strlen(keys[i].name) == n && strncmp(arg, keys[i].name, n) == 0) {
            *(const char **)(void *)((char *)c + keys[i].offset) = arg + n + 1;
            return true;
        }
    return false;
}

static void stop_at(const struct call *c, const char *where)
{
    if (c->stop_at && strcmp(c->stop_at, where) == 0 && c->job)
        job_cancel(c->job);
}

/* ---- showing answers ---- */

static int tell_dns(const struct call *c, const char *what, const struct challenge *challenge, struct err *e)
{
    char *url = mem_format("%s/%s", c->dns ? c->dns : "http://127.0.0.1:9", what),
         *body = mem_format("{\"host\":\"_acme-challenge.%s.\",\"value\":\"%s\"}", challenge->name,
                            challenge->digest);
    struct fetch_request q = {
        .method = "POST", .url = url, .body = body, .body_n = strlen(body), .direct = true
    };
    struct fetch_reply reply = { 0 };
    int rc = fetch(&q, &reply, e);

    fetch_reply_free(&reply);
    free(url);
    free(body);
    return rc;
}

static char *token_file(const struct call *c, const struct challenge *challenge)
{
    return mem_format("%s/%s", c->www ? c->www : "/nonexistent", challenge->token);
}

static int put(void *user, const struct challenge *challenge, struct job *job, struct err *e)
{
    struct call *c = user;
    char *path;
    int rc = 0;

    (void)job;
    json_array_append_new(c->shown,
                          json_sprintf("%s %s", challenge_type_name(challenge->type), challenge->name));
    if (c->unable && strcmp(c->unable, challenge_type_name(challenge->type)) == 0)
        return err_set(e, ERR_SYSTEM, "cannot be shown, because the test says so");
    if (challenge->type == CHALLENGE_DNS_01)
        rc = tell_dns(c, "set-txt", challenge, e);
    if (challenge->type == CHALLENGE_HTTP_01) {
        path = token_file(c, challenge);
        rc = file_write(path, challenge->key_authorization, strlen(challenge->key_authorization), 0644, e);
        free(path);
    }
    stop_at(c, "put");
    return rc;
}

static void take_away(void *user, const struct challenge *challenge)
{
    struct call *c = user;
    struct err unused;

    if (challenge->type == CHALLENGE_DNS_01 && tell_dns(c, "clear-txt", challenge, &unused) != 0)
        usage("dns= does not answer");
    if (challenge->type == CHALLENGE_HTTP_01) {
        char *path = token_file(c, challenge);

        unlink(path);
        free(path);
    }
    json_array_append_new(c->shown,
                          json_sprintf("-%s %s", challenge_type_name(challenge->type), challenge->name));
    stop_at(c, "taken");
}

/* ---- calls ---- */

static void note(void *user, const char *url)
{
    struct call *c = user;

    json_array_append_new(c->notes, url ? json_string(url) : json_null());
    stop_at(c, "open");
}

static void print_why(struct call *c, int rc, const struct acme_why *why)
{
    json_object_set_new(c->said, "class", json_string(acme_class_text(rc == 0 ? ACME_OK : why->class)));
    json_object_set_new(c->said, "text", json_any_text(rc == 0 ? "" : why->err.text));
    json_object_set_new(c->said, "retry_after_ms", json_integer(why->retry_after_ms));
}

static void print_result(struct call *c, int rc, const struct order_result *r, const struct err *e)
{
    json_t *failures = json_array();

    for (size_t i = 0; i < r->failures_n; i++)
        json_array_append_new(failures, json_pack("{s:s,s:s,s:o,s:i,s:I}", "name", r->failures[i].name,
                                                  "class", acme_class_text(r->failures[i].class), "text",
                                                  json_any_text(r->failures[i].text), "validations",
                                                  (int)r->failures[i].validations, "retry_after_ms",
                                                  (json_int_t)r->failures[i].retry_after_ms));
    json_object_set_new(c->said, "class", json_string(acme_class_text(rc == 0 ? ACME_OK : r->class)));
    json_object_set_new(c->said, "text", json_any_text(rc == 0 ? "" : e->text));
    json_object_set_new(c->said, "retry_after_ms", json_integer(r->retry_after_ms));
    json_object_set_new(c->said, "failures", failures);
    json_object_set_new(c->said, "orders", json_integer(r->orders));
    json_object_set_new(c->said, "other_chain", json_boolean(r->other_chain));
    json_object_set_new(c->said, "without_replaces", json_boolean(r->without_replaces));
}

static void read_ask(struct call *c, struct order_ask *ask)
{
    struct str rest = str_of(c->challenges ? c->challenges : "http-01"), word;
    struct err e;

    while (str_next_word(&rest, ",", &word)) {
        char name[32];

        snprintf(name, sizeof name, "%.*s", STR_ARG(word));
        if (ask->challenges_n == CHALLENGE_TYPES ||
            !challenge_type_find(name, &ask->challenges[ask->challenges_n++]))
            usage("challenges=");
    }
    if (key_type_read(str_of(c->key ? c->key : "ecdsa"), &ask->key, &e) != 0)
        usage(e.text);
    ask->timeout_ms = c->timeout_ms ? atoll(c->timeout_ms) : 0;
}

static void order(struct call *c)
{
    struct challenge_ways ways = { .put = put, .take_away = take_away, .user = c };
    struct order_ask ask = { .ca = c->ca,
                             .names = (const char *const *)c->argv + 1,
                             .names_n = (size_t)c->argc - 1,
                             .ways = { &ways, &ways, &ways },
                             .profile = c->profile,
                             .preferred_chain = c->preferred_chain,
                             .replaces = c->replaces,
                             .key_file = c->key_file,
                             .resume_url = c->resume_url,
                             .job = c->job,
                             .note = note,
                             .user = c };
    struct order_result result = { 0 };
    struct err e = { 0 };
    int rc;

    read_ask(c, &ask);
    rc = order_run(&ask, &result, &e);
    print_result(c, rc, &result, &e);
    if (rc == 0 && c->out &&
        (file_write(c->out, result.chain_pem, strlen(result.chain_pem), 0644, &e) != 0 || !result.key))
        usage(e.text);
    order_result_free(&result);
}

static void account(struct call *c)
{
    struct acme_why why;
    char *url = NULL;
    int rc;

    acme_why_init(&why);
    rc = account_url(c->ca, c->job, &url, &why);
    if (rc == 0)
        json_object_set_new(c->said, "url", json_string(url));
    print_why(c, rc, &why);
    acme_why_free(&why);
    free(url);
}

static void renewal_info(struct call *c)
{
    struct acme_window window = { 0 };
    struct acme_why why;
    int64_t again_ms;
    int rc;

    acme_why_init(&why);
    rc = renewal_info_get(c->ca, c->job, c->argv[1], &window, &again_ms, &why);
    print_why(c, rc, &why);
    json_object_set_new(c->said, "start", json_time(window.start));
    json_object_set_new(c->said, "end", json_time(window.end));
    json_object_set_new(c->said, "explanation", json_string(window.explanation));
    json_object_set_new(c->said, "again_ms", json_integer(again_ms));
    acme_why_free(&why);
}

static void take_back(struct call *c)
{
    struct signer *key = NULL;
    struct buf pem = { 0 };
    struct acme_why why;
    struct err e;
    int rc;

    acme_why_init(&why);
    if (file_read(c->argv[1], 1 << 20, &pem, &e) != 0 ||
        (c->argc > 3 && !(key = signer_load(c->argv[3], &e))))
        usage(e.text);
    rc = revoke_run(c->ca, c->job, buf_text(&pem), key, (enum revoke_reason)atoi(c->argv[2]), &why);
    print_why(c, rc, &why);
    signer_free(key);
    buf_free(&pem);
    acme_why_free(&why);
}

static void change(struct call *c, int (*how)(struct acme_ca *ca, struct job *job, struct acme_why *why))
{
    struct acme_why why;
    int rc;

    acme_why_init(&why);
    rc = how(c->ca, c->job, &why);
    print_why(c, rc, &why);
    acme_why_free(&why);
}

static void run_call(struct call *c)
{
    const char *what = c->argv[0];

    if (strcmp(what, "order") == 0 && c->argc > 1)
        order(c);
    else if (strcmp(what, "account") == 0)
        account(c);
    else if (strcmp(what, "rollover") == 0)
        change(c, account_rollover);
    else if (strcmp(what, "deactivate") == 0)
        change(c, account_deactivate);
    else if (strcmp(what, "revoke") == 0 && c->argc > 2)
        take_back(c);
    else if (strcmp(what, "renewal-info") == 0 && c->argc > 1)
        renewal_info(c);
    else
        usage(what);
}

/* ---- one after the other, each as a job on a loop ---- */

static void on_run(struct job *job, void *user)
{
    struct call *c = user;

    c->job = job;
    run_call(c);
}

static void on_ended(void *user)
{
    struct call *c = user;

    c->job = NULL;
}

static void print(struct call *c)
{
    struct buf line = { 0 };

    json_object_set_new(c->said, "notes", c->notes);
    json_object_set_new(c->said, "shown", c->shown);
    json_write(&line, c->said);
    fputs(buf_text(&line), stdout);
    fflush(stdout);
    buf_free(&line);
    json_decref(c->said);
}

/* Side by side. */
static void run_all(struct call *calls, size_t n)
{
    struct loop loop;
    struct err e;

    if (loop_init(&loop, &e) != 0)
        usage(e.text);
    for (size_t i = 0; i < n; i++) {
        calls[i].said = json_object();
        calls[i].notes = json_array();
        calls[i].shown = json_array();
        if (!job_start(&loop, on_run, on_ended, &calls[i], &e))
            usage(e.text);
    }
    loop_run(&loop);
    loop_free(&loop);
    for (size_t i = 0; i < n; i++)
        print(&calls[i]);
}

/* Its keys and words; returns how many they are. */
static int read_call(struct call *c, int argc, char **argv)
{
    int at = 0;

    for (; at < argc && set_key(c, argv[at]); at++)
        ;
    c->argv = argv + at;
    for (c->argc = 0; at < argc && strcmp(argv[at], "then") != 0 && strcmp(argv[at], "and") != 0; at++)
        c->argc++;
    return at;
}

int main(int argc, char **argv)
{
    enum { AT_ONCE = 64 };
    static struct call calls[AT_ONCE];
    struct call c = { .conf = { .name = "test" } };
    size_t n = 0;

    signal(SIGPIPE, SIG_IGN);
    for (int at = 1; at < argc; at++) { /* behind "then" or "and" */
        at += read_call(&c, argc - at, argv + at);
        if (!c.conf.directory || !c.conf.folder)
            usage("directory= and folder= are missing");
        if (!c.ca)
            c.ca = acme_ca_new(&c.conf);
        if (c.argc > 0 && n < AT_ONCE)
            calls[n++] = c;
        if (at < argc && strcmp(argv[at], "and") == 0)
            continue;
        run_all(calls, n);
        n = 0;
    }
    run_all(calls, n);
    acme_ca_free(c.ca);
    return 0;
}
