#include "shared/doctor/sshd.h"

#include "shared/mem.h"

#include <stdlib.h>

#include "tests/unit/fault_table.h"

#define ACCOUNT                                                                                                \
    "\"account\": {\"there\": true, \"shell\": \"/bin/sh\", \"shell_there\": true, \"groups\": [\"tunnel\"], " \
    "\"password_locked\": false, \"expired\": false}"
#define WITH(settings) "{\"user\": \"tunnel\", " ACCOUNT ", \"settings\": {" settings "}}"
#define ALIVE          "\"clientaliveinterval\": \"15\""
#define LANE_KEYS      "\"authorizedkeyscommand\": \"/usr/libexec/tunnel/tunnel-lane --keys %f\""
#define SHELL(shell, there)                                                                                \
    "{\"user\": \"tunnel\", \"settings\": {" ALIVE "}, \"account\": {\"there\": true, \"shell\": \"" shell \
    "\", \"shell_there\": " there "}}"

static void test_well(void **state)
{
    (void)state;
    check_state(sshd_judge, WITH(ALIVE), STEP_PASS);
    check_state(sshd_judge,
                WITH(ALIVE
                     ", \"allowusers\": \"root tun*\", \"permitlisten\": \"127.0.0.1:*\", "
                     "\"disableforwarding\": \"no\", \"allowtcpforwarding\": \"remote\", "
                     "\"authenticationmethods\": \"publickey publickey,password\", \"forcecommand\": "
                     "\"none\", \"chrootdirectory\": \"none\", \"pubkeyacceptedalgorithms\": "
                     "\"rsa-sha2-512,ssh-ed2*\", \"ciphers\": \"aes256-gcm@openssh.com,aes128-ctr\", "
                     "\"gatewayports\": \"clientspecified\", \"channeltimeout\": \"agent-connection=1m\""),
                STEP_PASS);
    check_state(sshd_judge,
                "{\"user\": \"tunnel\", " ACCOUNT ", \"keys_file\": false, \"keys_command_wrong\": \"\", "
                "\"elsewhere\": [{\"address\": \"192.0.2.1\", \"settings\": {" ALIVE ", " LANE_KEYS
                "}}, {\"address\": "
                "\"192.0.2.2\", \"settings\": null}], \"settings\": {" ALIVE ", " LANE_KEYS "}}",
                STEP_PASS);
    check_state(sshd_judge,
                WITH(ALIVE ", \"allowusers\": \"tunnel@192.0.2.*\", \"allowgroups\": \"adm tunnel\""),
                STEP_PASS);
    /* The drop-in is yet to come. */
    check_state(sshd_judge,
                "{\"user\": \"tunnel\", \"bare\": true, \"settings\": {\"clientaliveinterval\": \"0\", "
                "\"allowtcpforwarding\": \"no\"}, \"account\": {\"there\": false}}",
                STEP_PASS);
}

static void test_faults(void **state)
{
    static const struct fault rows[] = {
        { "AllowTcpForwarding no", WITH(ALIVE ", \"allowtcpforwarding\": \"no\""), "sshd settings", STEP_FAIL,
          "AllowTcpForwarding is no", "AllowTcpForwarding remote" },
        { "AllowTcpForwarding local", WITH(ALIVE ", \"allowtcpforwarding\": \"local\""), "sshd settings",
          STEP_FAIL, "AllowTcpForwarding is local", "AllowTcpForwarding remote" },
        { "DisableForwarding yes", WITH(ALIVE ", \"disableforwarding\": \"yes\""), "sshd settings", STEP_FAIL,
          "DisableForwarding is yes", "DisableForwarding no" },
        { "AllowUsers without tunnel", WITH(ALIVE ", \"allowusers\": \"alice bob\""), "sshd settings",
          STEP_FAIL, "AllowUsers (alice bob) is without tunnel", "add tunnel to AllowUsers" },
        { "AllowGroups", WITH(ALIVE ", \"allowgroups\": \"ssh\""), "sshd settings", STEP_FAIL,
          "AllowGroups (ssh)", "AllowGroups" },
        { "DenyUsers", WITH(ALIVE ", \"denyusers\": \"t*\""), "sshd settings", STEP_FAIL, "DenyUsers",
          "take it out" },
        { "locked account",
          "{\"user\": \"tunnel\", \"settings\": {\"usepam\": \"no\", " ALIVE
          "}, \"account\": {\"there\": true, "
          "\"shell\": \"/bin/sh\", \"password_locked\": true}}",
          "account", STEP_FAIL, "the account tunnel is locked", "usermod -p '*' tunnel" },
        { "expired account",
          "{\"user\": \"tunnel\", \"settings\": {" ALIVE
          "}, \"account\": {\"there\": true, \"shell\": \"/bin/sh\", "
          "\"expired\": true}}",
          "account", STEP_FAIL, "has expired", "chage -E -1 tunnel" },
        { "no such user",
          "{\"user\": \"tunnel\", \"settings\": {" ALIVE "}, \"account\": {\"there\": false}}", "account",
          STEP_FAIL, "there is no user tunnel", "useradd" },
        { "nologin", SHELL("/usr/sbin/nologin", "true"), "account", STEP_FAIL, "nologin",
          "usermod -s /bin/sh" },
        { "no such shell", SHELL("/bin/none", "false"), "account", STEP_FAIL, "/bin/none",
          "usermod -s /bin/sh" },
        { "MaxStartups reached",
          "{\"user\": \"tunnel\", " ACCOUNT ", \"settings\": {" ALIVE
          "}, \"startups\": {\"now\": 10, \"begin\": 10, "
          "\"full\": 100}}",
          "sshd settings", STEP_FAIL, "MaxStartups is reached: 10 callers", "100:30:200" },
        { "ClientAlive unset", WITH("\"clientaliveinterval\": \"0\""), "sshd settings", STEP_WARN,
          "ClientAliveInterval is unset", "ClientAliveInterval 15" },
        { "PermitListen", WITH(ALIVE ", \"permitlisten\": \"8080\""), "sshd settings", STEP_FAIL,
          "PermitListen", "PermitListen 127.0.0.1:*" },
        { "ChannelTimeout", WITH(ALIVE ", \"channeltimeout\": \"agent-connection=1m *=2s\""), "sshd settings",
          STEP_WARN, "ChannelTimeout is agent-connection=1m *=2s", "ChannelTimeout none" },
        { "passwords, too", WITH(ALIVE ", \"authenticationmethods\": \"publickey,password\""),
          "sshd settings", STEP_FAIL, "AuthenticationMethods", "AuthenticationMethods publickey" },
        { "another command", WITH(ALIVE ", \"forcecommand\": \"internal-sftp\""), "sshd settings", STEP_FAIL,
          "ForceCommand", "ForceCommand none" },
        { "no keys at all",
          WITH(ALIVE ", \"authorizedkeysfile\": \"none\", \"authorizedkeyscommand\": \"none\""),
          "sshd settings", STEP_FAIL, "which keys may log in", "sshd-drop-in" },
        { "the drop-in is not read",
          "{\"user\": \"tunnel\", " ACCOUNT ", \"keys_file\": false, \"settings\": {" ALIVE
          ", \"authorizedkeysfile\": \".ssh/authorized_keys\", \"authorizedkeyscommand\": \"none\"}}",
          "sshd settings", STEP_FAIL, "does not ask tunnel-lane which keys may log in",
          "Include /etc/ssh/sshd_config.d/*.conf" },
        { "tunnel-lane may be written by others",
          "{\"user\": \"tunnel\", " ACCOUNT
          ", \"keys_command_wrong\": \"it is not there\", \"settings\": {" ALIVE
          ", \"authorizedkeyscommand\": \"/x/tunnel-lane --keys\"}}",
          "sshd settings", STEP_FAIL, "(/x/tunnel-lane --keys): it is not there", "root's" },
        { "Match Address",
          "{\"user\": \"tunnel\", " ACCOUNT ", \"settings\": {" ALIVE
          "}, \"elsewhere\": [{\"address\": \"192.0.2.1\", "
          "\"settings\": {" ALIVE ", \"allowtcpforwarding\": \"no\"}}]}",
          "sshd settings", STEP_FAIL, "AllowTcpForwarding is no for who comes from 192.0.2.1 (a Match block)",
          "AllowTcpForwarding remote" },
        { "ChrootDirectory", WITH(ALIVE ", \"chrootdirectory\": \"/srv\""), "sshd settings", STEP_FAIL,
          "ChrootDirectory is set", "ChrootDirectory none" },
        { "GatewayPorts yes", WITH(ALIVE ", \"gatewayports\": \"yes\""), "sshd settings", STEP_WARN,
          "open to the network", "GatewayPorts no" },
        { "PubkeyAcceptedAlgorithms", WITH(ALIVE ", \"pubkeyacceptedalgorithms\": \"rsa-sha2-512,sk-*\""),
          "sshd settings", STEP_FAIL, "PubkeyAcceptedAlgorithms is without ssh-ed25519",
          "PubkeyAcceptedAlgorithms +ssh-ed25519" },
        { "KexAlgorithms", WITH(ALIVE ", \"kexalgorithms\": \"sntrup761x25519-sha512@openssh.com\""),
          "sshd settings", STEP_FAIL, "KexAlgorithms (sntrup761x25519-sha512@openssh.com) has nothing",
          "add curve25519-sha256" },
        { "Ciphers", WITH(ALIVE ", \"ciphers\": \"aes256-gcm@openssh.com\""), "sshd settings", STEP_WARN,
          "nothing that agents of Debian 12 speak", "add aes256-ctr to Ciphers" },
        { "HostKeyAlgorithms", WITH(ALIVE ", \"hostkeyalgorithms\": \"rsa-sha2-512\""), "sshd settings",
          STEP_FAIL, "HostKeyAlgorithms", "add ssh-ed25519" },
        { "the configuration is broken",
          "{\"user\": \"tunnel\", " ACCOUNT
          ", \"settings_why\": \"/etc/ssh/sshd_config: line 3: Bad configuration "
          "option: Bogus\"}",
          "sshd settings", STEP_FAIL, "line 3: Bad configuration option", "sshd -t" },
        { "expired password",
          "{\"user\": \"tunnel\", \"settings\": {\"usepam\": \"yes\", " ALIVE
          "}, \"account\": {\"there\": true, \"shell\": \"/bin/sh\", \"password_expired\": true}}",
          "account", STEP_FAIL, "the password of tunnel has expired", "chage -M -1" },
        { "nologin",
          "{\"user\": \"tunnel\", \"settings\": {" ALIVE
          "}, \"account\": {\"there\": true, \"shell\": \"/bin/sh\", \"nologin\": \"/etc/nologin\"}}",
          "account", STEP_FAIL, "/etc/nologin is there", "rm /etc/nologin" },
        { "root", "{\"user\": \"root\", " ACCOUNT ", \"settings\": {" ALIVE ", \"permitrootlogin\": \"no\"}}",
          "sshd settings", STEP_FAIL, "PermitRootLogin is no", "prohibit-password" },
        { "not root", "{\"user\": \"tunnel\", " ACCOUNT ", \"settings_why\": \"no hostkeys available\"}",
          "sshd settings", STEP_WARN, "no hostkeys available", "as root" },
    };

    (void)state;
    check_faults(sshd_judge, rows, sizeof rows / sizeof rows[0]);
}

static void test_settings_are_read(void **state)
{
    json_t *settings = sshd_settings("port 22\nAllowUsers alice\nallowusers bob\nempty\n\nusepam yes");

    (void)state;
    assert_true(fact_is(settings, "port", "22") && fact_is(settings, "allowusers", "alice bob"));
    assert_true(fact_is(settings, "empty", "") && fact_is(settings, "usepam", "yes"));
    json_decref(settings);
}

static void test_titles_are_read(void **state)
{
    json_t *startups = sshd_startups("sshd: /usr/sbin/sshd -D [listener] 3 of 10-100 startups");

    (void)state;
    assert_int_equal(fact_number(startups, "now", -1), 3);
    assert_int_equal(fact_number(startups, "begin", -1), 10);
    assert_int_equal(fact_number(startups, "full", -1), 100);
    json_decref(startups);
    assert_null(sshd_startups("sshd: root@pts/0"));
    assert_null(sshd_startups("sshd: /usr/sbin/sshd -D [listener] "));
    assert_null(sshd_startups(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_well),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_settings_are_read),
        cmocka_unit_test(test_titles_are_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
