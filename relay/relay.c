#include "relay/relay.h"

#include "relay/options.h"
#include "shared/mem.h"

#include <stdlib.h>

struct relay {
    struct loop *loop;
    const struct relay_conf *conf;
};

static void *relay_start(struct loop *loop, const struct opt_conf *conf, struct err *e)
{
    struct relay *r = mem_new(sizeof *r);

    (void)e;
    r->loop = loop;
    r->conf = relay_conf_of(conf);
    return r;
}

static void relay_reload(void *parts, const struct opt_conf *conf)
{
    struct relay *r = parts;

    r->conf = relay_conf_of(conf);
}

static void relay_add_status(void *parts, json_t *status)
{
    const struct relay *r = parts;

    json_object_set_new(status, "name", json_string(r->conf->base.name));
    json_object_set_new(status, "lanes", json_array());
    json_object_set_new(status, "domains", json_array());
}

static void relay_stop(void *parts)
{
    free(parts);
}

const struct daemon_program relay_program = {
    .role = "relay",
    .schema = &relay_schema,
    .start = relay_start,
    .reload = relay_reload,
    .add_status = relay_add_status,
    .stop = relay_stop,
};
