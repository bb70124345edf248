/* agent/link/pulse.h - is the line to the relay alive?
 *
 * A value. A line is dead when for PULSE_SILENT_MS no byte has come, so that it is known within 15 s. A line that is only
 * full can hold an answer back for longer: while bytes of ours wait to be sent, and the kernel sees some acknowledged, it
 * is busy, for PULSE_HUNG_MS at most. */
#ifndef AGENT_LINK_PULSE_H
#define AGENT_LINK_PULSE_H
#include <stdbool.h>
#include <stdint.h>

enum { PULSE_SILENT_MS = 14000, PULSE_HUNG_MS = 45000, PULSE_LOOK_MS = 4000 };

struct pulse {
    int64_t heard_at_ms, looked_at_ms; /* looked: 0 when nobody waits for an answer */
    int64_t full_at_ms;                /* when last some bytes of ours waited to be sent */
};

void pulse_begin(struct pulse *p, int fd, int64_t now_ms); /* sets the socket's options */
void pulse_heard(struct pulse *p, int64_t now_ms);
/* After a change of the network: without an acknowledgement within PULSE_LOOK_MS the line is dead. */
void pulse_look(struct pulse *p, int64_t now_ms);
/* We have been asleep: silence until now says nothing, but a living line acknowledges within PULSE_LOOK_MS. */
void pulse_woke(struct pulse *p, int64_t now_ms);
/* At each heartbeat, before it is said. 0 or less: it is dead. Else the ms after which to ask again. */
int64_t pulse_left_ms(struct pulse *p, int fd, int64_t now_ms);
/* No interface has the connection's own address any more. */
bool pulse_address_gone(int fd);
#endif
