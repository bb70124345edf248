/* What a person reads first. */
#include "shared/ctl/ctl.h"

#include <stdio.h>

static const char *bold(const struct ctl *c)
{
    return c->colour ? "\033[1m" : "";
}

static const char *plain(const struct ctl *c)
{
    return c->colour ? "\033[0m" : "";
}

static void print_count(const json_t *status, const char *key)
{
    const json_t *list = json_object_get(status, key);

    if (json_is_array(list) && json_array_size(list) == 0)
        printf("  %-8s  none\n", key);
    else if (json_is_array(list))
        printf("  %-8s  %zu\n", key, json_array_size(list));
}

enum ctl_exit ctl_status(struct ctl *c)
{
    enum ctl_exit result;
    char up[32];
    json_t *status;

    if (c->argc > 0)
        return ctl_wrong_usage("status takes no argument, but was given %s", c->argv[0]);
    result = ctl_ask(c, "GET", "/v1/status", &status);
    if (result == CTL_WELL && !c->json) {
        ctl_duration(json_integer_value(json_object_get(status, "uptime_s")), up, sizeof up);
        printf("%stunnel-%s  %s%s  version %s  up %s\n", bold(c), ctl_text(status, "role"),
               ctl_text(status, "name"), plain(c), ctl_text(status, "version"), up);
        print_count(status, "relays");
        print_count(status, "lanes");
        print_count(status, "domains");
    }
    json_decref(status);
    return result;
}

enum ctl_exit ctl_version(struct ctl *c)
{
    enum ctl_exit result;
    json_t *version;

    if (c->argc > 0)
        return ctl_wrong_usage("version takes no argument, but was given %s", c->argv[0]);
    if (!c->json)
        printf("tunnelctl     %s\n", TUNNEL_VERSION);
    fflush(stdout); /* so that it stands before the reason, should no daemon answer */
    result = ctl_ask(c, "GET", "/v1/version", &version);
    if (result == CTL_WELL && !c->json)
        printf("%-12s  %s  (%s)\n", ctl_text(version, "program"), ctl_text(version, "version"),
               ctl_text(version, "config"));
    json_decref(version);
    return result;
}

enum ctl_exit ctl_reload(struct ctl *c)
{
    enum ctl_exit result;
    json_t *reply;

    if (c->argc > 0)
        return ctl_wrong_usage("reload takes no argument, but was given %s", c->argv[0]);
    result = ctl_ask(c, "POST", "/v1/reload", &reply);
    if (result == CTL_WELL && !c->json)
        printf("reloaded\n");
    json_decref(reply);
    return result;
}
