#include "agent/doctor/facts.h"

#include "agent/options.h"
#include "shared/json.h"
#include "shared/mem.h"

#include <stdlib.h>
#include <string.h>

static json_t *words_json(const struct opt_words *words)
{
    json_t *list = json_array();

    for (size_t i = 0; i < words->n; i++)
        json_array_append_new(list, json_any_text(words->words[i]));
    return list;
}

static const char *name_of(const json_t *object)
{
    const char *name = json_string_value(json_object_get(object, "name"));

    return name ? name : "";
}

static void add_relay_conf(const struct opt_conf *conf, json_t *relay)
{
    const struct agent_relay_conf *r = opt_values(conf, "relay", name_of(relay));

    if (!r)
        return; /* it is on its way out */
    json_object_set_new(relay, "host", json_any_text(r->host));
    json_object_set_new(relay, "user", json_any_text(r->user));
    json_object_set_new(relay, "port", json_integer((json_int_t)r->port));
    json_object_set_new(relay, "plain", json_boolean(r->protocol == AGENT_PROTOCOL_PLAIN));
}

static bool is_meant(const struct agent_domain_conf *d, const char *name, const char *domain)
{
    if (!*domain || strcmp(name, domain) == 0)
        return true;
    for (size_t i = 0; d && i < d->aliases.n; i++)
        if (strcmp(d->aliases.words[i], domain) == 0)
            return true;
    return false;
}

static json_t *only_meant(const struct opt_conf *conf, const json_t *domains, const char *domain)
{
    json_t *list = json_array(), *one;
    size_t i;

    json_array_foreach(domains, i, one)
    {
        const struct agent_domain_conf *d = opt_values(conf, "domain", name_of(one));

        if (!is_meant(d, name_of(one), domain))
            continue;
        json_object_set_new(one, "verify", json_boolean(!d || d->verify));
        json_array_append(list, one);
    }
    return list;
}

static json_t *key_files(const struct opt_conf *conf)
{
    json_t *list = json_array();
    const struct agent_relay_conf *r;
    char *own = mem_format("%s/id_ed25519", agent_conf_of(conf)->base.state_dir);

    json_array_append_new(list, json_any_text(own));
    for (size_t i = 0; (r = opt_section(conf, "relay", i, NULL)); i++)
        if (r->key_file[0] && strcmp(r->key_file, own) != 0)
            json_array_append_new(list, json_any_text(r->key_file));
    free(own);
    return list;
}

json_t *agent_doctor_facts(const struct opt_conf *conf, json_t *status, json_t *other_clock,
                           const char *domain, struct err *e)
{
    const struct agent_conf *own = agent_conf_of(conf);
    json_t *domains = only_meant(conf, json_object_get(status, "domains"), domain), *relay;
    size_t i;

    json_object_set_new(status, "domains", domains);
    if (other_clock)
        json_object_set_new(status, "other_clock", other_clock);
    if (*domain && json_array_size(domains) == 0) {
        json_decref(status);
        err_set(e, ERR_MISSING, "this agent has no [domain %.200s]; see tunnelctl status", domain);
        return NULL;
    }
    json_array_foreach(json_object_get(status, "relays"), i, relay) add_relay_conf(conf, relay);
    json_object_set_new(status, "agent", json_any_text(own->base.name));
    json_object_set_new(status, "state_dir", json_any_text(own->base.state_dir));
    json_object_set_new(status, "key_files", key_files(conf));
    json_object_set_new(status, "resolvers", words_json(&own->resolvers));
    return status;
}
