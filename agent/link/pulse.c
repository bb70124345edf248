#include "agent/link/pulse.h"

#include <netinet/in.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <uv.h>

enum { QUEUED_BYTES = 128 * 1024 };

/* What has died without a word is noticed by the kernel as soon as by us. And a heartbeat is not to wait behind the
 * megabytes that the kernel would queue: on a slow line that takes longer than a lane may be silent. */
static void set_options(int fd)
{
    static const struct {
        int level, name, value;
    } options[] = {
        { SOL_SOCKET, SO_KEEPALIVE, 1 },
        { IPPROTO_TCP, TCP_KEEPIDLE, 15 },
        { IPPROTO_TCP, TCP_KEEPINTVL, 5 },
        { IPPROTO_TCP, TCP_KEEPCNT, 3 },
        { IPPROTO_TCP, TCP_USER_TIMEOUT, PULSE_SILENT_MS },
        { IPPROTO_TCP, TCP_NOTSENT_LOWAT, QUEUED_BYTES },
    };

    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        if (setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof(int)) != 0)
            return; /* the heartbeat alone will do */
}

void pulse_begin(struct pulse *p, int fd, int64_t now_ms)
{
    *p = (struct pulse){ .heard_at_ms = now_ms };
    set_options(fd);
}

void pulse_heard(struct pulse *p, int64_t now_ms)
{
    p->heard_at_ms = now_ms;
    p->looked_at_ms = 0;
}

void pulse_look(struct pulse *p, int64_t now_ms)
{
    if (p->looked_at_ms == 0)
        p->looked_at_ms = now_ms;
}

void pulse_woke(struct pulse *p, int64_t now_ms)
{
    p->heard_at_ms = now_ms - 1; /* before it was looked at */
    p->looked_at_ms = now_ms;
}

/* Whether bytes of ours wait to be sent. When none do and sshd is silent, the line is not just full. */
static bool has_queued(int fd)
{
    int n = 0;

    return ioctl(fd, SIOCOUTQNSD, &n) == 0 && n > 0;
}

/* When the peer's kernel was heard last. It acknowledges also while its sshd hangs. */
static int64_t acknowledged_at_ms(int fd, int64_t now_ms)
{
    struct tcp_info info = { 0 };
    socklen_t size = sizeof info;

    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0)
        return 0;
    return now_ms - (int64_t)info.tcpi_last_ack_recv;
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t sooner(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int64_t pulse_left_ms(struct pulse *p, int fd, int64_t now_ms)
{
    int64_t left_ms = PULSE_SILENT_MS - (now_ms - p->heard_at_ms);
    int64_t acked_at_ms, busy_at_ms;

    if (has_queued(fd))
        p->full_at_ms = now_ms;
    if (left_ms > 0 && p->looked_at_ms == 0)
        return left_ms;
    acked_at_ms = acknowledged_at_ms(fd, now_ms);
    busy_at_ms = later(p->heard_at_ms, sooner(acked_at_ms, p->full_at_ms));
    left_ms = sooner(PULSE_SILENT_MS - (now_ms - busy_at_ms), PULSE_HUNG_MS - (now_ms - p->heard_at_ms));
    if (p->looked_at_ms != 0 && later(p->heard_at_ms, acked_at_ms) < p->looked_at_ms)
        left_ms = sooner(left_ms, PULSE_LOOK_MS - (now_ms - p->looked_at_ms));
    return left_ms;
}

static bool same_address(const struct sockaddr_storage *a, const uv_interface_address_t *b)
{
    const struct sockaddr_in *v4 = (const void *)a;
    const struct sockaddr_in6 *v6 = (const void *)a;

    if (a->ss_family != b->address.address4.sin_family)
        return false;
    if (a->ss_family == AF_INET)
        return v4->sin_addr.s_addr == b->address.address4.sin_addr.s_addr;
    return memcmp(&v6->sin6_addr, &b->address.address6.sin6_addr, sizeof v6->sin6_addr) == 0;
}

bool pulse_address_gone(int fd)
{
    uv_interface_address_t *list;
    struct sockaddr_storage own = { 0 };
    socklen_t size = sizeof own;
    bool there = false;
    int n;

    if (getsockname(fd, (struct sockaddr *)&own, &size) != 0 || uv_interface_addresses(&list, &n) != 0)
        return false;
    for (int i = 0; i < n && !there; i++)
        there = same_address(&own, &list[i]);
    uv_free_interface_addresses(list, n);
    return !there;
}
