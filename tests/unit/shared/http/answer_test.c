#include "shared/http/answer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "shared/json.h"

/* ---- routes that say what they were asked ---- */

static void echo(void *user, const struct http_request *request, struct http_reply *reply)
{
    json_t *answer = json_pack("{s:s}", "user", user);
    char query[64];

    snprintf(query, sizeof query, "%.*s", STR_ARG(request->query));
    json_object_set_new(answer, "query", json_string(query));
    if (request->json)
        json_object_set_new(answer, "json", json_incref((json_t *)(uintptr_t)request->json));
    http_reply_json(reply, 200, answer);
}

static void say_text(void *user, const struct http_request *request, struct http_reply *reply)
{
    (void)user;
    (void)request;
    reply->type = "text/plain";
    buf_add_text(&reply->body, "hello\n");
}

static void say_nothing(void *user, const struct http_request *request, struct http_reply *reply)
{
    (void)user;
    (void)request;
    (void)reply;
}

static void tire(void *user, const struct http_request *request, struct http_reply *reply)
{
    (void)user;
    assert_int_equal(request->peer->ss_family, AF_UNIX);
    http_reply_error(reply, 429, "later");
    reply->retry_s = 7;
}

static void refuse(void *user, const struct http_request *request, struct http_reply *reply)
{
    (void)user;
    (void)request;
    http_reply_error(reply, 422, "%s \"%d\" %s", "no", 42, "\xff\n");
}

static const struct http_route list[] = {
    { "GET", "/echo", echo },         { "POST", "/echo", echo },     { "GET", "/text", say_text },
    { "GET", "/empty", say_nothing }, { "POST", "/refuse", refuse }, { "DELETE", "/", say_nothing },
    { "GET", "/tired", tire },
};
static char me[] = "me";
static const struct http_routes routes = { list, sizeof list / sizeof list[0], me, NULL, NULL };

/* The answer to a request whose head is complete. */
static const char *ask(const char *text, const char *content, bool keep, struct buf *out)
{
    static const struct h1_limits limits = { .max_uri = 4096, .max_header = 16384 };
    static const struct sockaddr_storage peer = { .ss_family = AF_UNIX };
    struct buf in = { 0 };
    struct h1_head head;

    buf_free(out);
    buf_add_text(&in, content);
    h1_request_init(&head);
    assert_int_equal(h1_head_parse(&head, text, strlen(text), &limits), strlen(text));
    http_answer(&routes, &peer, &head, &in, keep, out);
    buf_free(&in);
    return buf_text(out);
}

#define GET(target)  "GET " target " HTTP/1.1\r\nHost: t\r\n\r\n"
#define HEAD(target) "HEAD " target " HTTP/1.1\r\nHost: t\r\n\r\n"
#define POST(target) "POST " target " HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\n"
#define STATUS(line) "HTTP/1.1 " line "\r\nContent-Type: application/json\r\nContent-Length: "
#define NO_STORE     "\r\nCache-Control: no-store\r\n"

static void test_answers(void **state)
{
    static const struct {
        const char *request, *content, *answer;
    } rows[] = {
        { GET("/echo"), "", STATUS("200 OK") "25" NO_STORE "\r\n{\"user\":\"me\",\"query\":\"\"}\n" },
        { GET("/echo?a=1&b=?"), "",
          STATUS("200 OK") "32" NO_STORE "\r\n{\"user\":\"me\",\"query\":\"a=1&b=?\"}\n" },
        { GET("/echo?"), "", STATUS("200 OK") "25" NO_STORE "\r\n{\"user\":\"me\",\"query\":\"\"}\n" },
        { GET("http://t/echo?x"), "",
          STATUS("200 OK") "26" NO_STORE "\r\n{\"user\":\"me\",\"query\":\"x\"}\n" },
        { HEAD("/echo"), "", STATUS("200 OK") "25" NO_STORE "\r\n" },
        { POST("/echo"), "{\"a\":1}",
          STATUS("200 OK") "40" NO_STORE "\r\n{\"user\":\"me\",\"query\":\"\",\"json\":{\"a\":1}}\n" },
        { POST("/echo"), "", STATUS("200 OK") "25" NO_STORE "\r\n{\"user\":\"me\",\"query\":\"\"}\n" },
        { GET("/text"), "",
          "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6" NO_STORE "\r\nhello\n" },
        { HEAD("/text"), "",
          "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6" NO_STORE "\r\n" },
        { GET("/empty"), "", STATUS("200 OK") "0" NO_STORE "\r\n" },
        { POST("/refuse"), "",
          STATUS("422 Unprocessable Content") "26" NO_STORE "\r\n{\"error\":\"no \\\"42\\\" ?\\n\"}\n" },
        { GET("/tired"), "",
          STATUS("429 Too Many Requests") "18" NO_STORE "Retry-After: 7\r\n\r\n{\"error\":\"later\"}\n" },
        { GET("/none"), "",
          STATUS("404 Not Found") "38" NO_STORE "\r\n{\"error\":\"there is nothing at /none\"}\n" },
        { GET("/echo/"), "",
          STATUS("404 Not Found") "39" NO_STORE "\r\n{\"error\":\"there is nothing at /echo/\"}\n" },
        { GET("/ECHO"), "",
          STATUS("404 Not Found") "38" NO_STORE "\r\n{\"error\":\"there is nothing at /ECHO\"}\n" },
        { HEAD("/none"), "", STATUS("404 Not Found") "38" NO_STORE "\r\n" },
    };
    struct buf out = { 0 };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(ask(rows[i].request, rows[i].content, true, &out), rows[i].answer) != 0)
            fail_msg("%s-> %s", rows[i].request, buf_text(&out));
    buf_free(&out);
}

static void test_a_wrong_method_is_told_the_right_ones(void **state)
{
    static const struct {
        const char *request, *allow;
    } rows[] = {
        { "DELETE /echo HTTP/1.1\r\nHost: t\r\n\r\n", "\r\nAllow: GET, HEAD, POST\r\n" },
        { POST("/text"), "\r\nAllow: GET, HEAD\r\n" },
        { GET("/refuse"), "\r\nAllow: POST\r\n" },
        { HEAD("/refuse"), "\r\nAllow: POST\r\n" },
        { "get /text HTTP/1.1\r\nHost: t\r\n\r\n", "\r\nAllow: GET, HEAD\r\n" },
    };
    struct buf out = { 0 };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *answer = ask(rows[i].request, "", true, &out);

        if (strncmp(answer, "HTTP/1.1 405 Method Not Allowed\r\n", 33) != 0 || !strstr(answer, rows[i].allow))
            fail_msg("%s-> %s", rows[i].request, answer);
    }
    buf_free(&out);
}

static void test_content_that_is_not_json(void **state)
{
    static const char *const contents[] = { "hello", "[1]", "{\"a\":1}}", "{\"a\":1,\"a\":2}", "\xff", " " };
    struct buf out = { 0 };

    (void)state;
    for (size_t i = 0; i < sizeof contents / sizeof contents[0]; i++) {
        const char *answer = ask(POST("/echo"), contents[i], true, &out);

        assert_memory_equal(answer, "HTTP/1.1 400 Bad Request\r\n", 26);
        assert_non_null(strstr(answer, "\r\n\r\n{\"error\":\"the request's content is not "));
        assert_null(strstr(answer, "Connection: close")); /* the connection itself is well */
    }
    buf_free(&out);
}

static void test_keep_or_close(void **state)
{
    struct buf out = { 0 };

    (void)state;
    assert_null(strstr(ask(GET("/text"), "", true, &out), "Connection"));
    assert_non_null(strstr(ask(GET("/text"), "", false, &out), "\r\nConnection: close\r\n"));
    buf_free(&out);
}

/* A client of HTTP/1.0 closes unless it is told that the connection goes on. */
static void test_keep_is_said_to_http_1_0(void **state)
{
    struct buf out = { 0 };

    (void)state;
    ask("GET /text HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "", true, &out);
    assert_non_null(strstr(buf_text(&out), "\r\nConnection: keep-alive\r\n"));
    buf_free(&out);
}

static void test_refusals(void **state)
{
    struct buf out = { 0 };
    struct h1_head head;

    (void)state;
    h1_request_init(&head);
    buf_add_text(&out, "before ");
    http_answer_refusal(&head, 431, "too much", &out);
    assert_string_equal(
        buf_text(&out),
        "before " STATUS(
            "431 Request Header Fields Too Large") "21" NO_STORE
                                                   "Connection: close\r\n\r\n{\"error\":\"too much\"}\n");
    buf_free(&out);
}

/* Also where no more than its method has come. */
static void test_a_refused_head_request_gets_no_body(void **state)
{
    static const struct h1_limits limits = { .max_uri = 10, .max_header = 100 };
    static const char *const requests[] = { "HEAD  ", "HEAD /01234567890", "HEAD / HTTP/1.1\r\n\r\n" };
    struct buf out = { 0 };
    struct h1_head head;

    (void)state;
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        h1_request_init(&head);
        assert_int_equal(h1_head_parse(&head, requests[i], strlen(requests[i]), &limits), -1);
        http_answer_refusal(&head, head.status, head.why, &out);
        assert_null(strstr(buf_text(&out), "Content-Length: 0\r\n"));
        assert_string_equal(strstr(buf_text(&out), "\r\n\r\n"), "\r\n\r\n");
        buf_free(&out);
    }
}

static void test_every_status_has_its_reason(void **state)
{
    static const int statuses[] = { 200, 400, 404, 405, 408, 413, 414, 417, 422, 431, 500, 501, 503, 505 };
    struct buf out = { 0 };
    struct h1_head head;

    (void)state;
    h1_request_init(&head);
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        http_answer_refusal(&head, statuses[i], "", &out);
        assert_int_equal(atoi(buf_text(&out) + 9), statuses[i]);
        assert_null(strstr(buf_text(&out), "Unknown"));
        buf_free(&out);
    }
}

static void test_a_long_error_is_cut_between_characters(void **state)
{
    struct http_reply reply = { 0 };
    char path[2000];
    json_t *answer;

    (void)state;
    for (size_t i = 0; i + 2 < sizeof path; i += 2)
        memcpy(path + i, "\xc3\xa4", 3);
    http_reply_error(&reply, 404, "at%s", path);
    answer = json_read(buf_bytes(&reply.body), reply.body.len, NULL);
    assert_non_null(answer); /* whatever was cut, it is JSON */
    json_decref(answer);
    buf_free(&reply.body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_a_wrong_method_is_told_the_right_ones),
        cmocka_unit_test(test_content_that_is_not_json),
        cmocka_unit_test(test_keep_or_close),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_a_refused_head_request_gets_no_body),
        cmocka_unit_test(test_every_status_has_its_reason),
        cmocka_unit_test(test_a_long_error_is_cut_between_characters),
        cmocka_unit_test(test_keep_is_said_to_http_1_0),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
