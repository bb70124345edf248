/* shared/doctor/steps.h - what a doctor finds: one step of the path after another, each with how it is, what was seen, and
 * what to do. Pure.
 *
 * Facts are JSON: whoever looks writes them down, whoever judges reads nothing else. */
#ifndef SHARED_DOCTOR_STEPS_H
#define SHARED_DOCTOR_STEPS_H
#include "shared/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum step_state { STEP_PASS, STEP_WARN, STEP_FAIL };

struct steps {
    json_t *list;      /* of {about, step, state, text, remedy} */
    const char *about; /* what the next steps are about: "" the machine, "relay fra1", "a.com"; borrowed */
};

void steps_add(struct steps *s, const char *step, enum step_state state, const char *fmt, ...)
    printf_like(4, 5);
/* Of the step that was added last. One line. */
void steps_remedy(struct steps *s, const char *fmt, ...) printf_like(2, 3);
/* The worst state among them; STEP_PASS of none. */
enum step_state steps_worst(const json_t *list);
const char *step_state_text(enum step_state state);

/* ---- facts ---- */

const char *fact_text(const json_t *facts, const char *key);              /* "" when it is not there */
int64_t fact_number(const json_t *facts, const char *key, int64_t other); /* other: when it is not there */
bool fact_is(const json_t *facts, const char *key, const char *text);
#endif
