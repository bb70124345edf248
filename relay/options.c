#include "relay/options.h"

#include <stddef.h>

static const struct opt_kind kinds[] = {
    { "relay", OPT_UNNAMED, sizeof(struct relay_conf), NULL,
      "The relay itself: the daemon on the cloud VM." },
};

static const struct opt options[] = {
    DAEMON_OPTIONS("relay", struct relay_conf, "/var/lib/tunnel-relay", "/run/tunnel-relay/control.sock",
                   "relay.d/*.ini"),
};

const struct opt_schema relay_schema = {
    .program = "tunnel-relay",
    .file = "/etc/tunnel/relay.ini",
    .intro = "Configuration of tunnel-relay, the daemon on the cloud VM.",
    .kinds = kinds,
    .kinds_n = sizeof kinds / sizeof kinds[0],
    .opts = options,
    .opts_n = sizeof options / sizeof options[0],
};

const struct relay_conf *relay_conf_of(const struct opt_conf *conf)
{
    return opt_values(conf, "relay", NULL);
}
