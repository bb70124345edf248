#include "relay/doctor/facts.h"

#include "relay/certs/issuer_conf.h"
#include "relay/lanes/publish.h"
#include "relay/options.h"
#include "shared/json.h"

#include <string.h>

static json_t *words_json(const struct opt_words *words)
{
    json_t *list = json_array();

    for (size_t i = 0; i < words->n; i++)
        json_array_append_new(list, json_any_text(words->words[i]));
    return list;
}

static bool is_meant(const json_t *site, const char *domain)
{
    const json_t *alias;
    size_t i;

    if (!*domain || strcmp(json_string_value(json_object_get(site, "name")), domain) == 0)
        return true;
    json_array_foreach(json_object_get(site, "aliases"), i, alias)
    {
        if (strcmp(json_string_value(alias), domain) == 0)
            return true;
    }
    return false;
}

static json_t *only_meant(const json_t *domains, const char *domain)
{
    json_t *list = json_array(), *one;
    size_t i;

    json_array_foreach(domains, i, one)
    {
        const char *name = json_string_value(json_object_get(one, "name"));

        if (!is_meant(one, domain))
            continue;
        json_object_set_new(one, "local", json_boolean(issuer_is_local(name)));
        json_array_append(list, one);
    }
    return list;
}

static json_t *published(const struct relay_conf *conf)
{
    json_t *list = json_array();
    struct publish p;

    publish_find(&p, &conf->publish);
    for (size_t i = 0; i < p.n; i++)
        json_array_append_new(list, json_string(p.texts[i]));
    return list;
}

static json_t *authorities(const struct opt_conf *conf)
{
    json_t *list = json_array();
    const struct issuer_conf *c;
    const char *name;

    for (size_t i = 0; (c = issuer_at(conf, i, &name)); i++)
        json_array_append_new(list,
                              json_pack("{s:s, s:o, s:o, s:o}", "name", name, "directory",
                                        json_any_text(issuer_directory(c->directory)), "ca_file",
                                        json_any_text(c->ca_file), "resolvers", words_json(&c->resolvers)));
    return list;
}

static void add_sshd(const struct relay_conf *conf, json_t *facts)
{
    json_object_set_new(facts, "ssh_port", json_integer((json_int_t)conf->ssh_port));
    json_object_set_new(facts, "lane_user", json_any_text(conf->lane_user));
    json_object_set_new(facts, "lane_socket", json_any_text(conf->lane_socket));
}

json_t *relay_doctor_facts(const struct opt_conf *conf, json_t *status, const char *domain, struct err *e)
{
    const struct relay_conf *own = relay_conf_of(conf);
    json_t *domains = only_meant(json_object_get(status, "domains"), domain);

    json_object_set_new(status, "domains", domains);
    if (*domain && json_array_size(domains) == 0) {
        json_decref(status);
        err_set(e, ERR_MISSING, "this relay has no site %.200s; see tunnelctl status", domain);
        return NULL;
    }
    json_object_set_new(status, "state_dir", json_any_text(own->base.state_dir));
    json_object_set_new(status, "published", published(own));
    json_object_set_new(status, "authorities", authorities(conf));
    json_object_set_new(status, "listens_http", json_boolean(own->listen_http.n > 0));
    json_object_set_new(status, "listens_https", json_boolean(own->listen_https.n > 0));
    add_sshd(own, status);
    return status;
}
