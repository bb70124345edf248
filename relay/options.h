/* relay/options.h - relay.ini: every key of it, and what the program reads from it. */
#ifndef RELAY_OPTIONS_H
#define RELAY_OPTIONS_H
#include "shared/daemon.h"
#include "shared/host_port.h"
#include "shared/opt.h"
#include "shared/policy_conf.h"

/* [relay] */
struct relay_conf {
    struct daemon_conf base;
    struct opt_addresses listen_https, listen_http, proxy_listeners;
    struct cidrs trusted_proxies;
    int64_t park_ms, heartbeat_ms;
    const char *lane_socket, *lane_user;
    const char *lane_command; /* "": the tunnel-lane beside this program, or else the installed one */
    int64_t max_uri, max_header, max_streams, max_buffered, ssh_port;
    int64_t max_connections, max_per_source; /* 0: any number */
    bool ssh_on_https, http2;
    const char *access_log;   /* "off", "stdout" or a path */
    int access_log_format;    /* enum access_format */
    const char *workers;      /* see relay_workers */
    struct opt_words publish; /* see relay/lanes/publish.h */
    int tls_profile;          /* enum tls_profile of relay/edge/tls.h */
    const char *default_cert; /* "": unknown names are refused */
};

/* [acme] is struct issuer_conf of relay/certs/issuer_conf.h, [provider NAME] struct dns_conf of shared/dns/conf.h. */

/* [agent NAME] */
struct relay_agent_conf {
    const char *key; /* "ssh-ed25519 AAAA…" */
    struct opt_words domains;
    struct opt_words tcp_ports; /* see relay/lanes/port_list.h */
    int64_t instances, max_domains;
};

/* [domain NAME] */
struct relay_domain_conf {
    const char *upstream;             /* "HOST:PORT"; "": the site is an agent's */
    const char *cert_file, *key_file; /* both "", or both given */
    struct opt_words aliases;
    struct opt_pairs routes;   /* path to "HOST:PORT" */
    struct policy_conf policy; /* laid over the one that the agent asks for */
};

enum { RELAY_MAX_DOMAINS = 100 }; /* that an agent may claim, unless its section says otherwise */

extern const struct opt_schema relay_schema;

/* The section of a site, by its own name; NULL when there is none. */
const struct relay_domain_conf *relay_domain(const struct opt_conf *conf, const char *name);
/* Adds an error for each cert_file and key_file, and default_cert, that cannot be used. A reload is refused for it; a
 * start is not: the other sites do not wait for one whose files are being renewed, or are on a disk that is not there. */
void relay_look_at_cert_files(const struct opt_conf *conf, struct opt_errors *errors);
/* Reads upstream, HOST:PORT or http://HOST:PORT; what the configuration holds is well. */
must_check int relay_upstream(struct host_port *out, const char *text, struct err *e);
/* Owned by conf. */
const struct relay_conf *relay_conf_of(const struct opt_conf *conf);
/* How many workers to run: what is configured, or one for each processor. */
int relay_workers(const struct relay_conf *conf);
#endif
