/* agent/options.h - agent.ini: every key of it, and what the program reads from it. */
#ifndef AGENT_OPTIONS_H
#define AGENT_OPTIONS_H
#include "shared/daemon.h"
#include "shared/opt.h"

/* [agent] */
struct agent_conf {
    struct daemon_conf base;
};

extern const struct opt_schema agent_schema;

/* Owned by conf. */
const struct agent_conf *agent_conf_of(const struct opt_conf *conf);
#endif
