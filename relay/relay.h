/* relay/relay.h - the relay: owns every part of tunnel-relay. */
#ifndef RELAY_RELAY_H
#define RELAY_RELAY_H
#include "shared/daemon.h"

/* What daemon_main starts, reloads, asks for its status, and stops. */
extern const struct daemon_program relay_program;
#endif
