/* The head of a reply to a request of ours: its fields, what Retry-After and Date in it say, and what a certificate authority says
 * there: nonces, where things are, links to other chains. */
#include "relay/certs/acme.h"
#include "relay/certs/collect.h"
#include "relay/certs/nonces.h"
#include "shared/http/fetch.h"
#include "tests/fuzz/must.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void is_inside(const struct fetch_reply *reply, struct str value)
{
    must(value.p >= buf_bytes(&reply->head) &&
         value.p + value.n <= buf_bytes(&reply->head) + reply->head.len);
    must(!memchr(value.p, '\n', value.n));
    must(value.n == 0 || (value.p[0] != ' ' && value.p[value.n - 1] != ' '));
}

/* A URL in it stays on the server that was asked, or is another's by TLS. */
static void resolve(struct str url)
{
    static const char base[] = "https://ca.test:1/dir?x";
    char *whole = acme_resolve(base, url);

    must(!whole || strncmp(whole, "https://", 8) == 0);
    must(!whole || url.p[0] != '/' || strncmp(whole, base, 17) == 0);
    free(whole);
}

static void follow(struct str field)
{
    const char *begin = field.p, *end = field.p + field.n;
    struct str url;

    while ((url = collect_next_alternate(&field)).p) {
        must(url.p > begin && url.p + url.n < end && url.p[-1] == '<' && url.p[url.n] == '>');
        resolve(url);
    }
}

static void take_nonce(struct str nonce)
{
    struct nonces pool = { 0 };
    char out[NONCE_BYTES];

    nonces_put(&pool, nonce, 1);
    if (!nonces_take(&pool, out, 1))
        return;
    must(strlen(out) == nonce.n && memcmp(out, nonce.p, nonce.n) == 0);
    must(!nonces_take(&pool, out, 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = { "retry-after", "Link", "location", "replay-nonce", "date" };
    struct fetch_reply reply = { .status = 200 };
    struct str value;
    int64_t ms;

    buf_add(&reply.head, data, size);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        for (size_t nth = 0; (value = fetch_field_nth(&reply, names[i], nth)).p; nth++)
            is_inside(&reply, value);
    for (size_t nth = 0; (value = fetch_field_nth(&reply, "link", nth)).p; nth++)
        follow(value);
    resolve(fetch_field(&reply, "location"));
    take_nonce(fetch_field(&reply, "replay-nonce"));
    ms = fetch_retry_after_ms(&reply, 1790000000);
    must(ms >= -1 && ms <= INT64_C(7) * 24 * 3600 * 1000);
    must(fetch_date_s(&reply) >= -1);
    fetch_reply_free(&reply);
    return 0;
}
