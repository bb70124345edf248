/* Every message written and read back; lines that are refused, and why. */
#include "shared/lane_msg.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define SECRET "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1eff"

static const char *const aliases[] = { "www.a.com", "b.com", "müsli.example" };
static const char *const publish[] = { "203.0.113.7", "2001:db8::7" };
static const struct lane_item items[] = { { "domain:a.com", aliases, 3, NULL },
                                          { "tcp:ssh", NULL, 0, NULL } };
static const struct lane_answer answers[] = { { "domain:a.com", true, "" },
                                              { "tcp:ssh", false, "\"nobody\" may" } };

/* One of each type, and the line it is. */
static const struct {
    struct lane_msg m;
    const char *line;
} rows[] = {
    { { .type = LANE_LANE, .v = 1, .lane = { "pi", "203.0.113.5 5000 10.0.0.1 22", 4242 } },
      "{\"type\":\"lane\",\"v\":1,\"agent\":\"pi\",\"ssh\":\"203.0.113.5 5000 10.0.0.1 22\",\"sshd_pid\":4242}" },
    { { .type = LANE_LANE, .v = 1, .lane = { "pi", NULL, 1 } },
      "{\"type\":\"lane\",\"v\":1,\"agent\":\"pi\",\"ssh\":\"\",\"sshd_pid\":1}" },
    { { .type = LANE_HELLO, .v = 1, .hello = { "b00t", 1, 40123, "0.1.0", "" } },
      "{\"type\":\"hello\",\"v\":1,\"boot\":\"b00t\",\"lane\":1,\"port\":40123,\"version\":\"0.1.0\"}" },
    { { .type = LANE_WELCOME,
        .v = 1,
        .welcome = { "fra1",
                     "fra1-7",
                     "203.0.113.5",
                     { 0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
                       16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 255 },
                     publish,
                     2,
                     5,
                     "2026-11-21T03:24:25Z" } },
      "{\"type\":\"welcome\",\"v\":1,\"relay\":\"fra1\",\"lane_id\":\"fra1-7\",\"secret\":\"" SECRET
      "\",\"seen_from\":\"203.0.113.5\",\"publish\":[\"203.0.113.7\",\"2001:db8::7\"],\"heartbeat_s\":5,"
      "\"time\":\"2026-11-21T03:24:25Z\"}" },
    { { .type = LANE_CLAIM, .claim = { 3, 1, true, items, 2 } },
      "{\"type\":\"claim\",\"serial\":3,\"part\":1,\"last\":true,\"items\":[{\"item\":\"domain:a.com\",\"aliases\":["
      "\"www.a.com\",\"b.com\",\"müsli.example\"]},{\"item\":\"tcp:ssh\",\"aliases\":[]}]}" },
    { { .type = LANE_CLAIM, .claim = { INT64_MAX, 2, false, NULL, 0 } },
      "{\"type\":\"claim\",\"serial\":9223372036854775807,\"part\":2,\"last\":false,\"items\":[]}" },
    { { .type = LANE_CLAIMED, .claimed = { 3, answers, 2 } },
      "{\"type\":\"claimed\",\"serial\":3,\"items\":[{\"item\":\"domain:a.com\",\"ok\":true,\"why\":\"\"},"
      "{\"item\":\"tcp:ssh\",\"ok\":false,\"why\":\"\\\"nobody\\\" may\"}]}" },
    { { .type = LANE_PING, .ping = { 0, 123456789, -1 } },
      "{\"type\":\"ping\",\"n\":0,\"t\":123456789,\"rtt_ms\":-1}" },
    { { .type = LANE_PONG, .ping = { 9, INT64_MAX, 23000 } },
      "{\"type\":\"pong\",\"n\":9,\"t\":9223372036854775807,\"rtt_ms\":23000}" },
    { { .type = LANE_ABORT, .abort = { 0xabc } }, "{\"type\":\"abort\",\"stream\":\"0000000000000abc\"}" },
    { { .type = LANE_ENDED, .ended = { UINT64_MAX, LANE_REFUSED, "Connection refused" } },
      "{\"type\":\"ended\",\"stream\":\"ffffffffffffffff\",\"how\":\"refused\",\"detail\":\"Connection refused\"}" },
    { { .type = LANE_ENDED, .ended = { 0, LANE_EOF, "" } },
      "{\"type\":\"ended\",\"stream\":\"0000000000000000\",\"how\":\"eof\",\"detail\":\"\"}" },
    { { .type = LANE_AWAY, .v = 1 }, "{\"type\":\"away\",\"v\":1}" },
    { { .type = LANE_RESYNC }, "{\"type\":\"resync\"}" },
    { { .type = LANE_GOODBYE, .why = { "duplicate" } }, "{\"type\":\"goodbye\",\"why\":\"duplicate\"}" },
    { { .type = LANE_ERROR, .v = 1, .why = { "größer" } },
      "{\"type\":\"error\",\"v\":1,\"why\":\"größer\"}" },
    { { .type = LANE_END }, "{\"type\":\"end\"}" },
    { { .type = LANE_LANE, .v = 1, .lane = { "", "", 1, "0123456789abcdef" } },
      "{\"type\":\"lane\",\"v\":1,\"enrol\":\"0123456789abcdef\",\"ssh\":\"\",\"sshd_pid\":1}" },
    { { .type = LANE_ENROL, .v = 1, .enrol = { "pi", "ssh-ed25519 AAAA" } },
      "{\"type\":\"enrol\",\"v\":1,\"name\":\"pi\",\"key\":\"ssh-ed25519 AAAA\"}" },
    { { .type = LANE_ENROLLED, .v = 1, .enrolled = { "pi", "fra1" } },
      "{\"type\":\"enrolled\",\"v\":1,\"name\":\"pi\",\"relay\":\"fra1\"}" },
    { { .type = LANE_CERT, .cert = { "domain:a.com", "failing", "2026-12-24T00:00:00Z", "no \"A\"" } },
      "{\"type\":\"cert\",\"item\":\"domain:a.com\",\"state\":\"failing\",\"not_after\":\"2026-12-24T00:00:00Z\","
      "\"why\":\"no \\\"A\\\"\"}" },
    { { .type = LANE_CERT, .cert = { "domain:a.com", "waiting", "", "" } },
      "{\"type\":\"cert\",\"item\":\"domain:a.com\",\"state\":\"waiting\",\"not_after\":\"\",\"why\":\"\"}" },
    { { .type = LANE_NOTICE, .notice = { "warn", "größer" } },
      "{\"type\":\"notice\",\"level\":\"warn\",\"text\":\"größer\"}" },
    { { .type = LANE_HELLO, .v = 1, .hello = { "b00t", 1, 40123, "0.1.0", "203.0.113.7" } },
      "{\"type\":\"hello\",\"v\":1,\"boot\":\"b00t\",\"lane\":1,\"port\":40123,\"version\":\"0.1.0\","
      "\"reached\":\"203.0.113.7\"}" },
};

/* The same of those that are answered: whoever asks chooses the id. */
static const char *const asked[] = {
    "{\"type\":\"txt\",\"id\":7,\"op\":\"set\",\"name\":\"_acme-challenge.a.com\",\"value\":\"x\"}",
    "{\"type\":\"txt\",\"id\":\"7\",\"op\":\"clear\",\"name\":\"_acme-challenge.a.com\",\"value\":\"x\"}",
    "{\"type\":\"txt_done\",\"id\":\"seven\",\"ok\":true,\"why\":\"\"}",
    "{\"type\":\"txt_done\",\"id\":0,\"ok\":false,\"why\":\"no \\\"provider\\\"\"}",
    "{\"type\":\"fetch\",\"id\":1,\"name\":\"a.com\",\"address\":\"192.0.2.1\",\"port\":80,\"path\":\"/x\"}",
    "{\"type\":\"fetched\",\"id\":1,\"ok\":true,\"why\":\"\",\"status\":200}",
    "{\"type\":\"fetched\",\"id\":1,\"ok\":false,\"why\":\"no IPv6\",\"status\":-1}",
    "{\"type\":\"challenge\",\"id\":2,\"name\":\"a.com\",\"token\":\"t\",\"answer\":\"t.u\",\"op\":\"set\",\"how\":\"http-01\"}",
    "{\"type\":\"challenge\",\"id\":2,\"name\":\"a.com\",\"token\":\"t\",\"answer\":\"t.u\",\"op\":\"clear\","
    "\"how\":\"tls-alpn-01\"}",
    "{\"type\":\"challenge_done\",\"id\":2,\"ok\":true,\"why\":\"\"}",
};

enum { ROWS = sizeof rows / sizeof *rows };

static struct lane_msg read_well(const char *line, size_t n)
{
    struct lane_msg m;
    struct err e = { 0 };

    if (lane_msg_read(&m, line, n, &e) != 0)
        fail_msg("%.*s: %s", (int)n, line, e.text);
    return m;
}

static void check_line(const struct lane_msg *m, const char *line)
{
    struct buf out = { 0 };

    lane_msg_write(&out, m);
    assert_int_equal(buf_bytes(&out)[out.len - 1], '\n');
    out.len--;
    assert_string_equal(buf_text(&out), line);
    buf_free(&out);
}

static void every_message_is_its_line(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS; i++) {
        struct lane_msg m = read_well(rows[i].line, strlen(rows[i].line));

        check_line(&rows[i].m, rows[i].line);
        assert_int_equal(m.type, rows[i].m.type);
        assert_int_equal(m.v, rows[i].m.v);
        check_line(&m, rows[i].line); /* the members are written only if they were read */
        lane_msg_free(&m);
    }
}

static void what_is_asked_comes_back_with_its_id(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        struct lane_msg m = read_well(asked[i], strlen(asked[i]));

        assert_int_not_equal(m.type, LANE_UNKNOWN);
        check_line(&m, asked[i]);
        lane_msg_free(&m);
    }
}

static void members_arrive_where_they_belong(void **state)
{
    struct lane_msg m = read_well(rows[3].line, strlen(rows[3].line));

    (void)state;
    assert_string_equal(m.welcome.relay, "fra1");
    assert_memory_equal(m.welcome.secret, rows[3].m.welcome.secret, sizeof m.welcome.secret);
    assert_int_equal(m.welcome.publish_n, 2);
    assert_string_equal(m.welcome.publish[1], "2001:db8::7");
    lane_msg_free(&m);

    m = read_well(rows[4].line, strlen(rows[4].line));
    assert_int_equal(m.claim.n, 2);
    assert_true(m.claim.last);
    assert_int_equal(m.claim.items[0].aliases_n, 3);
    assert_string_equal(m.claim.items[0].aliases[2], "müsli.example");
    assert_int_equal(m.claim.items[1].aliases_n, 0);
    lane_msg_free(&m);

    m = read_well(rows[10].line, strlen(rows[10].line));
    assert_true(m.ended.stream == UINT64_MAX && m.ended.how == LANE_REFUSED);
    lane_msg_free(&m);
}

static void later_versions_may_add(void **state)
{
    static const char types[] = "{\"type\":\"mood\",\"stream\":\"00\",\"total\":[1,{\"a\":null}]}";
    static const char members[] = "{\"type\":\"ping\",\"n\":1,\"t\":2,\"rtt_ms\":3,\"mood\":{\"good\":true}}";
    struct lane_msg m = read_well(types, sizeof types - 1);

    (void)state;
    assert_int_equal(m.type, LANE_UNKNOWN);
    lane_msg_free(&m);
    m = read_well(members, sizeof members - 1);
    assert_int_equal(m.ping.t, 2);
    lane_msg_free(&m);
}

/* ---- what is refused ---- */

#define HELLO(boot, lane, port) \
    "{\"type\":\"hello\",\"boot\":" boot ",\"lane\":" lane ",\"port\":" port ",\"version\":\"1\"}"
#define WELCOME(relay, secret, publish)                                                    \
    "{\"type\":\"welcome\",\"relay\":\"" relay "\",\"lane_id\":\"x\",\"secret\":\"" secret \
    "\",\"seen_from\":\"\",\"publish\":" publish ",\"heartbeat_s\":5,\"time\":\"now\"}"
#define CLAIM(items) "{\"type\":\"claim\",\"serial\":1,\"part\":1,\"last\":true,\"items\":" items "}"
#define ABORT(id)    "{\"type\":\"abort\",\"stream\":" id "}"

static const struct {
    const char *line, *why;
} refused[] = {
    { "", "not JSON" },
    { "ping", "not JSON" },
    { "[]", "not a JSON object" },
    { "{\"type\":\"end\"", "not JSON" },
    { "{\"type\":\"end\"} {}", "not JSON" },
    { "{\"type\":\"end\",\"type\":\"ping\"}", "not JSON" },
    { "{\"type\":\"\xff\"}", "not JSON" },
    { "{\"type\":\"a\\u0000\"}", "not JSON" },
    { "{\"type\":\"end\"}\r", "carriage return" },
    { "{\"type\":\n\"end\"}", "newline" },
    { "{}", "\"type\" is missing" },
    { "{\"type\":1}", "\"type\" is not text" },
    { "{\"type\":\"end\",\"v\":\"1\"}", "\"v\" is not a whole number" },
    { "{\"type\":\"end\",\"v\":0}", "\"v\" is not a whole number" },
    { "{\"type\":\"end\",\"v\":2}", "version 2 of the lane protocol" },
    { "{\"type\":\"lane\",\"agent\":\"pi\",\"ssh\":\"\"}", "\"sshd_pid\" is missing" },
    { "{\"type\":\"lane\",\"agent\":\"Pi\",\"ssh\":\"\",\"sshd_pid\":1}", "\"agent\": not a name" },
    { "{\"type\":\"lane\",\"agent\":\"\",\"ssh\":\"\",\"sshd_pid\":1}", "\"agent\": not a name" },
    { "{\"type\":\"lane\",\"agent\":\"pi\",\"ssh\":\"\",\"sshd_pid\":0}", "\"sshd_pid\" is not" },
    { HELLO("\"\"", "1", "2"), "\"boot\" is empty" },
    { HELLO("null", "1", "2"), "\"boot\" is not text" },
    { HELLO("\"a\\nb\"", "1", "2"), "\"boot\" holds what cannot be printed" },
    { HELLO("\"0123456789012345678901234567890123456789012345678901234567890123x\"", "1", "2"),
      "longer than 64" },
    { HELLO("\"a\"", "-1", "2"), "\"lane\" is not a whole number" },
    { HELLO("\"a\"", "1.0", "2"), "\"lane\" is not a whole number" },
    { HELLO("\"a\"", "1", "0"), "\"port\" is not a whole number from 1 to 65535" },
    { HELLO("\"a\"", "1", "65536"), "\"port\" is not a whole number from 1 to 65535" },
    { HELLO("\"a\"", "1", "99999999999999999999"), "not JSON" },
    { "{\"type\":\"txt\",\"id\":-1,\"op\":\"set\",\"name\":\"a\",\"value\":\"x\"}",
      "\"id\" is not a whole number" },
    { "{\"type\":\"txt\",\"id\":\"\",\"op\":\"set\",\"name\":\"a\",\"value\":\"x\"}", "\"id\" is empty" },
    { "{\"type\":\"txt\",\"id\":{},\"op\":\"set\",\"name\":\"a\",\"value\":\"x\"}", "\"id\" is not text" },
    { "{\"type\":\"txt\",\"op\":\"set\",\"name\":\"a\",\"value\":\"x\"}", "\"id\" is missing" },
    { "{\"type\":\"txt\",\"id\":1,\"op\":\"add\",\"name\":\"a\",\"value\":\"x\"}", "neither set nor clear" },
    { "{\"type\":\"fetch\",\"id\":1,\"name\":\"a\",\"address\":\"b\",\"port\":0,\"path\":\"/\"}",
      "\"port\" is not" },
    { "{\"type\":\"fetched\",\"id\":1,\"ok\":true,\"why\":\"\",\"status\":1000}", "\"status\" is not" },
    { "{\"type\":\"challenge\",\"id\":1,\"op\":\"set\",\"how\":\"dns-01\"}", "none of its words" },
    { "{\"type\":\"challenge_done\",\"id\":1,\"ok\":1,\"why\":\"\"}", "\"ok\" is neither true nor false" },
    { WELCOME("fra 1", SECRET, "[]"), "\"relay\": not a name" },
    { WELCOME("fra1", "00", "[]"), "\"secret\" is not 64 lower-case hex digits" },
    { WELCOME("fra1", SECRET "00", "[]"), "\"secret\" is longer" },
    { WELCOME("fra1", "0000000000000000000000000000000000000000000000000000000000000ABC", "[]"),
      "lower-case" },
    { WELCOME("fra1", SECRET, "[1]"), "\"publish\" is not a list of texts" },
    { WELCOME("fra1", SECRET, "{}"), "\"publish\" is not a list" },
    { WELCOME("fra1", SECRET, "[\"relay.example.net\"]"), "which is no IP address" },
    { CLAIM("{}"), "\"items\" is not a list" },
    { CLAIM("[1]"), "item 1 of a claim: member \"item\" is missing" },
    { CLAIM("[{\"item\":\"\",\"aliases\":[]}]"), "\"item\" is empty" },
    { CLAIM("[{\"item\":\"domain:a.com\"}]"), "\"aliases\" is missing" },
    { CLAIM("[{\"item\":\"domain:a.com\",\"aliases\":[\"\"]}]"), "\"aliases\" is empty" },
    { CLAIM("[{\"item\":\"domain:a.com\",\"aliases\":[\"\\u0085\"]}]"), "cannot be printed" },
    { "{\"type\":\"claim\",\"serial\":0,\"part\":1,\"last\":true,\"items\":[]}", "\"serial\" is not" },
    { "{\"type\":\"claim\",\"serial\":1,\"part\":1,\"last\":1,\"items\":[]}",
      "\"last\" is neither true nor false" },
    { "{\"type\":\"claimed\",\"serial\":1,\"items\":[{\"item\":\"tcp:a\",\"ok\":true}]}",
      "\"why\" is missing" },
    { "{\"type\":\"ping\",\"n\":1,\"t\":-1,\"rtt_ms\":0}", "\"t\" is not a whole number" },
    { "{\"type\":\"pong\",\"n\":1,\"t\":1,\"rtt_ms\":-2}", "pong: member \"rtt_ms\" is not" },
    { ABORT("7"), "\"stream\" is not text" },
    { ABORT("\"0000000000000ABC\""), "\"stream\" is not 16 lower-case hex digits" },
    { ABORT("\"000000000000abc\""), "\"stream\" is not 16 lower-case hex digits" },
    { ABORT("\"00000000000000abc\""), "\"stream\" is longer" },
    { "{\"type\":\"ended\",\"stream\":\"0000000000000abc\",\"how\":\"closed\",\"detail\":\"\"}",
      "\"how\" is \"closed\"" },
    { "{\"type\":\"goodbye\"}", "\"why\" is missing" },
};

static void wrong_lines_are_refused_with_the_reason(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        struct lane_msg m;
        struct err e = { 0 };

        if (lane_msg_read(&m, refused[i].line, strlen(refused[i].line), &e) != -1)
            fail_msg("taken: %s", refused[i].line);
        if (!strstr(e.text, refused[i].why))
            fail_msg("%s: refused with: %s", refused[i].line, e.text);
        lane_msg_free(&m);
    }
}

static void nul_bytes_are_refused(void **state)
{
    struct lane_msg m;
    struct err e = { 0 };

    (void)state;
    assert_int_equal(lane_msg_read(&m, "{\"type\":\"end\"}\0", 15, &e), -1);
    lane_msg_free(&m);
    assert_int_equal(lane_msg_read(&m, "{\"type\":\"e\0d\"}", 14, &e), -1);
    lane_msg_free(&m);
}

/* Old tunnel-lane processes obey a later relay's `end`. */
static void the_type_is_known_of_a_line_with_wrong_members(void **state)
{
    static const char end[] = "{\"type\":\"end\",\"v\":2}", lane[] = "{\"type\":\"lane\"}";
    struct lane_msg m;
    struct err e = { 0 };

    (void)state;
    assert_int_equal(lane_msg_read(&m, end, sizeof end - 1, &e), -1);
    assert_int_equal(m.type, LANE_END);
    assert_int_equal(m.v, 2);
    lane_msg_free(&m);
    assert_int_equal(lane_msg_read(&m, lane, sizeof lane - 1, &e), -1);
    assert_int_equal(m.type, LANE_LANE);
    lane_msg_free(&m);
}

static void add_list(struct buf *line, const char *one, int n)
{
    for (int i = 0; i < n; i++)
        buf_printf(line, "%s%s", i ? "," : "", one);
}

static int read_rc(struct buf *line)
{
    struct lane_msg m;
    struct err e = { 0 };
    int rc = lane_msg_read(&m, buf_bytes(line), line->len, &e);

    lane_msg_free(&m);
    buf_free(line);
    return rc;
}

static struct buf claim_of(const char *alias, int aliases_n, int items_n)
{
    struct buf item = { 0 }, line = { 0 };

    buf_add_text(&item, "{\"item\":\"tcp:a\",\"aliases\":[");
    add_list(&item, alias, aliases_n);
    buf_add_text(&item, "]}");
    buf_add_text(&line, "{\"type\":\"claim\",\"serial\":1,\"part\":1,\"last\":true,\"items\":[");
    add_list(&line, buf_text(&item), items_n);
    buf_add_text(&line, "]}");
    buf_free(&item);
    return line;
}

static void lists_are_bounded(void **state)
{
    struct buf line = claim_of("\"b\"", LANE_ALIASES, 1);

    (void)state;
    assert_int_equal(read_rc(&line), 0);
    line = claim_of("\"b\"", LANE_ALIASES + 1, 1);
    assert_int_equal(read_rc(&line), -1);
    line = claim_of("\"b\"", 0, LANE_ITEMS);
    assert_int_equal(read_rc(&line), 0);
    line = claim_of("\"b\"", 0, LANE_ITEMS + 1);
    assert_int_equal(read_rc(&line), -1);
    line = claim_of("\"b\"", LANE_ALIASES, 140); /* as much as a line can hold */
    assert_int_equal(read_rc(&line), 0);
}

static void a_line_of_64k_is_read_and_no_longer_one(void **state)
{
    struct buf line = { 0 };

    (void)state;
    for (size_t n = LANE_LINE_BYTES; n <= LANE_LINE_BYTES + 1; n++) {
        buf_add_text(&line, "{\"type\":\"end\"");
        while (line.len < n - 1)
            buf_add(&line, " ", 1);
        buf_add_text(&line, "}");
        assert_int_equal(read_rc(&line), n > LANE_LINE_BYTES ? -1 : 0);
    }
}

/* ---- texts for people ---- */

static void check_why(const char *written, const char *wanted)
{
    struct lane_msg m = { .type = LANE_ERROR, .why = { written } };
    struct buf line = { 0 };

    lane_msg_write(&line, &m);
    m = read_well(buf_bytes(&line), line.len - 1);
    assert_string_equal(m.why.why, wanted);
    lane_msg_free(&m);
    buf_free(&line);
}

static void texts_for_people_are_made_showable(void **state)
{
    static const char line[] = "{\"type\":\"error\",\"why\":\"a\\r\\nb\\u001b[0m \\u0085 \\u00fc\"}";
    char filled[LANE_TEXT_BYTES + 8], cut[LANE_TEXT_BYTES + 1];
    struct lane_msg m = read_well(line, sizeof line - 1);

    (void)state;
    assert_string_equal(m.why.why, "a??b?[0m ? ü");
    lane_msg_free(&m);

    check_why(NULL, "");
    check_why("tab\tand \xff and \xc3", "tab?and ? and ?");
    memset(filled, 'x', sizeof filled);
    strcpy(filled + LANE_TEXT_BYTES - 1, "ü");
    memset(cut, 'x', sizeof cut);
    cut[LANE_TEXT_BYTES - 1] = 0; /* a character is never halved */
    check_why(filled, cut);
    cut[LANE_TEXT_BYTES - 1] = 'y';
    cut[LANE_TEXT_BYTES] = 0;
    check_why(cut, cut);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_is_its_line),
        cmocka_unit_test(what_is_asked_comes_back_with_its_id),
        cmocka_unit_test(members_arrive_where_they_belong),
        cmocka_unit_test(later_versions_may_add),
        cmocka_unit_test(wrong_lines_are_refused_with_the_reason),
        cmocka_unit_test(nul_bytes_are_refused),
        cmocka_unit_test(the_type_is_known_of_a_line_with_wrong_members),
        cmocka_unit_test(lists_are_bounded),
        cmocka_unit_test(a_line_of_64k_is_read_and_no_longer_one),
        cmocka_unit_test(texts_for_people_are_made_showable),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
