#include "relay/lanes/memory.h"

#include "shared/file.h"
#include "shared/json.h"
#include "shared/log.h"
#include "shared/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILE_BYTES = 64 * 1024 * 1024, FILE_VERSION = 1, LIST_MAX = 1000000 };

/* {"v": 1, "sites": [{"agent": "pi", "name": "a.com", "aliases": ["www.a.com"], "policy": {}}],
 *  "tcp": [{"agent": "pi", "name": "ssh", "policy": {"listen": ":2222"}}]}
 *
 * A site that is shared stands there once for each of its agents, and who had it first comes first. */

void memory_init(struct memory *m, const char *state_dir)
{
    *m = (struct memory){ .path = mem_format("%s/claims.json", state_dir) };
}

void memory_free(struct memory *m)
{
    free(m->path);
    buf_free(&m->written);
}

/* ---- read ---- */

static int recall_site(const json_t *site, struct claims *c, struct err *e)
{
    const char *agent, *name, *aliases[LANE_ALIASES];
    const json_t *list;
    size_t n = 0;

    if (json_get_text(site, "agent", LANE_ITEM_BYTES, &agent, e) != 0 ||
        json_get_text(site, "name", LANE_ITEM_BYTES, &name, e) != 0 ||
        json_get_list(site, "aliases", LANE_ALIASES, &list, e) != 0)
        return -1;
    for (; n < json_array_size(list); n++) {
        aliases[n] = json_string_value(json_array_get(list, n));
        if (!aliases[n])
            return err_set(e, ERR_INPUT, "an alias of %s is no text", name);
    }
    claims_remember(
        c, agent, name,
        &(struct lane_item){ .aliases = aliases, .aliases_n = n, .policy = json_object_get(site, "policy") });
    return 0;
}

/* A file from before there were any has no such list. */
static int recall_ports(const json_t *doc, struct claims *c, struct err *e)
{
    const char *agent, *name;
    const json_t *list;

    if (!json_object_get(doc, "tcp"))
        return 0;
    if (json_get_list(doc, "tcp", LIST_MAX, &list, e) != 0)
        return -1;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *port = json_array_get(list, i);

        if (json_get_text(port, "agent", LANE_ITEM_BYTES, &agent, e) != 0 ||
            json_get_text(port, "name", LANE_ITEM_BYTES, &name, e) != 0)
            return err_wrap(e, "tcp %zu", i + 1);
        claims_remember_port(c, agent, name, json_object_get(port, "policy"));
    }
    return 0;
}

static int recall_all(struct memory *m, const json_t *doc, struct claims *c, struct err *e)
{
    const json_t *sites;
    int64_t version;

    if (json_get_int(doc, "v", FILE_VERSION, FILE_VERSION, &version, e) != 0 ||
        json_get_list(doc, "sites", LIST_MAX, &sites, e) != 0)
        return -1;
    for (size_t i = 0; i < json_array_size(sites); i++)
        if (recall_site(json_array_get(sites, i), c, e) != 0)
            return err_wrap(e, "site %zu", i + 1);
    if (recall_ports(doc, c, e) != 0)
        return -1;
    claims_remembered(c);
    (void)memory_keep(m, c); /* without what is not admitted any more */
    return 0;
}

void memory_recall(struct memory *m, struct claims *c)
{
    struct err why = { 0 };
    json_t *doc;

    m->recalled = true;
    if (access(m->path, F_OK) != 0 && errno == ENOENT)
        return;
    doc = file_read(m->path, FILE_BYTES, &m->written, &why) == 0
              ? json_read(buf_bytes(&m->written), m->written.len, &why)
              : NULL;
    if (!doc || recall_all(m, doc, c, &why) != 0) {
        log_warn("what agents claimed before this start is lost; they will say it again",
                 kv_str("path", m->path), kv_str("error", why.text));
        claims_remembered(c);
    }
    json_decref(doc);
}

/* ---- write ---- */

static json_t *describe(const struct claims_site *site, const struct claims_agent *agent)
{
    json_t *aliases = json_array();

    for (size_t i = 0; i < agent->aliases_n; i++)
        json_array_append_new(aliases, json_string(agent->aliases[i]));
    return json_pack("{s:s, s:s, s:o, s:O*}", "agent", agent->name, "name", site->name, "aliases", aliases,
                     "policy", agent->policy);
}

/* One that cannot be had at the moment is one of these, too: it may be had after a restart. */
static json_t *describe_ports(const struct claims *c)
{
    json_t *list = json_array();
    struct claims_port port;

    for (size_t i = 0; claims_port(c, i, &port); i++)
        if (port.port)
            json_array_append_new(list, json_pack("{s:s, s:s, s:O}", "agent", port.agent, "name", port.name,
                                                  "policy", port.policy));
    return list;
}

bool memory_keep(struct memory *m, const struct claims *c)
{
    json_t *sites, *doc;
    struct buf text = { 0 };
    struct claims_site site;
    struct err why = { 0 };

    if (!m->recalled)
        return true;
    sites = json_array();
    for (size_t i = 0; claims_site(c, i, &site); i++)
        for (size_t j = 0; j < site.agents_n; j++)
            if (site.agents[j].claimed || site.agents[j].remembered)
                json_array_append_new(sites, describe(&site, &site.agents[j]));
    doc = json_pack("{s:i, s:o, s:o}", "v", FILE_VERSION, "sites", sites, "tcp", describe_ports(c));
    json_write(&text, doc);
    json_decref(doc);
    if (text.len == m->written.len && memcmp(buf_bytes(&text), buf_bytes(&m->written), text.len) == 0) {
        buf_free(&text);
        return true;
    }
    if (file_write(m->path, buf_bytes(&text), text.len, 0600, &why) != 0) {
        log_warn_limited("claims",
                         "cannot write what agents claim; after a restart their sites are unknown until "
                         "they have said it again",
                         kv_str("error", why.text));
        buf_free(&text);
        return false;
    }
    buf_free(&m->written);
    m->written = text;
    return true;
}
