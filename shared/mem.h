/* shared/mem.h - memory whose size we choose ourselves.
 *
 * These never return NULL: when memory is out the process says so and aborts, and the supervisor restarts it.
 * Where a peer chooses the size, check a cap first and use plain malloc, which may fail. */
#ifndef SHARED_MEM_H
#define SHARED_MEM_H
#include <stddef.h>

void *mem_new(size_t size_bytes); /* zeroed */
void *mem_grow(void *old, size_t size_bytes);
char *mem_copy(const char *text);              /* a heap copy of a C string; NULL stays NULL */
char *mem_copy_n(const char *bytes, size_t n); /* the same of n bytes, with a NUL behind */
char *mem_format(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
#endif
