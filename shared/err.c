#include "shared/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int(err_set)(struct err *e, enum err_code code, const char *fmt, ...)
{
    va_list args;

    if (!e)
        return -1;
    e->code = code;
    va_start(args, fmt);
    vsnprintf(e->text, sizeof e->text, fmt, args);
    va_end(args);
    return -1;
}

int(err_errno)(struct err *e, int number, const char *fmt, ...)
{
    char reason[128];
    va_list args;
    size_t used;

    if (!e)
        return -1;
    e->code = number == ENOENT ? ERR_MISSING : ERR_SYSTEM;
    va_start(args, fmt);
    vsnprintf(e->text, sizeof e->text, fmt, args);
    va_end(args);
    used = strlen(e->text);
    if (used > sizeof e->text - sizeof reason - 2)
        used = sizeof e->text - sizeof reason - 2; /* a long path must not crowd out the reason */
    snprintf(e->text + used, sizeof e->text - used, ": %s", strerror_r(number, reason, sizeof reason));
    return -1;
}

int(err_wrap)(struct err *e, const char *fmt, ...)
{
    char context[sizeof e->text], cause[sizeof e->text];
    va_list args;

    if (!e)
        return -1;
    va_start(args, fmt);
    vsnprintf(context, sizeof context, fmt, args);
    va_end(args);
    memcpy(cause, e->text, sizeof cause);
    cause[sizeof cause - 1] = 0;
    /* What does not fit is cut from the end: the context names the input, the cause was said by a lower layer. */
    if (snprintf(e->text, sizeof e->text, "%s: %s", context, cause) < 0)
        e->text[0] = 0;
    return -1;
}
