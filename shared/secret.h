/* shared/secret.h - a key or a password in memory: locked, not dumped, wiped when freed, never printable.
 *
 * A value, embedded. It sits on pages of its own that are not swapped where the machine allows it. */
#ifndef SHARED_SECRET_H
#define SHARED_SECRET_H
#include "shared/err.h"

#include <stdbool.h>
#include <stddef.h>

struct secret {
    unsigned char *bytes; /* NULL: there is none */
    size_t n, room;
};

void secret_init(struct secret *s, size_t n); /* n zero bytes, to be filled in place */
void secret_free(struct secret *s);
/* Reads a file of at most max bytes whose mode keeps others out; a newline at its end does not count. */
must_check int secret_load(struct secret *s, const char *path, size_t max, struct err *e);
/* The same; or env:NAME, an environment variable; or credential:NAME, one that systemd hands over
 * ($CREDENTIALS_DIRECTORY), whose mode is systemd's. */
must_check int secret_load_from(struct secret *s, const char *where, size_t max, struct err *e);
bool secret_is_elsewhere(const char *where); /* env:… or credential:… */
/* Compares in constant time. */
bool secret_eq(const void *a, const void *b, size_t n);
#endif
