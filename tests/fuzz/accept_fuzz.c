/* Fuzzes Accept: the input is the value of the field, as far as it can stand in one. Whatever it says, a form is chosen, the
 * same for the same value, and JSON never without having been named. */
#include <stdint.h>
#include <string.h>

#include "relay/edge/accept.h"
#include "shared/buf.h"
#include "tests/fuzz/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool parse(struct h1_head *head, struct buf *text)
{
    static const struct h1_limits limits = { .max_uri = 100, .max_header = 65536 };

    h1_request_init(head);
    return h1_head_parse(head, buf_bytes(text), text->len, &limits) > 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf text = { 0 };
    struct h1_head head;

    buf_add_text(&text, "GET / HTTP/1.1\r\nHost: a.test\r\nAccept: ");
    buf_add(&text, data, size);
    buf_add_text(&text, "\r\n\r\n");
    if (parse(&head, &text)) {
        enum accept_form form = accept_form(&head);

        must(form == accept_form(&head));
        must(form == ACCEPT_HTML || memchr(buf_bytes(&text) + 40, '/', text.len - 40));
    }
    buf_free(&text);
    return 0;
}
