/* What the relay keeps of its certificates, as a disk may give it back: meta.json of a name, or limits.json. What was read is
 * written, and read again as the same. */
#include "relay/certs/limits.h"
#include "relay/certs/meta.h"
#include "tests/fuzz/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NOW = 1790000000 };

static void read_meta(const json_t *doc)
{
    struct err e = { 0 };
    struct meta m, again;
    json_t *first, *second;

    meta_init(&m, "a.test");
    meta_init(&again, "a.test");
    if (meta_read(&m, doc, &e) != 0) {
        must(e.text[0]);
    } else {
        first = meta_write(&m);
        must(meta_read(&again, first, &e) == 0);
        second = meta_write(&again);
        must(json_equal(first, second));
        json_decref(first);
        json_decref(second);
    }
    meta_free(&m);
    meta_free(&again);
}

static void read_limits(const json_t *doc)
{
    static const char *const names[] = { "a.test", "www.a.test" };
    const struct limits_order o = {
        "https://acme-v02.api.letsencrypt.org/directory", names, 2, "pi", 20, false
    };
    struct limits *l = limits_new(), *again = limits_new();
    struct err e = { 0 };
    json_t *first, *second;
    int64_t free_at = 0;

    if (limits_read(l, doc, &e) != 0) {
        must(e.text[0]);
    } else {
        first = limits_write(l);
        must(limits_read(again, first, &e) == 0);
        second = limits_write(again);
        must(json_equal(first, second));
        json_decref(first);
        json_decref(second);
        if (limits_check(l, &o, NOW, &free_at, &e) != 0)
            must(free_at > NOW && e.text[0]); /* never for ever */
        must(limits_check(l, &o, NOW + INT64_C(400) * 86400, &free_at, &e) == 0);
    }
    limits_free(l);
    limits_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *doc = size > 0 ? json_loadb((const char *)data + 1, size - 1, JSON_ALLOW_NUL, NULL) : NULL;

    if (doc && data[0] == 'm')
        read_meta(doc);
    else if (doc)
        read_limits(doc);
    json_decref(doc);
    return 0;
}
