#include "relay/options.h"

#include "relay/edge/access_log.h"
#include "relay/certs/cert_file.h"
#include "relay/certs/issuer_conf.h"
#include "relay/lanes/port_list.h"
#include "relay/lanes/publish.h"
#include "shared/dns/conf.h"
#include "shared/domain.h"
#include "shared/file.h"
#include "shared/holders.h"
#include "shared/lane_types.h"
#include "shared/ssh_key.h"
#include "shared/value.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { MAX_WORKERS = 64 };

static const char *const access_formats[] = { [ACCESS_COMBINED] = "combined", [ACCESS_JSON] = "json", NULL };
static const char *const profiles[] = { "modern", "intermediate", NULL };

static const char *domain_name_wrong(const char *name)
{
    if (strlen(name) > DOMAIN_BYTES - 5)
        return "write a host name of at most 248 characters";
    return domain_check(name, DOMAIN_SITE, NULL) == 0
               ? NULL
               : "write a host name in lower case, such as sassy-cat-pics.com or *.sassy-cat-pics.com";
}

/* The default stands behind it. */
static int check_workers(const char *text, struct err *e)
{
    char *end;
    long n = strtol(text, &end, 10);

    if (strcmp(text, "auto") != 0 && (*end || n < 1 || n > MAX_WORKERS || text[0] < '1' || text[0] > '9'))
        return err_set(e, ERR_INPUT, "not auto or a whole number from 1 to %d", MAX_WORKERS);
    return 0;
}

static int check_upstream(const char *text, struct err *e)
{
    struct host_port at;

    return relay_upstream(&at, text, e);
}

static const struct opt_kind kinds[] = {
    { "relay", OPT_UNNAMED, sizeof(struct relay_conf), NULL, false,
      "The relay itself: the daemon on the cloud VM." },
    { "acme", OPT_MAYBE_NAMED, sizeof(struct issuer_conf), NULL, false,
      "An authority that certificates come from. One with a NAME is a further one, which takes over when those before "
      "it in this file keep failing." },
    { "provider", OPT_NAMED, sizeof(struct dns_conf), NULL, false,
      "Where DNS records are kept, and the credential to change them with, for dns-01." },
    { "agent", OPT_NAMED, sizeof(struct relay_agent_conf), NULL, false,
      "An agent that may connect, and the domains it may serve." },
    { "domain", OPT_NAMED, sizeof(struct relay_domain_conf), domain_name_wrong, true,
      "A site: how the relay serves it, whichever agent claims it; or, with upstream, one that needs no agent. The name "
      "is the site's own, not an alias." },
};

static const struct opt options[] = {
    DAEMON_OPTIONS("relay", struct relay_conf, "/var/lib/tunnel-relay", "/run/tunnel-relay/control.sock",
                   "127.0.0.1:9180", "relay.d/*.ini"),
    { "relay", "listen_https", OPT_LISTEN, offsetof(struct relay_conf, listen_https), .def = ":443",
      .help = "Addresses and ports where visitors are served over TLS." },
    { "relay", "listen_http", OPT_LISTEN, offsetof(struct relay_conf, listen_http), .def = ":80",
      .help =
          "Addresses and ports for visitors without TLS, who are sent to https:// unless their site says otherwise, and "
          "for ACME challenges. When empty, there are none." },
    { "relay", "park", OPT_DURATION, offsetof(struct relay_conf, park_ms), .def = "10s", .min = 0,
      .max = POLICY_PARK_MAX_MS, .flags = OPT_RELOAD,
      .help = "How long a request waits for a house that is away, before it is answered with 503." },
    { "relay", "heartbeat", OPT_DURATION, offsetof(struct relay_conf, heartbeat_ms), .def = "5s", .min = 1000,
      .max = (int64_t)LANE_HEARTBEAT_S * 1000,
      .help =
          "How often an agent shows on each lane that it lives. A lane on which nothing at all has come for 15 seconds is dead." },
    { "relay", "workers", OPT_TEXT, offsetof(struct relay_conf, workers), .def = "auto",
      .check = check_workers,
      .help = "Threads that serve visitors: a number from 1 to 64, or auto for one per processor." },
    { "relay", "publish", OPT_WORDS, offsetof(struct relay_conf, publish), .def = "auto", .flags = OPT_RELOAD,
      .help =
          "Addresses that agents put into DNS for this machine. auto: the public ones of its interfaces; where a provider's "
          "NAT hides the IPv4 address, the one that the agent reaches it at." },
    { "relay", "lane_socket", OPT_PATH, offsetof(struct relay_conf, lane_socket),
      .def = "/run/tunnel-relay/lane.sock", .check = unix_check_path,
      .help = "Unix socket where tunnel-lane joins the agents' SSH sessions to the relay." },
    { "relay", "lane_user", OPT_TEXT, offsetof(struct relay_conf, lane_user), .def = "tunnel",
      .help =
          "User as whom agents log in to sshd, the only one that may use lane_socket. Where there is no such user "
          "it is the relay's own." },
    { "relay", "lane_command", OPT_TEXT, offsetof(struct relay_conf, lane_command), .def = "",
      .flags = OPT_RELOAD,
      .help =
          "Command that sshd runs for an agent. When empty, it is the tunnel-lane installed with this program." },
    { "relay", "ssh_port", OPT_NUMBER, offsetof(struct relay_conf, ssh_port), .def = "22", .min = 1,
      .max = 65535, .help = "Port of this machine's own sshd." },
    { "relay", "ssh_on_https", OPT_FLAG, offsetof(struct relay_conf, ssh_on_https), .def = "on",
      .help =
          "Whether a connection to listen_https that begins with SSH- is joined to this machine's sshd, for agents "
          "in networks that let nothing but 443 out." },
    { "relay", "max_streams", OPT_NUMBER, offsetof(struct relay_conf, max_streams), .def = "900", .min = 16,
      .max = 900,
      .help =
          "How many connections one lane carries at most. Up to 100 more may be closing. sshd usually may open 1024 files, which is the bound." },
    { "relay", "max_buffered", OPT_SIZE, offsetof(struct relay_conf, max_buffered), .def = "64m",
      .min = 1 << 20, .max = (int64_t)64 << 30,
      .help =
          "How much memory requests that stand still may hold. Beyond it the one that holds most is reset." },
    { "relay", "max_connections", OPT_NUMBER, offsetof(struct relay_conf, max_connections), .def = "0",
      .min = 0, .max = 10000000, .flags = OPT_RELOAD,
      .help =
          "How many connections of visitors there may be at once, over all listeners. A further one is reset. With 0 the "
          "descriptors that this process may open are the bound (LimitNOFILE in the unit)." },
    { "relay", "max_per_source", OPT_NUMBER, offsetof(struct relay_conf, max_per_source), .def = "0",
      .min = 0, .max = 10000000, .flags = OPT_RELOAD,
      .help =
          "How many of them one IPv4 address, or one /64 of IPv6, may have; trusted_proxies any number. A further one is "
          "reset. With 0 any number." },
    { "relay", "trusted_proxies", OPT_NETWORKS, offsetof(struct relay_conf, trusted_proxies), .def = "",
      .flags = OPT_RELOAD,
      .help =
          "Addresses and networks, such as 192.0.2.10 10.0.0.0/8, of proxies and load balancers in front of this relay. "
          "What they say of the visitor in X-Forwarded-For, -Proto, -Host and -Port, in Forwarded and in X-Request-ID is believed and added to, from "
          "everybody else it is replaced. That holds for X-Forwarded-Host and -Port even where a proxy does not write them "
          "itself and passes on what its visitor says: make it set them, or remove them. The visitor is then the rightmost address of X-Forwarded-For (or of Forwarded, "
          "where there is no other) that is not one of these." },
    { "relay", "proxy_listeners", OPT_LISTEN, offsetof(struct relay_conf, proxy_listeners), .def = "",
      .help =
          "Which of listen_https and listen_http are behind proxies that speak the PROXY protocol, as they are written "
          "there. A connection of one of trusted_proxies has to begin with a PROXY header, v1 or v2, there; anybody else's "
          "must not, and is served as usual." },
    { "relay", "max_uri", OPT_SIZE, offsetof(struct relay_conf, max_uri), .def = "16k", .min = 256,
      .max = 1 << 20, .flags = OPT_RELOAD,
      .help =
          "How long what is asked for, path and query, may be in a request. A longer one is answered with 414. Where "
          "max_header is less, that is the default." },
    { "relay", "max_header", OPT_SIZE, offsetof(struct relay_conf, max_header), .def = "64k", .min = 1024,
      .max = 1 << 20, .flags = OPT_RELOAD,
      .help =
          "How long the head of a request may be, from its first line to the empty one. A longer one is answered with "
          "431." },
    { "relay", "access_log", OPT_LOG, offsetof(struct relay_conf, access_log), .def = "off",
      .choices = access_log_words, .flags = OPT_RELOAD,
      .help =
          "Where a line for each request goes: nowhere, to the standard output, or to a file, which a reload opens anew. "
          "While it cannot be written, up to 2 MiB of lines wait; further ones are left out, and the log tells how many." },
    { "relay", "access_log_format", OPT_CHOICE, offsetof(struct relay_conf, access_log_format),
      .def = "combined", .choices = access_formats, .flags = OPT_RELOAD,
      .help =
          "With combined it is the format of Apache and nginx, with times in UTC, and 499 for a request that ended without "
          "an answer. With json it is an object with time (when the head had been read), request_id (as in X-Request-ID), "
          "client, host, method, path, protocol, tls, status, bytes_in and bytes_out (of the bodies), duration_ms, "
          "service_ms (from the head sent to the service to the head of its answer), lane, agent, domain, referer, "
          "user_agent and complete (false when it was broken off). What is not known is null. A connection to a port of a "
          "[tcp NAME] or to a site with tls = passthrough has one line at its end: TCP or TLS is the method, the address or "
          "name that it came to the path, and the status 200, 403 (not among those allowed), 429 (more often than its "
          "rate), 499 (left before it was served), 502 (its service was not reached) or 503 (its "
          "agent was away)." },
    { "relay", "tls_profile", OPT_CHOICE, offsetof(struct relay_conf, tls_profile), .def = "intermediate",
      .choices = profiles, .flags = OPT_RELOAD,
      .help =
          "Which visitors are spoken to, as in Mozilla's guideline: with modern those that know TLS 1.3, with "
          "intermediate those with TLS 1.2 as well, which is all browsers since 2014." },
    { "relay", "http2", OPT_FLAG, offsetof(struct relay_conf, http2), .def = "on", .flags = OPT_RELOAD,
      .help =
          "Whether visitors with TLS are offered HTTP/2. Where a reload turns it off, connections that are open end "
          "behind the requests they have begun." },
    { "relay", "default_cert", OPT_SECRET_FILE, offsetof(struct relay_conf, default_cert),
      .flags = OPT_RELOAD | OPT_SECRET_LATER, .sample = "/etc/tunnel/default.pem",
      .help =
          "Certificate, chain and key, one after another in one PEM file, for visitors that ask for an unknown name or "
          "for none. Without it they are refused." },
    ISSUER_OPTIONS,
    DNS_CONF_OPTIONS,
    { "agent", "key", OPT_TEXT, offsetof(struct relay_agent_conf, key), .flags = OPT_RELOAD | OPT_REQUIRED,
      .sample = "ssh-ed25519 AAAA...", .help = "The agent's public key, as in its id_ed25519.pub." },
    { "agent", "domains", OPT_DOMAINS, offsetof(struct relay_agent_conf, domains), .def = "",
      .flags = OPT_RELOAD, .sample = "sassy-cat-pics.com *.sassy-cat-pics.com",
      .help = "Names that this agent may serve. A wildcard covers one label." },
    { "agent", "tcp_ports", OPT_WORDS, offsetof(struct relay_agent_conf, tcp_ports), .def = "",
      .flags = OPT_RELOAD, .sample = "2222 8000-8100",
      .help =
          "Ports of this machine that its [tcp NAME] sections may open for visitors: a list of N and N-M. Those below 1024 "
          "are bound when the relay starts, but for ssh_port, and refuse visitors until they are claimed." },
    { "agent", "instances", OPT_NUMBER, offsetof(struct relay_agent_conf, instances), .def = "1", .min = 1,
      .max = 64, .flags = OPT_RELOAD,
      .help =
          "How many machines may be connected with this key at once, such as replicas of one service. A further "
          "one is sent away." },
    { "agent", "max_domains", OPT_NUMBER, offsetof(struct relay_agent_conf, max_domains), .def = "100",
      .min = 1, .max = 10000, .flags = OPT_RELOAD, .help = "How many sites this agent may claim." },
    { "domain", "upstream", OPT_TEXT, offsetof(struct relay_domain_conf, upstream), .flags = OPT_RELOAD,
      .check = check_upstream, .sample = "127.0.0.1:1337",
      .help =
          "HOST:PORT or http://HOST:PORT of an HTTP server, such as the port of a hand-made ssh -R. It wins over agents "
          "that claim the same name. A name is looked up anew after 5 seconds." },
    { "domain", "aliases", OPT_DOMAINS, offsetof(struct relay_domain_conf, aliases), .def = "",
      .flags = OPT_RELOAD, .sample = "www.sassy-cat-pics.com",
      .help = "Further host names of the same site, with upstream." },
    { "domain", "route", OPT_PAIRS, offsetof(struct relay_domain_conf, routes), .flags = OPT_RELOAD,
      .sample = "/api = http://127.0.0.1:9000",
      .help =
          "A path, with all below it, that goes to this HTTP server (as in upstream) and to no agent. Of several the longest "
          "one that covers the request's path wins; the path is passed on as it is." },
    POLICY_OPTIONS(struct relay_domain_conf, policy, .sample = "both"),
    { "domain", "cert_file", OPT_PATH, offsetof(struct relay_domain_conf, cert_file), .flags = OPT_RELOAD,
      .sample = "/etc/tunnel/sassy-cat-pics.com.pem",
      .help =
          "PEM file with the site's certificate and then its chain, in place of the one that the relay would get. It "
          "goes with key_file. When the files change they are taken within seconds. One in its last week, or the last "
          "fifth of a short life, is told as failing: whoever renews it is late." },
    { "domain", "key_file", OPT_SECRET_FILE, offsetof(struct relay_domain_conf, key_file),
      .flags = OPT_RELOAD | OPT_SECRET_LATER, .sample = "/etc/tunnel/sassy-cat-pics.com.key",
      .help = "PEM file with the key of cert_file." },
};

const struct relay_conf *relay_conf_of(const struct opt_conf *conf)
{
    return opt_values(conf, "relay", NULL);
}

int relay_workers(const struct relay_conf *conf)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);

    if (strcmp(conf->workers, "auto") != 0)
        return atoi(conf->workers);
    return processors < 1 ? 1 : processors > MAX_WORKERS ? MAX_WORKERS : (int)processors;
}

/* ---- checks across options ---- */

static void check_agent(struct opt_conf *conf, const char *name, const struct relay_agent_conf *agent,
                        struct opt_errors *errors)
{
    struct err why = { 0 };
    char key[SSH_KEY_LINE_BYTES];

    if (ssh_key_parse(agent->key, key, &why) != 0)
        opt_errors_add_at(errors, conf, "agent", name, "key", "%s", why.text);
    for (size_t i = 0; i < agent->tcp_ports.n; i++) {
        uint16_t first, last;

        if (port_list_read(str_of(agent->tcp_ports.words[i]), &first, &last, &why) != 0)
            opt_errors_add_at(errors, conf, "agent", name, "tcp_ports", "%s", why.text);
    }
}

/* A key that two names share would let each speak as the other. */
static void check_shared_keys(struct opt_conf *conf, struct opt_errors *errors)
{
    const struct relay_agent_conf *a, *b;
    const char *name, *other;

    for (size_t i = 0; (a = opt_section(conf, "agent", i, &name)); i++) {
        char key[SSH_KEY_LINE_BYTES], other_key[SSH_KEY_LINE_BYTES];

        check_agent(conf, name, a, errors);
        for (size_t j = 0; j < i && (b = opt_section(conf, "agent", j, &other)); j++)
            if (ssh_key_parse(a->key, key, NULL) == 0 && ssh_key_parse(b->key, other_key, NULL) == 0 &&
                strcmp(key, other_key) == 0)
                opt_errors_add_at(errors, conf, "agent", name, "key",
                                  "agent %s has this key already; make a key for each agent", other);
    }
}

const struct relay_domain_conf *relay_domain(const struct opt_conf *conf, const char *name)
{
    return opt_values(conf, "domain", name);
}

int relay_upstream(struct host_port *out, const char *text, struct err *e)
{
    static const char scheme[] = "http://";
    struct str at = str_of(text);
    bool named = strncasecmp(text, scheme, sizeof scheme - 1) == 0;

    if (named) {
        at = str_of(text + sizeof scheme - 1);
        if (at.n > 0 && at.p[at.n - 1] == '/') /* http://HOST/ says no more than http://HOST */
            at.n--;
    } else if (strstr(text, "://"))
        return err_set(
            e, ERR_INPUT,
            "the relay itself reaches servers by HTTP without TLS; write HOST:PORT or http://HOST:PORT");
    return host_port_read(out, at, named ? 80 : 0, "not HOST:PORT (such as 127.0.0.1:1337)", e);
}

static void check_aliases(struct opt_conf *conf, const char *name, const struct relay_domain_conf *d,
                          struct holders *names, struct opt_errors *errors)
{
    if (d->aliases.n > 0 && !d->upstream[0])
        opt_errors_add_at(
            errors, conf, "domain", name, "aliases",
            "only a site with an upstream has aliases here; an agent's are in its own [domain]");
    holders_take(names, str_of(name), name);
    for (size_t j = 0; j < d->aliases.n; j++) {
        const char *alias = d->aliases.words[j], *other = holders_take(names, str_of(alias), name);

        if (!other && relay_domain(conf, alias)) /* its own section stands below */
            other = alias;
        if (other)
            opt_errors_add_at(errors, conf, "domain", name, "aliases",
                              "%s belongs to [domain %s] already; a name belongs to one site", alias, other);
    }
}

static void check_files(struct opt_conf *conf, const char *name, const struct relay_domain_conf *d,
                        struct opt_errors *errors)
{
    if (d->cert_file[0] && !d->key_file[0])
        opt_errors_add_at(errors, conf, "domain", name, "cert_file",
                          "goes with key_file; write that as well");
    else if (d->key_file[0] && !d->cert_file[0])
        opt_errors_add_at(errors, conf, "domain", name, "key_file",
                          "goes with cert_file; write that as well");
}

static void check_routes(struct opt_conf *conf, const char *name, const struct relay_domain_conf *d,
                         struct opt_errors *errors)
{
    struct host_port at;

    for (size_t i = 0; i < d->routes.n; i++) {
        const struct opt_pair *route = &d->routes.list[i];
        struct err why = { 0 };

        if (i == POLICY_ROUTES)
            opt_errors_add_pair(errors, conf, "domain", name, "route", route,
                                "more than %d of them; take the rest out", POLICY_ROUTES);
        if (policy_check_path(route->name, &why) != 0 || relay_upstream(&at, route->value, &why) != 0)
            opt_errors_add_pair(errors, conf, "domain", name, "route", route, "%s", why.text);
    }
}

static void check_passthrough(struct opt_conf *conf, const char *name, const struct relay_domain_conf *d,
                              struct opt_errors *errors)
{
    if (d->cert_file[0])
        opt_errors_add_at(
            errors, conf, "domain", name, "cert_file",
            "with tls = passthrough the service in the house shows its certificate; leave it out");
    if (d->routes.n > 0)
        opt_errors_add_at(errors, conf, "domain", name, "route",
                          "with tls = passthrough the relay sees no paths; leave it out");
}

static void check_domains(struct opt_conf *conf, struct opt_errors *errors)
{
    const struct relay_domain_conf *d;
    const char *name;
    struct holders names = { 0 }; /* host names of all sites so far, and whose they are */

    for (size_t i = 0; (d = opt_section(conf, "domain", i, &name)); i++) {
        check_routes(conf, name, d, errors);
        check_aliases(conf, name, d, &names, errors);
        policy_conf_check(conf, name, d->upstream[0] ? &d->aliases : NULL, &d->policy, errors);
        check_files(conf, name, d, errors);
        if (d->policy.tls == POLICY_PASSTHROUGH)
            check_passthrough(conf, name, d, errors);
    }
    holders_free(&names);
}

/* Elsewhere there is nobody to hear a PROXY header. */
static void check_proxy_listeners(struct opt_conf *conf, struct opt_errors *errors)
{
    const struct relay_conf *relay = relay_conf_of(conf);

    for (size_t i = 0; i < relay->proxy_listeners.n; i++) {
        const struct opt_address *listener = &relay->proxy_listeners.list[i];
        struct buf text = { 0 };

        value_print_address(&text, listener);
        if (!opt_addresses_have(&relay->listen_https, listener) &&
            !opt_addresses_have(&relay->listen_http, listener))
            opt_errors_add_at(
                errors, conf, "relay", NULL, "proxy_listeners",
                "%s is none of listen_https and listen_http; write it as it stands there, or add it there",
                buf_text(&text));
        buf_free(&text);
    }
}

static bool is_everywhere(const struct opt_address *a)
{
    const struct sockaddr_in *in4 = (const struct sockaddr_in *)&a->addr;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&a->addr;

    return a->addr.ss_family == AF_INET ? in4->sin_addr.s_addr == htonl(INADDR_ANY)
                                        : IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr);
}

/* Whether one socket would be in the way of the other. */
static bool meet(const struct opt_address *a, const struct opt_address *b)
{
    const struct sockaddr_in *in_a = (const struct sockaddr_in *)&a->addr;
    const struct sockaddr_in *in_b = (const struct sockaddr_in *)&b->addr;

    if (in_a->sin_port != in_b->sin_port) /* where that of IPv6 has it as well */
        return false;
    if (a->any || b->any)
        return true;
    return in_a->sin_family == in_b->sin_family &&
           (is_everywhere(a) || is_everywhere(b) || memcmp(&a->addr, &b->addr, sizeof a->addr) == 0);
}

/* A listener of one kind cannot have a port that one of another kind has. */
static void check_apart(struct opt_conf *conf, const char *key, const struct opt_addresses *list,
                        const char *other_key, const struct opt_addresses *others, struct opt_errors *errors)
{
    for (size_t i = 0; i < list->n; i++)
        for (size_t j = 0; j < others->n; j++) {
            struct buf text = { 0 };

            value_print_address(&text, &others->list[j]);
            if (meet(&list->list[i], &others->list[j]))
                opt_errors_add_at(errors, conf, "relay", NULL, key,
                                  "has the port that %s = %s has; give each a port of its own", other_key,
                                  buf_text(&text));
            buf_free(&text);
        }
}

static void check_ports(struct opt_conf *conf, struct opt_errors *errors)
{
    const struct relay_conf *relay = relay_conf_of(conf);

    if (opt_given(conf, "relay", NULL, "listen_http"))
        check_apart(conf, "listen_http", &relay->listen_http, "listen_https", &relay->listen_https, errors);
    else
        check_apart(conf, "listen_https", &relay->listen_https, "listen_http", &relay->listen_http, errors);
    check_apart(conf, "admin_listen", &relay->base.admin_listen, "listen_https", &relay->listen_https,
                errors);
    check_apart(conf, "admin_listen", &relay->base.admin_listen, "listen_http", &relay->listen_http, errors);
}

static void check_sockets(struct opt_conf *conf, struct opt_errors *errors)
{
    const struct relay_conf *relay = relay_conf_of(conf);
    const char *key = "control_socket", *other = "lane_socket";

    if (strcmp(relay->lane_socket, relay->base.control_socket) != 0)
        return;
    if (opt_given(conf, "relay", NULL, other)) {
        key = other;
        other = "control_socket";
    }
    opt_errors_add_at(errors, conf, "relay", NULL, key, "is %s, too; give each a path of its own", other);
}

/* The target is a part of the head. */
static void check_limits(struct opt_conf *conf, struct opt_errors *errors)
{
    const struct relay_conf *relay = relay_conf_of(conf);
    struct buf most = { 0 };

    value_print_size(&most, relay->max_header);
    if (relay->max_uri > relay->max_header)
        opt_settle(conf, "relay", NULL, "max_uri", buf_text(&most));
    if (relay->max_uri > relay->max_header)
        opt_errors_add_at(
            errors, conf, "relay", NULL, "max_uri",
            "larger than max_header, which is %s and of which it is a part; raise max_header too",
            buf_text(&most));
    buf_free(&most);
}

static void check_providers(struct opt_conf *conf, struct opt_errors *errors)
{
    const struct dns_conf *p;
    const char *name;

    for (size_t i = 0; (p = opt_section(conf, "provider", i, &name)); i++)
        dns_conf_check(conf, name, p, errors);
}

static void check(struct opt_conf *conf, struct opt_errors *errors)
{
    struct err why = { 0 };

    if (relay_conf_of(conf)->listen_https.n == 0)
        opt_errors_add_at(
            errors, conf, "relay", NULL, "listen_https",
            "is empty, and nobody could be served; give a port or address (such as :443, the default)");
    if (publish_check(&relay_conf_of(conf)->publish, &why) != 0)
        opt_errors_add_at(errors, conf, "relay", NULL, "publish", "%s", why.text);
    daemon_conf_check(conf, "relay", &relay_conf_of(conf)->base, errors);
    daemon_conf_check_log(conf, "relay", "access_log", relay_conf_of(conf)->access_log, errors);
    check_proxy_listeners(conf, errors);
    check_ports(conf, errors);
    check_sockets(conf, errors);
    check_limits(conf, errors);
    check_shared_keys(conf, errors);
    check_domains(conf, errors);
    check_providers(conf, errors);
    issuer_conf_check(conf, errors);
}

/* ---- what does not keep the relay from its start ---- */

static void look_at_pair(const struct opt_conf *conf, const char *kind, const char *name,
                         const char *cert_key, const char *cert, const char *key_key, const char *key,
                         struct opt_errors *errors)
{
    struct err why = { 0 };

    if (file_check_secret(key, &why) != 0)
        opt_errors_add_at(errors, conf, kind, name, key_key, "%s", why.text);
    else if (cert_file_check(cert, key, &why) != 0)
        opt_errors_add_at(errors, conf, kind, name, cert_key, "%s", why.text);
}

void relay_look_at_cert_files(const struct opt_conf *conf, struct opt_errors *errors)
{
    const char *name, *both = relay_conf_of(conf)->default_cert;
    const struct relay_domain_conf *d;

    if (both[0])
        look_at_pair(conf, "relay", NULL, "default_cert", both, "default_cert", both, errors);
    for (size_t i = 0; (d = opt_section(conf, "domain", i, &name)); i++)
        if (d->cert_file[0])
            look_at_pair(conf, "domain", name, "cert_file", d->cert_file, "key_file", d->key_file, errors);
}

const struct opt_schema relay_schema = {
    .program = "tunnel-relay",
    .file = "/etc/tunnel/relay.ini",
    .intro = "Configuration of tunnel-relay, the daemon on the cloud VM.",
    .kinds = kinds,
    .kinds_n = sizeof kinds / sizeof kinds[0],
    .opts = options,
    .opts_n = sizeof options / sizeof options[0],
    .check = check,
};
