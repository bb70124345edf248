#include "relay/certs/acme_problem.h"

#include "shared/value.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { SHOWN_CHARS = 600, SHOWN_SUBPROBLEMS = 100 };

/* ---- what it means ---- */

static const char *const class_texts[] = {
    [ACME_OK] = "ok",
    [ACME_LATER] = "later",
    [ACME_CONFIG] = "config",
    [ACME_REFUSED] = "refused",
    [ACME_ACCOUNT] = "account",
    [ACME_REPLACED] = "replaced",
    [ACME_STOPPED] = "stopped",
    [ACME_BAD_NONCE] = "bad-nonce",
    [ACME_NOT_READY] = "not-ready",
    [ACME_NO_ACCOUNT] = "no-account",
};

const char *acme_class_text(enum acme_class class)
{
    return class_texts[class];
}

/* What is not in here goes by its status: a 4xx is tried again slowly, because what we do not know may pass by itself. */
static const struct {
    const char *type;
    enum acme_class class;
} classes[] = {
    { "badNonce", ACME_BAD_NONCE },
    { "rateLimited", ACME_LATER },
    { "serverInternal", ACME_LATER },
    { "connection", ACME_LATER },
    { "dns", ACME_CONFIG },
    { "unauthorized", ACME_CONFIG },
    { "incorrectResponse", ACME_CONFIG },
    { "tls", ACME_CONFIG },
    { "caa", ACME_CONFIG },
    { "rejectedIdentifier", ACME_REFUSED },
    { "unsupportedIdentifier", ACME_REFUSED },
    { "badCSR", ACME_REFUSED },
    { "invalidProfile", ACME_REFUSED },
    { "badPublicKey", ACME_REFUSED },
    { "badSignatureAlgorithm", ACME_REFUSED },
    { "badRevocationReason", ACME_REFUSED },
    { "alreadyRevoked", ACME_REFUSED },
    { "alreadyReplaced", ACME_REPLACED },
    { "orderNotReady", ACME_NOT_READY },
    { "accountDoesNotExist", ACME_NO_ACCOUNT },
    { "externalAccountRequired", ACME_ACCOUNT },
    { "userActionRequired", ACME_ACCOUNT },
    { "invalidContact", ACME_ACCOUNT },
    { "unsupportedContact", ACME_ACCOUNT },
};

static enum acme_class class_of_type(const char *type)
{
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++)
        if (strcmp(type, classes[i].type) == 0)
            return classes[i].class;
    return ACME_OK; /* unknown */
}

static enum acme_class class_of_status(int status)
{
    return status == 408 || status == 429 || status >= 500 || status < 400 ? ACME_LATER : ACME_CONFIG;
}

/* When all subproblems mean the same, that is it. */
static enum acme_class class_of_subproblems(const json_t *problem)
{
    enum acme_class class = ACME_OK;
    const json_t *sub;
    const char *name;

    for (size_t i = 0; (sub = acme_subproblem(problem, i, &name)); i++) {
        enum acme_class one = class_of_type(acme_problem_type(sub));

        if (i > 0 && one != class)
            return ACME_OK;
        class = one;
    }
    return class;
}

enum acme_class acme_problem_class(const json_t *problem, int status)
{
    enum acme_class class = class_of_type(acme_problem_type(problem));

    if (class == ACME_OK)
        class = class_of_subproblems(problem);
    return class == ACME_OK ? class_of_status(status) : class;
}

/* ---- what it says ---- */

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

const char *acme_problem_type(const json_t *problem)
{
    static const char urn[] = "urn:ietf:params:acme:error:";
    const char *type = text_of(problem, "type");

    return strncmp(type, urn, sizeof urn - 1) == 0 ? type + sizeof urn - 1 : type;
}

bool acme_problem_is(const struct acme_why *why, const char *type)
{
    return strcmp(acme_problem_type(why->problem), type) == 0;
}

const json_t *acme_subproblem(const json_t *problem, size_t i, const char **name)
{
    const json_t *sub = json_array_get(json_object_get(problem, "subproblems"), i);

    *name = text_of(json_object_get(sub, "identifier"), "value");
    return i < SHOWN_SUBPROBLEMS && json_is_object(sub) ? sub : NULL;
}

/* "TYPE: DETAIL", or what there is of it. */
static void show_one(const json_t *problem, struct buf *out)
{
    const char *type = acme_problem_type(problem), *detail = text_of(problem, "detail");

    if (*type) {
        value_show(out, str_of(type), VALUE_SHOWN_CHARS);
        buf_add_text(out, *detail ? ": " : "");
    }
    value_show(out, str_of(detail), SHOWN_CHARS);
}

void acme_problem_show(const json_t *problem, struct buf *out)
{
    const char *name, *link = text_of(problem, "instance");
    const json_t *sub;

    show_one(problem, out);
    if (*link) {
        buf_add_text(out, " (see ");
        value_show(out, str_of(link), SHOWN_CHARS);
        buf_add_text(out, ")");
    }
    for (size_t i = 0; (sub = acme_subproblem(problem, i, &name)); i++) {
        buf_add_text(out, "; ");
        value_show(out, str_of(name), VALUE_SHOWN_CHARS);
        buf_add_text(out, *name ? ": " : "");
        show_one(sub, out);
    }
}

/* ---- why ---- */

void acme_why_init(struct acme_why *why)
{
    *why = (struct acme_why){ .retry_after_ms = -1 };
}

void acme_why_free(struct acme_why *why)
{
    json_decref(why->problem);
    acme_why_init(why);
}

int(acme_fail)(struct acme_why *why, enum acme_class class, const char *fmt, ...)
{
    char text[sizeof why->err.text];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    why->class = class;
    return err_set(&why->err, class == ACME_STOPPED ? ERR_STOPPED : ERR_PEER, "%s", text);
}

int(acme_fail_err)(struct acme_why *why, enum acme_class class, const struct err *e)
{
    why->class = e->code == ERR_STOPPED ? ACME_STOPPED : class;
    why->err = *e;
    return -1;
}
