/* Fuzzes error pages: one that passes the check holds no placeholder when it is rendered, and everything else of it is
 * there, in order; values never add to its markup. */
#include <stdint.h>
#include <string.h>

#include "shared/page_template.h"
#include "tests/fuzz/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t count(const struct buf *page, char c)
{
    size_t n = 0;

    for (size_t i = 0; i < page->len; i++)
        n += buf_bytes(page)[i] == c;
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const nothing[PAGE_WORDS] = { "", "", "", "", "", "" };
    static const char *const hostile[PAGE_WORDS] = { "<", ">\"", "'&lt;", "<b>{x}</b>", "&", "" };
    struct str text = { size > 0 ? (const char *)data : "", size };
    struct buf empty = { 0 }, full = { 0 };
    struct err e = { 0 };
    bool right = page_template_check(text, &e) == 0;

    must(right == (e.text[0] == 0));
    page_template_render(&empty, text, nothing);
    page_template_render(&full, text, hostile);
    must(empty.len <= size);
    must(count(&empty, '<') == count(&full, '<') && count(&empty, '"') == count(&full, '"') &&
         count(&empty, '\'') == count(&full, '\''));
    must(!right || empty.len < size || full.len == size);
    buf_free(&empty);
    buf_free(&full);
    return 0;
}
