#include "agent/dns/address.h"

#include "agent/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define RELAY                                                                                          \
    "[relay a]\nhost = a\nhost_key = ssh-ed25519 SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n" \
    "[relay b]\nhost = b\nhost_key = ssh-ed25519 SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"
#define SLOW "[address]\nsources = command:/bin/cat interface:lo\n" /* cat: of nothing, so it ends */

struct world {
    struct loop loop;
    struct opt_conf *conf, *next;
    struct address *address;
    int changes, ends;
    bool inside; /* a call of ours: nothing may be called back */
};

static void on_changed(void *user)
{
    struct world *w = user;

    assert_false(w->inside);
    w->changes++;
}

static void on_ended(void *user)
{
    struct world *w = user;

    assert_false(w->inside);
    w->ends++;
}

static struct opt_conf *load(const char *text)
{
    struct opt_errors errors = { 0 };
    struct opt_conf *conf = opt_load_text(&agent_schema, "agent.ini", text, strlen(text), &errors);

    if (!conf)
        fail_msg("%s", errors.lines[0]);
    return conf;
}

static void begin(struct world *w, const char *text)
{
    *w = (struct world){ .conf = load(text), .inside = true };
    assert_int_equal(loop_init(&w->loop, NULL), 0);
    w->address = address_start(&w->loop, w->conf, on_changed, on_ended, w);
    w->inside = false;
}

static void rounds(struct world *w, int n)
{
    for (int i = 0; i < n; i++)
        uv_run(&w->loop.uv, UV_RUN_NOWAIT);
}

static void end(struct world *w)
{
    w->inside = true;
    address_stop(w->address);
    w->inside = false;
    loop_run(&w->loop);
    assert_int_equal(w->ends, 1);
    loop_free(&w->loop);
    opt_conf_free(w->conf);
    opt_conf_free(w->next);
}

static void says(struct world *w, const char *relay, const char *seen_from)
{
    w->inside = true;
    address_relay_says(w->address, relay, seen_from);
    w->inside = false;
    rounds(w, 3);
}

static void test_stopped_at_any_time(void **state)
{
    static const char *const texts[] = { "", RELAY, SLOW, "[address]\nsources = fixed:192.0.2.7\n" };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        for (int n = 0; n < 40; n += n < 4 ? 1 : 12) {
            struct world w;

            begin(&w, texts[i]);
            rounds(&w, n);
            end(&w);
        }
}

static void test_reloaded_while_somebody_is_asked(void **state)
{
    struct world w;

    (void)state;
    begin(&w, SLOW);
    rounds(&w, 2);
    w.next = load("[address]\nsources = fixed:192.0.2.7\n");
    address_reload(w.address, w.next);
    rounds(&w, 2);
    assert_string_equal(address_now(w.address)->v4.text, "192.0.2.7");
    assert_true(address_now(w.address)->v4.known && !address_now(w.address)->v6.known);
    assert_true(address_now(w.address)->v6.why[0] && w.changes > 0);
    end(&w);
}

static void test_relays(void **state)
{
    const struct address_view *view;
    struct world w;
    json_t *status;

    (void)state;
    begin(&w, RELAY "[address]\nsources = relay\n");
    view = address_now(w.address);
    says(&w, "a", "81.2.69.1");
    assert_false(view->v4.known); /* two are asked for, and there is one */
    assert_non_null(strstr(view->v4.why, "relay a says 81.2.69.1"));
    says(&w, "b", "81.2.69.2");
    assert_non_null(strstr(view->v4.why, "disagree"));
    says(&w, "b", "81.2.69.1");
    assert_true(view->v4.known && strcmp(view->v4.text, "81.2.69.1") == 0);
    says(&w, "b", "2a01:4f8::1"); /* another lane of it, over IPv6 */
    assert_true(view->v4.known && !view->v6.known);
    says(&w, "a", "");
    says(&w, "b", "");
    assert_true(view->v4.known && strcmp(view->v4.text, "81.2.69.1") == 0); /* silence is no change */
    says(&w, "a", "192.168.1.2");
    status = address_status(w.address);
    assert_string_equal(json_string_value(json_object_get(status, "v4")), "81.2.69.1");
    assert_int_equal(json_array_size(json_object_get(status, "sources")), 1);
    assert_non_null(strstr(
        json_string_value(json_object_get(json_array_get(json_object_get(status, "sources"), 0), "why")),
        "RFC 1918"));
    json_decref(status);
    end(&w);
}

static void test_relays_that_are_no_longer_there(void **state)
{
    struct world w;

    (void)state;
    begin(&w, RELAY "[address]\nsources = relay\nquorum = 1\n");
    says(&w, "b", "81.2.69.1");
    says(&w, "a", "81.2.69.2");
    assert_false(address_now(w.address)->v4.known);
    w.next = load(
        "[relay a]\nhost = a\nhost_key = ssh-ed25519 SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"
        "[address]\nsources = relay\nquorum = 1\n");
    address_reload(w.address, w.next);
    assert_true(
        address_now(w.address)->v4.known); /* the first one stays, until the other has stayed for a while */
    assert_string_equal(address_now(w.address)->v4.text, "81.2.69.1");
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stopped_at_any_time),
        cmocka_unit_test(test_reloaded_while_somebody_is_asked),
        cmocka_unit_test(test_relays),
        cmocka_unit_test(test_relays_that_are_no_longer_there),
    };

    return cmocka_run_group_tests_name("agent/dns/address", tests, NULL, NULL);
}
