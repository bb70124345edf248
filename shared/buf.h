/* shared/buf.h - a growing queue of bytes: written at the end, taken from the front.
 *
 * A value, embedded; all zero bytes is an empty one. Holds no memory while empty for long: buf_free gives it back. */
#ifndef SHARED_BUF_H
#define SHARED_BUF_H
#include "shared/err.h"

#include <stddef.h>
#include <stdint.h>

struct buf {
    char *mem;
    size_t start, len, room; /* bytes are mem[start .. start+len), room is what mem holds */
};

void buf_init(struct buf *b);
void buf_free(struct buf *b); /* leaves an empty, usable one */

const char *buf_bytes(const struct buf *b); /* never NULL; valid until the next change */
const char *buf_text(struct buf *b); /* the same with a NUL behind the last byte, which does not count */
/* For sizes we choose: aborts when memory is out. */
void buf_add(struct buf *b, const void *bytes, size_t n);
void buf_add_text(struct buf *b, const char *text);
void buf_add_number(struct buf *b, uint64_t n); /* decimal */
void buf_printf(struct buf *b, const char *fmt, ...) printf_like(2, 3);
/* For sizes a peer chooses: -1, and nothing added, when the buffer would pass max bytes or memory is out. */
must_check int buf_add_max(struct buf *b, const void *bytes, size_t n, size_t max, struct err *e);
void buf_take(struct buf *b, size_t n); /* drops the first n bytes; n is at most the length */
/* Room for n bytes at the end; write there, then buf_added(b, written). */
char *buf_space(struct buf *b, size_t n);
void buf_added(struct buf *b, size_t n);
size_t buf_count(const struct buf *b, char c); /* how often it stands there */
#endif
