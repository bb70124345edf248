#include "shared/ctl/client.h"

#include <fcntl.h>
#include <stdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/shared/ctl/fake_daemon.h"
#include "tests/unit/temp.h"

/* ---- which socket ---- */

/* Stands before the C library's: this machine's own daemons must not decide. */
static bool relay_is_here, agent_is_here;

int access(const char *path, int mode)
{
    if (strcmp(path, CLIENT_RELAY_SOCKET) == 0)
        return relay_is_here ? 0 : -1;
    if (strcmp(path, CLIENT_AGENT_SOCKET) == 0)
        return agent_is_here ? 0 : -1;
    return faccessat(AT_FDCWD, path, mode, 0);
}

static void test_find_socket(void **state)
{
    static const struct {
        const char *given;
        enum client_side side;
        const char *set;
        bool relay, agent;
        const char *found; /* NULL: refused with code */
        enum err_code code;
    } rows[] = {
        { "/x", CLIENT_RELAY, "/y", true, true, "/x", ERR_NONE },
        { "/x", CLIENT_ANY, NULL, false, false, "/x", ERR_NONE },
        { NULL, CLIENT_RELAY, "/y", false, true, CLIENT_RELAY_SOCKET, ERR_NONE },
        { NULL, CLIENT_AGENT, "/y", true, false, CLIENT_AGENT_SOCKET, ERR_NONE },
        { NULL, CLIENT_ANY, "/y", true, true, "/y", ERR_NONE },
        { NULL, CLIENT_ANY, "/y", false, false, "/y", ERR_NONE },
        { NULL, CLIENT_ANY, "", true, false, CLIENT_RELAY_SOCKET, ERR_NONE },
        { NULL, CLIENT_ANY, NULL, true, false, CLIENT_RELAY_SOCKET, ERR_NONE },
        { NULL, CLIENT_ANY, NULL, false, true, CLIENT_AGENT_SOCKET, ERR_NONE },
        { NULL, CLIENT_ANY, NULL, true, true, NULL, ERR_INPUT },
        { NULL, CLIENT_ANY, NULL, false, false, NULL, ERR_MISSING },
        { NULL, CLIENT_ANY, "", false, false, NULL, ERR_MISSING },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct err e = { 0 };
        const char *found;

        relay_is_here = rows[i].relay;
        agent_is_here = rows[i].agent;
        if (rows[i].set)
            setenv("TUNNEL_SOCKET", rows[i].set, 1);
        else
            unsetenv("TUNNEL_SOCKET");
        found = client_find_socket(rows[i].given, rows[i].side, &e);
        if (!found != !rows[i].found || (found && strcmp(found, rows[i].found) != 0) ||
            e.code != rows[i].code)
            fail_msg("row %zu: %s; %s", i, found ? found : "none", e.text);
        assert_true(found || strstr(e.text, rows[i].code == ERR_INPUT ? "--relay or --agent" : "--socket"));
    }
    unsetenv("TUNNEL_SOCKET");
}

/* ---- one request ---- */

#define OK "HTTP/1.1 200 OK\r\n"

static void test_replies(void **state)
{
    static const struct {
        const char *name, *method, *reply;
        int status;
        const char *content; /* or what the error says */
    } rows[] = {
        { "a reply", "GET", OK "Content-Length: 3\r\n\r\n{}\n", 200, "{}\n" },
        { "an empty one", "GET", OK "Content-Length: 0\r\n\r\n", 200, "" },
        { "to HEAD", "HEAD", OK "Content-Length: 3\r\n\r\n", 200, "" },
        { "a refusal", "POST", "HTTP/1.1 422 No\r\nContent-Length: 2\r\n\r\n{}", 422, "{}" },
        { "in chunks", "GET", OK "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n", 200,
          "{}" },
        { "until the end", "GET", OK "\r\n{}", 200, "{}" },
        { "closes early", "GET", "", -1, "what answers there does not speak HTTP: its answer is cut short" },
        { "junk", "GET", "SSH-2.0-OpenSSH_9.2\r\n\r\n", -1, "what answers there does not speak HTTP: " },
        { "half a head", "GET", OK "Content-Le", -1, "its answer is cut short" },
        { "half a body", "GET", OK "Content-Length: 5\r\n\r\n{}", -1, "the daemon's reply is not whole: " },
        { "half a chunk", "GET", OK "Transfer-Encoding: chunked\r\n\r\n5\r\n{}", -1,
          "the daemon's reply is not whole: " },
        { "no last chunk", "GET", OK "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", -1, "is not whole: " },
    };
    const char *path = temp_path(*state, "sock");

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fake_daemon d = { 0 };
        struct buf out = { 0 };
        struct err e = { 0 };
        char request[256];
        int status;

        fake_daemon_begin(&d, path, rows[i].reply, strlen(rows[i].reply));
        status = client_ask(path, rows[i].method, "/v1/status", &out, &e);
        fake_daemon_end(&d);
        if (status != rows[i].status || (status > 0 && strcmp(buf_text(&out), rows[i].content) != 0) ||
            (status < 0 && (e.code != ERR_PEER || !strstr(e.text, rows[i].content))))
            fail_msg("%s: %d, %s, %s", rows[i].name, status, buf_text(&out), e.text);
        snprintf(request, sizeof request,
                 "%s /v1/status HTTP/1.1\r\nHost: tunnel\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
                 rows[i].method);
        assert_string_equal(d.heard, request);
        buf_free(&out);
    }
}

static void test_a_daemon_that_does_not_listen_to_the_end(void **state)
{
    const char *path = temp_path(*state, "sock");

    for (int i = 0; i < 20; i++) {
        struct fake_daemon d = { .hasty = true };
        struct buf out = { 0 };
        struct err e = { 0 };

        fake_daemon_begin(&d, path, "", 0);
        assert_int_equal(client_ask(path, "GET", "/", &out, &e), -1);
        fake_daemon_end(&d);
        assert_int_not_equal(e.code, ERR_NONE);
        assert_int_equal(out.len, 0);
    }
}

static void test_a_large_reply(void **state)
{
    const char *path = temp_path(*state, "sock");
    struct buf reply = { 0 }, out = { 0 };
    struct fake_daemon d = { 0 };
    size_t head;

    buf_add_text(&reply, OK "Content-Length: 10000000\r\n\r\n");
    head = reply.len;
    memset(buf_space(&reply, 10000000), 'x', 10000000);
    buf_added(&reply, 10000000);
    buf_add_text(&out, "before ");
    fake_daemon_begin(&d, path, buf_bytes(&reply), reply.len);
    assert_int_equal(client_ask(path, "GET", "/", &out, NULL), 200);
    fake_daemon_end(&d);
    assert_int_equal(out.len, 7 + 10000000);
    assert_memory_equal(buf_bytes(&out), "before ", 7);
    assert_memory_equal(buf_bytes(&out) + 7, buf_bytes(&reply) + head, 10000000);
    buf_free(&reply);
    buf_free(&out);
}

static void test_nobody_there(void **state)
{
    struct buf out = { 0 };
    struct err e = { 0 };

    assert_int_equal(client_ask(temp_path(*state, "none"), "GET", "/", &out, &e), -1);
    assert_int_equal(e.code, ERR_MISSING);
    assert_int_equal(client_ask(temp_file(*state, "file", "", 0600), "GET", "/", &out, &e), -1);
    assert_int_equal(out.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find_socket),
        cmocka_unit_test_setup_teardown(test_replies, temp_make, temp_remove),
        cmocka_unit_test_setup_teardown(test_a_daemon_that_does_not_listen_to_the_end, temp_make,
                                        temp_remove),
        cmocka_unit_test_setup_teardown(test_a_large_reply, temp_make, temp_remove),
        cmocka_unit_test_setup_teardown(test_nobody_there, temp_make, temp_remove),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
