#include "relay/edge/access_line.h"

#include "shared/utf8.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    WORD_BYTES = 64, /* of any other text */
    WORDS = 5,
    FRAME_BYTES = 512, /* keys, quotes, times and numbers */
};
static_assert(ACCESS_TARGET_BYTES + ACCESS_REFERER_BYTES + ACCESS_AGENT_BYTES + 2 * ACCESS_HOST_BYTES +
                      ACCESS_ID_BYTES + WORDS * WORD_BYTES + FRAME_BYTES <
                  ACCESS_LINE_BYTES,
              "every part of a line fits");

struct line {
    char *out;
    size_t n;
};

/* ---- parts ---- */

static void put(struct line *l, const char *bytes, size_t n)
{
    memcpy(l->out + l->n, bytes, n);
    l->n += n;
}

static void put_text(struct line *l, const char *text)
{
    put(l, text, strlen(text));
}

static void put_number(struct line *l, uint64_t n)
{
    char digits[24];
    size_t at = sizeof digits;

    do
        digits[--at] = (char)('0' + n % 10);
    while ((n /= 10) > 0);
    put(l, digits + at, sizeof digits - at);
}

/* A piece of a text: how many of its bytes are one character, and what stands for them. */
struct piece {
    size_t used, n;
    const char *text; /* NULL: the bytes themselves */
    char escaped[8];
};

static void escape(struct piece *p, const char *start, unsigned byte)
{
    static const char digits[] = "0123456789abcdef";

    p->n = strlen(start) + 2;
    memcpy(p->escaped, start, p->n - 2);
    p->escaped[p->n - 2] = digits[byte >> 4 & 15];
    p->escaped[p->n - 1] = digits[byte & 15];
    p->text = p->escaped;
}

/* As Apache and nginx do it, but for every byte that is not printable ASCII. */
static void piece_combined(struct piece *p, const char *text)
{
    unsigned char c = (unsigned char)*text;

    *p = (struct piece){ .used = 1, .n = 1 };
    if (c < ' ' || c > '~' || c == '"' || c == '\\')
        escape(p, "\\x", c);
}

static void piece_json(struct piece *p, const char *text, size_t left)
{
    size_t printable = utf8_printable(text, left), whole = printable ? printable : utf8_char(text, left);

    *p = (struct piece){ .used = whole ? whole : 1, .n = whole };
    if (whole == 0)
        escape(p, "\\uff", 0xfd); /* not UTF-8 */
    else if (printable == 0)
        escape(p, "\\u00", (unsigned char)text[whole - 1]); /* a control character, C1 ones too */
    else if (*text == '"' || *text == '\\') {
        p->text = *text == '"' ? "\\\"" : "\\\\";
        p->n = 2;
    }
}

/* At most room bytes, and never a part of an escape or of a character. */
static void put_escaped(struct line *l, enum access_format format, struct str text, size_t room)
{
    static const char mark[] = "...";
    size_t begin = l->n, cut = l->n;
    struct piece p;

    for (size_t at = 0; at < text.n; at += p.used) {
        if (format == ACCESS_JSON)
            piece_json(&p, text.p + at, text.n - at);
        else
            piece_combined(&p, text.p + at);
        if (l->n - begin + p.n > room) {
            l->n = cut;
            put(l, mark, sizeof mark - 1);
            return;
        }
        put(l, p.text ? p.text : text.p + at, p.n);
        if (l->n - begin + sizeof mark - 1 <= room)
            cut = l->n;
    }
}

static struct tm utc_of(const struct access_entry *e)
{
    time_t seconds = (time_t)(e->began_ms / 1000);
    struct tm utc = { 0 };

    gmtime_r(&seconds, &utc);
    return utc;
}

/* ---- combined ---- */

static void put_when(struct line *l, const struct access_entry *e)
{
    static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
    struct tm utc = utc_of(e);
    char text[64];

    put(l, text,
        (size_t)snprintf(text, sizeof text, " - - [%02d/%s/%04d:%02d:%02d:%02d +0000] \"", utc.tm_mday,
                         months[utc.tm_mon], utc.tm_year + 1900, utc.tm_hour, utc.tm_min, utc.tm_sec));
}

static void put_or_dash(struct line *l, struct str text, size_t room)
{
    if (text.n == 0)
        put_text(l, "-");
    else
        put_escaped(l, ACCESS_COMBINED, text, room);
}

/* "-", or as much of the request line as could be read. */
static void put_request_line(struct line *l, const struct access_entry *e)
{
    put_or_dash(l, e->method, WORD_BYTES);
    if (e->target.n > 0) {
        put_text(l, " ");
        put_escaped(l, ACCESS_COMBINED, e->target, ACCESS_TARGET_BYTES);
    }
    if (e->protocol[0]) {
        put_text(l, " ");
        put_escaped(l, ACCESS_COMBINED, str_of(e->protocol), WORD_BYTES);
    }
}

static void put_combined(struct line *l, const struct access_entry *e)
{
    put_or_dash(l, str_of(e->client), WORD_BYTES);
    put_when(l, e);
    put_request_line(l, e);
    put_text(l, "\" ");
    put_number(l, (uint64_t)e->status);
    put_text(l, " ");
    put_number(l, e->bytes_out);
    put_text(l, " \"");
    put_or_dash(l, e->referer, ACCESS_REFERER_BYTES);
    put_text(l, "\" \"");
    put_or_dash(l, e->user_agent, ACCESS_AGENT_BYTES);
    put_text(l, "\"");
}

/* ---- JSON ---- */

static void put_member(struct line *l, const char *key, struct str value, size_t room)
{
    put_text(l, key);
    if (value.n == 0) {
        put_text(l, "null");
        return;
    }
    put_text(l, "\"");
    put_escaped(l, ACCESS_JSON, value, room);
    put_text(l, "\"");
}

static void put_number_member(struct line *l, const char *key, bool known, uint64_t n)
{
    put_text(l, key);
    if (known)
        put_number(l, n);
    else
        put_text(l, "null");
}

static void put_time_member(struct line *l, const struct access_entry *e)
{
    struct tm utc = utc_of(e);
    char text[80];

    put(l, text,
        (size_t)snprintf(text, sizeof text, "{\"time\":\"%04d-%02d-%02dT%02d:%02d:%02d.%03dZ\"",
                         utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
                         (int)(e->began_ms % 1000)));
}

static void put_json(struct line *l, const struct access_entry *e)
{
    put_time_member(l, e);
    put_member(l, ",\"request_id\":", str_of(e->request_id), ACCESS_ID_BYTES);
    put_member(l, ",\"client\":", str_of(e->client), WORD_BYTES);
    put_member(l, ",\"host\":", e->host, ACCESS_HOST_BYTES);
    put_member(l, ",\"method\":", e->method, WORD_BYTES);
    put_member(l, ",\"path\":", e->target, ACCESS_TARGET_BYTES);
    put_member(l, ",\"protocol\":", str_of(e->protocol), WORD_BYTES);
    put_member(l, ",\"tls\":", str_of(e->tls), WORD_BYTES);
    put_number_member(l, ",\"status\":", true, (uint64_t)e->status);
    put_number_member(l, ",\"bytes_in\":", true, e->bytes_in);
    put_number_member(l, ",\"bytes_out\":", true, e->bytes_out);
    put_number_member(l, ",\"duration_ms\":", true, e->duration_ms);
    put_number_member(l, ",\"service_ms\":", e->service_ms >= 0, (uint64_t)e->service_ms);
    put_number_member(l, ",\"lane\":", e->lane != 0, e->lane);
    put_member(l, ",\"agent\":", str_of(e->agent), WORD_BYTES);
    put_member(l, ",\"domain\":", str_of(e->domain), ACCESS_HOST_BYTES);
    put_member(l, ",\"referer\":", e->referer, ACCESS_REFERER_BYTES);
    put_member(l, ",\"user_agent\":", e->user_agent, ACCESS_AGENT_BYTES);
    put_text(l, e->complete ? ",\"complete\":true}" : ",\"complete\":false}");
}

size_t access_line(char out[ACCESS_LINE_BYTES], enum access_format format, const struct access_entry *entry)
{
    struct line l = { out, 0 };

    if (format == ACCESS_JSON)
        put_json(&l, entry);
    else
        put_combined(&l, entry);
    put_text(&l, "\n");
    return l.n;
}
