#include "shared/buf.h"

#include "shared/mem.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PRINTF_BYTES = 128 }; /* what most texts of buf_printf fit in: they are formatted once */

void buf_init(struct buf *b)
{
    *b = (struct buf){ 0 };
}

void buf_free(struct buf *b)
{
    free(b->mem);
    buf_init(b);
}

const char *buf_bytes(const struct buf *b)
{
    return b->mem ? b->mem + b->start : "";
}

const char *buf_text(struct buf *b)
{
    *buf_space(b, 1) = 0;
    return b->mem + b->start;
}

/* Moves the bytes to the front when that gives the room wanted, and at least halves the waste. */
static int compacted(struct buf *b, size_t n)
{
    if (b->start < b->room / 2 || b->room - b->len < n)
        return 0;
    memmove(b->mem, b->mem + b->start, b->len);
    b->start = 0;
    return 1;
}

static size_t room_for(const struct buf *b, size_t n)
{
    size_t room = b->room ? b->room : 256;

    while (room < b->start + b->len + n)
        room *= 2;
    return room;
}

char *buf_space(struct buf *b, size_t n)
{
    if (!b->mem || (b->room - b->start - b->len < n && !compacted(b, n))) {
        b->room = room_for(b, n);
        b->mem = mem_grow(b->mem, b->room);
    }
    return b->mem + b->start + b->len;
}

void buf_added(struct buf *b, size_t n)
{
    assert(b->start + b->len + n <= b->room);
    b->len += n;
}

void buf_add(struct buf *b, const void *bytes, size_t n)
{
    if (n == 0)
        return;
    memcpy(buf_space(b, n), bytes, n);
    b->len += n;
}

void buf_add_text(struct buf *b, const char *text)
{
    buf_add(b, text, strlen(text));
}

void buf_add_number(struct buf *b, uint64_t n)
{
    char digits[20], *p = digits + sizeof digits;

    do {
        *--p = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    buf_add(b, p, (size_t)(digits + sizeof digits - p));
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list args, again;
    size_t room = PRINTF_BYTES;
    int n;

    va_start(args, fmt);
    va_copy(again, args);
    n = vsnprintf(buf_space(b, room), room, fmt, args);
    va_end(args);
    if (n >= (int)room) {
        room = (size_t)n + 1;
        n = vsnprintf(buf_space(b, room), room, fmt, again);
    }
    if (n > 0)
        b->len += (size_t)n;
    va_end(again);
}

int buf_add_max(struct buf *b, const void *bytes, size_t n, size_t max, struct err *e)
{
    if (n > max || b->len > max - n)
        return err_set(e, ERR_LIMIT, "more than %zu bytes", max);
    if (b->room - b->start - b->len < n && !compacted(b, n)) {
        size_t room = room_for(b, n);
        char *mem = realloc(b->mem, room);

        if (!mem)
            return err_set(e, ERR_SYSTEM, "out of memory for %zu bytes", room);
        b->mem = mem;
        b->room = room;
    }
    buf_add(b, bytes, n);
    return 0;
}

void buf_take(struct buf *b, size_t n)
{
    assert(n <= b->len);
    b->start += n;
    b->len -= n;
    if (b->len == 0)
        b->start = 0;
}

size_t buf_count(const struct buf *b, char c)
{
    const char *at = buf_bytes(b), *end = at + b->len;
    size_t n = 0;

    while (at < end && (at = memchr(at, c, (size_t)(end - at)))) {
        at++;
        n++;
    }
    return n;
}
