/* shared/err.h - an error that says what failed, on which input, and what to do.
 *
 * A plain value on the caller's stack; nothing to free. Whoever detects the failure sets it, whoever knows more
 * context wraps it on the way up, and only the top of a life logs it. */
#ifndef SHARED_ERR_H
#define SHARED_ERR_H

#define must_check           __attribute__((warn_unused_result))
#define printf_like(fmt, at) __attribute__((format(printf, fmt, at)))

enum err_code { /* only what a caller branches on */
                ERR_NONE,
                ERR_INPUT,   /* what we were given is wrong: a file, an argument, a message */
                ERR_SYSTEM,  /* the machine said no: a system call failed */
                ERR_MISSING, /* the thing asked for does not exist */
                ERR_TAKEN,   /* somebody else holds it */
                ERR_PEER,    /* the other side broke the rules or went away */
                ERR_LIMIT,   /* larger or more than we allow */
                ERR_TIMEOUT,
                ERR_STOPPED, /* we were told to end */
};

struct err {
    enum err_code code;
    char text[400];
};

/* Sets code and text. Returns -1, so that `return err_set(…)` ends a fallible function. e may be NULL. */
int err_set(struct err *e, enum err_code code, const char *fmt, ...) printf_like(3, 4);
/* Like err_set with ERR_SYSTEM (ERR_MISSING for ENOENT), and ": " with the text of the errno given at the end. */
int err_errno(struct err *e, int number, const char *fmt, ...) printf_like(3, 4);
/* Puts context and ": " in front of the text and keeps the code. Returns -1. */
int err_wrap(struct err *e, const char *fmt, ...) printf_like(2, 3);

/* So that compilers and analysers see the -1, and know which paths have failed. */
static inline int err_failed(int always)
{
    (void)always;
    return -1;
}
#define err_set(...)   err_failed((err_set)(__VA_ARGS__))
#define err_errno(...) err_failed((err_errno)(__VA_ARGS__))
#define err_wrap(...)  err_failed((err_wrap)(__VA_ARGS__))
#endif
