/* shared/known_hosts.h - OpenSSH's list of host keys, as ssh_known_hosts and ~/.ssh/known_hosts have it. Pure.
 *
 * Of every line: an optional marker (@revoked, @cert-authority), hosts, type of key, key. Hosts are patterns with * and
 * ?, ! in front to except some, [HOST]:PORT for another port than 22, or a hash (|1|SALT|HASH). Lines of other key
 * types, other hosts and host authorities say nothing here. */
#ifndef SHARED_KNOWN_HOSTS_H
#define SHARED_KNOWN_HOSTS_H
#include "shared/err.h"
#include "shared/str.h"

#include <stdbool.h>
#include <stdint.h>

enum known_hosts_answer {
    KNOWN_HOSTS_YES,
    KNOWN_HOSTS_NO,      /* no ed25519 key of this host is there */
    KNOWN_HOSTS_OTHER,   /* it should show another one: the one at `line` */
    KNOWN_HOSTS_REVOKED, /* `line` takes this key back */
};

struct known_hosts_found {
    enum known_hosts_answer answer;
    size_t line;      /* which line says so, from 1 on; 0: none */
    size_t authority; /* a line of @cert-authority for this host, which means nothing to us; 0: none */
    size_t other;     /* a line with this host's key of another type; 0: none */
};

/* key: as ssh_key_parse makes it, "ssh-ed25519 BASE64". As ssh does, a host on another port than 22 is looked for as
 * [HOST]:PORT, and then, but only for this very key, without the port. -1: a line about this host is damaged. */
must_check int known_hosts_look_up(struct known_hosts_found *out, struct str text, const char *host,
                                   uint16_t port, const char *key, struct err *e);
#endif
