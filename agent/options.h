/* agent/options.h - agent.ini: every key of it, and what the program reads from it. */
#ifndef AGENT_OPTIONS_H
#define AGENT_OPTIONS_H
#include "shared/daemon.h"
#include "shared/opt.h"
#include "shared/policy_conf.h"

/* [agent] */
struct agent_conf {
    struct daemon_conf base;
    int64_t max_streams, max_buffered;
    const char *on_change; /* "": nothing is run */
    int64_t withdraw_after_ms;
    struct opt_words resolvers;
};

/* [relay NAME] */
struct agent_relay_conf {
    const char *host, *user;
    int64_t port;
    const char *key_file; /* "": STATE_DIR/id_ed25519 */
    const char *host_key; /* "ssh-ed25519 SHA256:…"; or "", and then there is a */
    const char *known_hosts_file;
    int64_t lanes, max_lanes;
    int protocol; /* AGENT_PROTOCOL_… */
    const char *remote_address;
    int64_t remote_port;
    const char *service; /* this and the two above are for AGENT_PROTOCOL_PLAIN alone */
};
enum { AGENT_MAX_LANES = 8 };

enum { AGENT_PROTOCOL_TUNNEL, AGENT_PROTOCOL_PLAIN };

enum { AGENT_MODE_TUNNEL, AGENT_MODE_DIRECT, AGENT_MODE_NONE };
enum { AGENT_TXT_WILDCARDS = -1, AGENT_TXT_OFF, AGENT_TXT_ON };
enum { AGENT_FAMILIES_BOTH, AGENT_FAMILIES_IPV4, AGENT_FAMILIES_IPV6 };

/* [domain NAME] */
struct agent_domain_conf {
    const char *service; /* "" where it is for DNS alone */
    int mode;            /* AGENT_MODE_… */
    const char *dns;     /* name of a [provider], "manual", or "" */
    int families;        /* AGENT_FAMILIES_… */
    int64_t ttl_ms;      /* -1: what is there stays */
    const char *host_id; /* "::1234": of the machine that the AAAA records are for; "": this one */
    int proxied;         /* 0, 1, or -1: what is there stays */
    bool owner_txt, cleanup_on_stop;
    int txt;                 /* AGENT_TXT_… */
    bool verify;             /* of https:// services */
    int proxy_protocol;      /* enum proxy_header_version */
    struct opt_pairs routes; /* paths, and a service for each */
    struct opt_words aliases;
    struct opt_words relays; /* names of [relay] sections that it is published through; none: all */
    struct policy_conf policy;
};

/* [tcp NAME] */
struct agent_tcp_conf {
    struct opt_addresses listen; /* one */
    const char *service;
    int proxy_protocol; /* enum proxy_header_version */
    struct cidrs allow, deny;
};

const char *agent_mode_text(int mode);
/* Whether a site with these `relays` is published through the relay of that name. */
bool agent_uses_relay(const struct opt_words *relays, const char *relay);

extern const struct opt_schema agent_schema;

/* Owned by conf. */
const struct agent_conf *agent_conf_of(const struct opt_conf *conf);
#endif
