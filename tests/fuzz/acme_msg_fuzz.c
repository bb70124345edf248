/* What a certificate authority says: the first byte chooses as what it is read. Refused with a reason, or what was read
 * holds what its header promises. */
#include "relay/certs/acme_msg.h"
#include "relay/certs/acme_problem.h"
#include "relay/certs/challenge.h"
#include "tests/fuzz/must.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void is_url(const char *url)
{
    must(url && strncmp(url, "https://", 8) == 0);
}

/* It stands in a line of the log, and on a terminal. */
static void is_printable(const char *text)
{
    for (; *text; text++)
        must((unsigned char)*text >= ' ' && *text != 0x7f);
}

static void look_at_problem(const json_t *problem)
{
    struct buf text = { 0 };
    const json_t *sub;
    const char *name;

    must(acme_problem_type(problem));
    must(acme_class_text(acme_problem_class(problem, 400)));
    acme_problem_show(problem, &text);
    is_printable(buf_text(&text));
    buf_free(&text);
    for (size_t i = 0; (sub = acme_subproblem(problem, i, &name)); i++) {
        must(name);
        look_at_problem(sub);
    }
}

static int read_directory(json_t *json, struct err *e)
{
    struct acme_directory d = { 0 };
    int rc = acme_directory_read(json_incref(json), &d, e);

    if (rc == 0) {
        is_url(d.new_nonce);
        is_url(d.new_account);
        is_url(d.new_order);
        is_url(d.revoke_cert);
        must(d.terms);
        must(acme_profile_check(&d, "no such profile", e) < 0 && e->text[0]);
    }
    acme_directory_free(&d);
    return rc;
}

static int read_order(json_t *json, struct err *e)
{
    struct acme_order o = { 0 };
    int rc = acme_order_read(json_incref(json), &o, e);

    if (rc == 0) {
        must(acme_status_text(o.status));
        is_url(o.finalize);
        must(json_array_size(o.identifiers) <= ACME_MAX_NAMES);
        for (size_t i = 0; i < json_array_size(o.authorizations); i++)
            is_url(json_string_value(json_array_get(o.authorizations, i)));
        if (o.certificate)
            is_url(o.certificate);
        if (o.error)
            look_at_problem(o.error);
    }
    acme_order_free(&o);
    return rc;
}

static int read_authorization(json_t *json, struct err *e)
{
    struct acme_authorization a = { 0 };
    int rc = acme_authorization_read(json_incref(json), &a, e);

    if (rc == 0) {
        must(a.name && a.name[0] && a.challenges_n <= ACME_MAX_CHALLENGES);
        for (size_t i = 0; i < a.challenges_n; i++) {
            is_url(a.challenges[i].url);
            must(challenge_token_is_valid(a.challenges[i].token)); /* it becomes part of a path */
            if (a.challenges[i].error)
                look_at_problem(a.challenges[i].error);
        }
    }
    acme_authorization_free(&a);
    return rc;
}

static int read_window(const json_t *json, struct err *e)
{
    struct acme_window w = { 0 };
    int rc = acme_window_read(json, &w, e);

    if (rc == 0) {
        must(w.start <= w.end);
        must(memchr(w.explanation, '\0', sizeof(w.explanation)));
        is_printable(w.explanation);
    }
    return rc;
}

static int read_as(unsigned kind, json_t *json, struct err *e)
{
    enum acme_status status;

    switch (kind) {
    case 0: return read_directory(json, e);
    case 1: return acme_account_read(json, &status, e);
    case 2: return read_order(json, e);
    case 3: return read_authorization(json, e);
    case 4: return read_window(json, e);
    default: look_at_problem(json); return 0;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err e = { 0 };
    char text[64] = "";
    time_t at;
    json_t *json;

    if (size == 0)
        return 0;
    json = acme_json((const char *)data + 1, size - 1, &e);
    must(json ? json_is_object(json) : e.text[0] != '\0');
    if (json && read_as((data[0] - '0') % 6u, json, &e) < 0)
        must(e.text[0]);
    json_decref(json);
    memcpy(text, data, size < sizeof(text) ? size : sizeof(text) - 1);
    if (acme_time_read(text, &at, &e) < 0)
        must(e.text[0]);
    return 0;
}
