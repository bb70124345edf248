/* The way to a relay, in the order in which a session goes it: name, port, host key, login, forward, the relay itself. */
#include "agent/doctor/judge.h"

#include "shared/doctor/alerts.h"
#include "shared/doctor/host.h"
#include "shared/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- name ---- */

/* False: there is nothing behind it to be looked at. */
static bool judge_name(struct steps *s, const json_t *relay)
{
    const char *host = fact_text(relay, "host"), *address;
    const json_t *lookup = json_object_get(relay, "lookup");

    if (fact_is(lookup, "state", "no_server")) {
        steps_add(s, "name", STEP_FAIL, "no name server answers this machine, so it cannot look up %s (%s)",
                  host, fact_text(lookup, "why"));
        steps_remedy(s, "name one that answers in /etc/resolv.conf (such as: nameserver 1.1.1.1), and see "
                        "that this machine has a network at all: ip route");
        return false;
    }
    if (fact_is(lookup, "state", "nameless")) {
        steps_add(s, "name", STEP_FAIL, "there is no machine of the name %s (%s)", host,
                  fact_text(lookup, "why"));
        steps_remedy(s, "put the right name, or the address, into host of [%s], and run: tunnelctl reload",
                     s->about);
        return false;
    }
    if (!lookup)
        return false;
    address = json_string_value(json_array_get(json_object_get(lookup, "addresses"), 0));
    if (address && strcmp(address, host) != 0)
        steps_add(s, "name", STEP_PASS, "%s is %s", host, address);
    return true;
}

/* ---- port ---- */

static const char *port_words(const json_t *port)
{
    static const struct {
        const char *state, *words;
    } rows[] = {
        { "refused", "is closed (connection refused)" },
        { "silent", "does not answer: a firewall drops what goes there" },
        { "unreachable", "cannot be reached" },
        { "mute", "takes the connection, and nobody greets: a firewall or a proxy in between" },
        { "closed", "closes the connection without a word" },
        { "other", "is no SSH server" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (fact_is(port, "state", rows[i].state))
            return rows[i].words;
    return "was not looked at";
}

/* From OpenSSH 9.8 on sshd says the same in both cases. */
static void say_busy(struct steps *s, const char *host, const json_t *port)
{
    bool startups = strstr(fact_text(port, "said"), "MaxStartups");

    steps_add(s, "port", STEP_FAIL, "sshd at %s turns callers away: %s", host, fact_text(port, "said"));
    if (startups)
        steps_remedy(s, "raise MaxStartups on the relay's machine (MaxStartups 100:30:200 in sshd_config), "
                        "and see there who else is knocking: journalctl -u ssh");
    else
        steps_remedy(
            s, "wait some minutes: it holds failed logins against this house (PerSourcePenaltyExemptList in "
               "sshd_config can name this house's address), or MaxStartups is reached (MaxStartups "
               "100:30:200 there raises it); on the relay's machine journalctl -u ssh says which");
}

/* False: no session can begin. */
static bool judge_ports(struct steps *s, const json_t *relay)
{
    const json_t *ports = json_object_get(relay, "ports"), *own = json_array_get(ports, 0),
                 *other = json_array_get(ports, 1);
    const char *host = fact_text(relay, "host");
    int number = (int)fact_number(own, "port", 22);

    if (fact_is(own, "state", "greeted")) {
        steps_add(s, "port", STEP_PASS, "port %d: %s", number, fact_text(own, "said"));
        return true;
    }
    if (fact_is(own, "state", "busy")) {
        say_busy(s, host, own);
        return false;
    }
    if (fact_is(other, "state", "greeted")) {
        steps_add(s, "port", STEP_WARN, "port %d of %s %s; lanes go through port 443 instead", number, host,
                  port_words(own));
        steps_remedy(s,
                     "open port %d in the firewalls of the relay's machine and of its provider, and see "
                     "that sshd runs: systemctl status ssh",
                     number);
        return true;
    }
    if (other)
        steps_add(s, "port", STEP_FAIL,
                  "neither port %d nor port 443 of %s leads to sshd: port %d %s, port "
                  "443 %s",
                  number, host, number, port_words(own), port_words(other));
    else
        steps_add(s, "port", STEP_FAIL, "port %d of %s %s", number, host, port_words(own));
    steps_remedy(s,
                 "see that the machine runs, that sshd does (systemctl status ssh), and open port %d%s in "
                 "its firewall and its provider's",
                 number, other ? " or 443" : "");
    return false;
}

/* ---- what became of the last session ---- */

static void say_key(struct steps *s, const json_t *relay, const json_t *lane, const char *agent)
{
    bool was_let_in = *fact_text(lane, "last_up");

    if (was_let_in)
        steps_add(s, "login", STEP_FAIL,
                  "this agent's key is refused, and was let in before (last at %s): it was revoked at the "
                  "relay, or sshd there has changed",
                  fact_text(lane, "last_up"));
    else
        steps_add(s, "login", STEP_FAIL, "this agent's key is not enrolled at the relay: %s",
                  fact_text(lane, "last_error"));
    steps_remedy(s,
                 "on the relay's machine: tunnelctl invite %s --domains \"…\", then here the line that it "
                 "prints; if tunnelctl agents lists %s there, tunnelctl doctor there says why sshd "
                 "refuses user %s",
                 agent, agent, fact_text(relay, "user"));
}

static void say_key_file(struct steps *s, const json_t *relay, const json_t *lane, const char *agent)
{
    (void)relay;
    steps_add(s, "login", STEP_FAIL, "%s", fact_text(lane, "last_error"));
    steps_remedy(s,
                 "pair this agent anew: on the relay's machine tunnelctl invite %s …, here tunnelctl join; "
                 "or put the key back, mode 0600",
                 agent);
}

static void say_host_key(struct steps *s, const json_t *relay, const json_t *lane, const char *agent)
{
    (void)relay;
    steps_add(s, "host key", STEP_FAIL, "the host key has changed: %s", fact_text(lane, "last_error"));
    steps_remedy(s,
                 "if the relay's machine was set up anew, pair again (there: tunnelctl invite %s …), or put "
                 "what ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub prints there into host_key of "
                 "[%s]; if it was not, somebody stands in between",
                 agent, s->about);
}

static void say_handshake(struct steps *s, const json_t *relay, const json_t *lane, const char *agent)
{
    (void)relay;
    (void)agent;
    steps_add(s, "handshake", STEP_FAIL, "sshd answers, but the two ends do not come to speak SSH: %s",
              fact_text(lane, "last_error"));
    steps_remedy(
        s, "tunnelctl doctor on the relay's machine says whether KexAlgorithms, Ciphers, MACs or "
           "HostKeyAlgorithms of sshd_config leave out what agents speak, and journalctl -u ssh there what "
           "sshd missed");
}

static void say_forward(struct steps *s, const json_t *relay, const json_t *lane, const char *agent)
{
    (void)agent;
    steps_add(s, "forward", STEP_FAIL, "logged in, but sshd opens no port for the tunnel: %s",
              fact_text(lane, "last_error"));
    steps_remedy(s,
                 "let user %s forward in the relay's sshd_config: AllowTcpForwarding remote, "
                 "DisableForwarding no, PermitListen 127.0.0.1:*; tunnelctl doctor there says which one "
                 "it is",
                 fact_text(relay, "user"));
}

static void say_converse(struct steps *s, const json_t *relay, const json_t *lane, const char *agent)
{
    (void)agent;
    steps_add(s, "session", STEP_FAIL, "logged in, but no command may run: %s",
              fact_text(lane, "last_error"));
    steps_remedy(s,
                 "let user %s have a session in the relay's sshd_config: MaxSessions 1 or more, a login "
                 "shell of /bin/sh",
                 fact_text(relay, "user"));
}

static void say_serve(struct steps *s, const json_t *relay, const json_t *lane, const char *agent)
{
    (void)relay;
    if (fact_is(lane, "failure", "twin")) {
        steps_add(s, "relay", STEP_FAIL, "another machine is there with this agent's key: %s",
                  fact_text(lane, "last_error"));
        steps_remedy(s,
                     "give each machine its own key and name (tunnelctl invite NAME …), or set instances in "
                     "[agent %s] of relay.ini",
                     agent);
    } else if (fact_is(lane, "failure", "sent_away")) {
        steps_add(s, "relay", STEP_FAIL,
                  "the relay sends this agent away: it was revoked, or is not wanted (%s)",
                  fact_text(lane, "last_error"));
        steps_remedy(s,
                     "on the relay's machine: tunnelctl agents; tunnelctl invite %s --domains \"…\" lets it "
                     "in again",
                     agent);
    } else {
        steps_add(s, "relay", STEP_FAIL, "logged in, but the relay does not answer: %s",
                  fact_text(lane, "last_error"));
        steps_remedy(s, "on the relay's machine: systemctl status tunnel-relay; tunnelctl doctor");
    }
}

static const struct {
    const char *failed_at;
    void (*say)(struct steps *s, const json_t *relay, const json_t *lane, const char *agent);
} failures[] = {
    { "handshake", say_handshake }, { "hostkey", say_host_key },  { "key_file", say_key_file },
    { "login", say_key },           { "converse", say_converse }, { "forward", say_forward },
    { "serve", say_serve },
};

/* What stopped a session last, where it was not the way to sshd, which was looked at right now. */
static bool say_failure(struct steps *s, const json_t *relay, const json_t *lane, const char *agent)
{
    for (size_t i = 0; i < sizeof failures / sizeof failures[0]; i++)
        if (fact_is(lane, "failed_at", failures[i].failed_at)) {
            failures[i].say(s, relay, lane, agent);
            return true;
        }
    return false;
}

static void judge_lanes(struct steps *s, const json_t *relay, const char *agent)
{
    const json_t *lanes = json_object_get(relay, "lanes"), *lane, *up_lane = NULL, *away = NULL,
                 *failed = NULL;
    size_t i, up = 0;

    json_array_foreach(lanes, i, lane)
    {
        bool is_up = fact_is(lane, "state", "up");

        up += is_up;
        up_lane = is_up ? lane : up_lane;
        away = fact_is(lane, "state", "away") ? lane : away;
        failed = !failed && *fact_text(lane, "failed_at") && !is_up ? lane : failed;
    }
    if (up_lane && up == json_array_size(lanes)) {
        steps_add(s, "lanes", STEP_PASS, "%zu of %zu are up, %lld ms away", up, json_array_size(lanes),
                  (long long)fact_number(up_lane, "rtt_ms", 0));
    } else if (away) {
        steps_add(s, "relay", STEP_FAIL, "logged in, but tunnel-lane finds no relay at its lane socket");
        steps_remedy(s,
                     "on the relay's machine: systemctl status tunnel-relay; is its lane_socket there, and "
                     "the one that tunnel-lane asks? tunnelctl doctor there says more");
    } else if (!failed || !say_failure(s, relay, failed, agent)) {
        steps_add(s, "lanes", up == 0 && failed ? STEP_FAIL : STEP_WARN, "%zu of %zu are up%s%s", up,
                  json_array_size(lanes), failed ? ": " : "", failed ? fact_text(failed, "last_error") : "");
        steps_remedy(s,
                     "wait a moment, and ask again; tunnelctl doctor on the relay's machine sees the other "
                     "end");
    }
}

void agent_judge_relay(struct steps *s, const json_t *relay, const char *agent)
{
    char *about = mem_format("relay %s", fact_text(relay, "name"));

    s->about = about;
    if (judge_name(s, relay) && judge_ports(s, relay))
        judge_lanes(s, relay, agent);
    s->about = "";
    free(about);
}

void agent_doctor_judge(struct steps *s, const json_t *facts)
{
    const json_t *one;
    size_t i;

    host_judge(s, facts);
    alerts_judge(s, facts, "agent");
    if (json_array_size(json_object_get(facts, "relays")) == 0) {
        steps_add(s, "relay", STEP_WARN, "no relay is configured");
        steps_remedy(s,
                     "on the relay's machine: tunnelctl invite %s --domains \"…\"; here the line that it "
                     "prints. Without a relay this agent keeps DNS alone",
                     fact_text(facts, "agent"));
    }
    json_array_foreach(json_object_get(facts, "relays"), i, one)
        agent_judge_relay(s, one, fact_text(facts, "agent"));
    json_array_foreach(json_object_get(facts, "domains"), i, one) agent_judge_domain(s, one);
}
