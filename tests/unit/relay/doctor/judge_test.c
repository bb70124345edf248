#include "relay/doctor/judge.h"

#include "tests/unit/fault_table.h"

#define GREETED "\"sshd\": {\"state\": \"greeted\", \"said\": \"SSH-2.0-OpenSSH_9.2\"}"
#define RELAY(more)                                                                                                        \
    "{\"now_s\": 1796000000, \"ssh_port\": 22, \"lane_socket\": \"/run/lane.sock\", \"published\": [\"192.0.2.1\"], " more \
    "}"
#define SITE_AT(state, more)                                                                                \
    RELAY(GREETED                                                                                           \
          ", \"authorities\": [{\"name\": \"acme\", \"directory\": \"https://ca/dir\", \"status\": 200}], " \
          "\"domains\": [{\"name\": \"a.com\", \"agents\": [\"pi\"], \"state\": \"" state                   \
          "\", \"since\": \"S\", " more "}]")
#define SITE(more)   SITE_AT("up", more)
#define LOOKS(looks) SITE("\"sight\": {\"error\": \"\", \"looks\": [" looks "]}")
#define LOOK(address, port, ok) \
    "{\"address\": \"" address "\", \"port\": " port ", \"ok\": " ok ", \"by\": \"pi\", \"why\": \"refused\"}"

static void test_well(void **state)
{
    (void)state;
    check_state(relay_doctor_judge, RELAY(GREETED), STEP_PASS);
    check_state(
        relay_doctor_judge,
        SITE("\"cert\": {\"state\": \"valid\", \"not_after\": \"N\", \"issuer\": \"acme\"}, \"sight\": "
             "{\"error\": \"\", \"looks\": [" LOOK("192.0.2.1", "80", "true") ", " LOOK("192.0.2.1", "443",
                                                                                        "true") "]}"),
        STEP_PASS);
}

static void test_faults_here(void **state)
{
    static const struct fault rows[] = {
        { "lane socket missing", RELAY(GREETED ", \"lane_socket_wrong\": \"No such file or directory\""),
          "lane socket", STEP_FAIL, "the lane socket /run/lane.sock is missing",
          "systemctl restart tunnel-relay" },
        { "nginx holds 443",
          RELAY(
              GREETED
              ", \"listeners\": [{\"listen\": \":443\", \"kind\": \"https\", \"last_error\": \"held by pid 8 (nginx)\"}]"),
          "listeners", STEP_FAIL, ":443 (https) is not served: held by pid 8 (nginx)", "ss -ltnp" },
        { "no sshd", RELAY("\"sshd\": {\"state\": \"refused\"}"), "sshd", STEP_FAIL,
          "no sshd answers at 127.0.0.1 port 22", "systemctl start ssh" },
        { "MaxStartups reached", RELAY("\"sshd\": {\"state\": \"busy\", \"said\": \"Exceeded MaxStartups\"}"),
          "sshd", STEP_FAIL, "Exceeded MaxStartups", "raise MaxStartups" },
        { "CA unreachable",
          RELAY(GREETED
                ", \"authorities\": [{\"name\": \"acme\", \"directory\": \"https://ca/dir\", \"status\": 0, "
                "\"why\": \"cannot ask ca: refused\"}]"),
          "authority", STEP_FAIL,
          "the CA of [acme] cannot be reached at https://ca/dir: cannot ask ca: refused",
          "curl -I https://ca/dir" },
        { "no CA",
          RELAY(
              GREETED
              ", \"authorities\": [{\"name\": \"acme\", \"directory\": \"https://ca/dir\", \"status\": 404}]"),
          "authority", STEP_FAIL, "HTTP status 404", "curl -I" },
    };

    (void)state;
    check_faults(relay_doctor_judge, rows, sizeof rows / sizeof rows[0]);
}

static void test_faults_of_a_site(void **state)
{
    static const struct fault rows[] = {
        { "the house is away", SITE_AT("down", "\"local\": true"), "house", STEP_FAIL,
          "agent pi is not connected", "on the machine of agent pi: tunnelctl doctor" },
        { "not served yet", SITE_AT("pending", "\"local\": true"), "house", STEP_WARN,
          "agent pi may serve it", "tunnelctl add a.com SERVICE" },
        { "nobody serves it",
          RELAY(GREETED ", \"domains\": [{\"name\": \"a.com\", \"agents\": [], \"state\": \"expected\"}]"),
          "house", STEP_FAIL, "nobody serves it", "[domain a.com]" },
        { "service refused", SITE("\"service_state\": \"refused\", \"last_error\": \"at 127.0.0.1\""),
          "service", STEP_FAIL, "the service refuses connections: at 127.0.0.1", "tunnelctl doctor a.com" },
        { "service silent", SITE("\"service_state\": \"silent\""), "service", STEP_FAIL,
          "the service is silent", "start the service again" },
        { "certificate expired",
          SITE(
              "\"cert\": {\"state\": \"expired\", \"not_after\": \"2026-01-01T00:00:00Z\", \"issuer\": \"acme\", "
              "\"last_error\": \"x\"}"),
          "certificate", STEP_FAIL, "the certificate has expired, on 2026-01-01T00:00:00Z: x",
          "tunnelctl certs renew a.com" },
        { "a file has expired",
          SITE("\"cert\": {\"state\": \"expired\", \"not_after\": \"N\", \"issuer\": \"files\"}"),
          "certificate", STEP_FAIL, "has expired", "cert_file of [domain a.com]" },
        { "no certificate", SITE("\"cert\": {\"state\": \"failing\", \"last_error\": \"CAA\"}"),
          "certificate", STEP_FAIL, "CAA", "tunnelctl certs renew a.com" },
        { "renewal fails",
          SITE("\"cert\": {\"state\": \"failing\", \"not_after\": \"N\", \"last_error\": \"x\"}"),
          "certificate", STEP_WARN, "x", "tunnelctl certs renew" },
        { "no name server",
          SITE(
              "\"sight\": {\"error\": \"cannot find out where a.com leads\", \"unknown\": true, \"looks\": []}"),
          "DNS", STEP_FAIL, "cannot find out where", "resolvers of [acme]" },
        { "a certificate for other names",
          SITE(
              "\"cert\": {\"state\": \"valid\", \"not_after\": \"N\", \"issuer\": \"files\", \"names\": [\"b.com\"], "
              "\"last_error\": \"it does not cover a.com\"}"),
          "certificate", STEP_FAIL, "it does not cover a.com", "cert_file and key_file of [domain a.com]" },
        { "no address", SITE("\"sight\": {\"error\": \"a.com has no address in DNS\", \"looks\": []}"), "DNS",
          STEP_FAIL, "no address in DNS", "dns = PROVIDER" },
        { "DNS at the wrong address", LOOKS(LOOK("192.0.2.9", "443", "false")), "DNS", STEP_FAIL,
          "a.com is at the wrong address", "a.com A 192.0.2.1" },
        { "DNS proxied", LOOKS(LOOK("192.0.2.9", "443", "true")), "DNS", STEP_WARN, "a.com is proxied",
          "trusted_proxies" },
        { "stale AAAA", LOOKS(LOOK("192.0.2.1", "443", "true") ", " LOOK("2001:db8::9", "443", "false")),
          "DNS", STEP_FAIL, "stale AAAA", "delete the AAAA record 2001:db8::9" },
        { "port 80 closed from outside", LOOKS(LOOK("192.0.2.1", "80", "false")), "outside", STEP_FAIL,
          "port 80 of 192.0.2.1 is closed from outside", "ufw allow 80/tcp" },
        { "port 443 closed from outside", LOOKS(LOOK("192.0.2.1", "443", "false")), "outside", STEP_FAIL,
          "port 443 of 192.0.2.1 is closed from outside", "ufw allow 443/tcp" },
        { "too many addresses", SITE("\"sight\": {\"error\": \"\", \"late\": true, \"looks\": []}"),
          "outside", STEP_WARN, "not all of its addresses", "tunnelctl doctor a.com" },
        { "no time", SITE("\"skipped\": true"), "site", STEP_WARN, "not looked at",
          "tunnelctl doctor a.com" },
    };

    (void)state;
    check_faults(relay_doctor_judge, rows, sizeof rows / sizeof rows[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_well),
        cmocka_unit_test(test_faults_here),
        cmocka_unit_test(test_faults_of_a_site),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
