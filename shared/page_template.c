#include "shared/page_template.h"

#include <string.h>

static const char *const words[PAGE_WORDS] = {
    [PAGE_STATUS] = "status", [PAGE_TITLE] = "title",   [PAGE_TEXT] = "text",
    [PAGE_SINCE] = "since",   [PAGE_DOMAIN] = "domain", [PAGE_REQUEST_ID] = "request_id"
};

/* ---- what is a placeholder ---- */

/* The word of one that begins at the start of text; without bytes when none does. */
static struct str word_at(struct str text)
{
    size_t n = 1;

    if (text.n == 0 || text.p[0] != '{')
        return (struct str){ "", 0 };
    while (n < text.n && ((text.p[n] >= 'a' && text.p[n] <= 'z') || text.p[n] == '_'))
        n++;
    if (n == 1 || n == text.n || text.p[n] != '}')
        return (struct str){ "", 0 };
    return (struct str){ text.p + 1, n - 1 };
}

/* PAGE_WORDS: it is none. */
static enum page_word find_word(struct str word)
{
    enum page_word i = 0;

    while (i < PAGE_WORDS && !str_eq(word, words[i]))
        i++;
    return i;
}

/* The next placeholder at or behind *at, which moves there, or to the end. */
static struct str next_word(struct str text, size_t *at)
{
    struct str word = { "", 0 };
    const char *brace;

    while (*at < text.n && (brace = memchr(text.p + *at, '{', text.n - *at))) {
        *at = (size_t)(brace - text.p);
        word = word_at((struct str){ text.p + *at, text.n - *at });
        if (word.n > 0)
            return word;
        ++*at;
    }
    *at = text.n;
    return word;
}

/* ---- check ---- */

int page_template_check(struct str text, struct err *e)
{
    struct str word;
    size_t line = 1, counted = 0, n = 0;

    for (size_t at = 0; (word = next_word(text, &at)).n > 0; at++) {
        for (; counted < at; counted++)
            line += text.p[counted] == '\n';
        if (find_word(word) == PAGE_WORDS)
            return err_set(
                e, ERR_INPUT,
                "line %zu: {%.*s} is no placeholder; there are {status}, {title}, {text}, {since}, "
                "{domain} and {request_id}. Where it is meant as it stands, put a blank into the "
                "braces",
                line, (int)(word.n < 40 ? word.n : 40), word.p);
        if (++n > PAGE_TEMPLATE_MOST)
            return err_set(e, ERR_INPUT, "line %zu: the page has more than %d placeholders; write fewer",
                           line, PAGE_TEMPLATE_MOST);
    }
    return 0;
}

/* ---- render ---- */

void page_template_escape(struct buf *out, const char *text)
{
    for (size_t plain; *text; text += plain) {
        const char *instead;

        plain = strcspn(text, "&<>\"'");
        buf_add(out, text, plain);
        switch (text[plain]) {
        case '&': instead = "&amp;"; break;
        case '<': instead = "&lt;"; break;
        case '>': instead = "&gt;"; break;
        case '"': instead = "&quot;"; break;
        case '\'': instead = "&#39;"; break;
        default: return;
        }
        buf_add_text(out, instead);
        plain++;
    }
}

void page_template_render(struct buf *out, struct str text, const char *const values[PAGE_WORDS])
{
    size_t done = 0, at = 0;
    struct str word;

    while ((word = next_word(text, &at)).n > 0) {
        enum page_word i = find_word(word);

        buf_add(out, text.p + done, at - done);
        done = at;
        if (i != PAGE_WORDS) {
            page_template_escape(out, values[i]);
            done += word.n + 2;
        }
        at++;
    }
    buf_add(out, text.p + done, text.n - done);
}
