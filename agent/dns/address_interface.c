/* What an interface of this machine has: the kernel is asked for its list of addresses. */
#include "agent/dns/address_netlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { ROOM = 32768, PATIENCE_S = 2 };

static int hear(int fd, struct address_pick *pick, struct err *e)
{
    char bytes[ROOM];

    for (;;) {
        ssize_t n = recv(fd, bytes, sizeof bytes, 0);
        int rc;

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(e, errno, "cannot read the kernel's addresses");
        rc = address_netlink_read(pick, bytes, (size_t)n, e);
        if (rc != 0)
            return rc == ADDRESS_NETLINK_DONE ? 0 : -1;
    }
}

static int look(struct address_pick *pick, struct err *e)
{
    struct {
        struct nlmsghdr head;
        struct ifaddrmsg body;
    } question = { .head = { .nlmsg_len = sizeof question,
                             .nlmsg_type = RTM_GETADDR,
                             .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
                   .body = { .ifa_family = (unsigned char)pick->family } };
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), rc;

    if (fd < 0)
        return err_errno(e, errno, "cannot ask the kernel for addresses");
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){ .tv_sec = PATIENCE_S },
                   sizeof(struct timeval)) != 0 ||
        send(fd, &question, sizeof question, 0) < 0)
        rc = err_errno(e, errno, "cannot ask the kernel for addresses");
    else
        rc = hear(fd, pick, e);
    close(fd);
    return rc;
}

static void of_family(const char *name, unsigned index, int family, struct address_said *said)
{
    struct address_pick pick = { .index = index, .family = family };
    char text[ADDRESS_BYTES] = "";
    struct err why = { 0 };

    if (look(&pick, &why) != 0) {
        snprintf(said->why, sizeof said->why, "%s", why.text);
    } else if (pick.found && inet_ntop(family, pick.bytes, text, sizeof text)) {
        address_judge(str_of(text), family, said);
    } else {
        said->none = true;
        snprintf(said->why, sizeof said->why, "%s has no public %s address%s%.300s", name,
                 family == AF_INET ? "IPv4" : "IPv6", *pick.passed_over ? ": " : "", pick.passed_over);
    }
}

void address_ask_interface(const struct address_question *q, struct address_said said[ADDRESS_FAMILIES])
{
    unsigned index = if_nametoindex(q->arg);

    if (index == 0) {
        for (int f = 0; f < ADDRESS_FAMILIES; f++)
            snprintf(said[f].why, sizeof said[f].why,
                     "there is no interface %s on this machine; `ip link` lists them", q->arg);
        return;
    }
    of_family(q->arg, index, AF_INET, &said[ADDRESS_V4]);
    of_family(q->arg, index, AF_INET6, &said[ADDRESS_V6]);
}
