#include "agent/dns/address_netlink.h"

#include "shared/public_ip.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>

struct found {
    const unsigned char *bytes; /* NULL: none */
    uint32_t flags, preferred_s, valid_s;
};

/* Attributes: each with its length, and aligned. False when one reaches over the end. */
static bool read_attributes(const unsigned char *p, size_t n, size_t address_n, struct found *f)
{
    const unsigned char *local = NULL;
    struct ifa_cacheinfo life;
    struct rtattr a;

    while (n >= sizeof a) {
        size_t whole, payload;

        memcpy(&a, p, sizeof a);
        if (a.rta_len < sizeof a || a.rta_len > n)
            return false;
        payload = a.rta_len - sizeof a;
        if (a.rta_type == IFA_ADDRESS && payload == address_n)
            f->bytes = p + sizeof a;
        else if (a.rta_type == IFA_LOCAL && payload == address_n)
            local = p + sizeof a;
        else if (a.rta_type == IFA_FLAGS && payload == sizeof f->flags)
            memcpy(&f->flags, p + sizeof a, sizeof f->flags);
        else if (a.rta_type == IFA_CACHEINFO && payload >= sizeof life) {
            memcpy(&life, p + sizeof a, sizeof life);
            f->preferred_s = life.ifa_prefered;
            f->valid_s = life.ifa_valid;
        }
        whole = RTA_ALIGN((size_t)a.rta_len);
        p += whole < n ? whole : n;
        n -= whole < n ? whole : n;
    }
    if (local) /* of a line with two ends, IFA_ADDRESS is the other one */
        f->bytes = local;
    return true;
}

static const char *state_wrong(const struct found *f, int family)
{
    if (family == AF_INET6 && (f->flags & IFA_F_TEMPORARY))
        return "a temporary one (privacy extensions)";
    if (f->flags & IFA_F_DADFAILED)
        return "in use by another machine";
    if ((f->flags & IFA_F_TENTATIVE) && !(f->flags & IFA_F_OPTIMISTIC))
        return "not yet known to be free (tentative)";
    if ((f->flags & IFA_F_DEPRECATED) || f->preferred_s == 0)
        return "deprecated";
    return NULL;
}

static const char *address_wrong(const struct found *f, int family, char text[ADDRESS_BYTES])
{
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
    struct sockaddr_in v4 = { .sin_family = AF_INET };
    const char *wrong;

    if (family == AF_INET)
        memcpy(&v4.sin_addr, f->bytes, sizeof v4.sin_addr);
    else
        memcpy(&v6.sin6_addr, f->bytes, sizeof v6.sin6_addr);
    if (!inet_ntop(family, f->bytes, text, ADDRESS_BYTES))
        text[0] = 0;
    wrong = public_ip_wrong(family == AF_INET ? (const struct sockaddr *)&v4 : (const struct sockaddr *)&v6);
    return wrong ? wrong : state_wrong(f, family);
}

static bool is_better(const struct found *f, const struct address_pick *than)
{
    bool secondary = f->flags & IFA_F_SECONDARY;

    if (!than->found || f->preferred_s != than->preferred_s)
        return !than->found || f->preferred_s > than->preferred_s;
    if (f->valid_s != than->valid_s)
        return f->valid_s > than->valid_s;
    return than->secondary && !secondary;
}

static void take(struct address_pick *pick, const struct found *f)
{
    char text[ADDRESS_BYTES];
    const char *wrong = address_wrong(f, pick->family, text);
    size_t used = strlen(pick->passed_over);

    if (wrong) {
        if (used + 100 < sizeof pick->passed_over)
            snprintf(pick->passed_over + used, sizeof pick->passed_over - used, "%s%s is %s",
                     used ? ", " : "", text, wrong);
    } else if (is_better(f, pick)) {
        pick->found = true;
        memcpy(pick->bytes, f->bytes, pick->family == AF_INET ? 4 : 16);
        pick->preferred_s = f->preferred_s;
        pick->valid_s = f->valid_s;
        pick->secondary = f->flags & IFA_F_SECONDARY;
    }
}

static bool read_address(struct address_pick *pick, const unsigned char *p, size_t n)
{
    struct ifaddrmsg head;
    struct found f = { .preferred_s = UINT32_MAX, .valid_s = UINT32_MAX };

    if (n < sizeof head)
        return false;
    memcpy(&head, p, sizeof head);
    f.flags = head.ifa_flags;
    if (!read_attributes(p + NLMSG_ALIGN(sizeof head), n - NLMSG_ALIGN(sizeof head),
                         head.ifa_family == AF_INET ? 4 : 16, &f))
        return false;
    if (f.bytes && head.ifa_family == pick->family && head.ifa_index == pick->index)
        take(pick, &f);
    return true;
}

int address_netlink_read(struct address_pick *pick, const void *bytes, size_t n, struct err *e)
{
    const unsigned char *p = bytes;
    struct nlmsghdr head;
    int number = 0;

    while (n >= sizeof head) {
        size_t whole;

        memcpy(&head, p, sizeof head);
        if (head.nlmsg_len < sizeof head || head.nlmsg_len > n)
            break;
        if (head.nlmsg_type == NLMSG_DONE)
            return ADDRESS_NETLINK_DONE;
        if (head.nlmsg_type == NLMSG_ERROR && head.nlmsg_len >= sizeof head + sizeof number)
            memcpy(&number, p + sizeof head, sizeof number);
        if (head.nlmsg_type == NLMSG_ERROR)
            return err_errno(e, number < 0 && number > -4096 ? -number : EIO,
                             "the kernel does not tell its addresses");
        if (head.nlmsg_type == RTM_NEWADDR &&
            !read_address(pick, p + sizeof head, head.nlmsg_len - sizeof head))
            break;
        whole = NLMSG_ALIGN((size_t)head.nlmsg_len);
        p += whole < n ? whole : n;
        n -= whole < n ? whole : n;
    }
    return n == 0 ? 0 : err_set(e, ERR_SYSTEM, "the kernel's list of addresses is not well-formed");
}
