#include "relay/edge/redirect.h"

#include "shared/domain.h"

#include <string.h>

static const char www[] = "www.";

/* The name of the site under which it wants to be visited. */
static const char *wanted_name(const struct snapshot *s, const struct snap_site *site, const char *host,
                               char other[DOMAIN_BYTES + sizeof www])
{
    bool has_www = strncmp(host, www, sizeof www - 1) == 0;

    if (site->policy.www == POLICY_WWW_ADD && !has_www) {
        memcpy(other, www, sizeof www - 1);
        strcpy(other + sizeof www - 1, host);
    } else if (site->policy.www == POLICY_WWW_STRIP && has_www) {
        strcpy(other, host + sizeof www - 1);
    } else {
        return host;
    }
    return snapshot_find(s, str_of(other)) == site ? other : host;
}

/* Nobody is sent to a certificate that his browser warns of: browsers keep a 308. */
static bool wants_tls(const struct snapshot *s, const struct snap_site *site, const char *host)
{
    if (site->policy.tls == POLICY_PASSTHROUGH) /* without TLS there is nobody who answers */
        return true;
    return site->policy.https == POLICY_REDIRECT && snapshot_trusted(s, host);
}

bool redirect_find(const struct snapshot *s, const struct snap_site *site, const struct h1_head *head,
                   const struct redirect_from *from, struct buf *location)
{
    char host[DOMAIN_BYTES], other[DOMAIN_BYTES + sizeof www];
    struct str path = h1_text(head, head->path);
    struct str whole = h1_text(head, head->authority), port = { 0 };
    const char *name;
    bool secure;

    if (!domain_normalize(h1_text(head, head->host), host))
        return false;
    name = wanted_name(s, site, host, other);
    secure = from->secure || wants_tls(s, site, name);
    if (secure == from->secure && name == host)
        return false;
    if (secure == from->secure) /* the same port, as the visitor sees it */
        port = (struct str){ whole.p + head->host.n, whole.n - head->host.n };
    buf_printf(location, strchr(name, ':') ? "%s://[%s]%.*s" : "%s://%s%.*s", secure ? "https" : "http", name,
               STR_ARG(port));
    if (secure != from->secure && from->https_port != 443)
        buf_printf(location, ":%u", from->https_port);
    if (path.n == 0 || path.p[0] != '/')
        buf_add(location, "/", 1);
    else
        buf_add(location, path.p, path.n);
    return true;
}

void redirect_add(struct buf *out, const struct buf *location, const struct buf *fields, bool with_body,
                  bool close)
{
    static const char body[] =
        "<!doctype html>\n<title>308 Permanent Redirect</title>\n<p>This page is elsewhere.</p>\n";

    buf_printf(
        out,
        "HTTP/1.1 308 Permanent Redirect\r\nLocation: %.*s\r\nContent-Type: text/html; charset=utf-8\r\n"
        "Content-Length: %zu\r\n%.*s%s\r\n",
        (int)location->len, buf_bytes(location), sizeof body - 1, (int)fields->len, buf_bytes(fields),
        close ? "Connection: close\r\n" : "");
    if (with_body)
        buf_add(out, body, sizeof body - 1);
}
