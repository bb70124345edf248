/* tests/unit/fault_table.h - faults that a doctor has to name: facts on the one side, the step that says it on the other. */
#ifndef TESTS_UNIT_FAULT_TABLE_H
#define TESTS_UNIT_FAULT_TABLE_H
#include "shared/doctor/steps.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

struct fault {
    const char *name, *facts; /* facts: JSON */
    const char *step;
    enum step_state state;
    const char *text, *remedy; /* what stands in them; remedy NULL: none is needed */
};

typedef void judge_cb(struct steps *s, const json_t *facts);

static json_t *judged(judge_cb *judge, const char *facts)
{
    struct steps s = { json_array(), "" };
    json_error_t error;
    json_t *json = json_loads(facts, 0, &error);

    if (!json)
        fail_msg("%s: %s", error.text, facts);
    judge(&s, json);
    json_decref(json);
    return s.list;
}

static bool is_said(const json_t *list, const struct fault *f)
{
    const json_t *step;
    size_t i;

    json_array_foreach(list, i, step)
    {
        if (fact_is(step, "step", f->step) && fact_is(step, "state", step_state_text(f->state)) &&
            strstr(fact_text(step, "text"), f->text) &&
            (!f->remedy || strstr(fact_text(step, "remedy"), f->remedy)))
            return true;
    }
    return false;
}

/* Whoever says that something is wrong says what to do; whoever passes says nothing of that. */
static void check_remedies(const json_t *list)
{
    const json_t *step;
    size_t i;

    json_array_foreach(list, i, step)
    {
        if (fact_is(step, "state", "pass") != !*fact_text(step, "remedy"))
            fail_msg("%s", json_dumps(step, 0));
    }
}

static inline void check_faults(judge_cb *judge, const struct fault *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        json_t *list = judged(judge, rows[i].facts);

        if (!is_said(list, &rows[i]))
            fail_msg("%s: not said in %s", rows[i].name, json_dumps(list, 0));
        check_remedies(list);
        json_decref(list);
    }
}

static inline void check_state(judge_cb *judge, const char *facts, enum step_state state)
{
    json_t *list = judged(judge, facts);

    if (steps_worst(list) != state)
        fail_msg("%s", json_dumps(list, 0));
    check_remedies(list);
    json_decref(list);
}
#endif
