/* Fuzzes the lines of the access log: whatever a visitor sends, a line is one line of bounded length; in combined it is
 * printable ASCII with as many quotes as there are texts, in JSON it is read back, and holds what could be kept.
 *
 * The input is the visitor's texts, one behind each zero byte. */
#include <jansson.h>
#include <stdint.h>
#include <string.h>

#include "relay/edge/access_line.h"
#include "shared/utf8.h"
#include "tests/fuzz/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct str next_text(const uint8_t **data, size_t *size)
{
    const uint8_t *zero = *size > 0 ? memchr(*data, 0, *size) : NULL;
    size_t n = zero ? (size_t)(zero - *data) : *size;
    struct str text = { n > 0 ? (const char *)*data : "", n };

    *data += zero ? n + 1 : n;
    *size -= zero ? n + 1 : n;
    return text;
}

static void check_combined(const struct access_entry *e)
{
    char line[ACCESS_LINE_BYTES];
    size_t n = access_line(line, ACCESS_COMBINED, e), quotes = 0;

    must(n > 0 && n <= sizeof line && line[n - 1] == '\n');
    for (size_t i = 0; i + 1 < n; i++) {
        must(line[i] >= ' ' && line[i] <= '~');
        quotes += line[i] == '"';
        must(line[i] != '\\' || line[i + 1] == 'x');
    }
    must(quotes == 6);
}

static bool is_whole(struct str text, size_t room)
{
    for (size_t at = 0, n; at < text.n; at += n) {
        n = utf8_printable(text.p + at, text.n - at);
        if (n == 0 || text.p[at] == '"' || text.p[at] == '\\')
            return false;
    }
    return text.n <= room;
}

static void check_member(const json_t *line, const char *key, struct str text, size_t room)
{
    const json_t *value = json_object_get(line, key);

    must(text.n > 0 ? json_is_string(value) : json_is_null(value));
    if (text.n > 0 && is_whole(text, room))
        must(json_string_length(value) == text.n && memcmp(json_string_value(value), text.p, text.n) == 0);
}

static void check_json(const struct access_entry *e)
{
    char text[ACCESS_LINE_BYTES];
    size_t n = access_line(text, ACCESS_JSON, e);
    json_t *line;

    must(n > 0 && n <= sizeof text && memchr(text, '\n', n) == text + n - 1);
    for (size_t at = 0, used; at + 1 < n; at += used) {
        used = utf8_printable(text + at, n - 1 - at);
        must(used > 0);
    }
    line = json_loadb(text, n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    must(line && json_object_size(line) == 19);
    check_member(line, "path", e->target, ACCESS_TARGET_BYTES);
    check_member(line, "host", e->host, ACCESS_HOST_BYTES);
    check_member(line, "referer", e->referer, ACCESS_REFERER_BYTES);
    check_member(line, "user_agent", e->user_agent, ACCESS_AGENT_BYTES);
    must(json_integer_value(json_object_get(line, "bytes_out")) == (json_int_t)e->bytes_out);
    json_decref(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct access_entry e = { .began_ms = (int64_t)size * 86400123,
                              .status = (int)(size % 600),
                              .service_ms = (int64_t)size - 10,
                              .bytes_out = size,
                              .lane = size % 3,
                              .request_id = "0123456789abcdef0123456789abcdef",
                              .client = "2001:db8::1",
                              .protocol = size % 2 ? "HTTP/1.1" : "",
                              .tls = "TLSv1.3",
                              .agent = "",
                              .domain = "a.test" };

    e.target = next_text(&data, &size);
    e.user_agent = next_text(&data, &size);
    e.referer = next_text(&data, &size);
    e.host = next_text(&data, &size);
    e.method = next_text(&data, &size);
    check_combined(&e);
    check_json(&e);
    return 0;
}
