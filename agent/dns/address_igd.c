#include "agent/dns/address_igd.h"

#include "agent/dns/address_source.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

const char igd_search[] = "M-SEARCH * HTTP/1.1\r\n"
                          "HOST: 239.255.255.250:1900\r\n"
                          "MAN: \"ssdp:discover\"\r\n"
                          "MX: 1\r\n"
                          "ST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n"
                          "\r\n";

static const char http[] = "http://";

/* Characters that a URL may be of; anything else would reach places where it is not expected. */
static bool is_url_text(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] > '~' || strchr("\"<>\\^`{|}", s.p[i]))
            return false;
    return s.n > 0;
}

/* ---- SSDP ---- */

static bool next_line(struct str *rest, struct str *line)
{
    const char *end;

    if (rest->n == 0)
        return false;
    end = memchr(rest->p, '\n', rest->n);
    *line = (struct str){ rest->p, end ? (size_t)(end - rest->p) : rest->n };
    rest->p += line->n + (end ? 1 : 0);
    rest->n -= line->n + (end ? 1 : 0);
    *line = address_trim(*line);
    return true;
}

static bool field_is(struct str line, const char *name, struct str *value)
{
    size_t n = strlen(name);

    if (line.n <= n || line.p[n] != ':' || strncasecmp(line.p, name, n) != 0)
        return false;
    *value = address_trim((struct str){ line.p + n + 1, line.n - n - 1 });
    return true;
}

/* "HOST[:PORT]" of http://HOST[:PORT]/… */
static struct str authority_of(struct str url)
{
    size_t n = 0;

    url.p += sizeof http - 1;
    url.n -= sizeof http - 1;
    while (n < url.n && url.p[n] != '/' && url.p[n] != '?' && url.p[n] != '#')
        n++;
    return (struct str){ url.p, n };
}

static bool is_at(struct str url, const char *host)
{
    struct str at;
    size_t n = strlen(host);

    if (url.n < sizeof http || strncasecmp(url.p, http, sizeof http - 1) != 0)
        return false;
    at = authority_of(url);
    if (at.n < n || memcmp(at.p, host, n) != 0 || (at.n > n && at.p[n] != ':'))
        return false;
    for (size_t i = n + 1; i < at.n; i++)
        if (at.p[i] < '0' || at.p[i] > '9')
            return false;
    return true;
}

int igd_location(struct str packet, const char *from, char url[IGD_URL_BYTES], struct err *e)
{
    static const char ok[] = "HTTP/1.1 200", kind[] = ":InternetGatewayDevice:";
    struct str line, value, location = { NULL, 0 };
    bool is_gateway = false;

    if (!next_line(&packet, &line) || line.n < sizeof ok - 1 || memcmp(line.p, ok, sizeof ok - 1) != 0)
        return err_set(e, ERR_PEER, "%s says something else than where its description is", from);
    while (next_line(&packet, &line) && line.n > 0) {
        if (field_is(line, "location", &value))
            location = value;
        if (field_is(line, "st", &value))
            is_gateway = value.n > 0 && memmem(value.p, value.n, kind, sizeof kind - 1) != NULL;
    }
    if (!is_gateway)
        return err_set(e, ERR_PEER, "%s is no router", from);
    if (!location.p || location.n >= IGD_URL_BYTES || !is_url_text(location) || !is_at(location, from))
        return err_set(e, ERR_PEER, "%s does not say where at its own address its description is", from);
    snprintf(url, IGD_URL_BYTES, "%.*s", STR_ARG(location));
    return 0;
}

/* ---- XML ---- */

static bool ends_name(char c)
{
    return c == '>' || c == '/' || c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The next element of this name, with or without a prefix, from *at on: its content, and *at is behind it. */
static bool element(struct str xml, size_t *at, const char *name, struct str *content)
{
    size_t n = strlen(name);

    for (size_t i = *at; i < xml.n; i++) {
        const char *close, *end, *p = xml.p + i;
        size_t left = xml.n - i, prefix = 1;

        if (*p != '<' || left < n + 2 || p[1] == '/')
            continue;
        while (prefix < left &&
               (p[prefix] == '_' || p[prefix] == '-' || (p[prefix] >= '0' && p[prefix] <= '9') ||
                ((p[prefix] | 32) >= 'a' && (p[prefix] | 32) <= 'z')))
            prefix++;
        prefix = prefix < left && p[prefix] == ':' ? prefix + 1 : 1;
        if (left < prefix + n + 1 || memcmp(p + prefix, name, n) != 0 || !ends_name(p[prefix + n]))
            continue;
        close = memchr(p, '>', left);
        if (!close || close[-1] == '/')
            continue;
        end = memchr(close, '<', left - (size_t)(close - p));
        if (!end)
            return false;
        *content = address_trim((struct str){ close + 1, (size_t)(end - close - 1) });
        *at = (size_t)(end - xml.p);
        return true;
    }
    return false;
}

/* The service whose type begins like this: types and control URLs are brothers, in either order, within one <service>. */
static bool find_service(struct str xml, const char *type, struct str *found_type, struct str *url)
{
    static const char begin[] = "<service>", end[] = "</service>";
    struct str rest = xml;

    while (rest.n > 0) {
        const char *b = memmem(rest.p, rest.n, begin, sizeof begin - 1), *c;
        size_t at = 0, left;
        struct str block;

        if (!b)
            return false;
        left = rest.n - (size_t)(b - rest.p);
        c = memmem(b, left, end, sizeof end - 1);
        if (!c)
            return false;
        block = (struct str){ b + sizeof begin - 1, (size_t)(c - b) - (sizeof begin - 1) };
        rest = (struct str){ c, left - (size_t)(c - b) };
        if (!element(block, &at, "serviceType", found_type) || found_type->n < strlen(type) ||
            memcmp(found_type->p, type, strlen(type)) != 0)
            continue;
        at = 0;
        if (element(block, &at, "controlURL", url))
            return true;
    }
    return false;
}

/* A path, or a whole URL, which must lead to the same place as the description. */
static int resolve(struct str url, const char *at, char out[IGD_URL_BYTES], struct err *e)
{
    struct str here = authority_of(str_of(at)), there;
    bool absolute = url.n > sizeof http - 1 && strncasecmp(url.p, http, sizeof http - 1) == 0;

    if (!is_url_text(url))
        return err_set(e, ERR_PEER, "the router's description has a control URL that is none");
    if (absolute) {
        size_t host = here.n;

        there = authority_of(url);
        for (size_t i = 0; i < here.n && host == here.n; i++)
            if (here.p[i] == ':')
                host = i;
        if (there.n < host || memcmp(there.p, here.p, host) != 0 || (there.n > host && there.p[host] != ':'))
            return err_set(e, ERR_PEER, "the router's description has a control URL that leads elsewhere");
        if (url.n >= IGD_URL_BYTES)
            return err_set(e, ERR_LIMIT, "the router's control URL is too long");
        snprintf(out, IGD_URL_BYTES, "%.*s", STR_ARG(url));
        return 0;
    }
    if (sizeof http + here.n + 1 + url.n >= IGD_URL_BYTES)
        return err_set(e, ERR_LIMIT, "the router's control URL is too long");
    snprintf(out, IGD_URL_BYTES, "%s%.*s%s%.*s", http, STR_ARG(here), url.p[0] == '/' ? "" : "/",
             STR_ARG(url));
    return 0;
}

int igd_find_control(struct str xml, const char *at, struct igd_control *out, struct err *e)
{
    static const char *const types[] = { "urn:schemas-upnp-org:service:WANIPConnection:",
                                         "urn:schemas-upnp-org:service:WANPPPConnection:" };
    struct str type, url;

    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (!find_service(xml, types[i], &type, &url))
            continue;
        if (!is_url_text(type) || type.n >= IGD_TYPE_BYTES)
            return err_set(e, ERR_PEER, "the router's description has a type of service that is none");
        snprintf(out->type, sizeof out->type, "%.*s", STR_ARG(type));
        return resolve(url, at, out->url, e);
    }
    return err_set(e, ERR_MISSING, "the router's description has no service that knows its outer address");
}

void igd_question(const struct igd_control *control, char *body, size_t body_room, char *field,
                  size_t field_room)
{
    snprintf(body, body_room,
             "<?xml version=\"1.0\"?>\r\n"
             "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" "
             "s:encodingStyle=\"http://schemas.xmlsoap.org/soap/encoding/\"><s:Body>"
             "<u:GetExternalIPAddress xmlns:u=\"%s\"></u:GetExternalIPAddress></s:Body></s:Envelope>\r\n",
             control->type);
    snprintf(field, field_room, "SOAPAction: \"%s#GetExternalIPAddress\"", control->type);
}

int igd_external(struct str xml, struct str *text, struct err *e)
{
    struct str code;
    size_t at = 0;

    if (element(xml, &at, "NewExternalIPAddress", text))
        return 0;
    at = 0;
    if (element(xml, &at, "errorCode", &code) && is_url_text(code))
        return err_set(e, ERR_PEER, "the router does not tell its outer address: UPnP error %.*s",
                       (int)(code.n < 10 ? code.n : 10), code.p);
    return err_set(e, ERR_PEER, "the router's answer has no NewExternalIPAddress");
}
