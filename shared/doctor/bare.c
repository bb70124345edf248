#include "shared/doctor/bare.h"

#include "shared/mem.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SMALL_KB = 200 << 10 };

static const unsigned visitors[] = { 80, 443 };

/* ---- ports ---- */

/* other: the port that sshd's configuration names instead; "": it names none. */
static void judge_ssh_port(struct steps *s, const char *holder, const char *other)
{
    if (strstr(holder, "sshd") || strstr(holder, "systemd") || strcmp(holder, "another process") == 0) {
        steps_add(s, "port 22", STEP_PASS, "held by %s", holder);
    } else if (*other) {
        steps_add(s, "port 22", STEP_WARN, "sshd has port %s instead", other);
        steps_remedy(
            s,
            "put ssh_port = %s into relay.ini, so that agents are told; its provider's firewall has to let "
            "them in there",
            other);
    } else if (*holder) {
        steps_add(s, "port 22", STEP_WARN, "held by %s, which is no sshd", holder);
        steps_remedy(s, "let sshd listen on another port (Port in sshd_config), and name it in ssh_port of "
                        "relay.ini");
    } else {
        steps_add(s, "port 22", STEP_FAIL, "nobody listens there, and agents come by sshd");
        steps_remedy(s, "apt install openssh-server; or, where sshd has another port, name it in ssh_port of "
                        "relay.ini");
    }
}

static void judge_ports(struct steps *s, const json_t *ports, const char *ssh_port)
{
    const json_t *port;
    size_t i;

    json_array_foreach(ports, i, port)
    {
        long long number = (long long)fact_number(port, "port", 0);
        const char *holder = fact_text(port, "holder");

        if (number == 22) {
            judge_ssh_port(s, holder, ssh_port);
        } else if (!*holder || strstr(holder, "tunnel-relay")) {
            steps_add(s, number == 80 ? "port 80" : "port 443", STEP_PASS, "%s",
                      *holder ? holder : "free for the relay");
        } else {
            steps_add(s, number == 80 ? "port 80" : "port 443", STEP_WARN, "held by %s", holder);
            steps_remedy(s,
                         "end that one; or keep it in front, with the relay on another port (listen_https, "
                         "trusted_proxies), or behind the relay (upstream)");
        }
    }
}

/* ---- firewalls ---- */

static bool has_number(const char *line, size_t n, unsigned port)
{
    char *copy = mem_copy_n(line, n), *text = mem_format("%u", port);
    bool found = false;

    for (const char *at = strstr(copy, text); at && !found; at = strstr(at + 1, text)) {
        char before = at == copy ? ' ' : at[-1], behind = at[strlen(text)];

        found = !isdigit((unsigned char)before) && before != '.' && !isdigit((unsigned char)behind) &&
                behind != '.';
    }
    free(copy);
    free(text);
    return found;
}

/* A line that has both words, and the port. */
static bool lets_in(const char *rules, const char *word, const char *verdict, unsigned port)
{
    for (const char *line = rules; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        size_t n = strcspn(line, "\n");
        char *copy = mem_copy_n(line, n);
        bool fits = strstr(copy, word) && strstr(copy, verdict) && has_number(line, n, port);

        free(copy);
        if (fits)
            return true;
    }
    return false;
}

/* ufw's names of applications. */
static bool is_web_application(const char *rules, unsigned port)
{
    return strstr(rules, "Full") != NULL || strstr(rules, "WWW") != NULL ||
           (port == 443 && (strstr(rules, "HTTPS") || strstr(rules, "Secure")));
}

enum verdict { NOTHING_SAID, LET_IN, REFUSED };

/* "--dport 80", "--dports 80,443", "--dport 1:1023"; of what is for some alone (-s, -i, -m set, …) nothing follows. */
static bool is_for(const char *line, unsigned port)
{
    const char *at = strstr(line, "--dport");
    unsigned from, to;

    if (strstr(line, " -s ") || strstr(line, " -i ") || strstr(line, "--match-set") ||
        strstr(line, "limit") || strstr(line, "--ctstate") || strstr(line, "--state") ||
        strstr(line, "-p udp"))
        return false;
    if (!at || !strstr(line, "-p tcp"))
        return false;
    at += strcspn(at, " ");
    if (sscanf(at, " %u:%u", &from, &to) == 2)
        return port >= from && port <= to;
    return has_number(at, 1 + strcspn(at + 1, " "), port);
}

/* The first line for this port decides; lines of other chains are not followed. */
static enum verdict say_iptables(const char *rules, unsigned port)
{
    enum verdict said = NOTHING_SAID;
    char *copy = mem_copy(rules), *rest = copy, *line;

    while (said == NOTHING_SAID && (line = strsep(&rest, "\n")))
        if (strncmp(line, "-A INPUT ", 9) == 0 && is_for(line, port))
            said = strstr(line, "-j ACCEPT")                              ? LET_IN
                   : strstr(line, "-j DROP") || strstr(line, "-j REJECT") ? REFUSED
                                                                          : NOTHING_SAID;
    free(copy);
    return said;
}

/* "tcp dport 80 drop", "tcp dport { 80, 443 } reject with …", of anybody. */
static enum verdict say_nft(const char *rules, unsigned port)
{
    enum verdict said = NOTHING_SAID;
    char *copy = mem_copy(rules), *rest = copy, *line;

    while (said == NOTHING_SAID && (line = strsep(&rest, "\n"))) {
        const char *at = strstr(line, "tcp dport ");

        if (at && at == line + strspn(line, " \t") && !strstr(line, "limit") &&
            has_number(at, strlen(at), port))
            said = strstr(at, " accept")                          ? LET_IN
                   : strstr(at, " drop") || strstr(at, " reject") ? REFUSED
                                                                  : NOTHING_SAID;
    }
    free(copy);
    return said;
}

static bool ends_with_refusal(const char *rules)
{
    static const char *const refusals[] = { "-P INPUT DROP", "-P INPUT REJECT", "-A INPUT -j DROP",
                                            "-A INPUT -j REJECT" };

    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++)
        if (strstr(rules, refusals[i]))
            return true;
    return false;
}

static const char *closed_by(const json_t *facts, unsigned port, const char **remedy)
{
    const char *ufw = fact_text(facts, "ufw"), *iptables = fact_text(facts, "iptables"),
               *nft = fact_text(facts, "nft");

    if (strstr(ufw, "Status: active")) {
        *remedy = "ufw allow %u/tcp";
        return lets_in(ufw, "", "ALLOW", port) || is_web_application(ufw, port) ? NULL : "ufw";
    }
    if (ends_with_refusal(iptables) || say_iptables(iptables, port) == REFUSED) {
        *remedy = "iptables -I INPUT -p tcp --dport %u -j ACCEPT, and keep it: netfilter-persistent save";
        return say_iptables(iptables, port) != REFUSED && lets_in(iptables, "dport", "ACCEPT", port)
                   ? NULL
                   : "iptables";
    }
    if (strstr(nft, "hook input") && (strstr(nft, "policy drop") || say_nft(nft, port) == REFUSED)) {
        *remedy = "let tcp dport %u be accepted in the input chain of /etc/nftables.conf; nft -f it";
        return say_nft(nft, port) != REFUSED && lets_in(nft, "dport", "accept", port) ? NULL : "nftables";
    }
    return NULL;
}

static void judge_firewall(struct steps *s, const json_t *facts)
{
    bool closed = false;

    for (size_t i = 0; i < 2; i++) {
        const char *remedy = "", *who = closed_by(facts, visitors[i], &remedy);
        char *text;

        if (!who)
            continue;
        closed = true;
        steps_add(s, "firewall", STEP_FAIL, "%s lets nobody in by port %u", who, visitors[i]);
        text = mem_format("%s", remedy);
        for (char *at = strstr(text, "%u"); at; at = NULL) {
            *at = 0;
            steps_remedy(s, "%s%u%s", text, visitors[i], at + 2);
        }
        free(text);
    }
    if (!closed)
        steps_add(
            s, "firewall", STEP_PASS,
            "none of this machine's is seen to close ports 80 and 443 (its provider may have one, too)");
}

/* ---- addresses, memory, clock ---- */

static void judge_addresses(struct steps *s, const json_t *addresses)
{
    const json_t *one;
    const char *private = "";
    size_t i;

    json_array_foreach(addresses, i, one)
    {
        if (json_is_true(json_object_get(one, "public"))) {
            steps_add(s, "address", STEP_PASS, "%s is public", fact_text(one, "address"));
            return;
        }
        private = *private ? private : fact_text(one, "address");
    }
    if (!addresses)
        return;
    steps_add(s, "address", STEP_WARN, "no public address is this machine's own (%s): it is behind NAT",
              *private ? private : "none at all");
    steps_remedy(s, "name the public one in publish of relay.ini (publish = ADDRESS), and have its provider "
                    "lead ports 22, 80 and 443 here");
}

static void judge_size(struct steps *s, const json_t *facts)
{
    int64_t kb = fact_number(json_object_get(facts, "memory"), "total_kb", -1);

    if (kb < 0)
        return;
    steps_add(s, "memory", kb < SMALL_KB ? STEP_WARN : STEP_PASS, "%lld MB in all", (long long)(kb >> 10));
    if (kb < SMALL_KB)
        steps_remedy(s, "add swap (fallocate -l 512M /swapfile; mkswap, swapon), or take a larger machine");
}

static void judge_time_service(struct steps *s, const json_t *facts)
{
    if (!json_is_false(json_object_get(facts, "clock_kept")))
        return;
    steps_add(s, "time service", STEP_WARN, "nobody keeps this machine's clock right");
    steps_remedy(s, "timedatectl set-ntp true (apt install systemd-timesyncd, or chrony)");
}

void bare_judge(struct steps *s, const json_t *facts)
{
    s->about = "";
    judge_size(s, facts);
    judge_time_service(s, facts);
    judge_addresses(s, json_object_get(facts, "addresses"));
    if (!json_object_get(facts, "ports"))
        return; /* an agent's machine: nobody comes in */
    judge_ports(s, json_object_get(facts, "ports"), fact_text(facts, "other_ssh_port"));
    judge_firewall(s, facts);
}
