#include "shared/dns/import_map.h"

#include <string.h>
#include <strings.h>

/* The whole names of inadyn's plugins; its file may have any part of one. */
static const struct service inadyn[] = {
    { "default@dyndns.org", "dyn", LOGIN },
    { "default@noip.com", "noip", LOGIN },
    { "default@no-ip.com", "noip", LOGIN },
    { "default@duckdns.org", "duckdns", USER_TOKEN },
    { "default@dynv6.com", "dynv6", USER_TOKEN },
    { "default@ipv4.dynv6.com", "dynv6", USER_TOKEN },
    { "default@cloudflare.com", "cloudflare", USER_ZONE },
    { "default@loopia.com", "loopia", LOGIN },
    { "default@strato.com", "strato", LOGIN },
    { "default@selfhost.de", "selfhost", LOGIN },
    { "default@dnsomatic.com", "dnsomatic", LOGIN },
    { "dyndns@he.net", "he", PASSWORD },
    { "default@ovh.com", "dynhost", LOGIN },
    { "default@inwx.com", "inwx", ONE_NAME },
    { "default@porkbun.com", "porkbun", TWO_KEYS },
};

/* ddclient's protocols, and for dyndns2 the servers that are known here by a name of their own. */
static const struct service ddclient[] = {
    { "noip", "noip", LOGIN },
    { "duckdns", "duckdns", TOKEN },
    { "cloudflare", "cloudflare", TOKEN },
    { "digitalocean", "digitalocean", TOKEN },
    { "gandi", "gandi", TOKEN },
    { "porkbun", "porkbun", TWO_KEYS },
    { "namecheap", "namecheap", HOSTS },
    { "infomaniak", "infomaniak", LOGIN },
    { "ovh", "dynhost", LOGIN },
    { "inwx", "inwx", ONE_NAME },
    { "nsupdate", "rfc2136", KEY_FILE },
};

static const struct service servers[] = {
    { "members.dyndns.org", "dyn", LOGIN },           { "dynupdate.no-ip.com", "noip", LOGIN },
    { "dyndns.strato.com", "strato", LOGIN },         { "infomaniak.com", "infomaniak", LOGIN },
    { "dyndns.loopia.se", "loopia", LOGIN },          { "carol.selfhost.de", "selfhost", LOGIN },
    { "updates.dnsomatic.com", "dnsomatic", LOGIN },  { "dyndns.inwx.com", "inwx", ONE_NAME },
    { "dyndns.kasserver.com", "all-inkl", ONE_NAME }, { "dyn.dns.he.net", "he", PASSWORD },
};

/* Settings that need nothing here, and what to say of them; NULL: nothing. */
static const struct {
    const char *key, *why;
} others[] = {
    { "protocol", NULL },
    { "host", NULL },
    { "login-env", "a login from the environment: write user = LOGIN into the provider" },
    { "period", "addresses are looked at when they change, and now and then" },
    { "daemon", "addresses are looked at when they change, and now and then" },
    { "iterations", "the agent runs until it is stopped" },
    { "forced-update", "a service is told again once in four weeks" },
    { "max-interval", "a service is told again once in four weeks" },
    { "cache-dir", "the agent keeps what it knows in its state_dir" },
    { "cache", "the agent keeps what it knows in its state_dir" },
    { "pid", "systemd knows the agent" },
    { "syslog", "the agent's log goes to the journal" },
    { "secure-ssl", "certificates are always verified" },
    { "ca-trust-file", "the system's authorities are trusted; a provider of one's own takes ca_file" },
    { "exec", "on_change in [agent] names a program to run" },
    { "postscript", "on_change in [agent] names a program to run" },
    { "user-agent", "this program says its own name" },
    { "ipv6", "families in [domain] says which of its records are kept" },
    { "iface", "sources in [address] says where the house's address is learnt" },
    { "wildcard", "give *.NAME a [domain] of its own, where the provider can" },
};

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static bool holds_nocase(const char *all, const char *part, size_t n)
{
    for (; strlen(all) >= n; all++)
        if (n > 0 && strncasecmp(all, part, n) == 0)
            return true;
    return false;
}

const struct service *import_map_inadyn(const char *name)
{
    const struct service *found = NULL;
    size_t n = strcspn(name, ":");

    for (size_t i = 0; i < COUNT(inadyn); i++) {
        if (strlen(inadyn[i].theirs) == n && strncasecmp(inadyn[i].theirs, name, n) == 0)
            return &inadyn[i];
        if (!holds_nocase(inadyn[i].theirs, name, n))
            continue;
        if (found && strcmp(found->ours, inadyn[i].ours) != 0)
            return NULL; /* inadyn would not know either */
        found = found ? found : &inadyn[i];
    }
    return found;
}

static const struct service *find_in(const struct service *list, size_t n, const char *word)
{
    for (size_t i = 0; i < n; i++)
        if (strcasecmp(list[i].theirs, word) == 0)
            return &list[i];
    return NULL;
}

const struct service *import_map_ddclient(const char *protocol)
{
    return find_in(ddclient, COUNT(ddclient), protocol);
}

const struct service *import_map_server(const char *host)
{
    return find_in(servers, COUNT(servers), host);
}

bool import_is_on(const char *value)
{
    return strcmp(value, "true") == 0 || strcmp(value, "yes") == 0 || strcmp(value, "1") == 0;
}

/* A key that says where the address comes from is one of these, with a family (usev6) or a word (web-skip) behind it. */
static const char *why_source(const char *key, bool *shown)
{
    static const struct {
        const char *begins;
        bool shown;
    } sources[] = { { "checkip", false }, { "use", true }, { "web", true }, { "cmd", false },
                    { "fw", false },      { "if", true },  { "ip", true } };

    for (size_t i = 0; i < COUNT(sources); i++) {
        const char *rest = key + strlen(sources[i].begins);

        if (strncmp(key, sources[i].begins, strlen(sources[i].begins)) != 0 ||
            (*rest && *rest != '-' && strncmp(rest, "v4", 2) != 0 && strncmp(rest, "v6", 2) != 0))
            continue;
        *shown = sources[i].shown || strncmp(key, "checkip-s", 9) == 0;
        return "sources in [address] says where the house's address is learnt";
    }
    return NULL;
}

const char *import_map_why(const char *key, bool *shown)
{
    const char *why;

    *shown = true;
    for (size_t i = 0; i < COUNT(others); i++)
        if (strcmp(others[i].key, key) == 0)
            return others[i].why;
    if ((why = why_source(key, shown)))
        return why;
    *shown = false;
    return "there is nothing like it here";
}
