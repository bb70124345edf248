/* shared/doctor/configuration.h - what a daemon's own --check says, as steps. Pure. */
#ifndef SHARED_DOCTOR_CONFIGURATION_H
#define SHARED_DOCTOR_CONFIGURATION_H
#include "shared/doctor/steps.h"

/* lines: what --check printed; "" when the file is well. runs: the daemon does, with an older configuration. */
void configuration_judge(struct steps *s, const char *file, const char *lines, bool runs);
#endif
