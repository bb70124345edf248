#include "shared/doctor/steps.h"

#include "shared/json.h"
#include "shared/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { STEP_TEXT_BYTES = 1000 };

static const char *const states[] = { "pass", "warn", "fail" };

/* What peers have written is shown on a terminal. */
static json_t *plain_text(char *whole)
{
    char *text = whole;

    for (size_t left = strlen(text); left > 0;) {
        size_t n = utf8_printable(text, left);
        size_t unfit = n > 0 ? 0 : utf8_char(text, left);

        memset(text, ' ', unfit);
        if (n + unfit == 0)
            *text = '?'; /* no character at all, such as half a one at the end */
        text += n + unfit > 0 ? n + unfit : 1;
        left -= n + unfit > 0 ? n + unfit : 1;
    }
    return json_any_text(whole);
}

void steps_add(struct steps *s, const char *step, enum step_state state, const char *fmt, ...)
{
    char text[STEP_TEXT_BYTES];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    json_array_append_new(s->list,
                          json_pack("{s:o, s:s, s:s, s:o, s:n}", "about", json_any_text(s->about), "step",
                                    step, "state", states[state], "text", plain_text(text), "remedy"));
}

void steps_remedy(struct steps *s, const char *fmt, ...)
{
    json_t *last = json_array_get(s->list, json_array_size(s->list) - 1);
    char text[STEP_TEXT_BYTES];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    json_object_set_new(last, "remedy", plain_text(text));
}

enum step_state steps_worst(const json_t *list)
{
    enum step_state worst = STEP_PASS;
    const json_t *step;
    size_t i;

    json_array_foreach(list, i, step)
    {
        if (fact_is(step, "state", states[STEP_FAIL]))
            return STEP_FAIL;
        if (fact_is(step, "state", states[STEP_WARN]))
            worst = STEP_WARN;
    }
    return worst;
}

const char *step_state_text(enum step_state state)
{
    return states[state];
}

const char *fact_text(const json_t *facts, const char *key)
{
    const char *text = json_string_value(json_object_get(facts, key));

    return text ? text : "";
}

int64_t fact_number(const json_t *facts, const char *key, int64_t other)
{
    const json_t *n = json_object_get(facts, key);

    return json_is_integer(n) ? json_integer_value(n) : other;
}

bool fact_is(const json_t *facts, const char *key, const char *text)
{
    return strcmp(fact_text(facts, key), text) == 0;
}
