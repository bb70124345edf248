#include "agent/dns/address_source.h"

#include "shared/buf.h"
#include "shared/cidr.h"
#include "shared/public_ip.h"
#include "shared/value.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

static const struct address_kind kinds[] = {
    { "relay", NULL, NULL, 1, ADDRESS_OUTSIDE, true, true, false, false, NULL },
    { "web", NULL, address_web_services, ADDRESS_WEB_SERVICES, ADDRESS_OUTSIDE, true, true, false, false,
      address_ask_web },
    { "dns", NULL, address_dns_services, ADDRESS_DNS_SERVICES, ADDRESS_OUTSIDE_DNS, true, true, false, false,
      address_ask_dns },
    { "interface:", "NAME", NULL, 1, ADDRESS_ITSELF, true, true, true, true, address_ask_interface },
    { "router", NULL, NULL, 1, ADDRESS_ITSELF, true, false, false, true, address_ask_router },
    { "command:", "/PATH", NULL, 1, ADDRESS_ITSELF, true, true, true, false, address_ask_command },
    { "url:", "https://HOST/PATH", NULL, 1, ADDRESS_OUTSIDE, true, true, false, false, address_ask_url },
    { "fixed:", "ADDRESS", NULL, 1, ADDRESS_ITSELF, true, true, false, false, NULL },
};
enum { RELAY = 0, FIXED = sizeof kinds / sizeof *kinds - 1 };

bool address_is_relay(const struct address_kind *kind)
{
    return kind == &kinds[RELAY];
}

bool address_is_fixed(const struct address_kind *kind)
{
    return kind == &kinds[FIXED];
}

/* ---- words ---- */

static bool is_url(const char *arg)
{
    static const char https[] = "https://";

    return strncmp(arg, https, sizeof https - 1) == 0 && arg[sizeof https - 1] &&
           arg[sizeof https - 1] != '/' && strlen(arg) < 1024;
}

static const char *arg_wrong(const struct address_kind *kind, const char *arg)
{
    struct sockaddr_storage address;

    if (address_is_fixed(kind) && !cidr_address(str_of(arg), &address))
        return "behind fixed: is no address (such as fixed:192.0.2.7)";
    if (kind->ask == address_ask_interface && (!*arg || strlen(arg) >= IFNAMSIZ || strchr(arg, '/')))
        return "behind interface: is no name of an interface (such as interface:eth0)";
    if (kind->ask == address_ask_command && *arg != '/')
        return "behind command: is no path of a program (such as command:/etc/tunnel/my-address)";
    if (kind->ask == address_ask_url && !is_url(arg))
        return "behind url: is no https:// URL (such as url:https://address.example.net/)";
    return NULL;
}

const struct address_kind *address_kind_of(const char *word, const char **arg, struct err *e)
{
    const char *wrong;

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const struct address_kind *k = &kinds[i];
        size_t n = strlen(k->word);

        if (k->arg ? strncmp(word, k->word, n) != 0 : strcmp(word, k->word) != 0)
            continue;
        *arg = word + n;
        if ((wrong = arg_wrong(k, *arg)) == NULL)
            return k;
        err_set(e, ERR_INPUT, "%.60s: %s", word, wrong);
        return NULL;
    }
    err_set(
        e, ERR_INPUT,
        "%.60s is none of relay, web, dns, router, interface:NAME, command:/PATH, url:https://HOST/PATH and "
        "fixed:ADDRESS",
        word);
    return NULL;
}

void address_source_name(const struct address_kind *kind, const char *arg, size_t service,
                         char out[ADDRESS_NAME_BYTES])
{
    if (kind->services) {
        snprintf(out, ADDRESS_NAME_BYTES, "%s %s", kind->word, kind->services[service].name);
    } else if (kind->ask == address_ask_url) {
        const char *host = arg + strlen("https://");
        size_t n = strcspn(host, "/?#");
        const char *at = memrchr(host, '@', n);

        n -= at ? (size_t)(at + 1 - host) : 0;
        snprintf(out, ADDRESS_NAME_BYTES, "%shttps://%.*s", kind->word, (int)(n < 100 ? n : 100),
                 at ? at + 1 : host);
    } else {
        snprintf(out, ADDRESS_NAME_BYTES, "%s%.100s", kind->word, arg);
    }
}

/* ---- what was said ---- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct str address_trim(struct str s)
{
    while (s.n > 0 && is_blank(s.p[s.n - 1]))
        s.n--;
    for (; s.n > 0 && is_blank(s.p[0]); s.p++)
        s.n--;
    return s;
}

static void refuse_text(struct str text, struct address_said *said)
{
    bool page = memchr(text.p, '<', text.n) != NULL;
    struct buf shown = { 0 };

    value_show(&shown, text, VALUE_SHOWN_CHARS);
    snprintf(said->why, sizeof said->why, "%s",
             page          ? "is answered with a page instead of an address; is there a "
                             "portal that wants a login first?"
             : text.n == 0 ? "is answered with nothing"
                           : "");
    if (!said->why[0])
        snprintf(said->why, sizeof said->why, "is answered with %s, which is no address", buf_text(&shown));
    buf_free(&shown);
}

void address_judge(struct str text, int family, struct address_said *said)
{
    struct sockaddr_storage address;
    char canonical[ADDRESS_BYTES];
    const void *bytes;
    const char *wrong;

    *said = (struct address_said){ .text = "" };
    if (!cidr_address(text, &address)) {
        refuse_text(text, said);
        return;
    }
    bytes = address.ss_family == AF_INET ? (const void *)&((struct sockaddr_in *)&address)->sin_addr
                                         : (const void *)&((struct sockaddr_in6 *)&address)->sin6_addr;
    if (!inet_ntop(address.ss_family, bytes, canonical, sizeof canonical))
        canonical[0] = 0;
    wrong = public_ip_wrong((const struct sockaddr *)&address);
    if (address.ss_family != family)
        snprintf(said->why, sizeof said->why, "says %s, which is not an %s address", canonical,
                 family == AF_INET ? "IPv4" : "IPv6");
    else if (wrong)
        snprintf(said->why, sizeof said->why, "says %s, which is %s and nothing that the public can reach",
                 canonical, wrong);
    else
        snprintf(said->text, sizeof said->text, "%s", canonical);
}
