#include "relay/lanes/publish.h"

#include "shared/public_ip.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

static bool is_auto(const struct opt_words *configured)
{
    return configured->n == 1 && strcmp(configured->words[0], "auto") == 0;
}

int publish_check(const struct opt_words *configured, struct err *e)
{
    struct in6_addr ignored;

    if (is_auto(configured))
        return 0;
    if (configured->n > LANE_PUBLISH)
        return err_set(e, ERR_INPUT, "more than %d addresses", LANE_PUBLISH);
    for (size_t i = 0; i < configured->n; i++)
        if (strcmp(configured->words[i], "auto") == 0)
            return err_set(e, ERR_INPUT, "auto stands alone; take it out, or the addresses beside it");
        else if (inet_pton(AF_INET, configured->words[i], &ignored) != 1 &&
                 inet_pton(AF_INET6, configured->words[i], &ignored) != 1)
            return err_set(e, ERR_INPUT, "%.80s is neither auto nor an IP address", configured->words[i]);
    return 0;
}

/* ---- found ---- */

static void add(struct publish *p, const char *text)
{
    for (size_t i = 0; i < p->n; i++)
        if (strcmp(p->texts[i], text) == 0)
            return;
    if (p->n == LANE_PUBLISH)
        return;
    snprintf(p->texts[p->n], sizeof p->texts[p->n], "%s", text);
    p->list[p->n] = p->texts[p->n];
    p->n++;
}

static void add_family(struct publish *p, const struct ifaddrs *all, int family)
{
    char text[INET6_ADDRSTRLEN];

    for (const struct ifaddrs *i = all; i; i = i->ifa_next) {
        const void *bytes;

        if (!i->ifa_addr || i->ifa_addr->sa_family != family || !(i->ifa_flags & IFF_UP) ||
            public_ip_wrong(i->ifa_addr))
            continue;
        if (family == AF_INET)
            bytes = &((const struct sockaddr_in *)(const void *)i->ifa_addr)->sin_addr;
        else
            bytes = &((const struct sockaddr_in6 *)(const void *)i->ifa_addr)->sin6_addr;
        if (inet_ntop(family, bytes, text, sizeof text))
            add(p, text);
    }
}

void publish_find(struct publish *p, const struct opt_words *configured)
{
    struct ifaddrs *all;

    *p = (struct publish){ .found = is_auto(configured) };
    for (size_t i = 0; !is_auto(configured) && i < configured->n; i++)
        add(p, configured->words[i]);
    if (!is_auto(configured) || getifaddrs(&all) != 0)
        return;
    add_family(p, all, AF_INET);
    add_family(p, all, AF_INET6);
    freeifaddrs(all);
}

bool publish_follow(struct publish *p, const struct opt_words *configured)
{
    struct publish before;
    bool same;

    memcpy(&before, p, sizeof before);
    publish_find(p, configured);
    same = before.found == p->found && before.n == p->n;
    for (size_t i = 0; same && i < p->n; i++)
        same = strcmp(before.texts[i], p->texts[i]) == 0;
    return !same;
}

static bool is_public(const char *text, sa_family_t family)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } at = { 0 };

    at.any.sa_family = family;
    return inet_pton(family, text, family == AF_INET ? (void *)&at.v4.sin_addr : &at.v6.sin6_addr) == 1 &&
           !public_ip_wrong(&at.any);
}

static bool has_v4(const struct publish *p)
{
    for (size_t i = 0; i < p->n; i++)
        if (!strchr(p->texts[i], ':'))
            return true;
    return false;
}

void publish_for(struct publish *out, const struct publish *p, const char *reached)
{
    *out = (struct publish){ .found = p->found };
    if (p->found && !has_v4(p) && is_public(reached, AF_INET))
        add(out, reached);
    for (size_t i = 0; i < p->n; i++)
        add(out, p->texts[i]);
    if (p->found && out->n == 0 && is_public(reached, AF_INET6))
        add(out, reached);
}
