#include "shared/page/page.h"

#include "shared/json.h"
#include "shared/page/asset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define EVIL "</b><img src=x onerror=alert(1)>\\\"'&\\u001b[31m\\r\\n\\u202e"

static json_t *read(const char *text)
{
    json_t *status = json_loads(text, 0, NULL);

    assert_non_null(status);
    return status;
}

static void make(struct page *page, const json_t *status)
{
    static struct history none;

    page_make(page, status, &none, "");
}

static const char *part(struct page *page, enum page_part which)
{
    return buf_text(&page->parts[which]);
}

#define assert_has(text, word)                         \
    do {                                               \
        if (!strstr(text, word))                       \
            fail_msg("not there: %s\n%s", word, text); \
    } while (0)

static const char relay[] =
    "{\"role\":\"relay\",\"name\":\"fra1\",\"version\":\"1.2\",\"uptime_s\":95,"
    "\"listeners\":[{\"listen\":\":443\",\"kind\":\"https\",\"state\":\"up\"}],"
    "\"lanes\":[{\"agent\":\"pi\",\"lane\":7,\"state\":\"up\",\"rtt_ms\":12,\"streams\":3,\"bytes_in\":2345678,\"bytes_out\":9},"
    "{\"agent\":\"old\",\"lane\":5,\"state\":\"dead\",\"last_error\":\"gone\"}],"
    "\"domains\":[{\"name\":\"good.test\",\"state\":\"up\",\"agents\":[\"pi\",\"pa\"],\"requests\":41,\"errors\":1,"
    "\"cert\":{\"state\":\"valid\",\"issuer\":\"acme\",\"not_after\":\"2099-01-01T00:00:00Z\",\"next_attempt\":\"2098-01-01T00:00:00Z\"}},"
    "{\"name\":\"fixed.test\",\"state\":\"up\",\"agents\":[],\"upstream\":\"127.0.0.1:1337\",\"cert\":null,\"certs\":[{\"name\":\"alias.test\",\"state\":\"failing\",\"issuer\":\"other\"}]},"
    "{\"name\":\"bad.test\",\"state\":\"down\",\"agents\":[\"old\"],\"cert\":{\"state\":\"expired\",\"not_after\":\"2020-01-01T00:00:00Z\"}}],"
    "\"tcp\":[{\"name\":\"ssh\",\"listen\":\":2200\",\"state\":\"up\",\"agent\":\"pi\",\"connections\":2}]}";

static void test_of_a_relay(void **state)
{
    json_t *status = read(relay);
    struct page page;
    const char *text;

    (void)state;
    make(&page, status);
    assert_string_equal(page.title, "(3) fra1 \xc2\xb7 tunnel-relay");
    assert_string_equal(buf_text(&page.heading), "fra1 <small>tunnel-relay 1.2</small>");
    assert_has(part(&page, PAGE_HEAD), "up 1m 35s");
    assert_string_equal(part(&page, PAGE_SUM), "<b class=bad>3 things to be seen to</b>");
    text = part(&page, PAGE_WRONG);
    assert_has(text, "<li><b>bad.test</b>: down: no lane of agent old is up");
    assert_has(text, "<li><b>old</b>: gone");
    text = part(&page, PAGE_LANES);
    assert_true(strstr(text, "old") < strstr(text, ">pi<")); /* the worst first */
    assert_has(text, "<tr><th scope=row>pi<td data-l=\"Lane\">7<td data-l=\"State\"><b class=ok>up</b>");
    assert_has(text,
               "12 ms<td data-l=\"Streams\">3<td data-l=\"From house\">2.3 MB<td data-l=\"To house\">9 B");
    text = part(&page, PAGE_DOMAINS);
    assert_true(strstr(text, "bad.test") < strstr(text, "good.test"));
    assert_has(text, "<b class=bad>down</b>");
    assert_has(text, "pi pa<td data-l=\"Requests\">41<td data-l=\"Errors\">1");
    assert_has(text, "127.0.0.1:1337");
    text = part(&page, PAGE_CERTS);
    assert_true(strstr(text, "bad.test") < strstr(text, "good.test"));
    assert_null(strstr(text, "fixed.test")); /* the service has it */
    assert_has(text, "alias.test<td data-l=\"State\"><b class=bad>failing</b><td data-l=\"Issued by\">other");
    assert_has(text,
               "<b class=ok>valid</b><td data-l=\"Issued by\">acme<td data-l=\"Good until\">2099-01-01, ");
    assert_has(part(&page, PAGE_DNS), "tunnelctl dns");
    assert_has(part(&page, PAGE_PORTS), "<tr><th scope=row>ssh<td data-l=\"Listens at\">:2200");
    assert_string_equal(part(&page, PAGE_NOTICES), "");
    page_free(&page);
    json_decref(status);
}

static const char agent[] =
    "{\"role\":\"agent\",\"name\":\"pi\",\"version\":\"1.2\",\"public\":{\"v4\":\"203.0.113.9\",\"v6\":null},"
    "\"relays\":[{\"name\":\"fra1\",\"port\":22,\"lanes\":[{\"lane\":0,\"state\":\"up\",\"port\":22}]}],"
    "\"domains\":[{\"name\":\"a.test\",\"mode\":\"tunnel\",\"service\":\"http://127.0.0.1:80\",\"service_state\":\"ok\","
    "\"routes\":[{\"path\":\"/api\",\"service\":\"http://127.0.0.1:81\",\"service_state\":\"ok\"}],"
    "\"dns\":{\"provider\":\"cf\",\"records\":[{\"name\":\"a.test\",\"type\":\"A\",\"state\":\"ok\",\"wanted\":[\"192.0.2.1\",\"192.0.2.2\"],"
    "\"public\":[\"192.0.2.1\"]},{\"name\":\"a.test\",\"type\":\"AAAA\",\"state\":\"failed\",\"last_error\":\"no\"}]},"
    "\"certs\":[{\"relay\":\"fra1\",\"state\":\"valid\",\"not_after\":\"2099-01-01T00:00:00Z\",\"since\":\"2020-01-01T00:00:00Z\"}]}],"
    "\"notices\":[{\"relay\":\"fra1\",\"text\":\"hello\",\"at\":\"2020-01-01T00:00:00Z\"}]}";

static void test_of_an_agent(void **state)
{
    json_t *status = read(agent);
    struct page page;
    const char *text;

    (void)state;
    make(&page, status);
    assert_string_equal(part(&page, PAGE_SUM), "<b class=bad>1 thing to be seen to</b>");
    assert_has(part(&page, PAGE_LANES), "<tr><th scope=row>fra1<td data-l=\"Lane\">0");
    text = part(&page, PAGE_DOMAINS);
    assert_has(text, "a.test/api");
    assert_has(text, "<b class=bad>failed</b>");
    assert_has(text, "<b class=ok>valid, ");
    text = part(&page, PAGE_DNS);
    assert_has(text, "own address: 203.0.113.9, no IPv6 one known");
    assert_true(strstr(text, "a.test AAAA") < strstr(text, "a.test A<"));
    assert_has(text, "192.0.2.1 192.0.2.2<td data-l=\"The public sees\">192.0.2.1<");
    assert_has(part(&page, PAGE_CERTS), "<td data-l=\"At relay\">fra1<td data-l=\"Good until\">2099-01-01, ");
    assert_has(part(&page, PAGE_NOTICES), "<li><b>fra1</b>: hello (");
    assert_string_equal(part(&page, PAGE_PORTS), "");
    page_free(&page);
    json_decref(status);
}

static void test_how_it_is_as_a_whole(void **state)
{
    static struct history none;
    json_t *well = read("{\"role\":\"relay\",\"name\":\"r\",\"domains\":[],\"lanes\":[]}");
    json_t *odd = read("{\"role\":\"relay\",\"name\":\"r\",\"tcp\":[{\"name\":\"t\",\"state\":\"later\"}]}");
    struct page page;

    (void)state;
    make(&page, well);
    assert_string_equal(part(&page, PAGE_SUM), "<b class=ok>All is well</b>");
    assert_string_equal(part(&page, PAGE_WRONG), "");
    assert_string_equal(page.title, "r \xc2\xb7 tunnel-relay");
    page_free(&page);
    page_make(&page, well, &none, "stopping");
    assert_string_equal(part(&page, PAGE_SUM), "<b class=bad>1 thing to be seen to</b>");
    assert_has(part(&page, PAGE_WRONG), "<li><b>not ready</b>: stopping");
    page_free(&page);
    make(&page, odd); /* a state of a later version: nobody says why */
    assert_string_equal(part(&page, PAGE_SUM), "<b class=bad>Not all is well: see below</b>");
    assert_string_equal(page.title, "(!) r \xc2\xb7 tunnel-relay");
    page_free(&page);
    json_decref(well);
    json_decref(odd);
}

/* ---- text of others ---- */

static const char *const evil[] = {
    "{\"role\":\"relay\",\"name\":\"" EVIL "\",\"version\":\"" EVIL "\",\"listeners\":[{\"listen\":\"" EVIL
    "\",\"kind\":\"" EVIL "\",\"state\":\"" EVIL "\",\"last_error\":\"" EVIL
    "\"}],\"lanes\":[{\"agent\":\"" EVIL "\",\"lane\":\"" EVIL "\",\"state\":\"" EVIL "\",\"since\":\"" EVIL
    "\",\"last_error\":\"" EVIL "\"}],\"domains\":[{\"name\":\"" EVIL "\",\"state\":\"" EVIL
    "\",\"agents\":[\"" EVIL "\",7],\"upstream\":\"" EVIL "\",\"last_error\":\"" EVIL
    "\",\"cert\":{\"state\":\"" EVIL "\",\"issuer\":\"" EVIL "\",\"not_after\":\"" EVIL
    "\",\"next_attempt\":\"" EVIL "\",\"last_error\":\"" EVIL "\"}}],\"tcp\":[{\"name\":\"" EVIL
    "\",\"listen\":\"" EVIL "\",\"state\":\"" EVIL "\",\"agent\":\"" EVIL "\",\"why\":\"" EVIL "\"}]}",
    "{\"role\":\"agent\",\"name\":\"" EVIL "\",\"public\":{\"v4\":\"" EVIL "\",\"v6\":\"" EVIL
    "\"},\"relays\":[{\"name\":\"" EVIL "\",\"protocol\":\"plain\",\"service\":\"" EVIL
    "\",\"service_state\":\"" EVIL "\",\"lanes\":[{\"state\":\"" EVIL "\"}]}],\"domains\":[{\"name\":\"" EVIL
    "\",\"mode\":\"" EVIL "\",\"service\":\"" EVIL "\",\"service_state\":\"" EVIL
    "\",\"service_detail\":\"" EVIL "\",\"routes\":[{\"path\":\"" EVIL "\",\"service\":\"" EVIL
    "\"}],\"dns\":{\"provider\":\"" EVIL "\",\"records\":[{\"name\":\"" EVIL "\",\"type\":\"" EVIL
    "\",\"state\":\"" EVIL "\",\"wanted\":[\"" EVIL "\"],\"public\":[\"" EVIL "\"],\"next_check\":\"" EVIL
    "\",\"last_error\":\"" EVIL "\"}]},\"certs\":[{\"relay\":\"" EVIL "\",\"state\":\"" EVIL
    "\",\"not_after\":\"" EVIL "\",\"since\":\"" EVIL "\"}]}],\"notices\":[{\"relay\":\"" EVIL
    "\",\"text\":\"" EVIL "\",\"at\":\"" EVIL "\"}]}",
    "{}",
    "{\"role\":7,\"lanes\":7,\"domains\":{\"a\":1},\"tcp\":[7,null],\"relays\":[[]],\"listeners\":[null],\"notices\":[1]}",
};

/* No tag but ours, no quote that ends an attribute, and no control character. */
static void assert_harmless(const char *text)
{
    static const char *const tags[] = { "p",          "section", "h1",       "h2",     "ul",    "li",
                                        "b",          "code",    "time",     "table",  "thead", "tr",
                                        "th",         "td",      "small",    "figure", "span",  "svg",
                                        "figcaption", "path",    "polyline", "tbody" };

    for (; *text; text++) {
        size_t n, i;

        assert_true((unsigned char)*text >= 0x20);
        assert_true(strncmp(text, "\xe2\x80\xae", 3) != 0);
        if (*text != '<')
            continue;
        text += text[1] == '/' ? 2 : 1;
        n = strcspn(text, " >");
        for (i = 0; i < sizeof tags / sizeof *tags; i++)
            if (strlen(tags[i]) == n && strncmp(tags[i], text, n) == 0)
                break;
        if (i == sizeof tags / sizeof *tags)
            fail_msg("a tag that is not ours: <%.30s", text);
    }
}

static void test_text_of_others(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof evil / sizeof *evil; i++) {
        json_t *status = read(evil[i]);
        struct buf out = { 0 };
        struct page page;

        make(&page, status);
        for (size_t j = 0; j < PAGE_PARTS; j++)
            assert_harmless(part(&page, (enum page_part)j));
        assert_harmless(buf_text(&page.heading));
        page_whole(&out, &page);
        assert_null(strstr(buf_text(&out), "<img"));
        assert_null(strstr(buf_text(&out), "\x1b"));
        buf_free(&out);
        page_free(&page);
        json_decref(status);
    }
}

/* ---- how much ---- */

static const char *long_text(void)
{
    static char text[2001];

    memset(text, '"', sizeof text - 1);
    return text;
}

static json_t *crowd(size_t n, const char *name, bool is_relay)
{
    json_t *status =
        json_pack("{s:s, s:s, s:s}", "role", is_relay ? "relay" : "agent", "name", name, "version", name);
    json_t *lanes = json_array(), *domains = json_array(), *tcp = json_array(), *notices = json_array();

    for (size_t i = 0; i < n; i++) {
        json_array_append_new(lanes,
                              json_pack("{s:s, s:I, s:s, s:s, s:I}", "agent", name, "lane", (json_int_t)i,
                                        "state", "dead", "last_error", name, "bytes_in", INT64_MAX));
        json_array_append_new(
            domains,
            json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:{s:s, s:s, s:s}, s:{s:s, s:[{s:s, s:s, s:s, s:s}]}, "
                      "s:[{s:s, s:s, s:s}]}",
                      "name", name, "state", "down", "service", name, "service_state", "refused",
                      "service_detail", name, "requests", INT64_MAX, "cert", "state", "failing", "issuer",
                      name, "last_error", name, "dns", "provider", name, "records", "name", name, "type", "A",
                      "state", "failed", "last_error", name, "certs", "relay", name, "state", "failing",
                      "last_error", name));
        json_array_append_new(tcp, json_pack("{s:s, s:s, s:s, s:s}", "name", name, "listen", name, "state",
                                             "refused", "why", name));
        json_array_append_new(notices, json_pack("{s:s, s:s}", "relay", name, "text", name));
    }
    json_object_set_new(status, "domains", domains);
    json_object_set_new(status, "tcp", tcp);
    json_object_set_new(status, "notices", notices);
    if (is_relay)
        json_object_set_new(status, "lanes", lanes);
    else
        json_object_set_new(status, "relays",
                            json_pack("[{s:s, s:s, s:s, s:s, s:o}]", "name", name, "protocol", "plain",
                                      "service", name, "service_state", name, "lanes", lanes));
    return status;
}

static void test_never_more_than_60_kb(void **state)
{
    static const size_t sizes[] = { 1, 40, 1000 };
    const char *const names[] = { "a.test", "a-rather-long-name.of-a-site-that-somebody-has.example.net",
                                  long_text() };
    struct history full = { 0 };
    struct history_totals totals = { 0 };

    (void)state;
    for (int i = 0; i < 200; i++) {
        totals.bytes_out = totals.bytes_in += (uint64_t)i * i * 1000000;
        history_note(&full, &totals, 1 + 5000 * i);
    }
    for (size_t i = 0; i < 3 * 3 * 2; i++) {
        json_t *status = crowd(sizes[i % 3], names[i / 3 % 3], i < 9);
        struct buf out = { 0 };
        struct page page;

        page_make(&page, status, &full, "not ready");
        page_whole(&out, &page);
        if (out.len >= PAGE_BYTES)
            fail_msg("%zu of %.10s: %zu bytes", sizes[i % 3], names[i / 3 % 3], out.len);
        if (sizes[i % 3] == 1000) {
            assert_has(part(&page, PAGE_DOMAINS), "<code>tunnelctl status</code>");
            assert_has(part(&page, PAGE_WRONG), "<code>tunnelctl status</code>");
        }
        buf_free(&out);
        page_free(&page);
        json_decref(status);
    }
}

/* ---- what changes ---- */

static json_t *event_of(const struct page *page, const struct page *before)
{
    struct buf out = { 0 };
    json_t *event;

    page_event(&out, page, before);
    assert_true(strncmp(buf_text(&out), "data: {", 7) == 0);
    assert_int_equal(buf_count(&out, '\n'), 2); /* of one line, then an empty one */
    assert_string_equal(buf_text(&out) + out.len - 2, "\n\n");
    event = json_loads(buf_text(&out) + 6, 0, NULL);
    assert_non_null(event);
    buf_free(&out);
    return event;
}

static void test_events(void **state)
{
    json_t *status = read(relay), *event;
    struct page page, later;

    (void)state;
    make(&page, status);
    event = event_of(&page, NULL);
    assert_int_equal(json_object_size(json_object_get(event, "parts")), PAGE_PARTS);
    json_decref(event);
    json_object_set_new(json_array_get(json_object_get(status, "domains"), 0), "requests", json_integer(42));
    make(&later, status);
    event = event_of(&later, &page);
    assert_non_null(json_object_get(json_object_get(event, "parts"), "domains"));
    assert_null(json_object_get(json_object_get(event, "parts"), "lanes"));
    json_decref(event);
    event = event_of(&later, &later);
    assert_int_equal(json_object_size(json_object_get(event, "parts")), 0);
    json_decref(event);
    page_free(&page);
    page_free(&later);
    json_decref(status);
}

static void test_what_the_document_is_made_of(void **state)
{
    char fields[ASSET_FIELDS_BYTES];
    json_t *status = read("{\"role\":\"agent\",\"name\":\"a&b\"}");
    struct buf out = { 0 };
    struct page page;

    (void)state;
    make(&page, status);
    page_whole(&out, &page);
    assert_has(buf_text(&out), "<title>a&amp;b \xc2\xb7 tunnel-agent</title>");
    assert_null(memchr(asset_css().p, '<', asset_css().n)); /* nothing that would end its element */
    for (const char *at = asset_js().p; (at = memchr(at, '<', (size_t)(asset_js().p + asset_js().n - at)));
         at++)
        assert_true(at[1] != '/' && at[1] != '!');
    asset_fields(fields);
    assert_has(fields, "frame-ancestors 'none'\r\n");
    assert_string_equal(fields + strlen(fields) - strlen("same-origin\r\n"),
                        "same-origin\r\n"); /* not cut off */
    buf_free(&out);
    page_free(&page);
    json_decref(status);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_of_a_relay),
        cmocka_unit_test(test_of_an_agent),
        cmocka_unit_test(test_how_it_is_as_a_whole),
        cmocka_unit_test(test_text_of_others),
        cmocka_unit_test(test_never_more_than_60_kb),
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_what_the_document_is_made_of),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
