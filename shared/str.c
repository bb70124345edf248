#include "shared/str.h"

#include <string.h>
#include <strings.h>

struct str str_of(const char *text)
{
    return (struct str){ text, strlen(text) };
}

bool str_eq(struct str a, const char *text)
{
    return strlen(text) == a.n && (a.n == 0 || memcmp(a.p, text, a.n) == 0);
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

bool str_eq_nocase(struct str a, const char *text)
{
    size_t i;

    for (i = 0; i < a.n; i++)
        if (text[i] == 0 || lower(a.p[i]) != lower(text[i]))
            return false;
    return text[i] == 0;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

struct str str_trim(struct str s)
{
    while (s.n > 0 && is_blank(s.p[0])) {
        s.p++;
        s.n--;
    }
    while (s.n > 0 && is_blank(s.p[s.n - 1]))
        s.n--;
    return s;
}

static bool ends_word(char c, const char *also)
{
    return is_blank(c) || (c != 0 && strchr(also, c));
}

bool str_next_word(struct str *rest, const char *also, struct str *word)
{
    while (rest->n > 0 && ends_word(rest->p[0], also)) {
        rest->p++;
        rest->n--;
    }
    *word = (struct str){ rest->p, 0 };
    while (word->n < rest->n && !ends_word(rest->p[word->n], also))
        word->n++;
    if (word->n == 0)
        return false;
    rest->p += word->n;
    rest->n -= word->n;
    return true;
}
