/* relay/doctor/judge.h - what follows from a relay's facts: step by step from this machine to its visitors. Pure. */
#ifndef RELAY_DOCTOR_JUDGE_H
#define RELAY_DOCTOR_JUDGE_H
#include "shared/doctor/steps.h"

void relay_doctor_judge(struct steps *s, const json_t *facts);
#endif
