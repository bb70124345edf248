#include "shared/doctor/records.h"

#include "shared/buf.h"
#include "shared/cidr.h"
#include "shared/str.h"

#include <string.h>

/* As https://www.cloudflare.com/ips/ lists them. */
static const char *const cloudflare[] = {
    "103.21.244.0/22",  "103.22.200.0/22", "103.31.4.0/22",   "104.16.0.0/13",    "104.24.0.0/14",
    "108.162.192.0/18", "131.0.72.0/22",   "141.101.64.0/18", "162.158.0.0/15",   "172.64.0.0/13",
    "173.245.48.0/20",  "188.114.96.0/20", "190.93.240.0/20", "197.234.240.0/22", "198.41.128.0/17",
    "2400:cb00::/32",   "2405:8100::/32",  "2405:b500::/32",  "2606:4700::/32",   "2803:f800::/32",
    "2a06:98c0::/29",   "2c0f:f248::/32",
};

const char *records_proxy(const char *address)
{
    struct sockaddr_storage at;
    struct cidr network;
    const struct cidrs networks = { 1, &network };

    if (!cidr_address(str_of(address), &at))
        return NULL;
    for (size_t i = 0; i < sizeof cloudflare / sizeof cloudflare[0]; i++)
        if (cidr_read(str_of(cloudflare[i]), &network, NULL) == 0 && cidrs_have(&networks, &at))
            return "Cloudflare";
    return NULL;
}

bool records_have(const json_t *list, const char *address)
{
    const json_t *one;
    size_t i;

    json_array_foreach(list, i, one)
    {
        if (strcmp(json_string_value(one), address) == 0)
            return true;
    }
    return false;
}

static const char *join(struct buf *out, const json_t *list)
{
    const json_t *one;
    size_t i;

    json_array_foreach(list, i, one) buf_printf(out, "%s%s", i > 0 ? " " : "", json_string_value(one));
    return buf_text(out);
}

static bool is_manual(const struct records *r)
{
    return !*r->holder || strcmp(r->holder, "manual") == 0;
}

static void say_proxied(struct steps *s, const struct records *r, const char *address, const char *whose)
{
    steps_add(s, "DNS", STEP_WARN, "%s is proxied: its %s record %s is %s%s, not this relay", r->name,
              r->type, address, whose ? "an address of " : "a proxy or a load balancer", whose ? whose : "");
    steps_remedy(
        s,
        "if that is not meant, switch the proxy off (proxied = off in [domain %s], or the grey cloud "
        "at Cloudflare); if it is, name its networks in trusted_proxies of relay.ini",
        r->name);
}

static void say_stale(struct steps *s, const struct records *r, const char *address)
{
    steps_add(s, "DNS", STEP_FAIL,
              "%s has a stale %s record: it leads to %s, and the relay has no %s address to lead to", r->name,
              r->type, address, strcmp(r->type, "AAAA") == 0 ? "IPv6" : "IPv4");
    steps_remedy(s, "delete the %s record %s of %s%s: who has %s goes there", r->type, address, r->name,
                 is_manual(r) ? "" : " (or run: tunnelctl dns sync)",
                 strcmp(r->type, "AAAA") == 0 ? "IPv6" : "IPv4");
}

static void say_wrong(struct steps *s, const struct records *r, const char *address)
{
    struct buf wanted = { 0 };

    steps_add(s, "DNS", STEP_FAIL, "%s is at the wrong address: its %s record says %s, and it should be %s",
              r->name, r->type, address, join(&wanted, r->wanted));
    steps_remedy(s, is_manual(r) ? "set at your DNS provider: %s %s %s" : "set %s %s %s: tunnelctl dns sync",
                 r->name, r->type, buf_text(&wanted));
    buf_free(&wanted);
}

static void say_missing(struct steps *s, const struct records *r)
{
    struct buf wanted = { 0 };

    steps_add(s, "DNS", STEP_FAIL, "%s has no %s record", r->name, r->type);
    join(&wanted, r->wanted);
    steps_remedy(s, is_manual(r) ? "set at your DNS provider: %s %s %s" : "set %s %s %s: tunnelctl dns sync",
                 r->name, r->type, buf_text(&wanted));
    buf_free(&wanted);
}

/* True when something is said of this address. */
static bool judge_address(struct steps *s, const struct records *r, const char *address)
{
    const char *whose = records_proxy(address);
    bool leads_there = records_have(r->through, address);

    if (records_have(r->wanted, address) || (!r->wanted && (leads_there || !whose)))
        return false;
    if (whose || leads_there)
        say_proxied(s, r, address, whose);
    else if (json_array_size(r->wanted) == 0)
        say_stale(s, r, address);
    else
        say_wrong(s, r, address);
    return true;
}

void records_judge(struct steps *s, const struct records *r)
{
    struct buf found = { 0 };
    const json_t *one;
    bool said = false;
    size_t i;

    json_array_foreach(r->found, i, one) said = judge_address(s, r, json_string_value(one)) || said;
    if (!said && json_array_size(r->found) == 0 && json_array_size(r->wanted) > 0)
        say_missing(s, r);
    else if (!said && json_array_size(r->found) > 0)
        steps_add(s, "DNS", STEP_PASS, "%s %s %s", r->name, r->type, join(&found, r->found));
    buf_free(&found);
}
