/* agent/agent.h - the agent: owns every part of tunnel-agent. */
#ifndef AGENT_AGENT_H
#define AGENT_AGENT_H
#include "shared/daemon.h"

/* What daemon_main starts, reloads, asks for its status, and stops. */
extern const struct daemon_program agent_program;
#endif
