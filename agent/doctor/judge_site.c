/* One site, from its service to its visitors: service, claim, certificate, DNS, ports from outside. */
#include "agent/doctor/judge.h"

#include "shared/cidr.h"
#include "shared/doctor/records.h"
#include "shared/public_ip.h"
#include "shared/str.h"

#include <stdio.h>
#include <string.h>

/* ---- service ---- */

static void say_proxy_headers(struct steps *s, const char *service, const json_t *seen)
{
    const char *from = *fact_text(seen, "from") ? fact_text(seen, "from") : "127.0.0.1";

    steps_add(
        s, "service", STEP_FAIL,
        "%s answers %lld to requests with proxy headers (X-Forwarded-For), and %lld without them: it does "
        "not trust a proxy at %s",
        service, (long long)fact_number(seen, "status", 0), (long long)fact_number(seen, "plain_status", 0),
        from);
    steps_remedy(s,
                 "name %s as a trusted proxy in the service: Home Assistant's trusted_proxies (http: "
                 "use_x_forwarded_for: true, trusted_proxies: [%s]), Nextcloud's trusted_proxies, or what it "
                 "calls that",
                 from, from);
}

/* True when it says of itself that it is well, or would be for others: below 400, or asks for a password, or a path. */
static bool is_served(int64_t status)
{
    return (status >= 200 && status < 400) || status == 401 || status == 404;
}

static void say_refusal(struct steps *s, const json_t *domain, const char *service, const json_t *seen)
{
    int64_t status = fact_number(seen, "status", 0), local = fact_number(seen, "local_status", 0);
    const char *name = fact_text(domain, "name");

    if (is_served(fact_number(seen, "plain_status", 0))) {
        say_proxy_headers(s, service, seen);
    } else if (is_served(local)) {
        steps_add(s, "service", STEP_FAIL, "%s answers %lld to GET / for %s, and %lld for localhost", service,
                  (long long)status, name, (long long)local);
        steps_remedy(
            s,
            "let it serve the name %s (Django's ALLOWED_HOSTS, Nextcloud's trusted_domains, a server_name)",
            name);
    } else if (status == 403) {
        steps_add(s, "service", STEP_WARN, "%s answers 403 to GET /: it shows nobody its first page",
                  service);
        steps_remedy(
            s, "if visitors are to see it: has its folder an index page, which it may read, and whom do "
               "its own rules (allow, deny, Require) let in?");
    } else {
        steps_add(s, "service", STEP_WARN, "%s answers %lld to GET / for %s", service, (long long)status,
                  name);
        steps_remedy(
            s, "let it serve that name (Django's ALLOWED_HOSTS, Nextcloud's trusted_domains, a server_name); "
               "where it speaks TLS there, service is to be https://; its own log says why");
    }
}

/* ---- where it sends visitors ---- */

/* "http://a.com:81/x" -> scheme "http", host "a.com", path "/x"; all of it is the path where no scheme is. */
struct target {
    char scheme[8], host[256];
    const char *path;
};

static void read_target(const char *url, struct target *t)
{
    const char *at = strstr(url, "://"), *host, *end;

    *t = (struct target){ .path = url };
    if (!at || (size_t)(at - url) >= sizeof t->scheme)
        return;
    snprintf(t->scheme, sizeof t->scheme, "%.*s", (int)(at - url), url);
    host = at + 3 + (at[3] == '[');
    end = host + strcspn(host, at[3] == '[' ? "]" : ":/?#");
    snprintf(t->host, sizeof t->host, "%.*s", (int)(end - host), host);
    t->path = end + strcspn(end, "/");
}

/* Nobody outside of the house comes there. */
static bool is_at_home(const char *host)
{
    struct sockaddr_storage at;

    return strcasecmp(host, "localhost") == 0 ||
           (cidr_address(str_of(host), &at) && public_ip_wrong((const struct sockaddr *)&at) != NULL);
}

/* True when something is wrong with it. A page that sets a cookie and asks to be asked again goes on by itself. */
static bool say_redirect(struct steps *s, const json_t *domain, const char *service, const json_t *seen)
{
    const char *location = fact_text(seen, "location"), *name = fact_text(domain, "name");
    struct target t;
    bool own, again;

    if (!*location)
        return false;
    read_target(location, &t);
    own = strcasecmp(t.host, name) == 0;
    again = (!*t.path || strcmp(t.path, "/") == 0) && !json_is_true(json_object_get(seen, "sets_cookie")) &&
            (!*t.scheme || (own && strcasecmp(t.scheme, "https") == 0));
    if (again || (own && strcasecmp(t.scheme, "http") == 0)) {
        steps_add(s, "service", STEP_FAIL,
                  "%s sends visitors in a circle: who comes by https://%s/ is redirected to %s", service,
                  name, location);
        steps_remedy(
            s, "let it believe X-Forwarded-Proto, by which it is told that they have come by HTTPS (Django's "
               "SECURE_PROXY_SSL_HEADER, a trusted proxy), or switch its own redirect to https off");
        return true;
    }
    if (!is_at_home(t.host))
        return false;
    steps_add(s, "service", STEP_WARN,
              "%s redirects visitors to %s, where nobody outside of this house comes", service, location);
    steps_remedy(
        s, "tell it its public address, https://%s (often base URL, root URL or site URL in its settings)",
        name);
    return true;
}

static void say_status(struct steps *s, const json_t *domain, const char *service, const json_t *seen)
{
    int64_t status = fact_number(seen, "status", -1);

    if (*fact_text(seen, "certificate_wrong")) {
        steps_add(s, "service", STEP_FAIL, "%s shows a certificate that does not hold: %s", service,
                  fact_text(seen, "certificate_wrong"));
        steps_remedy(
            s,
            "verify = off in [domain %s], where the service made it itself; else one for the name in "
            "service, from an authority that this machine trusts",
            s->about);
    } else if (status == 400 || status == 403 || status == 421) {
        say_refusal(s, domain, service, seen);
    } else if (status >= 500) {
        steps_add(s, "service", STEP_WARN, "%s answers %lld to GET /", service, (long long)status);
        steps_remedy(s, "look into the service's own log");
    } else if (status > 0) {
        if (!say_redirect(s, domain, service, seen))
            steps_add(s, "service", STEP_PASS, "%s answers %lld", service, (long long)status);
    } else {
        steps_add(s, "service", STEP_PASS, "%s takes connections", service);
    }
}

static void say_unreached(struct steps *s, const char *service, const json_t *seen)
{
    if (*fact_text(seen, "other")) {
        steps_add(s, "service", STEP_FAIL, "nobody listens at %s, but somebody does at %s", service,
                  fact_text(seen, "other"));
        steps_remedy(
            s, "put that into service of [domain %s], or let the service listen on the other address, too",
            s->about);
    } else if (fact_is(seen, "state", "refused")) {
        steps_add(s, "service", STEP_FAIL, "nobody listens at %s (%s)", service, fact_text(seen, "why"));
        steps_remedy(s, "start the service, or put where it listens (ss -tlnp) into service of [domain %s]",
                     s->about);
    } else if (fact_is(seen, "state", "silent")) {
        steps_add(s, "service", STEP_FAIL, "%s is silent: it does not answer in time", service);
        steps_remedy(s,
                     "look at the service itself (curl -m 5 %s), and start it again; between two machines, "
                     "at the firewall of the one it runs on",
                     service);
    } else if (fact_is(seen, "state", "nameless")) {
        steps_add(s, "service", STEP_FAIL, "the name in %s is not known here (%s)", service,
                  fact_text(seen, "why"));
        steps_remedy(s, "write an address, or a name that getent hosts knows on this machine");
    } else if (fact_is(seen, "state", "no_http")) {
        steps_add(s, "service", STEP_FAIL, "%s takes the connection, but does not speak HTTP: %s", service,
                  fact_text(seen, "why"));
        steps_remedy(s, "is it http:// or https:// there, and the right port? a service that is no web site "
                        "goes into a section [tcp NAME]");
    } else {
        steps_add(s, "service", STEP_FAIL, "%s cannot be reached: %s", service, fact_text(seen, "why"));
        steps_remedy(s, "is that machine on, and in the same network? ip route get ADDRESS");
    }
}

static void judge_service(struct steps *s, const json_t *domain, const json_t *owner)
{
    const json_t *seen = json_object_get(owner, "seen");
    const char *service = fact_text(owner, "service");

    if (!seen)
        return;
    if (fact_is(seen, "state", "open"))
        say_status(s, domain, service, seen);
    else
        say_unreached(s, service, seen);
}

/* What visitors have met, and a look from here does not: TLS that does not hold, a header that is not liked. */
static void judge_state(struct steps *s, const json_t *owner)
{
    const json_t *seen = json_object_get(owner, "seen");

    if (!fact_is(seen, "state", "open") || fact_is(owner, "service_state", "ok") ||
        fact_is(owner, "service_state", "unknown") || !*fact_text(owner, "service_detail"))
        return;
    steps_add(s, "service", STEP_WARN, "visitors of late have met: %s", fact_text(owner, "service_detail"));
    steps_remedy(s, "see the service's own log, and verify and proxy_protocol of [domain %s]", s->about);
}

static void judge_services(struct steps *s, const json_t *domain)
{
    const json_t *route;
    size_t i;

    judge_service(s, domain, domain);
    judge_state(s, domain);
    json_array_foreach(json_object_get(domain, "routes"), i, route)
    {
        judge_service(s, domain, route);
        judge_state(s, route);
    }
}

/* ---- claim, certificate ---- */

static void judge_claim(struct steps *s, const json_t *domain)
{
    if (!fact_is(domain, "claim", "refused"))
        return;
    steps_add(s, "claim", STEP_FAIL, "the relay does not serve it for this agent: %s",
              fact_text(domain, "claim_why"));
    steps_remedy(s, "add the name to domains of this agent at the relay ([agent NAME] in relay.ini, or a new "
                    "tunnelctl invite)");
}

static void judge_certificates(struct steps *s, const json_t *domain)
{
    const json_t *cert;
    size_t i;

    json_array_foreach(json_object_get(domain, "certs"), i, cert)
    {
        const char *relay = fact_text(cert, "relay"), *error = fact_text(cert, "last_error");
        const char *name = *fact_text(cert, "name") ? fact_text(cert, "name") : s->about;
        const char *alias = strcmp(name, s->about) != 0 ? name : "", *colon = *alias ? ": " : "";

        if (fact_is(cert, "state", "expired")) {
            steps_add(s, "certificate", STEP_FAIL, "%s%sit has expired at relay %s, on %s%s%s", alias, colon,
                      relay, fact_text(cert, "not_after"), *error ? ": " : "", error);
            steps_remedy(s, "on the relay's machine: tunnelctl certs renew %s; tunnelctl doctor %s", name,
                         s->about);
        } else if (*error) {
            steps_add(s, "certificate", STEP_WARN, "%s%srelay %s cannot get one (%s): %s", alias, colon,
                      relay, fact_text(cert, "state"), error);
            steps_remedy(s, "on the relay's machine: tunnelctl doctor %s", s->about);
        } else if (*fact_text(cert, "not_after")) {
            steps_add(s, "certificate", STEP_PASS, "%s%srelay %s: %s until %s", alias, colon, relay,
                      fact_text(cert, "state"), fact_text(cert, "not_after"));
        }
    }
}

/* ---- DNS ---- */

static void judge_record(struct steps *s, const json_t *record, const char *holder)
{
    const json_t *found = json_object_get(record, "public"), *wanted = json_object_get(record, "wanted");
    const struct records r = { .name = fact_text(record, "name"),
                               .type = fact_text(record, "type"),
                               .holder = holder,
                               .wanted = json_is_array(wanted) ? wanted : NULL,
                               .found = found };

    if (!json_is_array(found)) {
        steps_add(s, "DNS", STEP_WARN, "nobody can say what the public sees of %s %s: %s", r.name, r.type,
                  fact_text(record, "public_why"));
        steps_remedy(s, "name resolvers that answer in resolvers of [agent] (system: this machine's own)");
    } else {
        records_judge(s, &r);
    }
    if (strcmp(holder, "manual") != 0 && *fact_text(record, "last_error")) {
        steps_add(s, "DNS", fact_is(record, "state", "waiting") ? STEP_WARN : STEP_FAIL, "%s %s: %s", r.name,
                  r.type, fact_text(record, "last_error"));
        steps_remedy(s, "see [provider %s]; then run: tunnelctl dns sync %s", holder, s->about);
    }
}

static void judge_records(struct steps *s, const json_t *domain)
{
    const json_t *dns = json_object_get(domain, "dns"), *record;
    size_t i;

    json_array_foreach(json_object_get(dns, "records"), i, record)
        judge_record(s, record, fact_text(dns, "provider"));
}

/* ---- ports, as they look from this house ---- */

bool agent_is_relays(const json_t *domain, const char *address)
{
    const json_t *records = json_object_get(json_object_get(domain, "dns"), "records"), *record;
    bool known = false;
    size_t i;

    json_array_foreach(records, i, record)
    {
        const json_t *wanted = json_object_get(record, "wanted");

        known = known || json_array_size(wanted) > 0;
        if (records_have(wanted, address))
            return true;
    }
    return !known;
}

static void judge_port(struct steps *s, const json_t *port)
{
    int64_t number = fact_number(port, "port", 0);
    const char *address = fact_text(port, "address");

    if (fact_is(port, "state", "open")) {
        steps_add(s, "outside", STEP_PASS, "port %lld of %s is open, seen from this house", (long long)number,
                  address);
        return;
    }
    if (fact_is(port, "state", "unreachable") && strchr(address, ':'))
        return; /* this house has no IPv6: that says nothing of the relay */
    steps_add(s, "outside", number == 443 ? STEP_FAIL : STEP_WARN,
              "port %lld of %s is closed, seen from this house: %s", (long long)number, address,
              fact_text(port, "why"));
    steps_remedy(s,
                 "open port %lld/tcp in the firewall of the relay's machine (ufw allow %lld/tcp) and in its "
                 "provider's; tunnelctl doctor there says whether the relay listens",
                 (long long)number, (long long)number);
}

static void judge_outside(struct steps *s, const json_t *domain)
{
    const json_t *port;
    size_t i;

    if (!json_object_get(domain, "outside"))
        return;
    json_array_foreach(json_object_get(domain, "outside"), i, port)
    {
        if (agent_is_relays(domain, fact_text(port, "address")))
            judge_port(s, port);
    }
    if (json_array_size(json_object_get(domain, "addresses")) > 0)
        return;
    if (*fact_text(domain, "addresses_why")) {
        steps_add(s, "DNS", STEP_WARN, "cannot look it up as visitors do: %s",
                  fact_text(domain, "addresses_why"));
        steps_remedy(s, "name resolvers that answer in resolvers of [agent] (system: this machine's own)");
    } else if (!json_is_object(json_object_get(domain, "dns"))) {
        steps_add(s, "DNS", STEP_FAIL, "it has no address in DNS");
        steps_remedy(s, "set an A record to the relay's address, or name a [provider] in dns of [domain %s]",
                     s->about);
    }
}

void agent_judge_domain(struct steps *s, const json_t *domain)
{
    s->about = fact_text(domain, "name");
    if (json_is_true(json_object_get(domain, "skipped"))) {
        steps_add(s, "site", STEP_WARN, "not looked at: the others took all the time");
        steps_remedy(s, "tunnelctl doctor %s", s->about);
    } else {
        judge_services(s, domain);
        judge_claim(s, domain);
        judge_certificates(s, domain);
        judge_records(s, domain);
        judge_outside(s, domain);
    }
    s->about = "";
}
