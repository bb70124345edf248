#include "shared/ctl/ctl.h"

#include <string.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/capture.h"
#include "tests/unit/shared/ctl/fake_daemon.h"
#include "tests/unit/temp.h"

static void test_wrong_usage(void **state)
{
    struct capture c;

    (void)state;
    capture_begin(&c, STDERR_FILENO);
    assert_int_equal(ctl_wrong_usage("there is no command %s", "fly"), CTL_USAGE);
    assert_string_equal(capture_end(&c), "tunnelctl: there is no command fly; try: tunnelctl --help\n");
    buf_free(&c.text);
}

/* One command against a daemon that replies so, and what it prints. */
struct run {
    enum ctl_exit result;
    struct capture out, err;
};

static void run(struct run *r, struct temp *t, enum ctl_exit (*command)(struct ctl *c), bool json,
                const char *status, const char *content)
{
    const char *path = temp_path(t, "sock");
    struct ctl c = { .socket = path, .json = json };
    struct fake_daemon d = { 0 };
    struct buf reply = { 0 };

    buf_printf(&reply, "HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n%s", status, strlen(content), content);
    fake_daemon_begin(&d, path, buf_bytes(&reply), reply.len);
    capture_begin(&r->out, STDOUT_FILENO);
    capture_begin(&r->err, STDERR_FILENO);
    r->result = command(&c);
    capture_end(&r->err);
    capture_end(&r->out);
    fake_daemon_end(&d);
    buf_free(&reply);
}

#define STATUS(role, lanes, domains)                                                                         \
    "{\"role\":\"" role "\",\"name\":\"a\",\"version\":\"1\",\"uptime_s\":95," lanes ",\"domains\":" domains \
    "}\n"
static const char idle_json[] = STATUS("relay", "\"lanes\":[]", "[]");
static const char relay_json[] =
    STATUS("relay",
           "\"lanes\":[{\"agent\":\"pi\",\"lane\":7,\"state\":\"up\",\"rtt_ms\":9,\"since\":null,"
           "\"streams\":2,\"bytes_in\":999,\"bytes_out\":1000}]",
           "[{\"name\":\"a.test\",\"agents\":[\"pi\"],\"state\":\"up\",\"requests\":3,\"errors\":1,"
           "\"cert\":null}]");
static const char agent_json[] =
    STATUS("agent",
           "\"relays\":[{\"name\":\"fra1\",\"lanes\":[{\"lane\":1,\"state\":\"down\","
           "\"last_error\":\"refused\"}]}]",
           "[{\"name\":\"a.test\",\"mode\":\"http\",\"service\":\"http://nas\",\"service_state\":\"ok\"}]");
/* Up, but with something to do for a person: of that the tables and the exit code say the same. */
static const char trouble_json[] =
    STATUS("relay", "\"lanes\":[]",
           "[{\"name\":\"a.test\",\"agents\":[\"pi\"],\"state\":\"up\",\"last_error\":\"no page\"}]");
static const char failed_json[] =
    STATUS("agent", "\"relays\":[]",
           "[{\"name\":\"a.test\",\"service_state\":\"ok\",\"dns\":{\"records\":[{\"name\":\"a.test\","
           "\"type\":\"A\",\"state\":\"failed\",\"last_error\":\"no zone\"}]}}]");
static const char plain_json[] =
    STATUS("agent",
           "\"relays\":[{\"name\":\"fra1\",\"lanes\":[],\"protocol\":\"plain\",\"service\":\"tcp://nas:1\","
           "\"service_state\":\"refused\"}]",
           "[]");
static const char held_json[] =
    STATUS("relay",
           "\"listeners\":[{\"listen\":\":443\",\"kind\":\"https\",\"state\":\"held\",\"holder\":\"pid 7\","
           "\"last_error\":\"held by \\u001b[2Jhttpd\"}],\"lanes\":[]",
           "[]");
static const char sparse_json[] = STATUS("relay", "\"lanes\":[{}]", "[{}]");
static const char not_a_status[] = "tunnelctl: the daemon's answer is not a status; ";
static const char refusal_json[] =
    "{\"error\":\"nothing was changed\",\"errors\":[\"relay.ini:2: bad\",\"relay.ini:3: worse\"]}\n";

static const char dns_json[] =
    "{\"records\":[{\"name\":\"a.test\",\"type\":\"A\",\"state\":\"ok\",\"wanted\":[\"192.0.2.1\"],"
    "\"provider\":[\"192.0.2.1\"],\"public\":null},{\"name\":\"a.test\",\"type\":\"AAAA\",\"state\":\"failed\","
    "\"wanted\":[],\"provider\":null,\"public\":null,\"last_error\":\"no\"}],\"providers\":[{\"name\":\"p\","
    "\"state\":\"auth\",\"hold_until\":null,\"last_error\":\"wrong token\"}]}\n";

static void test_commands(void **state)
{
    static const struct {
        const char *name;
        enum ctl_exit (*command)(struct ctl *c);
        bool json;
        const char *status, *content;
        enum ctl_exit result;
        const char *out, *err; /* parts of what is printed; "" for nothing */
    } rows[] = {
        { "status", ctl_status, false, "200 OK", idle_json, CTL_WELL,
          "tunnel-relay  a  version 1  up 1m 35s\n\nlanes  none\n\ndomains  none\n", "" },
        { "a relay's tables", ctl_status, false, "200 OK", relay_json, CTL_WELL,
          "\n\nlanes\n"
          "  AGENT  LANE  STATE  SINCE  RTT   STREAMS  IN     OUT\n"
          "  pi     7     up     -      9 ms  2        999 B  1.0 kB\n"
          "\ndomains\n"
          "  DOMAIN  STATE  AGENT  REQUESTS  ERRORS  CERTIFICATE\n"
          "  a.test  up     pi     3         1       -\n",
          "" },
        { "an agent's tables", ctl_status, false, "200 OK", agent_json, CTL_FAILING,
          "\n\nwrong\n"
          "  fra1: refused\n"
          "\nrelays\n"
          "  RELAY  LANE  STATE  SINCE  RTT  STREAMS  IN  OUT\n"
          "  fra1   1     down   -      -    -        -   -\n"
          "\ndomains\n"
          "  DOMAIN  MODE  SERVICE     STATE  DNS  CERTIFICATE\n"
          "  a.test  http  http://nas  ok     -    -\n",
          "" },
        { "records", ctl_dns, false, "200 OK", dns_json, CTL_FAILING,
          "  NAME    TYPE  STATE   WANTED     AT PROVIDER  PUBLIC  CHANGED  CHECK IN\n"
          "  a.test  A     ok      192.0.2.1  192.0.2.1    ?       -        -\n"
          "  a.test  AAAA  failed  none       ?            ?       -        -\n"
          "  a.test AAAA: no\n"
          "  provider p is not asked until its configuration changes (auth): wrong token\n",
          "" },
        { "no records", ctl_dns, false, "200 OK", "{\"records\":[],\"providers\":[]}", CTL_WELL,
          "no site of this agent has a dns", "" },
        { "records for scripts", ctl_dns, true, "200 OK", dns_json, CTL_FAILING, dns_json, "" },
        { "cells that are not there", ctl_status, false, "200 OK", sparse_json, CTL_FAILING,
          "  -      -     -      -      -    -        -   -\n", "" },
        { "status for scripts", ctl_status, true, "200 OK", relay_json, CTL_WELL, relay_json, "" },
        { "a site with trouble", ctl_status, false, "200 OK", trouble_json, CTL_FAILING,
          "  a.test: no page\n", "" },
        { "the same for scripts", ctl_status, true, "200 OK", trouble_json, CTL_FAILING, trouble_json, "" },
        { "a record that failed", ctl_status, false, "200 OK", failed_json, CTL_FAILING,
          "  a.test A: no zone\n", "" },
        { "the same for scripts", ctl_status, true, "200 OK", failed_json, CTL_FAILING, failed_json, "" },
        { "a service behind a plain lane", ctl_status, false, "200 OK", plain_json, CTL_FAILING,
          "goes to tcp://nas:1, refused\n", "" },
        { "the same for scripts", ctl_status, true, "200 OK", plain_json, CTL_FAILING, plain_json, "" },
        { "a port that is held", ctl_status, false, "200 OK", held_json, CTL_FAILING,
          "  :443 (https) is not served: held by \\x1b[2Jhttpd; the relay takes it", "" },
        { "the same for scripts", ctl_status, true, "200 OK", held_json, CTL_FAILING, held_json, "" },
        { "another object", ctl_status, false, "200 OK", "{}", CTL_NO_DAEMON, "", not_a_status },
        { "no such role", ctl_status, false, "200 OK", STATUS("proxy", "\"lanes\":[]", "[]"), CTL_NO_DAEMON,
          "", not_a_status },
        { "no lists", ctl_status, false, "200 OK", STATUS("relay", "\"lanes\":{}", "[]"), CTL_NO_DAEMON, "",
          not_a_status },
        { "the other side's lists", ctl_status, false, "200 OK", STATUS("agent", "\"lanes\":[]", "[]"),
          CTL_NO_DAEMON, "", not_a_status },
        { "lanes that are none", ctl_status, false, "200 OK", STATUS("relay", "\"lanes\":[1]", "[]"),
          CTL_NO_DAEMON, "", not_a_status },
        { "relays without lanes", ctl_status, false, "200 OK", STATUS("agent", "\"relays\":[{}]", "[]"),
          CTL_NO_DAEMON, "", not_a_status },
        { "domains that are none", ctl_status, false, "200 OK", STATUS("relay", "\"lanes\":[]", "[null]"),
          CTL_NO_DAEMON, "", not_a_status },
        { "reload", ctl_reload, false, "200 OK", "{\"reloaded\":true}", CTL_WELL, "reloaded\n", "" },
        { "a reload that is refused", ctl_reload, false, "422 No", refusal_json, CTL_FAILING, "",
          "relay.ini:2: bad\nrelay.ini:3: worse\ntunnelctl: nothing was changed\n" },
        { "the same for scripts", ctl_reload, true, "422 No", refusal_json, CTL_FAILING, refusal_json, "" },
        { "a refusal without lines", ctl_reload, false, "404 No", "{\"error\":\"gone\"}", CTL_FAILING, "",
          "tunnelctl: gone\n" },
        { "version", ctl_version, false, "200 OK",
          "{\"program\":\"tunnel-relay\",\"version\":\"9\",\"config\":\"/x.ini\"}", CTL_WELL,
          "tunnel-relay  9  (/x.ini)\n", "" },
        { "no JSON", ctl_status, false, "200 OK", "<html>", CTL_NO_DAEMON, "",
          "tunnelctl: the daemon's answer is not JSON: " },
        { "a list", ctl_status, false, "200 OK", "[]", CTL_NO_DAEMON, "", "is not a JSON object" },
        { "nothing", ctl_status, false, "200 OK", "", CTL_NO_DAEMON, "",
          "tunnelctl: the daemon's answer is not JSON: " },
        { "errors that are no text", ctl_reload, false, "422 No", "{\"errors\":[1,null]}", CTL_FAILING, "",
          "\n\ntunnelctl: \n" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct run r;
        const char *out, *err;

        run(&r, *state, rows[i].command, rows[i].json, rows[i].status, rows[i].content);
        out = buf_text(&r.out.text);
        err = buf_text(&r.err.text);
        if (r.result != rows[i].result || !strstr(out, rows[i].out) || !strstr(err, rows[i].err) ||
            (!*rows[i].out && *out) || (!*rows[i].err && *err))
            fail_msg("%s: %d\n%s%s", rows[i].name, (int)r.result, out, err);
        buf_free(&r.out.text);
        buf_free(&r.err.text);
    }
}

static void test_no_daemon(void **state)
{
    struct ctl c = { .socket = temp_path(*state, "none") };
    struct capture err;
    json_t *reply = NULL;

    capture_begin(&err, STDERR_FILENO);
    assert_int_equal(ctl_ask(&c, "GET", "/v1/status", &reply), CTL_NO_DAEMON);
    assert_non_null(strstr(capture_end(&err), "tunnelctl: no daemon answers: cannot connect to /tmp/"));
    assert_null(reply);
    buf_free(&err.text);
}

static void test_arguments_are_refused(void **state)
{
    static enum ctl_exit (*const commands[])(struct ctl * c) = { ctl_top, ctl_log, ctl_reload, ctl_version };

    (void)state;
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        char argument[] = "now", *argv[] = { argument, NULL };
        struct ctl c = { .socket = "/nowhere", .argc = 1, .argv = argv };
        struct capture err;

        capture_begin(&err, STDERR_FILENO);
        assert_int_equal(commands[i](&c), CTL_USAGE);
        assert_non_null(strstr(capture_end(&err), "takes no argument, but was given now"));
        buf_free(&err.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wrong_usage),
        cmocka_unit_test_setup_teardown(test_commands, temp_make, temp_remove),
        cmocka_unit_test_setup_teardown(test_no_daemon, temp_make, temp_remove),
        cmocka_unit_test(test_arguments_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
