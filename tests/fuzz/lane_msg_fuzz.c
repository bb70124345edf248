/* The control conversation as either side gets it: bytes, cut into lines in two ways, each read as a message. */
#include "shared/lane_msg.h"

#include <stdlib.h>
#include <string.h>

static void must(bool fact)
{
    if (!fact)
        abort();
}

/* A message that was read is written, read and written again: the same line comes out. */
static void write_again(const struct lane_msg *m)
{
    struct buf once = { 0 }, twice = { 0 };
    struct lane_msg again;

    lane_msg_write(&once, m);
    must(memchr(buf_bytes(&once), '\n', once.len) == buf_bytes(&once) + once.len - 1);
    must(lane_msg_read(&again, buf_bytes(&once), once.len - 1, NULL) == 0);
    must(again.type == m->type && again.v == m->v);
    lane_msg_write(&twice, &again);
    must(once.len == twice.len && memcmp(buf_bytes(&once), buf_bytes(&twice), once.len) == 0);
    lane_msg_free(&again);
    buf_free(&once);
    buf_free(&twice);
}

static void read_line(struct str line)
{
    struct lane_msg m;
    struct err e = { 0 };
    int rc = lane_msg_read(&m, line.p, line.n, &e);

    must((rc == 0) == (e.code == ERR_NONE));
    if (rc == 0 && m.type != LANE_UNKNOWN)
        write_again(&m);
    lane_msg_free(&m);
}

/* Adds each line, with its length in front, to out. */
static void cut_lines(const uint8_t *data, size_t size, size_t piece, struct buf *out)
{
    struct lane_lines l = { 0 };
    struct str line;

    for (size_t at = 0; at < size; at += piece) {
        if (lane_lines_feed(&l, (const char *)data + at, piece < size - at ? piece : size - at, NULL) != 0)
            break;
        while (lane_lines_next(&l, &line)) {
            buf_printf(out, "%zu:", line.n);
            buf_add(out, line.p, line.n);
            if (piece >= size)
                read_line(line);
        }
    }
    must(l.in.len <= LANE_LINE_BYTES + piece);
    lane_lines_free(&l);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf whole = { 0 }, pieces = { 0 };

    cut_lines(data, size, size + 1, &whole);
    cut_lines(data, size, 7, &pieces);
    must(size > LANE_LINE_BYTES ||
         (whole.len == pieces.len && memcmp(buf_bytes(&whole), buf_bytes(&pieces), whole.len) == 0));
    read_line(
        (struct str){ (const char *)data, size }); /* also with newlines inside, and without one at the end */
    buf_free(&whole);
    buf_free(&pieces);
    return 0;
}
