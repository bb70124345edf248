#include "agent/doctor/judge.h"

#include "tests/unit/fault_table.h"

/* ---- the way to a relay ---- */

#define RELAY(lookup, ports, lanes)                                                                            \
    "{\"now_s\": 1796000000, \"agent\": \"pi\", \"domains\": [], \"relays\": [{\"name\": \"fra1\", \"host\": " \
    "\"relay.example.net\", \"port\": 22, \"user\": \"tunnel\", \"lookup\": " lookup ", \"ports\": [" ports    \
    "], \"lanes\": [" lanes "]}]}"
#define FOUND    "{\"state\": \"found\", \"addresses\": [\"192.0.2.1\"]}"
#define GREETED  "{\"port\": 22, \"state\": \"greeted\", \"said\": \"SSH-2.0-OpenSSH_9.2\"}"
#define REFUSED  "{\"port\": 22, \"state\": \"refused\"}"
#define OVER_443 "{\"port\": 443, \"state\": \"greeted\", \"said\": \"SSH-2.0-OpenSSH_9.2\"}"
#define UP       "{\"state\": \"up\", \"rtt_ms\": 14}"
#define FAILED(at, failure, error, last_up)                                          \
    RELAY(FOUND, GREETED,                                                            \
          "{\"state\": \"dead\", \"failed_at\": \"" at "\", \"failure\": \"" failure \
          "\", \"last_error\": \"" error "\", \"last_up\": " last_up "}")

static void test_a_relay_is_well(void **state)
{
    (void)state;
    check_state(agent_doctor_judge, RELAY(FOUND, GREETED, UP ", " UP), STEP_PASS);
}

static void test_faults_on_the_way_to_a_relay(void **state)
{
    static const struct fault rows[] = {
        { "no resolver", RELAY("{\"state\": \"no_server\", \"why\": \"Temporary failure\"}", "", ""), "name",
          STEP_FAIL, "no name server answers this machine", "/etc/resolv.conf" },
        { "relay name wrong", RELAY("{\"state\": \"nameless\", \"why\": \"not known\"}", "", ""), "name",
          STEP_FAIL, "there is no machine of the name relay.example.net", "into host of [relay fra1]" },
        { "22 closed", RELAY(FOUND, REFUSED ", " OVER_443, UP), "port", STEP_WARN,
          "port 22 of relay.example.net is closed (connection refused); lanes go through port 443",
          "open port 22" },
        { "22 and 443 closed", RELAY(FOUND, REFUSED ", {\"port\": 443, \"state\": \"silent\"}", ""), "port",
          STEP_FAIL, "neither port 22 nor port 443 of relay.example.net leads to sshd",
          "open port 22 or 443" },
        { "MaxStartups reached",
          RELAY(FOUND, "{\"port\": 22, \"state\": \"busy\", \"said\": \"Exceeded MaxStartups\"}", UP), "port",
          STEP_FAIL, "turns callers away: Exceeded MaxStartups", "raise MaxStartups" },
        { "penalties",
          RELAY(FOUND, "{\"port\": 22, \"state\": \"busy\", \"said\": \"Not allowed at this time\"}", UP),
          "port", STEP_FAIL, "Not allowed at this time", "PerSourcePenaltyExemptList" },
        { "a web server at 22", RELAY(FOUND, "{\"port\": 22, \"state\": \"other\"}", ""), "port", STEP_FAIL,
          "is no SSH server", "open port 22 in" },
        { "no common algorithm", FAILED("handshake", "broke", "Unable to exchange encryption keys", "null"),
          "handshake", STEP_FAIL, "Unable to exchange encryption keys", "KexAlgorithms, Ciphers, MACs" },
        { "none is up", FAILED("connect", "broke", "no route", "null"), "lanes", STEP_FAIL,
          "0 of 1 are up: no route", "tunnelctl doctor" },
        { "clock ahead of the relay's",
          "{\"now_s\": 1796000000, \"other_clock\": {\"who\": \"relay fra1\", \"ahead_s\": 172800}, \"relays\": [], "
          "\"domains\": []}",
          "clock", STEP_WARN, "172800 s ahead of that of relay fra1", "timedatectl set-ntp true" },
        { "host key changed", FAILED("hostkey", "host_key", "shows the host key X", "null"), "host key",
          STEP_FAIL, "the host key has changed: shows the host key X", "host_key of [relay fra1]" },
        { "key not enrolled", FAILED("login", "key", "refuses the key", "null"), "login", STEP_FAIL,
          "this agent's key is not enrolled at the relay", "tunnelctl invite pi" },
        { "key revoked", FAILED("login", "key", "refuses the key", "\"2026-11-30T03:00:00Z\""), "login",
          STEP_FAIL, "it was revoked at the relay", "tunnelctl invite pi" },
        { "key revoked just now", FAILED("serve", "sent_away", "this agent was revoked", "null"), "relay",
          STEP_FAIL, "it was revoked", "tunnelctl invite pi" },
        { "no key", FAILED("key_file", "key", "cannot look at /k", "null"), "login", STEP_FAIL,
          "cannot look at /k", "mode 0600" },
        { "AllowTcpForwarding no, or DisableForwarding yes",
          FAILED("forward", "broke", "grants no port", "null"), "forward", STEP_FAIL, "sshd opens no port",
          "AllowTcpForwarding remote, DisableForwarding no" },
        { "no session", FAILED("converse", "broke", "opens no session channel", "null"), "session", STEP_FAIL,
          "no command may run", "MaxSessions" },
        { "twin", FAILED("serve", "twin", "another machine", "null"), "relay", STEP_FAIL,
          "another machine is there", "instances in [agent pi]" },
        { "the relay's lane socket is missing", RELAY(FOUND, GREETED, "{\"state\": \"away\"}"), "relay",
          STEP_FAIL, "tunnel-lane finds no relay at its lane socket", "systemctl status tunnel-relay" },
        { "no welcome", FAILED("serve", "broke", "no relay answers there", "null"), "relay", STEP_FAIL,
          "no relay answers there", "tunnelctl doctor" },
        { "one of two", RELAY(FOUND, GREETED, UP ", {\"state\": \"opening\"}"), "lanes", STEP_WARN,
          "1 of 2 are up", "wait a moment" },
        { "no relay", "{\"now_s\": 1796000000, \"agent\": \"pi\", \"relays\": [], \"domains\": []}", "relay",
          STEP_WARN, "no relay is configured", "tunnelctl invite pi" },
    };

    (void)state;
    check_faults(agent_doctor_judge, rows, sizeof rows / sizeof rows[0]);
}

/* ---- sites ---- */

#define SITE(more)                                                                                               \
    "{\"now_s\": 1796000000, \"relays\": [{\"name\": \"fra1\"}], \"domains\": [{\"name\": \"a.com\", \"mode\": " \
    "\"tunnel\", \"service\": \"http://127.0.0.1:80\", \"service_state\": \"unknown\", " more "}]}"
#define SEEN(seen) SITE("\"seen\": {" seen "}")
#define RECORD(record) \
    SITE("\"dns\": {\"provider\": \"manual\", \"records\": [{\"name\": \"a.com\", " record "}]}")
#define OUTSIDE(port, state)                                              \
    SITE("\"addresses\": [\"192.0.2.1\"], \"outside\": [{\"port\": " port \
         ", \"address\": \"192.0.2.1\", \"state\": \"" state "\", \"why\": \"Connection refused\"}]")

static void test_a_site_is_well(void **state)
{
    static const char *const rows[] = {
        SEEN("\"state\": \"open\", \"status\": 200"),
        SEEN("\"state\": \"open\", \"status\": 404, \"plain_status\": 404"),
        SEEN("\"state\": \"open\", \"status\": 302, \"location\": \"/login\""),
        SEEN("\"state\": \"open\", \"status\": 302, \"location\": \"https://www.a.com/\""),
        SEEN("\"state\": \"open\", \"status\": 302, \"location\": \"/\", \"sets_cookie\": true"),
        SEEN("\"state\": \"open\""),
        RECORD("\"type\": \"A\", \"wanted\": [\"192.0.2.1\"], \"public\": [\"192.0.2.1\"]"),
        OUTSIDE("443", "open"),
        SITE(
            "\"certs\": [{\"relay\": \"fra1\", \"state\": \"valid\", \"not_after\": \"2027-01-01T00:00:00Z\"}]"),
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        check_state(agent_doctor_judge, rows[i], STEP_PASS);
}

static void test_faults_of_a_site(void **state)
{
    static const struct fault rows[] = {
        { "service refused", SEEN("\"state\": \"refused\", \"why\": \"Connection refused\""), "service",
          STEP_FAIL, "nobody listens at http://127.0.0.1:80", "start the service" },
        { "service silent", SEEN("\"state\": \"silent\""), "service", STEP_FAIL,
          "http://127.0.0.1:80 is silent", "curl -m 5 http://127.0.0.1:80" },
        { "service answers 400 to proxy headers",
          SEEN("\"state\": \"open\", \"status\": 400, \"plain_status\": 200, \"from\": \"172.17.0.1\""),
          "service", STEP_FAIL, "answers 400 to requests with proxy headers",
          "trusted_proxies: [172.17.0.1]" },
        { "service answers 400 to anything",
          SEEN("\"state\": \"open\", \"status\": 400, \"plain_status\": 400"), "service", STEP_WARN,
          "answers 400 to GET / for a.com", "ALLOWED_HOSTS" },
        { "service answers 403 to proxy headers",
          SEEN("\"state\": \"open\", \"status\": 403, \"plain_status\": 200"), "service", STEP_FAIL,
          "answers 403 to requests with proxy headers (X-Forwarded-For), and 200 without",
          "trusted_proxies" },
        { "service does not know the name",
          SEEN("\"state\": \"open\", \"status\": 421, \"plain_status\": 421, \"local_status\": 200"),
          "service", STEP_FAIL, "answers 421 to GET / for a.com, and 200 for localhost",
          "serve the name a.com" },
        { "service forbids",
          SEEN("\"state\": \"open\", \"status\": 403, \"plain_status\": 403, \"local_status\": 403"),
          "service", STEP_WARN, "answers 403 to GET /", "index page" },
        { "service redirects to itself",
          SEEN("\"state\": \"open\", \"status\": 301, \"location\": \"https://A.com\""), "service", STEP_FAIL,
          "in a circle: who comes by https://a.com/ is redirected to https://A.com", "X-Forwarded-Proto" },
        { "service redirects to http",
          SEEN("\"state\": \"open\", \"status\": 302, \"location\": \"http://a.com/login\""), "service",
          STEP_FAIL, "in a circle", "X-Forwarded-Proto" },
        { "service redirects to /", SEEN("\"state\": \"open\", \"status\": 302, \"location\": \"/\""),
          "service", STEP_FAIL, "in a circle", "X-Forwarded-Proto" },
        { "service redirects into the house",
          SEEN("\"state\": \"open\", \"status\": 302, \"location\": \"http://192.168.1.9:8123/x\""),
          "service", STEP_WARN, "http://192.168.1.9:8123/x, where nobody outside of this house comes",
          "https://a.com" },
        { "service redirects to localhost",
          SEEN("\"state\": \"open\", \"status\": 302, \"location\": \"http://[::1]:80\""), "service",
          STEP_WARN, "where nobody outside", "https://a.com" },
        { "service listens by IPv6 alone", SEEN("\"state\": \"refused\", \"other\": \"[::1]:80\""), "service",
          STEP_FAIL, "nobody listens at http://127.0.0.1:80, but somebody does at [::1]:80",
          "service of [domain a.com]" },
        { "service's certificate",
          SEEN("\"state\": \"open\", \"status\": 200, \"certificate_wrong\": \"self-signed\""), "service",
          STEP_FAIL, "does not hold: self-signed", "verify = off in [domain a.com]" },
        { "service is broken", SEEN("\"state\": \"open\", \"status\": 502"), "service", STEP_WARN,
          "answers 502", "log" },
        { "no HTTP", SEEN("\"state\": \"no_http\", \"why\": \"x\""), "service", STEP_FAIL,
          "does not speak HTTP", "[tcp NAME]" },
        { "nameless", SEEN("\"state\": \"nameless\", \"why\": \"x\""), "service", STEP_FAIL, "not known here",
          "getent hosts" },
        { "unreachable", SEEN("\"state\": \"unreachable\", \"why\": \"No route\""), "service", STEP_FAIL,
          "No route", "ip route get" },
        { "a route's",
          SITE("\"routes\": [{\"service\": \"http://127.0.0.1:81\", \"seen\": {\"state\": \"refused\"}}]"),
          "service", STEP_FAIL, "nobody listens at http://127.0.0.1:81", "start the service" },
        { "claim refused", SITE("\"claim\": \"refused\", \"claim_why\": \"not yours\""), "claim", STEP_FAIL,
          "not yours", "domains of this agent" },
        { "certificate expired",
          SITE(
              "\"certs\": [{\"relay\": \"fra1\", \"state\": \"expired\", \"not_after\": \"2026-01-01T00:00:00Z\", "
              "\"last_error\": \"x\"}]"),
          "certificate", STEP_FAIL, "it has expired at relay fra1, on 2026-01-01T00:00:00Z: x",
          "tunnelctl certs renew a.com" },
        { "an alias's certificate",
          SITE("\"certs\": [{\"name\": \"b.com\", \"relay\": \"fra1\", \"state\": \"expired\", "
               "\"not_after\": \"x\"}]"),
          "certificate", STEP_FAIL, "b.com: it has expired at relay fra1", "tunnelctl certs renew b.com" },
        { "no certificate",
          SITE("\"certs\": [{\"relay\": \"fra1\", \"state\": \"failing\", \"last_error\": \"CAA\"}]"),
          "certificate", STEP_WARN, "CAA", "tunnelctl doctor a.com" },
        { "DNS at the wrong address",
          RECORD("\"type\": \"A\", \"wanted\": [\"192.0.2.1\"], \"public\": [\"192.0.2.9\"]"), "DNS",
          STEP_FAIL, "wrong address", "a.com A 192.0.2.1" },
        { "DNS proxied", RECORD("\"type\": \"A\", \"wanted\": [\"192.0.2.1\"], \"public\": [\"104.16.0.1\"]"),
          "DNS", STEP_WARN, "is proxied", "proxied = off" },
        { "stale AAAA", RECORD("\"type\": \"AAAA\", \"wanted\": [], \"public\": [\"2001:db8::1\"]"), "DNS",
          STEP_FAIL, "stale AAAA", "delete the AAAA record 2001:db8::1" },
        { "nobody can tell",
          RECORD("\"type\": \"A\", \"wanted\": [\"192.0.2.1\"], \"public\": null, \"public_why\": \"x\""),
          "DNS", STEP_WARN, "nobody can say", "resolvers of [agent]" },
        { "no address", SITE("\"addresses\": [], \"outside\": []"), "DNS", STEP_FAIL, "no address in DNS",
          "set an A record" },
        { "port 80 closed from outside", OUTSIDE("80", "refused"), "outside", STEP_WARN,
          "port 80 of 192.0.2.1 is closed, seen from this house", "ufw allow 80/tcp" },
        { "port 443 closed from outside", OUTSIDE("443", "silent"), "outside", STEP_FAIL,
          "port 443 of 192.0.2.1 is closed, seen from this house", "ufw allow 443/tcp" },
        { "no time", SITE("\"skipped\": true"), "site", STEP_WARN, "not looked at",
          "tunnelctl doctor a.com" },
    };

    (void)state;
    check_faults(agent_doctor_judge, rows, sizeof rows / sizeof rows[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_relay_is_well),
        cmocka_unit_test(test_faults_on_the_way_to_a_relay),
        cmocka_unit_test(test_a_site_is_well),
        cmocka_unit_test(test_faults_of_a_site),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
