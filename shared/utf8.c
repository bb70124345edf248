#include "shared/utf8.h"

size_t utf8_decode(const char *p, size_t n, uint32_t *code)
{
    static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
    unsigned char first = n > 0 ? (unsigned char)p[0] : 0xff;
    size_t len = first < 0x80   ? 1
                 : first < 0xc0 ? 0
                 : first < 0xe0 ? 2
                 : first < 0xf0 ? 3
                 : first < 0xf8 ? 4
                                : 0;

    if (len == 0 || len > n)
        return 0;
    *code = len == 1 ? first : first & (0x7fu >> len);
    for (size_t i = 1; i < len; i++) {
        if (((unsigned char)p[i] & 0xc0) != 0x80)
            return 0;
        *code = *code << 6 | ((unsigned char)p[i] & 0x3f);
    }
    /* Longer forms than needed, surrogates, and what lies beyond Unicode are no characters. */
    if (*code < smallest[len] || (*code >= 0xd800 && *code < 0xe000) || *code > 0x10ffff)
        return 0;
    return len;
}

size_t utf8_char(const char *p, size_t n)
{
    uint32_t code;

    return utf8_decode(p, n, &code);
}

size_t utf8_printable(const char *p, size_t n)
{
    uint32_t code;
    size_t len = utf8_decode(p, n, &code);

    return len > 0 && (code < 0x20 || (code >= 0x7f && code < 0xa0)) ? 0 : len;
}
