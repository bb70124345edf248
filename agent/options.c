#include "agent/options.h"

#include <stddef.h>

static const struct opt_kind kinds[] = {
    { "agent", OPT_UNNAMED, sizeof(struct agent_conf), NULL, "The agent itself: the daemon in the house." },
};

static const struct opt options[] = {
    DAEMON_OPTIONS("agent", struct agent_conf, "/var/lib/tunnel-agent", "/run/tunnel-agent/control.sock",
                   "agent.d/*.ini"),
};

const struct opt_schema agent_schema = {
    .program = "tunnel-agent",
    .file = "/etc/tunnel/agent.ini",
    .intro = "Configuration of tunnel-agent, the daemon in the house.",
    .kinds = kinds,
    .kinds_n = sizeof kinds / sizeof kinds[0],
    .opts = options,
    .opts_n = sizeof options / sizeof options[0],
};

const struct agent_conf *agent_conf_of(const struct opt_conf *conf)
{
    return opt_values(conf, "agent", NULL);
}
