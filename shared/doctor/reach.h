/* shared/doctor/reach.h - is somebody there? One name looked up, one connection made. Blocking: for job threads.
 *
 * Each returns facts: a new reference to a JSON object. */
#ifndef SHARED_DOCTOR_REACH_H
#define SHARED_DOCTOR_REACH_H
#include "shared/job.h"

#include <jansson.h>

enum { REACH_MS = 4000, REACH_ADDRESSES = 4 };

/* {state: found | nameless | no_server, why, addresses[]}, as this machine's programs look names up. */
json_t *reach_name(const char *host);
/* {port, state: open | refused | silent | unreachable, address, from, why}: a TCP connection to an address. greeting: an sshd is
 * expected to say who it is: greeted (said: its line), busy (it turns callers away), mute, closed, or
 * other (it is no sshd). */
enum reach_first { REACH_NOBODY, REACH_GREETING };
json_t *reach_port(const char *address, unsigned port, enum reach_first first, struct job *job);
#endif
