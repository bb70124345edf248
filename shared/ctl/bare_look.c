#include "shared/ctl/bare_look.h"

#include "shared/buf.h"
#include "shared/ctl/capture.h"
#include "shared/doctor/host.h"
#include "shared/file.h"
#include "shared/json.h"
#include "shared/port_holder.h"
#include "shared/public_ip.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/timex.h>

static json_t *look_at_ports(void)
{
    static const unsigned ports[] = { 22, 80, 443 };
    json_t *list = json_array();

    for (size_t i = 0; i < sizeof ports / sizeof ports[0]; i++) {
        char holder[64] = "";
        pid_t pid = port_holder_pid(ports[i]);

        if (pid > 0)
            file_describe_process(pid, holder, sizeof holder);
        else if (pid < 0)
            snprintf(holder, sizeof holder, "another process");
        json_array_append_new(
            list, json_pack("{s:i, s:o}", "port", (int)ports[i], "holder", json_any_text(holder)));
    }
    return list;
}

/* "" when the program is not there, or this user may not ask it. */
static json_t *said_by(const char *const *argv)
{
    struct buf out = { 0 };
    json_t *text = json_any_text(capture(argv, &out) == 0 ? buf_text(&out) : "");

    buf_free(&out);
    return text;
}

static void look_at_firewalls(json_t *facts)
{
    static const char *const ufw[] = { "ufw", "status", NULL },
                             *const nft[] = { "nft", "list", "ruleset", NULL },
                             *const iptables[] = { "iptables", "-S", NULL };

    json_object_set_new(facts, "ufw", said_by(ufw));
    json_object_set_new(facts, "iptables", said_by(iptables));
    json_object_set_new(facts, "nft", said_by(nft));
}

static json_t *look_at_addresses(void)
{
    json_t *list = json_array();
    struct ifaddrs *all = NULL;

    if (getifaddrs(&all) != 0)
        return list;
    for (const struct ifaddrs *one = all; one; one = one->ifa_next) {
        char text[NI_MAXHOST];
        int family = one->ifa_addr ? one->ifa_addr->sa_family : AF_UNSPEC;
        socklen_t n = family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);

        if ((family == AF_INET || family == AF_INET6) && !(one->ifa_flags & IFF_LOOPBACK) &&
            getnameinfo(one->ifa_addr, n, text, sizeof text, NULL, 0, NI_NUMERICHOST) == 0)
            json_array_append_new(list, json_pack("{s:o, s:b}", "address", json_any_text(text), "public",
                                                  public_ip_wrong(one->ifa_addr) == NULL));
    }
    freeifaddrs(all);
    return list;
}

json_t *bare_look(bool relay)
{
    struct timex t = { 0 };
    json_t *facts = json_object();
    int state = adjtimex(&t);

    host_look(facts, NULL);
    json_object_set_new(facts, "clock_kept", json_boolean(state != TIME_ERROR && !(t.status & STA_UNSYNC)));
    if (!relay)
        return facts;
    json_object_set_new(facts, "addresses", look_at_addresses());
    json_object_set_new(facts, "ports", look_at_ports());
    look_at_firewalls(facts);
    return facts;
}
