#include "relay/edge/upgrade.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define GET "GET / HTTP/1.1\r\nHost: a.test\r\n"

static const struct h1_limits limits = { .max_uri = 1024, .max_header = 4096 };

static void parse(struct h1_head *head, const char *text, const char *name)
{
    if (h1_head_parse(head, text, strlen(text), &limits) != (ssize_t)strlen(text))
        fail_msg("%s: %s", name, head->why ? head->why : "unfinished");
}

static void assert_text(const char *name, struct buf *text, const char *expected)
{
    if (strcmp(buf_text(text), expected) != 0)
        fail_msg("%s: '%s' and not '%s'", name, buf_text(text), expected);
    buf_free(text);
}

static void test_offers(void **state)
{
    static const struct {
        const char *name, *request, *offer;
    } rows[] = {
        { "nothing asked", GET "\r\n", "" },
        { "one", GET "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n", "websocket" },
        { "as it was written", GET "connection: uPGRADE\r\nupgrade: WebSocket\r\n\r\n", "WebSocket" },
        { "among other options", GET "Connection: keep-alive, x , Upgrade\r\nUpgrade: a\r\n\r\n", "a" },
        { "in a second Connection", GET "Connection: x\r\nUpgrade: a\r\nConnection: upgrade\r\n\r\n", "a" },
        { "several", GET "Connection: Upgrade\r\nUpgrade: a/1 ,b,\t,c/2.0\r\n\r\n", "a/1, b, c/2.0" },
        { "h2c", GET "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: H2c\r\nHTTP2-Settings: x\r\n\r\n", "" },
        { "h2c among others", GET "Connection: Upgrade\r\nUpgrade: h2c, a, h2C,h2c2\r\n\r\n", "a, h2c2" },
        { "HTTP in other forms",
          GET
          "Connection: Upgrade\r\nUpgrade: TLS/1.0, HTTP/1.1, http/2.0, h2, h2c/1, tls, https, tlsx/1\r\n\r\n",
          "https, tlsx/1" },
        { "what is no protocol", GET "Connection: Upgrade\r\nUpgrade: \"a\", b;c, d=e, \303\244, f\r\n\r\n",
          "f" },
        { "no Connection", GET "Upgrade: a\r\n\r\n", "" },
        { "Connection without it", GET "Connection: close\r\nUpgrade: a\r\n\r\n", "" },
        { "HTTP/1.0", "GET / HTTP/1.0\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: a\r\n\r\n", "" },
        { "a body of no bytes", GET "Content-Length: 0\r\nConnection: Upgrade\r\nUpgrade: a\r\n\r\n", "a" },
        { "a body", GET "Content-Length: 1\r\nConnection: Upgrade\r\nUpgrade: a\r\n\r\n", "a" },
        { "chunks", GET "Transfer-Encoding: chunked\r\nConnection: Upgrade\r\nUpgrade: a\r\n\r\n", "" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf out = { 0 };
        struct h1_head head;

        h1_request_init(&head);
        parse(&head, rows[i].request, rows[i].name);
        upgrade_add_offer(&out, &head);
        assert_text(rows[i].name, &out, rows[i].offer);
    }
}

#define SWITCH "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"

static void test_answers(void **state)
{
    static const struct {
        const char *name, *offer, *response;
        bool granted;
        const char *answer;
    } rows[] = {
        { "granted", "websocket", SWITCH "Upgrade: websocket\r\n\r\n", true, "websocket" },
        { "in other letters", "websocket", SWITCH "Upgrade: WebSocket\r\n\r\n", true, "WebSocket" },
        { "one of several", "a/1, b", SWITCH "Upgrade: b\r\n\r\n", true, "b" },
        { "all of several", "a/1, b", SWITCH "Upgrade: b ,A/1\r\n\r\n", true, "b, A/1" },
        { "another", "a", SWITCH "Upgrade: b\r\n\r\n", false, "b" },
        { "another besides", "a", SWITCH "Upgrade: a, b\r\n\r\n", false, "a, b" },
        { "the beginning of one", "a/1", SWITCH "Upgrade: a\r\n\r\n", false, "a" },
        { "one that begins so", "a", SWITCH "Upgrade: a/1\r\n\r\n", false, "a/1" },
        { "nothing was offered", "", SWITCH "Upgrade: a\r\n\r\n", false, "a" },
        { "h2c is never granted", "h2c", SWITCH "Upgrade: h2c\r\n\r\n", false, "" },
        { "to nothing", "a", SWITCH "Upgrade: ,\r\n\r\n", false, "" },
        { "without Upgrade", "a", SWITCH "\r\n", false, "" },
        { "without Connection", "a", "HTTP/1.1 101 Yes\r\nUpgrade: a\r\n\r\n", false, "a" },
        { "HTTP/1.0", "a", "HTTP/1.0 101 Yes\r\nConnection: Upgrade\r\nUpgrade: a\r\n\r\n", false, "a" },
        { "required", "a", "HTTP/1.1 426 No\r\nConnection: Upgrade\r\nUpgrade: b, h2c\r\n\r\n", false, "b" },
        { "required, without Connection", "", "HTTP/1.1 426 No\r\nUpgrade: b\r\n\r\n", false, "b" },
        { "advertised", "a", "HTTP/1.1 200 OK\r\nConnection: Upgrade\r\nUpgrade: a\r\n\r\n", false, "" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf out = { 0 };
        struct h1_head head;

        h1_response_init(&head, STR("GET"));
        parse(&head, rows[i].response, rows[i].name);
        if (upgrade_is_granted(&head, str_of(rows[i].offer)) != rows[i].granted)
            fail_msg("%s: granted %d", rows[i].name, !rows[i].granted);
        upgrade_add_answer(&out, &head);
        assert_text(rows[i].name, &out, rows[i].answer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_offers),
        cmocka_unit_test(test_answers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
