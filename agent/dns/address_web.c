/* Web services that answer with the address they are asked from, over TLS, each for one family. */
#include "agent/dns/address_web.h"

#include "agent/dns/address_source.h"
#include "shared/http/fetch.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { PATIENCE_MS = 6000, MOST_BYTES = 4096, OK = 200 };

struct place {
    const char *urls[ADDRESS_FAMILIES];
};

const struct address_service address_web_services[ADDRESS_WEB_SERVICES] = {
    { "api.ipify.org", "ipify" },    { "api.cloudflare.com", "Cloudflare" }, { "ident.me", "ident.me" },
    { "checkip.dedyn.io", "deSEC" }, { "ifconfig.io", "ifconfig.io" },       { "ip.nnev.de", "NoName e.V." },
};

static const struct place places[ADDRESS_WEB_SERVICES] = {
    { { "https://api.ipify.org", "https://api6.ipify.org" } },
    { { "https://api.cloudflare.com/cdn-cgi/trace", "https://api.cloudflare.com/cdn-cgi/trace" } },
    { { "https://v4.ident.me", "https://v6.ident.me" } },
    { { "https://checkipv4.dedyn.io", "https://checkipv6.dedyn.io" } },
    { { "https://ifconfig.io/ip", "https://ifconfig.io/ip" } },
    { { "https://ip4.nnev.de", "https://ip6.nnev.de" } },
};

static bool is_key_and_value(const char *line, size_t n)
{
    size_t i = 0;

    while (i < n && ((line[i] >= 'a' && line[i] <= 'z') || line[i] == '_'))
        i++;
    return i > 0 && i < n && line[i] == '=';
}

/* Cloudflare's trace: nothing but lines of key=value, of which ip= is meant. A page may well have such a line, too. */
struct str address_of_body(struct str body)
{
    static const char key[] = "ip=";
    struct str whole = address_trim(body), found = whole;
    const char *line = whole.p, *end = whole.p + whole.n;

    while (whole.n > 0 && line < end) {
        const char *next = memchr(line, '\n', (size_t)(end - line));
        size_t n = (size_t)((next ? next : end) - line);

        if (!is_key_and_value(line, n))
            return whole;
        if (n >= sizeof key - 1 && memcmp(line, key, sizeof key - 1) == 0)
            found = address_trim((struct str){ line + sizeof key - 1, n - (sizeof key - 1) });
        line += n + (next ? 1 : 0);
    }
    return found;
}

static void judge_reply(const struct fetch_reply *reply, int family, struct address_said *said)
{
    struct str to = fetch_field(reply, "location");
    int n = (int)(to.p && to.n < 100 ? to.n : 100);

    if (reply->status == OK)
        address_judge(address_of_body((struct str){ buf_bytes(&reply->body), reply->body.len }), family,
                      said);
    else if (reply->status >= 300 && reply->status < 400 && to.p)
        snprintf(
            said->why, sizeof said->why,
            "is answered with a redirect to %.*s instead of an address; is there a portal that wants a login first?",
            n, to.p);
    else
        snprintf(said->why, sizeof said->why, "is answered with status %d instead of an address",
                 reply->status);
}

static void ask_at(const char *url, const struct address_question *q, struct address_said *said)
{
    struct fetch_request request = { .method = "GET",
                                     .url = url,
                                     .direct = true, /* a proxy has an address of its own */
                                     .family = q->family,
                                     .timeout_ms = PATIENCE_MS,
                                     .max_bytes = MOST_BYTES,
                                     .job = q->job };
    struct fetch_reply reply = { 0 };
    struct err why = { 0 };

    if (fetch(&request, &reply, &why) == 0)
        judge_reply(&reply, q->family, said);
    else
        snprintf(said->why, sizeof said->why, "%s", why.text);
    fetch_reply_free(&reply);
}

void address_ask_web(const struct address_question *q, struct address_said said[ADDRESS_FAMILIES])
{
    int f = q->family == AF_INET ? ADDRESS_V4 : ADDRESS_V6;

    ask_at(places[q->service].urls[f], q, &said[f]);
}

void address_ask_url(const struct address_question *q, struct address_said said[ADDRESS_FAMILIES])
{
    ask_at(q->arg, q, &said[q->family == AF_INET ? ADDRESS_V4 : ADDRESS_V6]);
}
