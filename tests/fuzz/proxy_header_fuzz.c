/* The first bytes of a connection to one of proxy_listeners: from a load balancer, or from anybody who finds the port. */
#include "shared/proxy_header.h"

#include "relay/edge/first.h"
#include "tests/fuzz/must.h"

#include <stdint.h>
#include <string.h>

/* Less of it is less of the same, and a refusal is for good. */
static ssize_t read_growing(const uint8_t *data, size_t size)
{
    size_t most = size < PROXY_HEADER_MAX_BYTES + 1 ? size : PROXY_HEADER_MAX_BYTES + 1;
    ssize_t got = 0;

    for (size_t n = 0; n <= most && got == 0; n++) {
        struct proxy_header h;
        struct err why = { 0 };

        got = proxy_header_read(&h, data, n, &why);
        must(got == 0 || got == -1 || got == (ssize_t)n); /* it is whole at its last byte, and not before */
        must((got == -1) == (why.code != ERR_NONE));
        must(got <= 0 || h.local || (h.source.ss_family == h.dest.ss_family));
    }
    return got;
}

static void check_sign(const uint8_t *data, size_t size, ssize_t whole)
{
    enum proxy_header_sign before = PROXY_HEADER_MAYBE;

    for (size_t n = 0; n <= size && n <= 16; n++) {
        enum proxy_header_sign sign = proxy_header_sign(data, n);

        must(before == PROXY_HEADER_MAYBE || sign == before);
        before = sign;
    }
    must(whole <= 0 || proxy_header_sign(data, size) == PROXY_HEADER_SURE);
}

/* In pieces of this size; what is left is what came behind the header. */
static enum first_kind feed(const uint8_t *data, size_t size, size_t step, const struct cidrs *trusted,
                            struct origin *origin)
{
    struct first first = { .entrance = { true, true }, .ssh = true };
    enum first_kind kind = FIRST_MORE;
    size_t at = 0;

    while (kind == FIRST_MORE && at < size) {
        size_t n = size - at < step ? size - at : step;
        struct err why = { 0 };

        kind = first_feed(&first, origin, trusted, (const char *)data + at, n, &why);
        at += n;
    }
    must(first.bytes.len <= at);
    must(memcmp(buf_bytes(&first.bytes), data + at - first.bytes.len, first.bytes.len) == 0);
    buf_free(&first.bytes);
    return kind;
}

static bool same(const struct origin *a, const struct origin *b)
{
    return memcmp(&a->peer, &b->peer, sizeof a->peer) == 0 && a->port == b->port;
}

static void check_first(const uint8_t *data, size_t size)
{
    const struct cidr one = { { [10] = 0xff, 0xff, 192, 0, 2, 1 }, 128 };
    const struct cidrs trusted = { 1, &one }, nobody = { 0 };
    struct origin peer = { .port = 443 }, whole, bytes, stranger;

    must(cidr_address(STR("192.0.2.1"), &peer.peer));
    whole = bytes = stranger = peer;
    must(feed(data, size, size, &trusted, &whole) == feed(data, size, 1, &trusted, &bytes));
    must(same(&whole, &bytes));
    if (feed(data, size, 3, &nobody, &stranger) != FIRST_REFUSED)
        must(proxy_header_sign(data, size) != PROXY_HEADER_SURE);
    must(same(&stranger, &peer)); /* a stranger stays who he is */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ssize_t whole;

    if (size == 0)
        return 0;
    whole = read_growing(data, size);
    check_sign(data, size, whole);
    if (size <= 512)
        check_first(data, size);
    return 0;
}
