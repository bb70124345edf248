#include "agent/agent.h"

#include "agent/options.h"
#include "shared/mem.h"

#include <stdlib.h>

struct agent {
    struct loop *loop;
    const struct agent_conf *conf;
};

static void *agent_start(struct loop *loop, const struct opt_conf *conf, struct err *e)
{
    struct agent *r = mem_new(sizeof *r);

    (void)e;
    r->loop = loop;
    r->conf = agent_conf_of(conf);
    return r;
}

static void agent_reload(void *parts, const struct opt_conf *conf)
{
    struct agent *r = parts;

    r->conf = agent_conf_of(conf);
}

static void agent_add_status(void *parts, json_t *status)
{
    const struct agent *r = parts;

    json_object_set_new(status, "name", json_string(r->conf->base.name));
    json_object_set_new(status, "public", json_pack("{s:n, s:n, s:[]}", "v4", "v6", "sources"));
    json_object_set_new(status, "relays", json_array());
    json_object_set_new(status, "domains", json_array());
}

static void agent_stop(void *parts)
{
    free(parts);
}

const struct daemon_program agent_program = {
    .role = "agent",
    .schema = &agent_schema,
    .start = agent_start,
    .reload = agent_reload,
    .add_status = agent_add_status,
    .stop = agent_stop,
};
