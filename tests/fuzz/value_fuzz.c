/* Fuzzes the readers of small values: what is accepted keeps its bounds, is printed, and is read back as the same. */
#include <inttypes.h>
#include <stdint.h>
#include <string.h>

#include "shared/utf8.h"
#include "shared/value.h"
#include "tests/fuzz/must.h"

typedef int read_cb(struct str text, int64_t min, int64_t max, int64_t *n, struct err *e);
typedef void print_cb(struct buf *out, int64_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Nothing that could be taken for more than text on one line. */
static void check_shown(const char *text, size_t n)
{
    for (size_t length; n > 0; text += length, n -= length) {
        length = utf8_printable(text, n);
        must(length > 0);
    }
}

static void check_error(const struct err *e)
{
    must(e->code == ERR_INPUT && e->text[0]);
    check_shown(e->text, strlen(e->text));
}

static void try_number(struct str text, int64_t min, int64_t max, read_cb *read, print_cb *print)
{
    struct buf out = { 0 };
    struct err e = { 0 };
    int64_t n, again;

    if (read(text, min, max, &n, &e) != 0) {
        check_error(&e);
        return;
    }
    must(n >= min && n <= max);
    print(&out, n);
    must(read((struct str){ buf_bytes(&out), out.len }, min, max, &again, &e) == 0 && again == n);
    must(read(text, n, n, &again, &e) == 0);
    must(n == INT64_MAX || read(text, n + 1, INT64_MAX, &again, &e) != 0);
    must(n <= 0 || read(text, 0, n - 1, &again, &e) != 0);
    buf_free(&out);
}

static void try_numbers(struct str text)
{
    static const int64_t bounds[][2] = { { 0, INT64_MAX }, { 1, 300000 }, { 1024, 1 << 20 }, { 0, 0 } };

    try_number(text, -3, 64, value_number, value_print_number);
    try_number(text, -INT64_MAX, INT64_MAX, value_number, value_print_number);
    for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++) {
        try_number(text, bounds[i][0], bounds[i][1], value_number, value_print_number);
        try_number(text, bounds[i][0], bounds[i][1], value_duration, value_print_duration);
        try_number(text, bounds[i][0], bounds[i][1], value_size, value_print_size);
    }
}

static void try_address(struct str text, bool bare)
{
    struct opt_address address, again;
    struct buf out = { 0 };
    struct err e = { 0 };

    if (value_address(text, bare, &address, &e) != 0) {
        check_error(&e);
        return;
    }
    must(address.addr.ss_family == AF_INET6 || (address.addr.ss_family == AF_INET && !address.any));
    must(!memchr(text.p, 0, text.n));
    value_print_address(&out, &address);
    check_shown(buf_bytes(&out), out.len);
    must(value_address((struct str){ buf_bytes(&out), out.len }, false, &again, &e) == 0);
    must(again.any == address.any && memcmp(&again.addr, &address.addr, sizeof again.addr) == 0);
    buf_free(&out);
}

static void try_words(struct str text)
{
    struct str rest = text, word;
    const char *at = text.p;
    struct err e = { 0 };
    bool on;

    while (value_next(&rest, &word)) {
        must(word.n > 0 && word.p >= at && word.p + word.n <= text.p + text.n);
        must(!memchr(word.p, ',', word.n) && !memchr(word.p, ' ', word.n));
        at = word.p + word.n;
    }
    if (value_flag(text, &on, &e) == 0)
        must(str_eq(text, on ? "on" : "off"));
    else
        check_error(&e);
    if (value_name(text, &e) == 0)
        must(text.n >= 1 && text.n <= 32 && text.p[0] != '-');
    else
        check_error(&e);
}

/* Whatever the text holds, what is shown of it is one line, and not longer than asked for. */
static void try_show(struct str text)
{
    struct buf whole = { 0 }, some = { 0 }, json = { 0 };
    size_t chars = 0, n;

    value_show(&whole, text, 0);
    value_show(&some, text, 10);
    value_show_json(&json, text);
    check_shown(buf_bytes(&whole), whole.len);
    check_shown(buf_bytes(&some), some.len);
    check_shown(buf_bytes(&json), json.len);
    for (size_t at = 0; at < some.len; at += n, chars++)
        n = utf8_char(buf_bytes(&some) + at, some.len - at);
    must(chars <= 10 + 16 + 1); /* the last one may be a character of four bytes in hex, and a mark follows */
    must(whole.len >= text.n);
    buf_free(&whole);
    buf_free(&some);
    buf_free(&json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = { size > 0 ? (const char *)data : "", size };

    try_numbers(text);
    try_address(text, false);
    try_address(text, true);
    try_words(text);
    try_show(text);
    return 0;
}
