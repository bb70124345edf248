/* relay/doctor/look.h - what the relay's doctor looks at by itself: this machine, its sshd, authorities, and how sites look
 * from outside, by an agent. Blocking: for its thread. */
#ifndef RELAY_DOCTOR_LOOK_H
#define RELAY_DOCTOR_LOOK_H
#include "relay/certs/ways.h"
#include "relay/lanes/errands.h"
#include "shared/job.h"

#include <jansson.h>

/* Adds what it sees to the facts. */
void relay_doctor_look(json_t *facts, struct ways *ways, struct errands *errands, struct job *job);
#endif
