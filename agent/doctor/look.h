/* agent/doctor/look.h - what the agent's doctor looks at by itself: names, ports, services, DNS. Blocking: for its thread. */
#ifndef AGENT_DOCTOR_LOOK_H
#define AGENT_DOCTOR_LOOK_H
#include "shared/job.h"

#include <jansson.h>

/* Adds what it sees to the facts. */
void agent_doctor_look(json_t *facts, struct job *job, void *nobody);
#endif
