/* relay/certs/acme_problem.h - what went wrong at a CA, in its words (RFC 7807) and in ours. Pure. */
#ifndef RELAY_CERTS_ACME_PROBLEM_H
#define RELAY_CERTS_ACME_PROBLEM_H
#include "relay/certs/acme_class.h"
#include "shared/buf.h"
#include "shared/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A value; what the CA sent is freed by acme_why_free. */
struct acme_why {
    enum acme_class class;
    int64_t retry_after_ms; /* -1: nothing said */
    int status;             /* of the reply; 0: there was none */
    struct err err;
    json_t *problem; /* what the CA sent, or NULL */
};

void acme_why_init(struct acme_why *why);
void acme_why_free(struct acme_why *why); /* leaves one to be used again */
/* Sets class and text; returns -1. */
int acme_fail(struct acme_why *why, enum acme_class class, const char *fmt, ...) printf_like(3, 4);
/* A failure of ours, such as a file that cannot be written. Returns -1. */
int acme_fail_err(struct acme_why *why, enum acme_class class, const struct err *e);
#define acme_fail(...)     err_failed((acme_fail)(__VA_ARGS__))
#define acme_fail_err(...) err_failed((acme_fail_err)(__VA_ARGS__))

/* The type without its urn: "rateLimited"; "" when there is none. */
const char *acme_problem_type(const json_t *problem);
bool acme_problem_is(const struct acme_why *why, const char *type);
/* By the type, by the subproblems of one that has no type of its own, else by the status. */
enum acme_class acme_problem_class(const json_t *problem, int status);
/* Adds what it says, with every subproblem and the link to more, as it may be shown to a person. */
void acme_problem_show(const json_t *problem, struct buf *out);
/* Subproblem i, or NULL behind the last; *name: whose it is, or "". Borrowed. */
const json_t *acme_subproblem(const json_t *problem, size_t i, const char **name);
#endif
