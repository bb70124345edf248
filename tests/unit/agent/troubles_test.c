/* What the agent's alerts look after, out of a status. */
#include "agent/troubles.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "shared/buf.h"

#define RECORD(members)                                                                           \
    "{\"domains\":[{\"name\":\"a\",\"service\":null,\"service_state\":\"unknown\",\"routes\":[]," \
    "\"dns\":{\"records\":[{\"name\":\"a\",\"type\":\"AAAA\"," members "}]}}]}"
#define RELAY(lanes) "{\"relays\":[{\"name\":\"r\",\"lanes\":[" lanes "]}]}"

/* Each as "KIND SUBJECT GRADE WHY;", with ? where nobody can say, and … where it has more time than usual. */
static const struct {
    const char *status, *seen;
} rows[] = {
    { "{}", "" },
    { RELAY("{\"state\":\"down\",\"last_error\":\"refused\"},{\"state\":\"up\",\"last_error\":null}"),
      "relay r 0 refused;" },
    { RELAY("{\"state\":\"busy\",\"last_error\":null}"), "relay r 0 no lane to it is up;" },
    { RELAY("{\"state\":\"dead\",\"last_error\":null},{\"state\":\"dead\",\"last_error\":\"refused\"}"),
      "relay r 1 refused;" },
    { RELAY(""), "relay r 1 no lane to it is up;" },
    { "{\"relays\":[{\"name\":\"r\",\"lanes\":[{\"state\":\"up\"}],\"service\":\"tcp://s\","
      "\"service_state\":\"refused\",\"service_detail\":\"d\"}]}",
      "relay r 0 no lane to it is up;service relay r 1 tcp://s: d;" },
    { "{\"domains\":[{\"name\":\"a\",\"service\":\"http://s\",\"service_state\":\"ok\",\"service_detail\":\"\","
      "\"routes\":[{\"path\":\"/p\",\"service\":\"http://t\",\"service_state\":\"silent\",\"service_detail\":\"d\"}],"
      "\"dns\":null}],\"tcp\":[{\"name\":\"ssh\",\"service\":\"tcp://u\",\"service_state\":\"unknown\"}]}",
      "service a 0 http://s: ;service a/p 1 http://t: d;service tcp ssh 0? tcp://u: ;" },
    { RECORD("\"state\":\"ok\",\"last_error\":null"), "dns a AAAA 0… ;" },
    { RECORD("\"state\":\"failed\",\"last_error\":\"auth\""), "dns a AAAA 1 auth;" },
    { RECORD("\"state\":\"foreign\",\"last_error\":\"theirs\""), "dns a AAAA 1 theirs;" },
    { RECORD("\"state\":\"manual\",\"last_error\":\"set it\""), "dns a AAAA 1… set it;" },
    { RECORD("\"state\":\"waiting\",\"last_error\":null"), "dns a AAAA 0… ;" },
    { RECORD("\"state\":\"waiting\",\"last_error\":\"no address\""), "dns a AAAA 1… no address;" },
    { RECORD("\"state\":\"updating\",\"last_error\":\"auth\""), "dns a AAAA 1?… auth;" },
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *status = json_loads(rows[i].status, 0, NULL);
        struct troubles seen = { 0 };
        struct buf text = { 0 };

        assert_non_null(status);
        agent_add_troubles(status, &seen);
        for (size_t j = 0; j < seen.n; j++) {
            const struct trouble *t = &seen.list[j];

            assert_non_null(t->remedy);
            buf_printf(&text, "%s %s %d%s%s %s;", event_kind_text(t->kind), t->subject, t->grade,
                       t->unsure ? "?" : "", t->damp_ms > DAMPING_USUAL_MS ? "…" : "", t->why);
        }
        if (strcmp(buf_text(&text), rows[i].seen) != 0)
            fail_msg("%s:\n%s", rows[i].status, buf_text(&text));
        buf_free(&text);
        troubles_free(&seen);
        json_decref(status);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
