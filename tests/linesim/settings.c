#include "tests/linesim/settings.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct unit {
    const char *name;
    double factor;
};

static const struct unit durations[] = { { "us", 1e3 }, { "ms", 1e6 }, { "s", 1e9 }, { 0 } };
static const struct unit rates[] = {
    { "bit", 1. / 8 }, { "kbit", 1e3 / 8 }, { "mbit", 1e6 / 8 }, { "gbit", 1e9 / 8 }, { 0 },
};
static const struct unit sizes[] = { { "", 1 }, { "k", 1 << 10 }, { "m", 1 << 20 }, { 0 } };

static const struct setting {
    const char *key;
    const struct unit *units;
    size_t offset; /* of an int64_t in struct line_conf */
    double min, max;
    bool none; /* "none" means 0 */
    const char *such_as;
} settings[] = {
    { "delay", durations, offsetof(struct line_conf, delay_ns), 0, 3600e9, true, "a duration such as 50ms" },
    { "jitter", durations, offsetof(struct line_conf, jitter_ns), 0, 3600e9, true, "a duration such as 5ms" },
    { "rate", rates, offsetof(struct line_conf, rate), 1, 1e12, true, "a rate such as 1mbit" },
    { "queue", sizes, offsetof(struct line_conf, queue_bytes), 1, 1 << 30, false, "a size such as 64k" },
};

static const struct setting *find_setting(struct str key)
{
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        if (str_eq(key, settings[i].key))
            return &settings[i];
    return NULL;
}

static int parse_value(const struct setting *s, struct str text, int64_t *value)
{
    char digits[32], *end;
    double n;

    if (s->none && str_eq(text, "none")) {
        *value = 0;
        return 0;
    }
    if (text.n == 0 || text.n >= sizeof digits || !isdigit((unsigned char)text.p[0]))
        return -1;
    snprintf(digits, sizeof digits, "%.*s", STR_ARG(text));
    n = strtod(digits, &end);
    for (const struct unit *u = s->units; u->name; u++)
        if (strcmp(end, u->name) == 0 && n * u->factor >= s->min && n * u->factor <= s->max) {
            *value = (int64_t)(n * u->factor);
            return 0;
        }
    return -1;
}

void settings_directions(struct str *words, int *from, int *to)
{
    struct str rest = *words, word;

    *from = UP;
    *to = DOWN;
    if (!str_next_word(&rest, "", &word) || (!str_eq(word, "up") && !str_eq(word, "down")))
        return;
    *from = *to = str_eq(word, "up") ? UP : DOWN;
    *words = rest;
}

int settings_read(struct line_conf conf[2], struct str words, struct err *e)
{
    struct line_conf changed[2] = { conf[UP], conf[DOWN] };
    struct str key, text;
    int from, to;

    settings_directions(&words, &from, &to);
    while (str_next_word(&words, "", &key)) {
        const struct setting *s = find_setting(key);
        int64_t value;

        if (!s)
            return err_set(e, ERR_INPUT, "%.*s: not one of delay, jitter, rate, queue", STR_ARG(key));
        str_next_word(&words, "", &text);
        if (parse_value(s, text, &value) != 0)
            return err_set(e, ERR_INPUT, "%s %.*s: not %s%s", s->key, STR_ARG(text), s->such_as,
                           s->none ? " or none" : "");
        for (int d = from; d <= to; d++)
            memcpy((char *)&changed[d] + s->offset, &value, sizeof value);
    }
    conf[UP] = changed[UP];
    conf[DOWN] = changed[DOWN];
    return 0;
}
