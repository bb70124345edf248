#include "shared/doctor/bare.h"

#include "tests/unit/fault_table.h"

#define PORTS(ssh, http, https)                                                               \
    "\"ports\": [{\"port\": 22, \"holder\": \"" ssh "\"}, {\"port\": 80, \"holder\": \"" http \
    "\"}, {\"port\": 443, \"holder\": \"" https "\"}]"
#define FREE       PORTS("pid 7 (sshd)", "", "")
#define WITH(fact) "{" FREE ", " fact "}"

static void test_well(void **state)
{
    (void)state;
    check_state(
        bare_judge,
        WITH(
            "\"addresses\": [{\"address\": \"10.0.0.2\", \"public\": false}, {\"address\": "
            "\"198.51.100.2\", \"public\": true}], \"memory\": {\"total_kb\": 500000}, \"clock_kept\": true"),
        STEP_PASS);
    check_state(bare_judge, "{\"memory\": {\"total_kb\": 500000}}", STEP_PASS); /* an agent's machine */
    check_state(bare_judge, WITH("\"ufw\": \"Status: active\\n80,443/tcp  ALLOW  Anywhere\\n\""), STEP_PASS);
    check_state(bare_judge, WITH("\"ufw\": \"Status: active\\nNginx Full  ALLOW  Anywhere\\n\""), STEP_PASS);
    check_state(bare_judge, WITH("\"ufw\": \"Status: inactive\\n\""), STEP_PASS);
    check_state(
        bare_judge,
        WITH("\"iptables\": \"-P INPUT DROP\\n-A INPUT -p tcp -m multiport --dports 80,443 -j ACCEPT\\n\""),
        STEP_PASS);
    check_state(
        bare_judge,
        WITH(
            "\"iptables\": \"-A INPUT -s 192.0.2.1/32 -p tcp -m tcp --dport 80 -j DROP\\n-A INPUT -p tcp -m tcp "
            "--dport 80 -j ACCEPT\\n-A INPUT -p tcp -m tcp --dport 8080:8443 -j DROP\\n\""),
        STEP_PASS);
    check_state(bare_judge, WITH("\"iptables\": \"-P INPUT ACCEPT\\n-A INPUT -s 192.0.2.1/32 -j DROP\\n\""),
                STEP_PASS);
    check_state(
        bare_judge,
        WITH(
            "\"nft\": \"type filter hook input priority 0; policy drop;\\n tcp dport { 22, 80, 443 } accept\\n\""),
        STEP_PASS);
}

static void test_faults(void **state)
{
    static const struct fault rows[] = {
        { "nginx holds 443", "{" PORTS("pid 7 (sshd)", "", "pid 8 (nginx)") "}", "port 443", STEP_WARN,
          "held by pid 8 (nginx)", "upstream" },
        { "and 80", "{" PORTS("pid 7 (sshd)", "pid 8 (nginx)", "") "}", "port 80", STEP_WARN, "nginx",
          "trusted_proxies" },
        { "no sshd", "{" PORTS("", "", "") "}", "port 22", STEP_FAIL, "nobody listens",
          "apt install openssh-server" },
        { "sshd elsewhere", "{" PORTS("", "", "") ", \"other_ssh_port\": \"2222\"}", "port 22", STEP_WARN,
          "sshd has port 2222 instead", "ssh_port = 2222" },
        { "something else", "{" PORTS("pid 7 (dropbear)", "", "") "}", "port 22", STEP_WARN, "dropbear",
          "ssh_port" },
        { "ufw", WITH("\"ufw\": \"Status: active\\n22/tcp  ALLOW  Anywhere\\n80/tcp ALLOW Anywhere\\n\""),
          "firewall", STEP_FAIL, "ufw lets nobody in by port 443", "ufw allow 443/tcp" },
        { "iptables, as at Oracle's",
          WITH(
              "\"iptables\": \"-P INPUT ACCEPT\\n-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\\n-A INPUT -j REJECT "
              "--reject-with icmp-host-prohibited\\n\""),
          "firewall", STEP_FAIL, "iptables lets nobody in by port 80", "--dport 80 -j ACCEPT" },
        { "nftables",
          WITH("\"nft\": \"type filter hook input priority 0; policy drop;\\n tcp dport 22 accept\\n\""),
          "firewall", STEP_FAIL, "nftables lets nobody in by port 443", "tcp dport 443" },
        { "iptables, this port alone",
          WITH(
              "\"iptables\": \"-P INPUT ACCEPT\\n-A INPUT -p tcp -m tcp --dport 80 -j ACCEPT\\n-A INPUT -p tcp -m tcp "
              "--dport 443 -j DROP\\n\""),
          "firewall", STEP_FAIL, "iptables lets nobody in by port 443", "--dport 443 -j ACCEPT" },
        { "iptables, a range", WITH("\"iptables\": \"-A INPUT -p tcp -m tcp --dport 1:1023 -j REJECT\\n\""),
          "firewall", STEP_FAIL, "iptables lets nobody in by port 80", "--dport 80 -j ACCEPT" },
        { "nftables, these ports alone",
          WITH(
              "\"nft\": \"type filter hook input priority 0; policy accept;\\n tcp dport { 80, 443 } reject with tcp "
              "reset\\n\""),
          "firewall", STEP_FAIL, "nftables lets nobody in by port 80", "tcp dport 80" },
        { "port 8443 is not 443", WITH("\"ufw\": \"Status: active\\n8443/tcp ALLOW x\\n80/tcp ALLOW x\\n\""),
          "firewall", STEP_FAIL, "port 443", "ufw allow 443/tcp" },
        { "NAT", WITH("\"addresses\": [{\"address\": \"10.0.0.2\", \"public\": false}]"), "address",
          STEP_WARN, "(10.0.0.2): it is behind NAT", "publish = ADDRESS" },
        { "memory", WITH("\"memory\": {\"total_kb\": 100000}"), "memory", STEP_WARN, "97 MB in all", "swap" },
        { "clock", WITH("\"clock_kept\": false"), "time service", STEP_WARN, "nobody keeps",
          "timedatectl set-ntp true" },
    };

    (void)state;
    check_faults(bare_judge, rows, sizeof rows / sizeof rows[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_well), cmocka_unit_test(test_faults) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
