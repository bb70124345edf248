/* tunnelctl invite: one line for the other machine, and nothing else on stdout. */
#include "shared/ctl/ctl.h"
#include "shared/json.h"
#include "shared/token.h"
#include "shared/value.h"

#include <stdio.h>

enum { FOR_MAX_MS = 7 * 86400 * 1000, PATIENCE_S = 20 };

static json_t *list_of(const char *text)
{
    struct str rest = str_of(text), word;
    json_t *list = json_array();

    while (value_next(&rest, &word)) {
        char name[256];

        snprintf(name, sizeof name, "%.*s", STR_ARG(word));
        json_array_append_new(list, json_any_text(name));
    }
    return list;
}

static bool is_empty_list(const char *text)
{
    struct str rest = str_of(text), word;

    return !value_next(&rest, &word);
}

enum ctl_exit ctl_invite(struct ctl *c)
{
    enum ctl_exit result;
    struct err why = { 0 };
    int64_t for_ms = 0;
    json_t *request, *reply;

    if (c->argc != 1)
        return ctl_wrong_usage("invite takes the agent's NAME%s", c->argc > 1 ? ", and nothing else" : "");
    if (!c->domains)
        return ctl_wrong_usage("invite needs --domains: the names that the agent may serve");
    if (is_empty_list(c->domains))
        return ctl_wrong_usage("--domains \"%s\": no name is in it; give those that the agent may serve",
                               c->domains);
    if (c->host && token_check_host(c->host, &why) != 0)
        return ctl_wrong_usage("--host \"%s\": %s", c->host, why.text);
    if (c->lasts && value_duration(str_of(c->lasts), 1000, FOR_MAX_MS, &for_ms, &why) != 0)
        return ctl_wrong_usage("--for %s: %s", c->lasts, why.text);
    request = json_pack("{s:o, s:o}", "name", json_any_text(c->argv[0]), "domains", list_of(c->domains));
    if (for_ms > 0)
        json_object_set_new(request, "for_s", json_integer((for_ms + 999) / 1000));
    if (c->host)
        json_object_set_new(request, "host", json_any_text(c->host));
    result = ctl_tell(c, "POST", "/v1/invite", request, PATIENCE_S, &reply);
    if (result == CTL_WELL && !c->json)
        printf("tunnelctl join %s\n", ctl_text(reply, "token"));
    json_decref(reply);
    return result;
}
