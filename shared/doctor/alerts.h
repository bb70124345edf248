/* shared/doctor/alerts.h - whether alerts get to whom they are for. Pure. */
#ifndef SHARED_DOCTOR_ALERTS_H
#define SHARED_DOCTOR_ALERTS_H
#include "shared/doctor/steps.h"

/* Facts: {alerts}, as a status has it; role: "relay" or "agent". Nothing is added where nobody is told. */
void alerts_judge(struct steps *s, const json_t *facts, const char *role);
#endif
