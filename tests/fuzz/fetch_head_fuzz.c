/* The head of a reply to a request of ours: its fields, and what Retry-After and Date in it say. */
#include "shared/http/fetch.h"
#include "tests/fuzz/must.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void is_inside(const struct fetch_reply *reply, struct str value)
{
    must(value.p >= buf_bytes(&reply->head) &&
         value.p + value.n <= buf_bytes(&reply->head) + reply->head.len);
    must(!memchr(value.p, '\n', value.n));
    must(value.n == 0 || (value.p[0] != ' ' && value.p[value.n - 1] != ' '));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = { "retry-after", "Link", "location", "replay-nonce", "date" };
    struct fetch_reply reply = { .status = 200 };
    int64_t ms;

    buf_add(&reply.head, data, size);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct str value;

        for (size_t nth = 0; (value = fetch_field_nth(&reply, names[i], nth)).p; nth++)
            is_inside(&reply, value);
    }
    ms = fetch_retry_after_ms(&reply, 1790000000);
    must(ms >= -1 && ms <= INT64_C(7) * 24 * 3600 * 1000);
    must(fetch_date_s(&reply) >= -1);
    fetch_reply_free(&reply);
    return 0;
}
