#include "shared/dns/xml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const char *const zones =
    "<?xml version=\"1.0\"?>\n"
    "<ListHostedZonesByNameResponse xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\">"
    "<HostedZones><HostedZone><Id>/hostedzone/Z111</Id><Name>example.org.</Name>"
    "<Config><Comment>one &amp; &#x3c;two&#62;</Comment><PrivateZone>false</PrivateZone></Config></HostedZone>"
    "<HostedZone><Id>/hostedzone/Z222</Id></HostedZone></HostedZones><Empty a='>'/></ListHostedZonesByNameResponse>\n";

static void test_a_document(void **state)
{
    struct err e = { 0 };
    json_t *root = xml_read(str_of(zones), &e);
    const json_t *answer = xml_child(root, "ListHostedZonesByNameResponse");
    const json_t *list = json_object_get(xml_child(answer, "HostedZones"), "HostedZone");

    (void)state;
    assert_int_equal(json_array_size(list), 2);
    assert_string_equal(xml_text(json_array_get(list, 0), "Id"), "/hostedzone/Z111");
    assert_string_equal(xml_text(xml_child(json_array_get(list, 0), "Config"), "Comment"), "one & <two>");
    assert_string_equal(xml_text(json_array_get(list, 1), "Id"), "/hostedzone/Z222");
    assert_string_equal(xml_text(json_array_get(list, 1), "Name"), "");
    assert_string_equal(xml_text(answer, "Empty"), "");
    assert_null(xml_child(answer, "None"));
    json_decref(root);
}

/* Cut anywhere, it is no document: never half an answer. */
static void test_every_part_of_it(void **state)
{
    size_t whole = strlen(zones) - 1;

    (void)state;
    for (size_t n = 0; n < whole; n++) {
        char *cut = malloc(n + 1); /* so that a read too far is seen */
        struct err e = { 0 };

        memcpy(cut, zones, n);
        assert_null(xml_read((struct str){ cut, n }, &e));
        assert_true(e.text[0]);
        free(cut);
    }
}

static void test_texts(void **state)
{
    static const struct {
        const char *document, *text; /* NULL: refused */
    } rows[] = {
        { "<a>x</a>", "x" },
        { "\xef\xbb\xbf<a>x</a>", "x" },
        { " <!-- c --> <a> x y </a> <!-- d -->\n", " x y " },
        { "<n:a n:b=\"c\">x</n:a>", "x" },
        { "<a />", "" },
        { "<a><![CDATA[<b>&amp;]]></a>", "<b>&amp;" },
        { "<a>&lt;&gt;&amp;&quot;&apos;</a>", "<>&\"'" },
        { "<a>&#233;&#x20AC;&#x1F600;</a>", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80" },
        { "<a>x</a >", "x" },
        { "", NULL },
        { "x", NULL },
        { "<a>", NULL },
        { "<a>x</b>", NULL },
        { "<a>x</a><b/>", NULL },
        { "<a>x</a>y", NULL },
        { "</a>", NULL },
        { "<!DOCTYPE html><html></html>", NULL },
        { "<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>", NULL },
        { "<a>&b;</a>", NULL },
        { "<a>&#0;</a>", NULL },
        { "<a>&#xD800;</a>", NULL },
        { "<a>&#x110000;</a>", NULL },
        { "<a>&#99999999;</a>", NULL },
        { "<a>&#;</a>", NULL },
        { "<a>&amp</a>", NULL },
        { "<a>\xff</a>", NULL },
        { "<a <b/>", NULL },
        { "< a/>", NULL },
        { "<![CDATA[x]]>", NULL },
        { "{\"a\": 1}", NULL },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct err e = { 0 };
        json_t *root = xml_read(str_of(rows[i].document), &e);

        if (!rows[i].text != !root)
            fail_msg("%s: %s", rows[i].document, e.text);
        if (root)
            assert_string_equal(xml_text(root, "a"), rows[i].text);
        json_decref(root);
    }
}

static void test_too_deep(void **state)
{
    struct err e = { 0 };
    struct buf text = { 0 };

    (void)state;
    for (int i = 0; i < XML_DEPTH; i++)
        buf_add_text(&text, "<a>");
    for (int i = 0; i < XML_DEPTH; i++)
        buf_add_text(&text, "</a>");
    {
        json_t *root = xml_read(str_of(buf_text(&text)), &e);

        assert_non_null(root);
        json_decref(root);
    }
    buf_free(&text);
    for (int i = 0; i <= XML_DEPTH; i++)
        buf_add_text(&text, "<a>");
    assert_null(xml_read(str_of(buf_text(&text)), &e));
    assert_non_null(strstr(e.text, "too many"));
    buf_free(&text);
}

static void test_written_and_read(void **state)
{
    struct buf out = { 0 };
    struct err e = { 0 };
    json_t *root;

    (void)state;
    buf_add_text(&out, "<a>");
    xml_escape(&out, "\"<x> & y\"");
    buf_add_text(&out, "</a>");
    assert_string_equal(buf_text(&out), "<a>&quot;&lt;x&gt; &amp; y&quot;</a>");
    root = xml_read(str_of(buf_text(&out)), &e);
    assert_string_equal(xml_text(root, "a"), "\"<x> & y\"");
    json_decref(root);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_document),
        cmocka_unit_test(test_every_part_of_it),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_too_deep),
        cmocka_unit_test(test_written_and_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
