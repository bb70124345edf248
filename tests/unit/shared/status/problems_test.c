#include "shared/status/problems.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static const struct {
    const char *name, *status, *lines;
} rows[] = {
    { "nothing", "{\"role\":\"relay\"}", "" },
    { "a relay that is well",
      "{\"role\":\"relay\",\"lanes\":[{\"agent\":\"pi\",\"state\":\"up\",\"last_error\":null}],"
      "\"domains\":[{\"name\":\"a\",\"state\":\"up\",\"cert\":{\"state\":\"valid\",\"last_error\":null}}]}",
      "" },
    { "what visitors see comes first",
      "{\"role\":\"relay\",\"lanes\":[{\"agent\":\"pi\",\"state\":\"dead\",\"last_error\":\"gone\"},"
      "{\"agent\":\"pi\",\"state\":\"dead\",\"last_error\":\"gone\"}],"
      "\"domains\":[{\"name\":\"a\",\"state\":\"up\",\"cert\":{\"state\":\"failing\",\"last_error\":\"no\"}},"
      "{\"name\":\"b\",\"state\":\"down\",\"agents\":[\"pi\"]},"
      "{\"name\":\"c\",\"state\":\"up\",\"cert\":{\"state\":\"expired\"}}],"
      "\"tcp\":[{\"name\":\"t\",\"why\":\"held\"}]}",
      "  b: down: no lane of agent pi is up; look at tunnelctl status on its machine\n"
      "  c: certificate: expired; tunnelctl doctor says why\n"
      "  t: held\n"
      "  pi: gone\n"
      "  a: certificate: failing: no; tunnelctl doctor says why\n" },
    { "a relay whose agent is well, and its service is not",
      "{\"role\":\"relay\",\"domains\":[{\"name\":\"a\",\"state\":\"up\",\"service_state\":\"refused\"},"
      "{\"name\":\"b\",\"state\":\"up\",\"service_state\":\"unknown\"}]}",
      "  a: its service refuses connections; look at tunnelctl status on the agent's machine\n" },
    { "a certificate for others comes first",
      "{\"role\":\"relay\",\"domains\":[{\"name\":\"a.b\",\"state\":\"up\",\"cert\":{\"state\":\"failing\",\"last_error\":"
      "\"no\",\"names\":[\"*.b\"]}},{\"name\":\"c.d\",\"state\":\"up\",\"cert\":{\"state\":\"valid\",\"last_error\":\"not "
      "for it\",\"names\":[\"*.c.d\"]}}]}",
      "  c.d: certificate: valid: not for it; tunnelctl doctor says why\n"
      "  a.b: certificate: failing: no; tunnelctl doctor says why\n" },
    { "an agent",
      "{\"role\":\"agent\",\"relays\":[{\"name\":\"r\",\"port\":22,\"lanes\":[{\"lane\":0,\"state\":\"up\",\"port\":443},"
      "{\"lane\":1,\"state\":\"down\",\"last_error\":\"refused\"}]}],"
      "\"domains\":[{\"name\":\"a\",\"service\":\"s\",\"service_detail\":\"silent\","
      "\"routes\":[{\"path\":\"/p\",\"service\":\"q\",\"service_detail\":\"off\"}],"
      "\"dns\":{\"records\":[{\"name\":\"a\",\"type\":\"A\",\"state\":\"failed\",\"last_error\":\"auth\"}]}}]}",
      "  a: s: silent\n"
      "  a/p: q: off\n"
      "  r: refused\n"
      "  a A: auth\n"
      "  r: lane 0 goes by port 443, because no SSH server was found at port 22\n" },
    { "alerts that nobody takes",
      "{\"role\":\"agent\",\"alerts\":{\"webhook\":{\"pending\":1,\"last_error\":\"no\"},"
      "\"on_event\":{\"pending\":0,\"last_error\":\"bad\"}}}",
      "  alerts: webhook does not take them: no; 1 waits\n"
      "  alerts: on_event does not take them: bad; 0 wait\n" },
    { "alerts that somebody takes, or nobody shall",
      "{\"role\":\"agent\",\"alerts\":{\"webhook\":{\"pending\":1,\"last_error\":null},\"on_event\":null}}",
      "" },
    { "text of others",
      "{\"role\":\"relay\",\"domains\":[{\"name\":\"a\\u001b[31m\",\"state\":\"up\",\"last_error\":\"x\\ny\"}]}",
      "  a\\x1b[31m: x\\x0ay\n" },
};

static void test_lines(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *status = json_loads(rows[i].status, 0, NULL);
        struct buf out = { 0 };

        assert_non_null(status);
        problems_add(&out, status);
        if (strcmp(buf_text(&out), rows[i].lines) != 0)
            fail_msg("%s:\n%s", rows[i].name, buf_text(&out));
        buf_free(&out);
        json_decref(status);
    }
}

/* A screen has room for those that matter. */
static void test_many_that_wait_for_one_agent(void **state)
{
    json_t *list = json_array(), *status;
    struct buf out = { 0 };
    size_t lines = 0;

    (void)state;
    for (int i = 0; i < 30; i++)
        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:[s]}", "name", "a", "state", "down", "agents", "pi"));
    status = json_pack("{s:s, s:o}", "role", "relay", "domains", list);
    problems_add(&out, status);
    for (const char *p = buf_text(&out); (p = strchr(p, '\n')); p++)
        lines++;
    assert_int_equal(lines, 9);
    assert_non_null(strstr(buf_text(&out), "  and 22 further domains are not up; see below\n"));
    buf_free(&out);
    json_decref(status);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_many_that_wait_for_one_agent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
