/* shared/doctor/host.h - the machine that a daemon runs on: its clock, its memory, its disk, who may read its secrets. */
#ifndef SHARED_DOCTOR_HOST_H
#define SHARED_DOCTOR_HOST_H
#include "shared/doctor/steps.h"

/* Adds `now_s` and `memory` to the facts; with a state folder also `disk`. Touches files: for job threads. */
void host_look(json_t *facts, const char *state_dir);
/* Adds to `secrets` of the facts what is wrong with who may read this file, if anything; one that is not there is well. */
void host_look_at_secret(json_t *facts, const char *path);
/* What follows from these. Pure. */
void host_judge(struct steps *s, const json_t *facts);
#endif
