/* The commands that ask one thing and print a line or two. */
#include "shared/ctl/ctl.h"

#include <stdio.h>

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
