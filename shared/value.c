#include "shared/value.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <string.h>

#include "shared/utf8.h"

struct unit {
    const char *name;
    int64_t scale;
};

/* Largest first, so that printing takes the first that is exact. */
static const struct unit duration_units[] = { { "d", 86400000 }, { "h", 3600000 }, { "m", 60000 },
                                              { "s", 1000 },     { "ms", 1 },      { 0 } };
static const struct unit size_units[] = {
    { "g", 1 << 30 }, { "m", 1 << 20 }, { "k", 1 << 10 }, { "", 1 }, { 0 }
};

/* ---- numbers ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Takes digits off the front. False when there is none, or more than an int64_t holds. */
static bool take_digits(struct str *rest, int64_t *n)
{
    size_t digits = 0;
    bool fits = true;

    *n = 0;
    while (digits < rest->n && is_digit(rest->p[digits])) {
        fits = fits && !__builtin_mul_overflow(*n, 10, n) &&
               !__builtin_add_overflow(*n, rest->p[digits] - '0', n);
        digits++;
    }
    rest->p += digits;
    rest->n -= digits;
    return digits > 0 && fits;
}

int value_number(struct str text, int64_t min, int64_t max, int64_t *n, struct err *e)
{
    struct str rest = text;
    bool negative = rest.n > 0 && rest.p[0] == '-';

    if (negative) {
        rest.p++;
        rest.n--;
    }
    if (take_digits(&rest, n) && rest.n == 0) {
        *n = negative ? -*n : *n;
        if (*n >= min && *n <= max)
            return 0;
    }
    return err_set(e, ERR_INPUT, "not a whole number from %" PRId64 " to %" PRId64, min, max);
}

static bool read_scaled(struct str text, const struct unit *units, int64_t *n)
{
    if (!take_digits(&text, n))
        return false;
    for (; units->name; units++)
        if (str_eq(text, units->name))
            return !__builtin_mul_overflow(*n, units->scale, n);
    return false;
}

int value_duration(struct str text, int64_t min, int64_t max, int64_t *ms, struct err *e)
{
    int64_t example = min > 10000 ? min : max < 10000 ? max : 10000;
    struct buf line = { 0 };

    if (read_scaled(text, duration_units, ms) && *ms >= min && *ms <= max)
        return 0;
    if (take_digits(&text, ms) && text.n == 0)
        buf_add_text(&line, "has no unit (ms, s, m, h or d): ");
    buf_add_text(&line, "not a duration from ");
    value_print_duration(&line, min);
    buf_add_text(&line, " to ");
    value_print_duration(&line, max);
    buf_add_text(&line, " (such as ");
    value_print_duration(&line, example);
    err_set(e, ERR_INPUT, "%s)", buf_text(&line));
    buf_free(&line);
    return -1;
}

int value_size(struct str text, int64_t min, int64_t max, int64_t *bytes, struct err *e)
{
    struct buf line = { 0 };

    if (read_scaled(text, size_units, bytes) && *bytes >= min && *bytes <= max)
        return 0;
    buf_add_text(&line, "not a size from ");
    value_print_size(&line, min);
    buf_add_text(&line, " to ");
    value_print_size(&line, max);
    err_set(e, ERR_INPUT, "%s (bytes, or with k, m or g behind, such as 64k)", buf_text(&line));
    buf_free(&line);
    return -1;
}

void value_print_number(struct buf *out, int64_t n)
{
    buf_printf(out, "%" PRId64, n);
}

static void print_scaled(struct buf *out, int64_t n, const struct unit *units)
{
    while (n % units->scale != 0)
        units++;
    buf_printf(out, "%" PRId64 "%s", n / units->scale, units->name);
}

void value_print_duration(struct buf *out, int64_t ms)
{
    if (ms == 0)
        buf_add_text(out, "0s");
    else
        print_scaled(out, ms, duration_units);
}

void value_print_size(struct buf *out, int64_t bytes)
{
    if (bytes == 0)
        buf_add_text(out, "0");
    else
        print_scaled(out, bytes, size_units);
}

/* ---- words ---- */

int value_flag(struct str text, bool *on, struct err *e)
{
    *on = str_eq(text, "on");
    if (*on || str_eq(text, "off"))
        return 0;
    return err_set(e, ERR_INPUT, "not on or off");
}

int value_name(struct str text, struct err *e)
{
    bool well = text.n >= 1 && text.n <= 32;

    for (size_t i = 0; well && i < text.n; i++)
        well = (text.p[i] >= 'a' && text.p[i] <= 'z') || is_digit(text.p[i]) || text.p[i] == '-';
    if (!well)
        return err_set(e, ERR_INPUT, "not a name of 1 to 32 characters a-z, 0-9 and - (such as pi-2)");
    if (text.p[0] == '-')
        return err_set(e, ERR_INPUT,
                       "begins with -, which commands take for an option; begin it with a letter or digit");
    return 0;
}

bool value_next(struct str *rest, struct str *word)
{
    return str_next_word(rest, ",", word);
}

/* ---- addresses ---- */

int value_port(struct str text, uint16_t *port, struct err *e)
{
    int64_t n;

    if (value_number(text, 1, 65535, &n, NULL) != 0)
        return err_set(e, ERR_INPUT, "the port is not a number from 1 to 65535");
    *port = (uint16_t)n;
    return 0;
}

static bool all_digits(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!is_digit(s.p[i]))
            return false;
    return s.n > 0;
}

static int read_v6(struct str host, uint16_t port, struct opt_address *out, struct err *e)
{
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&out->addr;
    char text[INET6_ADDRSTRLEN];

    if (memchr(host.p, '%', host.n))
        return err_set(e, ERR_INPUT,
                       "an address with a zone (%%) is not supported; "
                       "write an address without a zone, or :PORT for all addresses");
    if (host.n < sizeof text && !memchr(host.p, 0, host.n)) {
        memcpy(text, host.p, host.n);
        text[host.n] = 0;
        *in6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons(port) };
        if (inet_pton(AF_INET6, text, &in6->sin6_addr) == 1)
            return 0;
    }
    return err_set(e, ERR_INPUT, "not an IPv6 address between the brackets (such as [::1]:443)");
}

static int read_v4(struct str host, uint16_t port, struct opt_address *out, struct err *e)
{
    struct sockaddr_in *in = (struct sockaddr_in *)&out->addr;
    char text[INET_ADDRSTRLEN];

    if (host.n < sizeof text && !memchr(host.p, 0, host.n)) {
        memcpy(text, host.p, host.n);
        text[host.n] = 0;
        *in = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(port) };
        if (inet_pton(AF_INET, text, &in->sin_addr) == 1)
            return 0;
    }
    if (str_eq(host, "*"))
        return err_set(e, ERR_INPUT, "* is not an address; write :%u for all addresses", port);
    return err_set(e, ERR_INPUT,
                   "not an IP address in front of the port (host names are not looked up here); "
                   "write :%u, 127.0.0.1:%u or [::1]:%u",
                   port, port, port);
}

/* Where the colon in front of the port is; NULL with an error that tells the form wanted. */
static const char *port_colon(struct str text, bool bare, struct err *e)
{
    const char *first = memchr(text.p, ':', text.n), *last = memrchr(text.p, ':', text.n);

    if (text.n > 0 && text.p[0] == '[') {
        const char *close = memchr(text.p, ']', text.n);

        if (close && close + 1 == last)
            return last;
        err_set(e, ERR_INPUT, "not [V6]:PORT (such as [::1]:443)");
    } else if (all_digits(text)) {
        err_set(e, ERR_INPUT, "a port is written with a colon in front (such as :443)");
    } else if (!first) {
        err_set(e, ERR_INPUT, "has no port; not %s:PORT, ADDRESS:PORT or [V6]:PORT", bare ? "PORT, " : "");
    } else if (first != last) {
        err_set(e, ERR_INPUT, "an IPv6 address stands in brackets, with the port behind (such as [::1]:443)");
    } else {
        return last;
    }
    return NULL;
}

int value_address(struct str text, bool bare, struct opt_address *out, struct err *e)
{
    struct str host, port_text;
    const char *colon;
    uint16_t port;

    *out = (struct opt_address){ 0 };
    if (bare && all_digits(text)) {
        host = (struct str){ text.p, 0 };
        port_text = text;
    } else {
        colon = port_colon(text, bare, e);
        if (!colon)
            return -1;
        host = (struct str){ text.p, (size_t)(colon - text.p) };
        port_text = (struct str){ colon + 1, text.n - host.n - 1 };
    }
    if (value_port(port_text, &port, e) != 0)
        return -1;
    out->any = host.n == 0;
    if (out->any)
        return read_v6(STR("::"), port, out, e);
    if (host.p[0] == '[')
        return read_v6((struct str){ host.p + 1, host.n - 2 }, port, out, e);
    return read_v4(host, port, out, e);
}

void value_print_address(struct buf *out, const struct opt_address *address)
{
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&address->addr;
    const struct sockaddr_in *in = (const struct sockaddr_in *)&address->addr;
    char text[INET6_ADDRSTRLEN];

    if (address->any) {
        buf_printf(out, ":%u", ntohs(in6->sin6_port));
    } else if (address->addr.ss_family == AF_INET6) {
        inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof text);
        buf_printf(out, "[%s]:%u", text, ntohs(in6->sin6_port));
    } else {
        inet_ntop(AF_INET, &in->sin_addr, text, sizeof text);
        buf_printf(out, "%s:%u", text, ntohs(in->sin_port));
    }
}

/* ---- text from outside ---- */

/* Control characters, and what hides or turns around the text behind it. */
static bool is_printable(uint32_t code)
{
    return code >= 0x20 && !(code >= 0x7f && code < 0xa0) && !(code >= 0x200b && code <= 0x200f) &&
           !(code >= 0x2028 && code <= 0x202e) && !(code >= 0x2060 && code <= 0x206f) && code != 0xfeff;
}

void value_show(struct buf *out, struct str text, size_t max_chars)
{
    size_t chars = 0, n;
    uint32_t code;

    for (; text.n > 0; text.p += n, text.n -= n) {
        if (max_chars > 0 && chars >= max_chars) {
            buf_add_text(out, "…");
            return;
        }
        n = utf8_decode(text.p, text.n, &code);
        if (n > 0 && is_printable(code)) {
            buf_add(out, text.p, n);
            chars++;
            continue;
        }
        n = n > 0 ? n : 1;
        for (size_t i = 0; i < n; i++, chars += 4)
            buf_printf(out, "\\x%02x", (unsigned char)text.p[i]);
    }
}

void value_show_json(struct buf *out, struct str text)
{
    uint32_t code;
    size_t n;

    for (; text.n > 0; text.p += n, text.n -= n) {
        n = utf8_decode(text.p, text.n, &code);
        if (n > 0 && is_printable(code))
            buf_add(out, text.p, n);
        else
            buf_printf(out, "\\u%04x", n > 0 ? (unsigned)code : 0xfffdU);
        n = n > 0 ? n : 1;
    }
}
