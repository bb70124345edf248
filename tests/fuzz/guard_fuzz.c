/* Fuzzes what says who may come in: files of passwords, rates, and what visitors say of themselves. What is accepted is whole
 * and has bounds, and what is not gets a reason that can be shown. */
#include <stdint.h>
#include <string.h>

#include "relay/edge/basic_auth.h"
#include "shared/buf.h"
#include "shared/rate.h"
#include "shared/utf8.h"
#include "tests/fuzz/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_error(const struct err *e)
{
    const char *text = e->text;

    must(text[0]);
    for (size_t n = strlen(text), length; n > 0; text += length, n -= length) {
        length = utf8_printable(text, n);
        must(length > 0);
    }
}

static void try_passwords(struct str text)
{
    struct htpasswd_entry entry;
    struct err e = { 0 };
    size_t n = 0;

    if (htpasswd_check(text, &e) != 0) {
        check_error(&e);
        return;
    }
    must(text.n <= HTPASSWD_BYTES);
    for (struct str rest = text; htpasswd_next(&rest, &entry); n++) {
        must(entry.user.n > 0 && entry.user.n <= HTPASSWD_USER_BYTES);
        must(entry.hash.n > 0 && entry.hash.n <= HTPASSWD_HASH_BYTES && entry.hash.p[0] == '$');
        must(entry.user.p >= text.p && entry.hash.p + entry.hash.n <= text.p + text.n);
    }
    must(n > 0 && n == htpasswd_count(text));
}

static void try_rate(struct str text)
{
    struct rate rate, again;
    struct buf out = { 0 };
    struct err e = { 0 };

    if (rate_read(text, &rate, &e) != 0) {
        check_error(&e);
        return;
    }
    must(rate.times <= RATE_MAX && rate.burst <= RATE_MAX && (rate.times == 0) == (rate.burst == 0));
    must(rate.times == 0 || rate_every_ns(&rate) > 0);
    rate_print(&out, &rate);
    must(rate_read((struct str){ buf_bytes(&out), out.len }, &again, NULL) == 0);
    must(memcmp(&rate, &again, sizeof rate) == 0);
    buf_free(&out);
}

/* The input is the value of a field. */
static void try_visitor(struct str text)
{
    static const struct h1_limits limits = { .max_uri = 1024, .max_header = 1 << 20 };
    struct buf request = { 0 };
    struct basic_auth auth;
    struct h1_head head;

    buf_add_text(&request, "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: ");
    buf_add(&request, text.p, text.n);
    buf_add_text(&request, "\r\n\r\n");
    h1_request_init(&head);
    if (h1_head_parse(&head, buf_bytes(&request), request.len, &limits) > 0 &&
        basic_auth_read(&head, &auth)) {
        must(auth.n <= BASIC_AUTH_BYTES && auth.user == auth.text);
        must(auth.n == strlen(auth.user) + 1 + strlen(auth.password));
    }
    buf_free(&request);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = { size > 0 ? (const char *)data : "", size };

    try_passwords(text);
    try_rate(text);
    try_visitor(text);
    return 0;
}
