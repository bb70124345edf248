#include "agent/options.h"

#include "agent/carry/service.h"
#include "agent/dns/address.h"
#include "agent/dns/check.h"
#include "shared/dns/conf.h"
#include "shared/dns/lookup.h"
#include "shared/domain.h"
#include "shared/holders.h"
#include "shared/lane_msg.h"
#include "shared/cidr_json.h"
#include "shared/port_policy.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static const char base64_chars[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char host_chars[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_";

static const char *const proxy_versions[] = {
    [PROXY_HEADER_NO] = "off", [PROXY_HEADER_V1] = "v1", [PROXY_HEADER_V2] = "v2", NULL
};
static const char *const protocols[] = { "tunnel", "plain", NULL };
static const char *const modes[] = { "tunnel", "direct", "none", NULL };
static const char *const families[] = { "both", "ipv4", "ipv6", NULL };
static const char *const switches[] = { "off", "on", NULL };

static const char *domain_name_wrong(const char *name)
{
    if (strlen(name) > LANE_ITEM_BYTES - strlen("domain:"))
        return "write a host name of at most 248 characters";
    return domain_check(name, DOMAIN_SITE, NULL) == 0
               ? NULL
               : "write a host name in lower case, such as sassy-cat-pics.com or *.sassy-cat-pics.com";
}

static int check_host(const char *text, struct err *e)
{
    struct in6_addr v6;

    if (text[strspn(text, host_chars)] && inet_pton(AF_INET6, text, &v6) != 1)
        return err_set(e, ERR_INPUT,
                       "not a host name or an address (such as relay.example.net); a port goes into port");
    return 0;
}

/* Of a port. */
static int check_tcp_service(const char *text, struct err *e)
{
    struct service service;

    if (service_parse(&service, text, e) != 0)
        return -1;
    if (service.kind != SERVICE_TCP && service.kind != SERVICE_UNIX)
        return err_set(
            e, ERR_INPUT,
            "the bytes are carried as they are, whatever the service speaks; write tcp://HOST:PORT or unix:/PATH");
    return 0;
}

static const struct opt_kind kinds[] = {
    { "agent", OPT_UNNAMED, sizeof(struct agent_conf), NULL, false,
      "The agent itself: the daemon in the house." },
    { "relay", OPT_NAMED, sizeof(struct agent_relay_conf), NULL, false,
      "A relay that this agent keeps a tunnel to, by the sshd on its machine; or any SSH server, to forward a port." },
    { "address", OPT_UNNAMED, sizeof(struct address_conf), NULL, false,
      "How the house learns its own public address, for sites with mode = direct." },
    { "provider", OPT_NAMED, sizeof(struct dns_conf), NULL, false,
      "Where DNS records are kept, and the credential to change them with; a site names it as its dns." },
    { "domain", OPT_NAMED, sizeof(struct agent_domain_conf), domain_name_wrong, true,
      "A site: its host name, and the service in the house that answers for it." },
    { "tcp", OPT_NAMED, sizeof(struct agent_tcp_conf), NULL, false,
      "A port of the relay's machine that leads to a service in the house. The bytes are not looked at." },
};

static const struct opt options[] = {
    DAEMON_OPTIONS("agent", struct agent_conf, "/var/lib/tunnel-agent", "/run/tunnel-agent/control.sock",
                   "127.0.0.1:9181", "agent.d/*.ini"),
    { "agent", "max_streams", OPT_NUMBER, offsetof(struct agent_conf, max_streams), .def = "4000", .min = 1,
      .max = 100000, .flags = OPT_RELOAD,
      .help = "How many connections to services there may be at once. A further one is refused." },
    { "agent", "max_buffered", OPT_SIZE, offsetof(struct agent_conf, max_buffered), .def = "64m",
      .min = 1 << 20, .max = (int64_t)64 << 30, .flags = OPT_RELOAD,
      .help =
          "How much memory connections that stand still may hold. Beyond it the one that holds most is reset." },
    { "agent", "on_change", OPT_PATH, offsetof(struct agent_conf, on_change), .flags = OPT_RELOAD,
      .sample = "/etc/tunnel/on-change",
      .help =
          "Program that is run when a DNS record has become another one. Its environment has TUNNEL_SITE, TUNNEL_NAME, "
          "TUNNEL_TYPE, TUNNEL_PROVIDER, TUNNEL_OLD and TUNNEL_NEW, and PATH; nothing else." },
    { "agent", "withdraw_after", OPT_DURATION, offsetof(struct agent_conf, withdraw_after_ms), .def = "2m",
      .min = 0, .max = (int64_t)7 * 24 * 3600 * 1000, .flags = OPT_RELOAD,
      .help = "After how long a relay that is down is taken out of DNS, while another one is up." },
    { "agent", "resolvers", OPT_WORDS, offsetof(struct agent_conf, resolvers), .def = "system",
      .flags = OPT_RELOAD, .sample = "1.1.1.1 9.9.9.9",
      .help =
          "Who is asked what the public sees of DNS records: ADDRESS or ADDRESS:PORT, or system for the resolvers of "
          "this machine." },
    { "relay", "host", OPT_TEXT, offsetof(struct agent_relay_conf, host), .check = check_host,
      .flags = OPT_RELOAD | OPT_REQUIRED, .sample = "relay.example.net",
      .help = "Host name or address of the relay's machine." },
    { "relay", "port", OPT_NUMBER, offsetof(struct agent_relay_conf, port), .def = "22", .min = 1,
      .max = 65535, .flags = OPT_RELOAD, .help = "Port of sshd on that machine." },
    { "relay", "user", OPT_TEXT, offsetof(struct agent_relay_conf, user), .def = "tunnel",
      .flags = OPT_RELOAD, .help = "User as whom to log in there; the relay's lane_user." },
    { "relay", "key_file", OPT_SECRET_FILE, offsetof(struct agent_relay_conf, key_file), .flags = OPT_RELOAD,
      .sample = "/var/lib/tunnel-agent/id_ed25519",
      .help =
          "Private key to log in with: ed25519, in OpenSSH's own format, without a passphrase, as ssh-keygen -t "
          "ed25519 writes it. When it is not given, id_ed25519 in state_dir is used." },
    { "relay", "host_key", OPT_TEXT, offsetof(struct agent_relay_conf, host_key), .flags = OPT_RELOAD,
      .sample = "ssh-ed25519 SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
      .help =
          "Type and fingerprint of the only host key that is accepted there. On that machine, ssh-keygen -lf "
          "/etc/ssh/ssh_host_ed25519_key.pub prints the fingerprint." },
    { "relay", "lanes", OPT_NUMBER, offsetof(struct agent_relay_conf, lanes), .def = "2", .min = 1,
      .max = AGENT_MAX_LANES, .flags = OPT_RELOAD,
      .help =
          "How many SSH sessions are kept to this relay. When one breaks, the others carry on. What comes goes to the "
          "one that carries least; of many short requests a second, most go together, as that costs less." },
    { "relay", "max_lanes", OPT_NUMBER, offsetof(struct agent_relay_conf, max_lanes), .def = "8", .min = 1,
      .max = AGENT_MAX_LANES, .flags = OPT_RELOAD,
      .help =
          "How many there may be while those there are carry more than about 128 connections each. Never fewer "
          "than lanes." },
    { "relay", "known_hosts_file", OPT_PATH, offsetof(struct agent_relay_conf, known_hosts_file),
      .flags = OPT_RELOAD, .sample = "/etc/ssh/ssh_known_hosts",
      .help =
          "Instead of host_key: a file as ssh has it, with that machine's ssh-ed25519 key, hashed or not. It is read "
          "at each connection. Lines of @cert-authority are not used." },
    { "relay", "protocol", OPT_CHOICE, offsetof(struct agent_relay_conf, protocol), .def = "tunnel",
      .choices = protocols, .flags = OPT_RELOAD,
      .help =
          "What is there. With tunnel, a tunnel-relay; with plain, any SSH server, such as OpenSSH or Dropbear, which "
          "forwards one port to one service, as ssh -R has it." },
    { "relay", "remote_address", OPT_TEXT, offsetof(struct agent_relay_conf, remote_address),
      .def = "127.0.0.1", .flags = OPT_RELOAD,
      .help =
          "With protocol = plain: address there to listen on. Others than loopback (0.0.0.0, ::, or * for all) need "
          "GatewayPorts clientspecified in its sshd_config." },
    { "relay", "remote_port", OPT_NUMBER, offsetof(struct agent_relay_conf, remote_port), .min = 1,
      .max = 65535, .flags = OPT_RELOAD, .sample = "1337",
      .help = "With protocol = plain: port there to listen on." },
    { "relay", "service", OPT_TEXT, offsetof(struct agent_relay_conf, service), .flags = OPT_RELOAD,
      .sample = "http://127.0.0.1:80",
      .help =
          "With protocol = plain: where its connections go to: http://HOST:PORT, tcp://HOST:PORT or unix:/PATH. The "
          "bytes are not looked at." },
    { "address", "sources", OPT_WORDS, offsetof(struct address_conf, sources), .def = "relay web dns",
      .flags = OPT_RELOAD,
      .help =
          "Who is asked: relay, each relay's view of where this agent comes from; web and dns, public services of several "
          "operators, by HTTPS and by DNS; router, by UPnP, NAT-PMP or PCP; interface:NAME, of this machine; command:/PATH, "
          "a program that prints addresses; url:https://HOST/PATH, a service of yours. fixed:ADDRESS is taken as it is, and "
          "nobody is asked for its family. Nobody is asked at all while no site has mode = direct, unless this is given." },
    { "address", "quorum", OPT_NUMBER, offsetof(struct address_conf, quorum), .min = 1, .max = 16,
      .flags = OPT_RELOAD, .sample = "2",
      .help =
          "How many have to say the same address before it counts, while no other address is said by as many. By default 2, "
          "or 1 where sources has only one who can be asked." },
    { "address", "interval", OPT_DURATION, offsetof(struct address_conf, interval_ms), .def = "5m",
      .min = 1000, .max = (int64_t)24 * 3600 * 1000, .flags = OPT_RELOAD,
      .help =
          "How often they are asked, a tenth earlier or later; besides at each change of the network and of a relay's view. "
          "The built-in services of web and dns are asked once a minute at most." },
    DNS_CONF_OPTIONS,
    { "domain", "service", OPT_TEXT, offsetof(struct agent_domain_conf, service), .flags = OPT_RELOAD,
      .sample = "http://127.0.0.1:80",
      .help =
          "Where its visitors are sent: http://HOST or http://HOST:PORT, as seen from this machine, the same with "
          "https:// where the service itself speaks TLS, with h2c:// where it speaks HTTP/2 without TLS (gRPC), or "
          "unix:/PATH for HTTP over a Unix socket. gRPC reaches an https:// service too, if that offers HTTP/2. A name is "
          "looked up anew after 5 seconds. With tls = passthrough, where it listens for TLS: https://HOST:PORT, "
          "tcp://HOST:PORT or unix:/PATH. Needed unless mode is direct or none." },
    { "domain", "mode", OPT_CHOICE, offsetof(struct agent_domain_conf, mode), .def = "tunnel",
      .choices = modes, .flags = OPT_RELOAD,
      .help =
          "Which addresses its names get in DNS: with tunnel those of the relays, with direct the house's own. With "
          "none, DNS is left alone; a record that the agent made before stays, and is yours." },
    { "domain", "relays", OPT_WORDS, offsetof(struct agent_domain_conf, relays), .def = "",
      .flags = OPT_RELOAD, .sample = "fra1",
      .help =
          "Names of the [relay] sections that it is published through: these alone are told of it, and with mode = tunnel "
          "it is their addresses that its names get in DNS. When empty, all." },
    { "domain", "dns", OPT_TEXT, offsetof(struct agent_domain_conf, dns), .def = "", .flags = OPT_RELOAD,
      .sample = "cloudflare",
      .help =
          "Name of the [provider] that keeps its records; or manual: then status says what to set, and whether the "
          "public sees it, and a record that the agent made before stays. By default DNS is left alone." },
    { "domain", "families", OPT_CHOICE, offsetof(struct agent_domain_conf, families), .def = "both",
      .choices = families, .flags = OPT_RELOAD,
      .help = "Which records are kept right: A (ipv4), AAAA (ipv6), or both." },
    { "domain", "ttl", OPT_DURATION, offsetof(struct agent_domain_conf, ttl_ms), .min = 1000,
      .max = (int64_t)7 * 24 * 3600 * 1000, .flags = OPT_RELOAD, .sample = "5m",
      .help =
          "How long resolvers may keep its records. By default, what is there stays, and new records get the "
          "provider's usual one." },
    { "domain", "proxied", OPT_CHOICE, offsetof(struct agent_domain_conf, proxied), .choices = switches,
      .flags = OPT_RELOAD, .sample = "off",
      .help =
          "Whether visitors come through the provider's own proxies, where it has some (Cloudflare). By default, what is "
          "there stays." },
    { "domain", "host_id", OPT_TEXT, offsetof(struct agent_domain_conf, host_id), .flags = OPT_RELOAD,
      .sample = "::1234",
      .help =
          "With mode = direct: the last 64 bits of the IPv6 address to publish, behind the house's prefix; for a fixed one, "
          "and for another machine in the house. By default it is the address that [address] finds." },
    { "domain", "owner_txt", OPT_FLAG, offsetof(struct agent_domain_conf, owner_txt), .def = "off",
      .flags = OPT_RELOAD,
      .help =
          "With on, a TXT record at _tunnel-owner.NAME says that this agent keeps the name, and names of other agents "
          "that say so are left alone." },
    { "domain", "cleanup_on_stop", OPT_FLAG, offsetof(struct agent_domain_conf, cleanup_on_stop),
      .def = "off", .flags = OPT_RELOAD,
      .help = "Whether the records that the agent made are deleted when it stops." },
    { "domain", "txt", OPT_CHOICE, offsetof(struct agent_domain_conf, txt), .choices = switches,
      .flags = OPT_RELOAD, .sample = "on",
      .help =
          "Whether a relay may have this agent set the TXT records below _acme-challenge.NAME that a certificate needs "
          "(dns-01), through the provider of the site; they are gone after an hour at the latest. By default for wildcards "
          "alone; with on, for all names of the site, with off for none." },
    { "domain", "route", OPT_PAIRS, offsetof(struct agent_domain_conf, routes), .flags = OPT_RELOAD,
      .sample = "/api = http://127.0.0.1:8080",
      .help =
          "Requests for this path, and for all below it, go to this service instead; of several such paths the longest "
          "counts. The service sees the path as the visitor wrote it." },
    { "domain", "verify", OPT_FLAG, offsetof(struct agent_domain_conf, verify), .def = "on",
      .flags = OPT_RELOAD,
      .help =
          "Whether its https:// services have to show a certificate for their host name or address, from an authority "
          "that this machine trusts. Off is for services that made their certificate themselves." },
    { "domain", "proxy_protocol", OPT_CHOICE, offsetof(struct agent_domain_conf, proxy_protocol),
      .def = "off", .choices = proxy_versions, .flags = OPT_RELOAD,
      .help =
          "Whether each connection to its services begins with a PROXY header, v1 or v2, that names the visitor. Visitors "
          "then share no connections." },
    { "domain", "aliases", OPT_DOMAINS, offsetof(struct agent_domain_conf, aliases), .def = "",
      .flags = OPT_RELOAD, .sample = "www.sassy-cat-pics.com",
      .help = "Further host names of the same site." },
    POLICY_OPTIONS(struct agent_domain_conf, policy, .def = "redirect"),
    { "tcp", "listen", OPT_LISTEN, offsetof(struct agent_tcp_conf, listen),
      .flags = OPT_RELOAD | OPT_REQUIRED | OPT_BARE_PORT, .sample = ":2222",
      .help =
          "PORT, :PORT or ADDRESS:PORT of the relay's machine where visitors come in; without an address on all that it "
          "has. The relay's [agent NAME] has to admit the port (tcp_ports). A port is one agent's." },
    { "tcp", "service", OPT_TEXT, offsetof(struct agent_tcp_conf, service), .check = check_tcp_service,
      .flags = OPT_RELOAD | OPT_REQUIRED, .sample = "tcp://127.0.0.1:22",
      .help =
          "Where its visitors are sent: tcp://HOST:PORT, as seen from this machine, or unix:/PATH. A name is looked up "
          "anew after 5 seconds." },
    { "tcp", "proxy_protocol", OPT_CHOICE, offsetof(struct agent_tcp_conf, proxy_protocol), .def = "off",
      .choices = proxy_versions, .flags = OPT_RELOAD,
      .help =
          "Whether each connection to the service begins with a PROXY header, v1 or v2, that names the visitor." },
    { "tcp", "allow", OPT_NETWORKS, offsetof(struct agent_tcp_conf, allow), .def = "", .flags = OPT_RELOAD,
      .sample = "192.0.2.0/24 2001:db8::/32",
      .help =
          "Addresses and networks whose visitors are let in; others are reset. When empty, everybody's." },
    { "tcp", "deny", OPT_NETWORKS, offsetof(struct agent_tcp_conf, deny), .def = "", .flags = OPT_RELOAD,
      .sample = "192.0.2.66",
      .help = "Addresses and networks whose visitors are reset, though allow names them." },
};

const char *agent_mode_text(int mode)
{
    return modes[mode];
}

bool agent_uses_relay(const struct opt_words *relays, const char *relay)
{
    for (size_t i = 0; i < relays->n; i++)
        if (strcmp(relays->words[i], relay) == 0)
            return true;
    return relays->n == 0;
}

const struct agent_conf *agent_conf_of(const struct opt_conf *conf)
{
    return opt_values(conf, "agent", NULL);
}

/* ---- checks across options ---- */

static void check_host_key(struct opt_conf *conf, const char *name, const struct agent_relay_conf *r,
                           struct opt_errors *errors)
{
    static const char prefix[] = "ssh-ed25519 SHA256:";
    const char *digest = r->host_key + sizeof prefix - 1;

    if (!r->host_key[0] && !r->known_hosts_file[0])
        opt_errors_add_at(
            errors, conf, "relay", name, NULL,
            "has neither host_key nor known_hosts_file; add host_key = ssh-ed25519 SHA256:..., on that "
            "machine ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub prints it");
    else if (r->host_key[0] && r->known_hosts_file[0])
        opt_errors_add_at(errors, conf, "relay", name, "known_hosts_file",
                          "host_key is given too, and only one of them can be right; leave one out");
    else if (r->host_key[0] && (strncmp(r->host_key, prefix, sizeof prefix - 1) != 0 ||
                                strlen(digest) != 43 || digest[strspn(digest, base64_chars)]))
        opt_errors_add_at(errors, conf, "relay", name, "host_key",
                          "not ssh-ed25519 SHA256: and 43 characters; on the relay's machine, ssh-keygen -lf "
                          "/etc/ssh/ssh_host_ed25519_key.pub prints them");
}

static bool is_listen_address(const char *text)
{
    struct in6_addr addr;

    return strcmp(text, "*") == 0 || strcmp(text, "localhost") == 0 || inet_pton(AF_INET, text, &addr) == 1 ||
           inet_pton(AF_INET6, text, &addr) == 1;
}

/* remote_address has a default, which a dump writes out. */
static const char *const plain_keys[] = { "remote_port", "service" };

static void check_plain(struct opt_conf *conf, const char *name, const struct agent_relay_conf *r,
                        struct opt_errors *errors)
{
    struct service service;
    struct err why = { 0 };

    if (!is_listen_address(r->remote_address))
        opt_errors_add_at(errors, conf, "relay", name, "remote_address",
                          "not an address, localhost or * (such as 127.0.0.1, the default)");
    if (r->remote_port < 0)
        opt_errors_add_at(
            errors, conf, "relay", name, NULL,
            "has no remote_port, which protocol = plain needs; add one (such as remote_port = 1337)");
    if (!r->service[0])
        opt_errors_add_at(errors, conf, "relay", name, NULL,
                          "has no service, which protocol = plain needs; add one (such as service = "
                          "http://127.0.0.1:80)");
    else if (service_parse(&service, r->service, &why) != 0)
        opt_errors_add_at(errors, conf, "relay", name, "service", "%s", why.text);
    else if (service.kind == SERVICE_HTTPS || service.kind == SERVICE_H2C)
        opt_errors_add_at(
            errors, conf, "relay", name, "service",
            "with protocol = plain the bytes are carried as they are; write tcp://HOST:PORT, and "
            "whoever connects there speaks %s with the service",
            service.kind == SERVICE_HTTPS ? "TLS" : "HTTP/2");
}

static void check_relay(struct opt_conf *conf, const char *name, const struct agent_relay_conf *r,
                        struct opt_errors *errors)
{
    check_host_key(conf, name, r, errors);
    if (r->max_lanes < r->lanes)
        opt_errors_add_at(errors, conf, "relay", name, "max_lanes",
                          "fewer than lanes = %d; raise it, or lower lanes", (int)r->lanes);
    if (r->protocol == AGENT_PROTOCOL_PLAIN)
        check_plain(conf, name, r, errors);
    for (size_t i = 0; r->protocol == AGENT_PROTOCOL_TUNNEL && i < sizeof plain_keys / sizeof *plain_keys;
         i++)
        if (opt_given(conf, "relay", name, plain_keys[i]))
            opt_errors_add_at(
                errors, conf, "relay", name, plain_keys[i],
                "is for protocol = plain; leave it out, or say so (behind a tunnel-relay, a [domain "
                "NAME] has the service)");
}

/* Where the bytes of visitors go as they are. */
static int check_passed(const struct agent_domain_conf *d, struct err *e)
{
    struct service service;

    if (service_parse(&service, d->service, e) != 0)
        return -1;
    if (!service_ends_tls(&service))
        return err_set(
            e, ERR_INPUT,
            "with tls = passthrough this service ends the TLS of visitors; write https://HOST:PORT, "
            "tcp://HOST:PORT or unix:/PATH, where it listens for TLS");
    return 0;
}

/* Whatever is a matter of requests is for whoever sees them. */
static void check_passthrough(struct opt_conf *conf, const char *name, const struct agent_domain_conf *d,
                              struct opt_errors *errors)
{
    struct err why = { 0 };

    if (check_passed(d, &why) != 0)
        opt_errors_add_at(errors, conf, "domain", name, "service", "%s", why.text);
    if (d->routes.n > 0)
        opt_errors_add_at(errors, conf, "domain", name, "route",
                          "with tls = passthrough nobody but the service sees paths; leave it out");
    if (!d->verify)
        opt_errors_add_at(errors, conf, "domain", name, "verify",
                          "with tls = passthrough it is visitors who look at the certificate; leave it out");
}

/* Of a domain or a route: where HTTP is spoken. */
static int check_service(const char *text, bool *speaks_tls, struct err *e)
{
    struct service service;

    if (service_parse(&service, text, e) != 0)
        return -1;
    if (service.kind == SERVICE_TCP)
        return err_set(
            e, ERR_INPUT,
            "a site's visitors speak HTTP; write http://HOST:PORT, https://HOST:PORT, h2c://HOST:PORT or unix:/PATH "
            "(or tls = passthrough, where it is the service that ends their TLS)");
    *speaks_tls = *speaks_tls || service.kind == SERVICE_HTTPS;
    return 0;
}

static void check_services(struct opt_conf *conf, const char *name, const struct agent_domain_conf *d,
                           struct opt_errors *errors)
{
    bool speaks_tls = false;
    struct err why = { 0 };

    if (!*d->service && d->mode == AGENT_MODE_TUNNEL)
        opt_errors_add_at(
            errors, conf, "domain", name, opt_given(conf, "domain", name, "service") ? "service" : NULL,
            "has no service, which mode = tunnel needs; add one (such as service = http://127.0.0.1:80), or "
            "write mode = direct where only DNS is meant");
    else if (*d->service && check_service(d->service, &speaks_tls, &why) != 0)
        opt_errors_add_at(errors, conf, "domain", name, "service", "%s", why.text);
    if (!*d->service && d->routes.n > 0)
        opt_errors_add_at(errors, conf, "domain", name, "route", "there is no service beside it; add one");
    for (size_t i = 0; i < d->routes.n; i++) {
        const struct opt_pair *route = &d->routes.list[i];

        if (i == POLICY_ROUTES)
            opt_errors_add_pair(errors, conf, "domain", name, "route", route,
                                "more than %d of them; take the rest out", POLICY_ROUTES);
        if (policy_check_path(route->name, &why) != 0 || check_service(route->value, &speaks_tls, &why) != 0)
            opt_errors_add_pair(errors, conf, "domain", name, "route", route, "%s", why.text);
    }
    if (!d->verify && !speaks_tls)
        opt_errors_add_at(errors, conf, "domain", name, "verify",
                          "is for https:// services, and this site has none; leave it out");
}

static void check_relays(struct opt_conf *conf, const char *name, const struct agent_domain_conf *d,
                         struct opt_errors *errors)
{
    for (size_t i = 0; i < d->relays.n; i++) {
        const char *word = d->relays.words[i];
        const struct agent_relay_conf *r = opt_values(conf, "relay", word);

        if (!r)
            opt_errors_add_at(errors, conf, "domain", name, "relays",
                              "there is no [relay %.60s]; add one, or write the name of one that is there",
                              word);
        else if (r->protocol == AGENT_PROTOCOL_PLAIN)
            opt_errors_add_at(errors, conf, "domain", name, "relays",
                              "[relay %.60s] has protocol = plain, and knows nothing of sites; leave it out",
                              word);
        for (size_t j = 0; j < i; j++)
            if (strcmp(d->relays.words[j], word) == 0)
                opt_errors_add_at(errors, conf, "domain", name, "relays",
                                  "%.60s stands there twice; leave one out", word);
    }
}

static void check_addresses(struct opt_conf *conf, const char *name, const struct agent_domain_conf *d,
                            struct opt_errors *errors)
{
    static const char why[] = "an address has no DNS records; give it a [domain] of its own with mode = none";

    if (d->mode == AGENT_MODE_NONE)
        return;
    if (domain_is_address(name))
        opt_errors_add_at(errors, conf, "domain", name, NULL, "%s", why);
    for (size_t i = 0; i < d->aliases.n; i++)
        if (domain_is_address(d->aliases.words[i])) {
            opt_errors_add_at(errors, conf, "domain", name, "aliases", "%s", why);
            return;
        }
}

static void check_domain(struct opt_conf *conf, const char *name, const struct agent_domain_conf *d,
                         struct holders *names, struct opt_errors *errors)
{
    const char *other = holders_take(names, str_of(name), name);

    if (d->policy.tls == POLICY_PASSTHROUGH)
        check_passthrough(conf, name, d, errors);
    else
        check_services(conf, name, d, errors);
    check_relays(conf, name, d, errors);
    check_addresses(conf, name, d, errors);
    dns_check_site(conf, name, d, errors);
    policy_conf_check(conf, name, &d->aliases, &d->policy, errors);
    if (d->mode == AGENT_MODE_DIRECT)
        policy_conf_refuse_guard(conf, name, &d->policy, errors);
    if (other)
        opt_errors_add_at(errors, conf, "domain", name, NULL,
                          "is an alias of [domain %s] already; a name belongs to one site", other);
    if (d->aliases.n > LANE_ALIASES)
        opt_errors_add_at(errors, conf, "domain", name, "aliases",
                          "more than %d; give the others to a further [domain]", LANE_ALIASES);
    for (size_t i = 0; i < d->aliases.n; i++) {
        const char *alias = d->aliases.words[i];

        if ((other = holders_take(names, str_of(alias), name)))
            opt_errors_add_at(errors, conf, "domain", name, "aliases",
                              "%s belongs to [domain %s] already; a name belongs to one site", alias, other);
    }
}

static void check_resolvers(struct opt_conf *conf, struct opt_errors *errors)
{
    struct err why = { 0 };

    if (lookup_check(&agent_conf_of(conf)->resolvers, &why) != 0)
        opt_errors_add_at(errors, conf, "agent", NULL, "resolvers", "%s", why.text);
}

static void check_networks(struct opt_conf *conf, const char *name, const char *key, const struct cidrs *list,
                           struct opt_errors *errors)
{
    if (list->n > CIDR_JSON_MAX)
        opt_errors_add_at(errors, conf, "tcp", name, key, "more than %d of them; take the rest out",
                          CIDR_JSON_MAX);
}

/* The section before number `section` that listens there, too; NULL when none does. */
static const char *find_listener(struct opt_conf *conf, const struct opt_address *at, size_t section)
{
    const struct agent_tcp_conf *t;
    const char *name;

    for (size_t i = 0; i < section && (t = opt_section(conf, "tcp", i, &name)); i++)
        if (t->listen.n == 1 && port_policy_collide(&t->listen.list[0], at))
            return name;
    return NULL;
}

static void check_tcp(struct opt_conf *conf, const char *name, const struct agent_tcp_conf *t, size_t section,
                      struct opt_errors *errors)
{
    const char *other = t->listen.n == 1 ? find_listener(conf, &t->listen.list[0], section) : NULL;

    check_networks(conf, name, "allow", &t->allow, errors);
    check_networks(conf, name, "deny", &t->deny, errors);
    if (t->listen.n > 1)
        opt_errors_add_at(errors, conf, "tcp", name, "listen",
                          "more than one address; write a further [tcp NAME] for each other one");
    if (other)
        opt_errors_add_at(errors, conf, "tcp", name, "listen",
                          "is where [tcp %s] listens already; choose another port", other);
}

static void check(struct opt_conf *conf, struct opt_errors *errors)
{
    const struct agent_tcp_conf *t;
    const struct agent_domain_conf *d;
    const struct agent_relay_conf *r;
    const struct dns_conf *p;
    struct holders names = { 0 }; /* host names of all sites so far, and whose they are */
    const char *name;

    for (size_t i = 0; (r = opt_section(conf, "relay", i, &name)); i++)
        check_relay(conf, name, r, errors);
    for (size_t i = 0; (p = opt_section(conf, "provider", i, &name)); i++)
        dns_check_provider(conf, name, p, errors);
    daemon_conf_check(conf, "agent", &agent_conf_of(conf)->base, errors);
    address_check(conf, errors);
    check_resolvers(conf, errors);
    for (size_t i = 0; (d = opt_section(conf, "domain", i, &name)); i++)
        check_domain(conf, name, d, &names, errors);
    for (size_t i = 0; (t = opt_section(conf, "tcp", i, &name)); i++)
        check_tcp(conf, name, t, i, errors);
    holders_free(&names);
}

const struct opt_schema agent_schema = {
    .program = "tunnel-agent",
    .file = "/etc/tunnel/agent.ini",
    .intro = "Configuration of tunnel-agent, the daemon in the house.",
    .kinds = kinds,
    .kinds_n = sizeof kinds / sizeof kinds[0],
    .opts = options,
    .opts_n = sizeof options / sizeof options[0],
    .check = check,
};
