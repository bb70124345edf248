#include "shared/idn.h"

#include "shared/utf8.h"

#include <locale.h>
#include <stdint.h>
#include <string.h>
#include <wctype.h>

enum { LABEL_CHARS = 63 };
/* RFC 3492, section 5. */
enum { BASE = 36, T_MIN = 1, T_MAX = 26, SKEW = 38, DAMP = 700, FIRST_BIAS = 72, FIRST_CODE = 0x80 };

bool idn_is_needed(struct str name)
{
    for (size_t i = 0; i < name.n; i++)
        if ((unsigned char)name.p[i] >= 0x80)
            return true;
    return false;
}

/* ---- which characters ---- */

/* Marks that are written after their letter: with them the same name could be written in several ways. */
static bool is_combining(uint32_t code)
{
    return (code >= 0x300 && code <= 0x36f) || (code >= 0x1ab0 && code <= 0x1aff) ||
           (code >= 0x1dc0 && code <= 0x1dff) || (code >= 0x20d0 && code <= 0x20ff) ||
           (code >= 0xfe20 && code <= 0xfe2f);
}

/* The locale is one that every C library has built in; without it only ASCII letters change. */
static uint32_t lower(uint32_t code, locale_t unicode)
{
    if (code >= 'A' && code <= 'Z')
        return code + ('a' - 'A');
    return code >= 0x80 && unicode ? (uint32_t)towlower_l((wint_t)code, unicode) : code;
}

static bool may_stand(uint32_t code, locale_t unicode)
{
    if (code < 0x80)
        return (code >= 'a' && code <= 'z') || (code >= '0' && code <= '9') || code == '-';
    if (is_combining(code) || !unicode)
        return !is_combining(code);
    /* Between these, scripts of India and further east write vowels as marks. */
    return iswalnum_l((wint_t)code, unicode) ||
           (code >= 0x900 && code < 0x1ab0 && iswprint_l((wint_t)code, unicode));
}

struct label {
    uint32_t codes[LABEL_CHARS];
    size_t n;
};

static int read_label(struct str text, locale_t unicode, struct label *label, struct err *e)
{
    label->n = 0;
    while (text.n > 0) {
        uint32_t code;
        size_t n = utf8_decode(text.p, text.n, &code);

        if (n == 0)
            return err_set(e, ERR_INPUT, "is not UTF-8");
        if (label->n == LABEL_CHARS)
            return err_set(e, ERR_INPUT, "a label is longer than %d characters", LABEL_CHARS);
        code = lower(code, unicode);
        if (!may_stand(code, unicode))
            return err_set(e, ERR_INPUT,
                           is_combining(code)
                               ? "has an accent apart from its letter; write them as one character (NFC)"
                               : "has a character that stands in no host name");
        label->codes[label->n++] = code;
        text.p += n;
        text.n -= n;
    }
    return 0;
}

/* ---- RFC 3492 ---- */

static char digit_of(uint32_t d)
{
    return (char)(d < 26 ? 'a' + d : '0' + (d - 26));
}

static uint32_t adapt(uint32_t delta, uint32_t points, bool first)
{
    uint32_t k = 0;

    delta = first ? delta / DAMP : delta / 2;
    delta += delta / points;
    for (; delta > ((BASE - T_MIN) * T_MAX) / 2; k += BASE)
        delta /= BASE - T_MIN;
    return k + (BASE - T_MIN + 1) * delta / (delta + SKEW);
}

static bool put(char *out, size_t *n, char c)
{
    if (*n == LABEL_CHARS)
        return false;
    out[(*n)++] = c;
    return true;
}

/* A number in digits whose weights depend on the bias. */
static bool put_number(char *out, size_t *n, uint32_t q, uint32_t bias)
{
    for (uint32_t k = BASE;; k += BASE) {
        uint32_t t = k <= bias ? T_MIN : k >= bias + T_MAX ? T_MAX : k - bias;

        if (q < t)
            return put(out, n, digit_of(q));
        if (!put(out, n, digit_of(t + (q - t) % (BASE - t))))
            return false;
        q = (q - t) / (BASE - t);
    }
}

static uint32_t next_code(const struct label *label, uint32_t from)
{
    uint32_t next = UINT32_MAX;

    for (size_t i = 0; i < label->n; i++)
        if (label->codes[i] >= from && label->codes[i] < next)
            next = label->codes[i];
    return next;
}

/* Behind "xn--", into out, of LABEL_CHARS bytes. False when it does not fit. */
static bool encode(const struct label *label, char *out, size_t *n)
{
    uint32_t code = FIRST_CODE, delta = 0, bias = FIRST_BIAS;
    size_t basic = 0, done;

    for (size_t i = 0; i < label->n; i++)
        if (label->codes[i] < FIRST_CODE && !put(out, n, (char)label->codes[i]))
            return false;
        else
            basic += label->codes[i] < FIRST_CODE;
    if (basic > 0 && !put(out, n, '-'))
        return false;
    for (done = basic; done < label->n; delta++, code++) {
        uint32_t next = next_code(label, code);

        delta += (next - code) * (uint32_t)(done + 1);
        code = next;
        for (size_t i = 0; i < label->n; i++) {
            delta += label->codes[i] < code;
            if (label->codes[i] != code)
                continue;
            if (!put_number(out, n, delta, bias))
                return false;
            bias = adapt(delta, (uint32_t)done + 1, done == basic);
            delta = 0;
            done++;
        }
    }
    return true;
}

/* ---- names ---- */

static int add_label(const struct label *label, char out[LABEL_CHARS], size_t *n, struct err *e)
{
    bool ascii = next_code(label, FIRST_CODE) == UINT32_MAX;

    *n = 0;
    for (size_t i = 0; ascii && i < label->n; i++)
        out[(*n)++] = (char)label->codes[i];
    if (ascii)
        return 0;
    for (const char *prefix = "xn--"; *prefix; prefix++)
        out[(*n)++] = *prefix;
    return encode(label, out, n) ? 0 : err_set(e, ERR_INPUT, "a label is longer than the DNS can carry");
}

static int convert(struct str name, locale_t unicode, char out[DOMAIN_BYTES], struct err *e)
{
    size_t used = 0;

    if (name.n >= 2 && memcmp(name.p, "*.", 2) == 0) {
        memcpy(out, "*.", 2);
        used = 2;
        name.p += 2;
        name.n -= 2;
    }
    for (;;) {
        const char *dot = name.n > 0 ? memchr(name.p, '.', name.n) : NULL;
        struct str text = { name.p, dot ? (size_t)(dot - name.p) : name.n };
        char ascii[LABEL_CHARS];
        struct label label;
        size_t n;

        if (read_label(text, unicode, &label, e) != 0 || add_label(&label, ascii, &n, e) != 0)
            return -1;
        if (used + n + 2 > DOMAIN_BYTES)
            return err_set(e, ERR_INPUT, "is longer than the DNS can carry");
        memcpy(out + used, ascii, n);
        used += n;
        out[used] = 0;
        if (!dot)
            return 0;
        out[used++] = '.';
        name = (struct str){ dot + 1, name.n - text.n - 1 };
    }
}

int idn_to_ascii(struct str name, char out[DOMAIN_BYTES], struct err *e)
{
    locale_t unicode = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    int rc = convert(name, unicode, out, e);

    if (unicode)
        freelocale(unicode);
    return rc;
}
