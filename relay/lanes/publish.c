#include "relay/lanes/publish.h"

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
        if (inet_pton(AF_INET, configured->words[i], &ignored) != 1 &&
            inet_pton(AF_INET6, configured->words[i], &ignored) != 1)
            return err_set(e, ERR_INPUT, "%.80s is neither auto nor an IP address", configured->words[i]);
    return 0;
}

/* ---- which are public ---- */

static bool is_public4(uint32_t a)
{
    static const struct {
        uint32_t network;
        int bits;
    } others[] = {
        { 0x00000000, 8 },  { 0x0a000000, 8 },  { 0x64400000, 10 }, { 0x7f000000, 8 },  { 0xa9fe0000, 16 },
        { 0xac100000, 12 }, { 0xc0000000, 24 }, { 0xc0000200, 24 }, { 0xc0a80000, 16 }, { 0xc6120000, 15 },
        { 0xc6336400, 24 }, { 0xcb007100, 24 }, { 0xe0000000, 3 }, /* multicast, reserved, broadcast */
    };

    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if ((a ^ others[i].network) >> (32 - others[i].bits) == 0)
            return false;
    return true;
}

/* 2000::/3 is all that has been given out; in it, 2001:db8::/32 is for books, 2001::/32 and 2002::/16 are tunnels. */
static bool is_public6(const unsigned char a[16])
{
    if ((a[0] & 0xe0) != 0x20 || (a[0] == 0x20 && a[1] == 0x02))
        return false;
    return !(a[0] == 0x20 && a[1] == 0x01 && ((a[2] == 0x0d && a[3] == 0xb8) || (a[2] == 0 && a[3] == 0)));
}

bool publish_is_public(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET)
        return is_public4(ntohl(((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr));
    if (address->sa_family == AF_INET6)
        return is_public6(((const struct sockaddr_in6 *)(const void *)address)->sin6_addr.s6_addr);
    return false;
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
            !publish_is_public(i->ifa_addr))
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

    *p = (struct publish){ 0 };
    for (size_t i = 0; !is_auto(configured) && i < configured->n; i++)
        add(p, configured->words[i]);
    if (!is_auto(configured) || getifaddrs(&all) != 0)
        return;
    add_family(p, all, AF_INET);
    add_family(p, all, AF_INET6);
    freeifaddrs(all);
}
