/* relay/options.h - relay.ini: every key of it, and what the program reads from it. */
#ifndef RELAY_OPTIONS_H
#define RELAY_OPTIONS_H
#include "shared/daemon.h"
#include "shared/opt.h"

/* [relay] */
struct relay_conf {
    struct daemon_conf base;
};

extern const struct opt_schema relay_schema;

/* Owned by conf. */
const struct relay_conf *relay_conf_of(const struct opt_conf *conf);
#endif
