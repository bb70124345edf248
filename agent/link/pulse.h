/* agent/link/pulse.h - is the line to the relay alive?
 *
 * A value. A line is dead when for 15 s no byte has come and the kernel has seen nothing of ours acknowledged either: a
 * line that is only full can hold an answer back for longer. sshd itself is taken for dead after 45 s without a byte. */
#ifndef AGENT_LINK_PULSE_H
#define AGENT_LINK_PULSE_H
#include <stdbool.h>
#include <stdint.h>

enum { PULSE_SILENT_MS = 15000, PULSE_HUNG_MS = 45000, PULSE_LOOK_MS = 4000 };

struct pulse {
    int64_t heard_at_ms, looked_at_ms; /* looked: 0 when nobody waits for an answer */
};

void pulse_begin(struct pulse *p, int fd, int64_t now_ms); /* sets the socket's options */
void pulse_heard(struct pulse *p, int64_t now_ms);
/* After a change of the network: without an acknowledgement within PULSE_LOOK_MS the line is dead. */
void pulse_look(struct pulse *p, int64_t now_ms);
/* 0 or less: it is dead. Else the ms after which to ask again. */
int64_t pulse_left_ms(const struct pulse *p, int fd, int64_t now_ms);
/* No interface has the connection's own address any more. */
bool pulse_address_gone(int fd);
#endif
