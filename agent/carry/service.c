#include "agent/carry/service.h"

#include "shared/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>

static bool begins(const char *text, const char *scheme, struct str *rest)
{
    size_t n = strlen(scheme);

    if (strncmp(text, scheme, n) != 0)
        return false;
    *rest = str_of(text + n);
    return true;
}

static int set_path(struct service *s, struct str path, struct err *e)
{
    const size_t max = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;

    if (path.n == 0 || path.p[0] != '/')
        return err_set(e, ERR_INPUT, "not unix: and an absolute path (such as unix:/run/app.sock)");
    if (path.n > max)
        return err_set(e, ERR_INPUT, "the path has %zu characters; a Unix socket's has at most %zu", path.n,
                       max);
    memcpy(s->at.host, path.p, path.n + 1);
    return 0;
}

int service_parse(struct service *s, const char *text, struct err *e)
{
    struct str rest;

    *s = (struct service){ .kind = SERVICE_HTTP, .verify = true };
    if (begins(text, "unix:", &rest)) {
        s->kind = SERVICE_UNIX;
        return set_path(s, rest, e);
    }
    if (begins(text, "tcp://", &rest)) {
        s->kind = SERVICE_TCP;
        return host_port_read(&s->at, rest, 0, "not tcp://HOST:PORT (such as tcp://127.0.0.1:5432)", e);
    }
    if (begins(text, "https://", &rest))
        s->kind = SERVICE_HTTPS;
    else if (begins(text, "h2c://", &rest))
        s->kind = SERVICE_H2C;
    else if (!begins(text, "http://", &rest))
        return err_set(e, ERR_INPUT,
                       "not http://HOST, http://HOST:PORT (such as http://127.0.0.1:8080), "
                       "https://HOST:PORT, h2c://HOST:PORT, unix:/PATH or tcp://HOST:PORT");
    if (rest.n > 0 && rest.p[rest.n - 1] == '/') /* http://HOST/ says no more than http://HOST */
        rest.n--;
    if (rest.n > 0 && memchr(rest.p, '/', rest.n))
        return err_set(
            e, ERR_INPUT,
            "a service has no path: what visitors ask for is passed on as it is; end with the host or its "
            "port (such as http://127.0.0.1:8080)");
    return s->kind == SERVICE_HTTPS
               ? host_port_read(&s->at, rest, 443,
                                "not https://HOST or https://HOST:PORT (such as https://nas:8443)", e)
               : host_port_read(&s->at, rest, 80,
                                "not http://HOST or http://HOST:PORT (such as http://127.0.0.1:8080)", e);
}

bool service_ends_tls(const struct service *s)
{
    switch (s->kind) {
    case SERVICE_HTTPS:
    case SERVICE_UNIX:
    case SERVICE_TCP: return true;
    case SERVICE_H2C:
    case SERVICE_HTTP: break;
    }
    return false;
}

const char *service_why_unfit(const struct service *s, struct str item, bool passed)
{
    static const char domain[] = "domain:";
    bool is_domain = item.n >= sizeof domain && memcmp(item.p, domain, sizeof domain - 1) == 0;

    if (passed && !service_ends_tls(s))
        return "the relay passes TLS through, and this service does not speak it; write https:// or tcp:// in "
               "service, or tls = terminate";
    if (!passed && is_domain && s->kind == SERVICE_TCP)
        return "the relay ends the visitors' TLS, and a tcp:// service is to do that; write http:// or https:// "
               "in service, or tls = passthrough";
    return NULL;
}

struct service service_for(const struct service *s, bool passed)
{
    struct service as = *s;

    if (passed && as.kind == SERVICE_HTTPS)
        as.kind = SERVICE_TCP;
    return as;
}

const char *service_mismatch(const struct service *s, bool http2)
{
    if (!http2 && s->kind == SERVICE_H2C)
        return "this relay is too old to speak HTTP/2 to an h2c:// service; update it";
    if (http2 && s->kind != SERVICE_H2C && s->kind != SERVICE_HTTPS)
        return "the relay speaks HTTP/2 to a service that does not any more";
    return NULL;
}
