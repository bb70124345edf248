/* A stream's first bytes, as the agent gets them from whoever finds the port: the opening, and the second header. */
#include "shared/proxy2.h"

#include <stdlib.h>
#include <string.h>

static void must(bool fact)
{
    if (!fact)
        abort();
}

static void read_opening(const uint8_t *data, size_t size)
{
    const unsigned char *secret = (const unsigned char *)"the saved openings are made of it";
    unsigned char random[PROXY2_RANDOM_BYTES], again[PROXY2_OPEN_BYTES];
    uint64_t stream;

    for (size_t n = 1; n <= size && n <= PROXY2_OPEN_BYTES; n++) /* a stranger stays one */
        must(proxy2_open_begins(data, n - 1) || !proxy2_open_begins(data, n));
    if (size < PROXY2_OPEN_BYTES || proxy2_open_read(data, secret, &stream, random) != 0)
        return;
    proxy2_open_write(again, secret, stream, random);
    must(memcmp(again, data, sizeof again) == 0);
}

static bool same(struct str a, struct str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static void write_again(const struct proxy2_use *use)
{
    struct buf out = { 0 };
    struct proxy2_use again;

    proxy2_use_write(&out, use);
    must(proxy2_use_read(&again, (const unsigned char *)buf_bytes(&out), out.len, NULL) == (ssize_t)out.len);
    must(again.local == use->local && same(again.item, use->item) && same(again.route, use->route) &&
         same(again.sni, use->sni));
    /* v4-mapped addresses come back as IPv4, others as they were. */
    if (use->source.ss_family == again.source.ss_family)
        must(memcmp(&use->source, &again.source, sizeof again.source) == 0 &&
             memcmp(&use->dest, &again.dest, sizeof again.dest) == 0);
    buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct proxy2_use use;
    ssize_t whole = proxy2_use_read(&use, data, size, NULL), part;

    read_opening(data, size);
    must(whole <= (ssize_t)size && whole <= PROXY2_USE_MAX_BYTES);
    if (whole > 0)
        write_again(&use);
    /* Less of it is less of the same. */
    for (size_t n = 0; n < size && n <= PROXY2_USE_MAX_BYTES; n++) {
        part = proxy2_use_read(&use, data, n, NULL);
        must(part == 0 || part == whole);
        must(part != 0 || whole <= 0 || n < (size_t)whole);
    }
    return 0;
}
