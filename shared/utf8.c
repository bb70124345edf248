#include "shared/utf8.h"

static bool continues(unsigned char c)
{
    return (c & 0xc0) == 0x80;
}

size_t utf8_char(const char *p, size_t n)
{
    const unsigned char *u = (const unsigned char *)p;
    size_t len;

    if (n == 0)
        return 0;
    if (u[0] < 0x80)
        return 1;
    len = u[0] >= 0xf0 ? 4 : u[0] >= 0xe0 ? 3 : 2;
    if (u[0] < 0xc2 || u[0] > 0xf4 || n < len)
        return 0;
    for (size_t i = 1; i < len; i++)
        if (!continues(u[i]))
            return 0;
    /* Overlong forms, surrogates, and what lies beyond U+10FFFF. */
    if ((u[0] == 0xe0 && u[1] < 0xa0) || (u[0] == 0xed && u[1] > 0x9f) || (u[0] == 0xf0 && u[1] < 0x90) ||
        (u[0] == 0xf4 && u[1] > 0x8f))
        return 0;
    return len;
}

size_t utf8_printable(const char *p, size_t n)
{
    size_t len = utf8_char(p, n);
    const unsigned char *u = (const unsigned char *)p;

    if (len == 1 && (u[0] < 0x20 || u[0] == 0x7f))
        return 0;
    if (len == 2 && u[0] == 0xc2 && u[1] < 0xa0)
        return 0;
    return len;
}
