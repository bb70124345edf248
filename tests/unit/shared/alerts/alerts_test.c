/* The life of alerts: stopped in every state, and what the next start knows of the one before. */
#include "shared/alerts/alerts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "shared/log.h"
#include "tests/unit/loop_fixture.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

struct play {
    struct loop *loop;
    struct alerts *alerts;
    struct daemon_conf conf;
    char folder[32], hook[48], webhook[64];
    int deaf; /* a listening socket at which nobody answers */
    bool ended;
};

static void add_status(void *user, json_t *status)
{
    (void)user;
    json_object_set_new(status, "subject", json_string("a.test"));
}

static void add_troubles(const json_t *status, struct troubles *seen)
{
    troubles_add(seen, &(struct trouble){ .kind = EVENT_CERTIFICATE,
                                          .subject = json_string_value(json_object_get(status, "subject")),
                                          .grade = 1,
                                          .why = "why",
                                          .remedy = "remedy" });
}

static void on_ended(void *user)
{
    struct play *p = user;

    p->ended = true;
}

static void start(struct play *p)
{
    const struct alerts_host host = { add_status, add_troubles, on_ended, p };

    p->ended = false;
    p->alerts = alerts_start(p->loop, "agent", &p->conf, &host);
}

static void stop(struct play *p, bool cut)
{
    alerts_stop(p->alerts, cut);
    alerts_stop(p->alerts, true);
    assert_false(p->ended); /* not from inside */
    loop_until(p->loop, &p->ended);
}

static void make(struct play *p, struct loop *loop)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof at;
    FILE *file;

    *p = (struct play){ .loop = loop, .folder = "/tmp/alerts_test.XXXXXX" };
    log_set_level(LOG_ERROR);
    assert_non_null(mkdtemp(p->folder));
    snprintf(p->hook, sizeof p->hook, "%s/hook", p->folder);
    file = fopen(p->hook, "w");
    fputs("#!/bin/sh\nsleep 1000\n", file);
    fchmod(fileno(file), 0700);
    fclose(file);
    p->deaf = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(p->deaf, (struct sockaddr *)&at, n), 0);
    assert_int_equal(listen(p->deaf, 8), 0);
    assert_int_equal(getsockname(p->deaf, (struct sockaddr *)&at, &n), 0);
    snprintf(p->webhook, sizeof p->webhook, "http://127.0.0.1:%u/", (unsigned)ntohs(at.sin_port));
    p->conf = (struct daemon_conf){
        .name = "pi", .state_dir = p->folder, .on_event = "", .webhook = "", .webhook_token_file = ""
    };
}

static void clear(struct play *p)
{
    char path[64];

    snprintf(path, sizeof path, "%s/alerts.json", p->folder);
    unlink(path);
    unlink(p->hook);
    assert_int_equal(rmdir(p->folder), 0);
    close(p->deaf);
}

static json_int_t pending(const struct play *p, const char *way)
{
    json_t *status = alerts_status(p->alerts);
    json_int_t n = json_integer_value(json_object_get(json_object_get(status, way), "pending"));

    json_decref(status);
    return n;
}

static void ask(const struct play *p)
{
    struct http_reply reply = { .status = 200 };

    alerts_answer_test(p->alerts, &(struct http_request){ .path = { NULL, 0 } }, &reply);
    assert_int_equal(reply.status, 200);
    buf_free(&reply.body);
}

static size_t count_last(const struct play *p)
{
    const struct http_request request = { .query = { "last", 4 } };
    struct http_reply reply = { .status = 200 };
    size_t n;

    alerts_answer_events(p->alerts, &request, &reply);
    n = buf_count(&reply.body, '\n');
    buf_free(&reply.body);
    return n;
}

static void test_stopped_at_once(void **state)
{
    struct play p;

    make(&p, *state);
    start(&p);
    stop(&p, false);
    start(&p);
    loop_settle(*state);
    stop(&p, true);
    clear(&p);
}

static void test_stopped_while_it_delivers(void **state)
{
    struct play p;

    make(&p, *state);
    p.conf.on_event = p.hook;
    p.conf.webhook = p.webhook;
    start(&p);
    ask(&p);
    ask(&p);
    assert_int_equal(pending(&p, "webhook"), 2);
    stop(&p, true);
    start(&p); /* both are sent again, and the second still waits */
    assert_int_equal(pending(&p, "webhook"), 2);
    assert_int_equal(pending(&p, "on_event"), 2);
    assert_int_equal(count_last(&p), 2);
    loop_settle(*state);
    p.conf.webhook = "http://127.0.0.1:1/";
    alerts_reload(p.alerts, &p.conf);
    p.conf.webhook = "";
    alerts_reload(p.alerts, &p.conf);
    assert_int_equal(pending(&p, "webhook"), 0);
    stop(&p, true);
    start(&p);
    assert_int_equal(pending(&p, "on_event"), 2);
    stop(&p, true);
    clear(&p);
}

static void test_what_was_told_stays_so(void **state)
{
    static const char told[] = "\"told\":[{\"kind\":\"dns\",\"subject\":\"a.test A\",\"grade\":1,\"times\":3,"
                               "\"since\":\"2026-11-28T03:24:25Z\"}]";
    char path[64], text[2000] = "";
    struct play p;
    FILE *file;

    make(&p, *state);
    snprintf(path, sizeof path, "%s/alerts.json", p.folder);
    file = fopen(path, "w");
    fprintf(file, "{\"last_id\":9,%s}", told);
    fclose(file);
    start(&p);
    ask(&p);
    stop(&p, false);
    file = fopen(path, "r");
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    fclose(file);
    assert_non_null(strstr(text, told));
    assert_non_null(strstr(text, "\"last_id\":10,"));
    clear(&p);
}

static void test_a_broken_file(void **state)
{
    static const char *const rows[] = {
        "",
        "{",
        "[]",
        "{}",
        "{\"last_id\":-1}",
        "{\"last_id\":\"x\"}",
        "{\"last_id\":9223372036854775807}",
        "{\"last_id\":3,\"events\":7,\"told\":{},\"webhook\":99,\"on_event\":null}",
    };
    struct play p;
    char path[64];

    make(&p, *state);
    log_set_level(LOG_ERROR);
    p.conf.on_event = p.hook;
    snprintf(path, sizeof path, "%s/alerts.json", p.folder);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        FILE *file = fopen(path, "w");

        fputs(rows[i], file);
        fclose(file);
        start(&p);
        assert_int_equal(count_last(&p), 0);
        assert_int_equal(pending(&p, "on_event"), 0);
        ask(&p);
        assert_int_equal(pending(&p, "on_event"), 1);
        stop(&p, true);
    }
    clear(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_stopped_at_once, loop_make, loop_end),
        cmocka_unit_test_setup_teardown(test_stopped_while_it_delivers, loop_make, loop_end),
        cmocka_unit_test_setup_teardown(test_a_broken_file, loop_make, loop_end),
        cmocka_unit_test_setup_teardown(test_what_was_told_stays_so, loop_make, loop_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
