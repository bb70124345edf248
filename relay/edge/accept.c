#include "relay/edge/accept.h"

#include <ctype.h>
#include <string.h>

static const char *const types[] = { [ACCEPT_HTML] = "text/html",
                                     [ACCEPT_JSON] = "application/json",
                                     [ACCEPT_PROBLEM] = "application/problem+json" };
enum { FORMS = sizeof types / sizeof types[0] };

/* How much a form is wanted; the most exact range that covers it decides (RFC 9110 12.5.1). */
struct want {
    int exact;  /* 3: named; 2: as one of its kind; 1: as anything; 0: not at all */
    int weight; /* in thousandths */
};

/* The part of *rest before the next separator, which is taken off; one between quotes does not count. */
static bool next_part(struct str *rest, char separator, struct str *part)
{
    bool quoted = false;
    size_t n = 0;

    if (rest->n == 0)
        return false;
    for (; n < rest->n && (quoted || rest->p[n] != separator); n++) {
        if (rest->p[n] == '"')
            quoted = !quoted;
        else if (rest->p[n] == '\\' && quoted && n + 1 < rest->n)
            n++;
    }
    *part = str_trim((struct str){ rest->p, n });
    n += n < rest->n;
    rest->p += n;
    rest->n -= n;
    return true;
}

/* "1", "0.5", "0.125"; -1: something else. */
static int read_weight(struct str text)
{
    int weight, digit = 100;

    if (text.n == 0 || text.n > 5 || (text.p[0] != '0' && text.p[0] != '1') ||
        (text.n > 1 && text.p[1] != '.'))
        return -1;
    weight = (text.p[0] - '0') * 1000;
    for (size_t i = 2; i < text.n; i++, digit /= 10) {
        if (!isdigit((unsigned char)text.p[i]))
            return -1;
        weight += (text.p[i] - '0') * digit;
    }
    return weight <= 1000 ? weight : -1;
}

static int weight_of(struct str parameters)
{
    struct str part;

    while (next_part(&parameters, ';', &part))
        if (part.n >= 2 && (part.p[0] | 32) == 'q' && part.p[1] == '=')
            return read_weight((struct str){ part.p + 2, part.n - 2 });
    return 1000;
}

/* 0: the range does not cover the type. */
static int exactness(struct str range, const char *type)
{
    size_t kind = (size_t)(strchr(type, '/') - type) + 1;

    if (str_eq_nocase(range, type))
        return 3;
    if (range.n == kind + 1 && range.p[kind] == '*' && strncasecmp(range.p, type, kind) == 0)
        return 2;
    return str_eq(range, "*/*");
}

static void note_range(struct want wants[FORMS], struct str element)
{
    struct str range;
    int weight;

    if (!next_part(&element, ';', &range))
        return;
    weight = weight_of(element);
    for (size_t i = 0; i < FORMS && weight >= 0; i++) { /* what cannot be read is left out */
        int exact = exactness(range, types[i]);

        if (exact > wants[i].exact || (exact == wants[i].exact && exact > 0 && weight > wants[i].weight))
            wants[i] = (struct want){ exact, weight };
    }
}

static bool is_above(const struct want *a, const struct want *b)
{
    return a->weight > b->weight || (a->weight == b->weight && a->weight > 0 && a->exact > b->exact);
}

enum accept_form accept_form(const struct h1_head *head)
{
    struct want wants[FORMS] = { 0 };
    bool json, problem;

    for (int i = -1; (i = h1_field_find(head, "accept", (uint32_t)(i + 1))) >= 0;) {
        struct str rest = h1_text(head, head->fields[i].value), element;

        while (next_part(&rest, ',', &element))
            note_range(wants, element);
    }
    json = is_above(&wants[ACCEPT_JSON], &wants[ACCEPT_HTML]);
    problem = is_above(&wants[ACCEPT_PROBLEM], &wants[ACCEPT_HTML]);
    if (problem && wants[ACCEPT_PROBLEM].exact == 3 && !is_above(&wants[ACCEPT_JSON], &wants[ACCEPT_PROBLEM]))
        return ACCEPT_PROBLEM;
    return json ? ACCEPT_JSON : problem ? ACCEPT_PROBLEM : ACCEPT_HTML;
}
