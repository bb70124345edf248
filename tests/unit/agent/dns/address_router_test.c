#include "agent/dns/address_igd.h"
#include "agent/dns/address_natpmp.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define ANSWER                                              \
    "HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\nST: " \
    "urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\nUSN: uuid:x\r\nSERVER: Debian/12\r\n"

static void test_ssdp(void **state)
{
    static const struct {
        const char *packet, *url; /* url NULL: refused */
    } cases[] = {
        { ANSWER "LOCATION: http://192.168.1.1:5000/rootDesc.xml\r\n\r\n",
          "http://192.168.1.1:5000/rootDesc.xml" },
        { ANSWER "location:http://192.168.1.1/x\r\n\r\n", "http://192.168.1.1/x" },
        { ANSWER "LOCATION: http://192.168.1.11/x\r\n\r\n", NULL },
        { ANSWER "LOCATION: http://192.168.1.1@evil.test/x\r\n\r\n", NULL },
        { ANSWER "LOCATION: http://192.168.1.1:80@evil.test/x\r\n\r\n", NULL },
        { ANSWER "LOCATION: http://evil.test/x\r\n\r\n", NULL },
        { ANSWER "LOCATION: https://192.168.1.1/x\r\n\r\n", NULL },
        { ANSWER "LOCATION: http://192.168.1.1/a b\r\n\r\n", NULL },
        { ANSWER "\r\n", NULL },
        { "HTTP/1.1 200 OK\r\nST: upnp:rootdevice\r\nLOCATION: http://192.168.1.1/x\r\n\r\n", NULL },
        { "NOTIFY * HTTP/1.1\r\nLOCATION: http://192.168.1.1/x\r\n\r\n", NULL },
        { "", NULL },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char url[IGD_URL_BYTES] = "";
        struct err e = { 0 };
        int rc = igd_location(str_of(cases[i].packet), "192.168.1.1", url, &e);

        if ((rc == 0) != (cases[i].url != NULL) || (rc == 0 && strcmp(url, cases[i].url) != 0))
            fail_msg("case %zu: %d %s %s", i, rc, url, e.text);
    }
}

#define SERVICE(type, url)                                                                 \
    "<service><serviceType>" type "</serviceType><serviceId>x</serviceId><controlURL>" url \
    "</controlURL></service>"
#define OTHER SERVICE("urn:schemas-upnp-org:service:WANCommonInterfaceConfig:1", "/other")
#define WAN   "urn:schemas-upnp-org:service:WANIPConnection:1"

static void test_descriptions(void **state)
{
    static const struct {
        const char *xml, *url;
    } cases[] = {
        { "<root>" OTHER SERVICE(WAN, "/ctl/IPConn") "</root>", "http://192.168.1.1:5000/ctl/IPConn" },
        { SERVICE("urn:schemas-upnp-org:service:WANPPPConnection:1", "ctl"), "http://192.168.1.1:5000/ctl" },
        { SERVICE(WAN, "http://192.168.1.1:49000/ctl"), "http://192.168.1.1:49000/ctl" },
        { "<service><controlURL>/first</controlURL><serviceType>" WAN "</serviceType></service>",
          "http://192.168.1.1:5000/first" },
        { SERVICE(" " WAN "\r\n", "\t/c "), "http://192.168.1.1:5000/c" },
        { SERVICE(WAN, "http://evil.test/ctl"), NULL },
        { SERVICE(WAN, "http://192.168.1.1.evil.test/ctl"), NULL },
        { SERVICE(WAN, ""), NULL },
        { SERVICE(WAN, "/a b"), NULL },
        { OTHER, NULL },
        { "<service><serviceType>" WAN "</serviceType>", NULL },
        { "<html>please log in</html>", NULL },
        { "", NULL },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct igd_control control = { .url = "" };
        struct err e = { 0 };
        int rc = igd_find_control(str_of(cases[i].xml), "http://192.168.1.1:5000/rootDesc.xml", &control, &e);

        if ((rc == 0) != (cases[i].url != NULL) || (rc == 0 && strcmp(control.url, cases[i].url) != 0))
            fail_msg("case %zu: %d %s %s", i, rc, control.url, e.text);
        assert_true(rc == 0 || e.text[0]);
    }
}

static void test_soap(void **state)
{
    static const char good[] =
        "<?xml version=\"1.0\"?><s:Envelope><s:Body><u:GetExternalIPAddressResponse xmlns:u=\"x\">"
        "<NewExternalIPAddress>8.8.4.4</NewExternalIPAddress></u:GetExternalIPAddressResponse>";
    struct igd_control control = { WAN, "http://192.168.1.1/x" };
    char body[1024], field[256];
    struct err e = { 0 };
    struct str text;

    (void)state;
    igd_question(&control, body, sizeof body, field, sizeof field);
    assert_string_equal(field, "SOAPAction: \"" WAN "#GetExternalIPAddress\"");
    assert_non_null(strstr(body, WAN));
    assert_int_equal(igd_external(str_of(good), &text, &e), 0);
    assert_true(str_eq(text, "8.8.4.4"));
    assert_int_equal(igd_external(STR("<u:NewExternalIPAddress dt=\"string\">\n1.2.3.4 </u:x>"), &text, &e),
                     0);
    assert_true(str_eq(text, "1.2.3.4"));
    assert_int_equal(igd_external(STR("<NewExternalIPAddressX>1.2.3.4</x>"), &text, &e), -1);
    assert_int_equal(igd_external(STR("<NewExternalIPAddress/>"), &text, &e), -1);
    assert_int_equal(igd_external(STR("<UPnPError><errorCode>501</errorCode></UPnPError>"), &text, &e), -1);
    assert_non_null(strstr(e.text, "501"));
    for (size_t n = 0; n < sizeof good - 1; n++) /* cut off anywhere: never something else */
        if (igd_external((struct str){ good, n }, &text, NULL) == 0)
            assert_true(str_eq(text, "8.8.4.4"));
}

static void test_routes(void **state)
{
    static const char head[] =
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n";
    struct in_addr a;
    char text[600];
    unsigned first = inet_addr("192.168.1.1"), second = inet_addr("192.168.2.1");

    (void)state;
    assert_false(route_gateway(str_of(head), &a));
    snprintf(text, sizeof text, "%seth0\t00000000\t%08X\t0003\t0\t0\t200\t00000000\t0\t0\t0\n", head, first);
    assert_true(route_gateway(str_of(text), &a));
    assert_int_equal(a.s_addr, first);
    snprintf(text + strlen(text), sizeof text - strlen(text),
             "wlan0\t00000000\t%08X\t0003\t0\t0\t100\t00000000\t0\t0\t0\n", second);
    assert_true(route_gateway(str_of(text), &a));
    assert_int_equal(a.s_addr, second);
    snprintf(text, sizeof text, "%sppp0\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0\n", head);
    assert_false(route_gateway(str_of(text), &a));
    snprintf(text, sizeof text, "%seth0\t0001A8C0\t%08X\t0003\t0\t0\t0\t00FFFFFF\t0\t0\t0\n", head, first);
    assert_false(route_gateway(str_of(text), &a));
}

static void test_natpmp(void **state)
{
    static const unsigned char good[] = { 0, 128, 0, 0, 0, 0, 0, 9, 8, 8, 4, 4 },
                               wrong_version[] = { 0, 128, 0, 1, 0, 0, 0, 9 },
                               pcp[] = { 2, 129, 0, 1, 0, 0, 0, 0 },
                               refused[] = { 0, 128, 0, 3, 0, 0, 0, 9, 0, 0, 0, 0 }, question[] = { 0, 0 };
    unsigned char bytes[NATPMP_QUESTION_BYTES];
    struct err e = { 0 };
    struct in_addr a;

    (void)state;
    natpmp_question(bytes);
    assert_memory_equal(bytes, question, sizeof question);
    assert_int_equal(natpmp_answer(good, sizeof good, &a, &e), 0);
    assert_int_equal(a.s_addr, inet_addr("8.8.4.4"));
    for (size_t n = 0; n < sizeof good; n++)
        assert_int_equal(natpmp_answer(good, n, &a, NULL), -1);
    assert_int_equal(natpmp_answer(question, sizeof question, &a, NULL), -1);
    assert_int_equal(natpmp_answer(refused, sizeof refused, &a, &e), -1);
    assert_int_equal(e.code, ERR_PEER);
    assert_int_equal(natpmp_answer(wrong_version, sizeof wrong_version, &a, &e), -1);
    assert_int_equal(e.code, ERR_MISSING);
    assert_int_equal(natpmp_answer(pcp, sizeof pcp, &a, &e), -1);
    assert_int_equal(e.code, ERR_MISSING);
}

static void test_pcp(void **state)
{
    struct pcp p = { .own = { inet_addr("192.168.1.7") }, .port = 40000, .nonce = "nonce nonce" };
    unsigned char bytes[PCP_BYTES], other[PCP_BYTES];
    struct err e = { 0 };
    struct in_addr a;

    (void)state;
    pcp_question(&p, 120, bytes);
    assert_int_equal(bytes[0], 2);
    assert_int_equal(bytes[1], 1);
    assert_int_equal(bytes[7], 120);
    assert_memory_equal(bytes + 20, &p.own, 4);
    assert_int_equal(pcp_answer(&p, bytes, sizeof bytes, &a, NULL), -1); /* a question is no answer */
    bytes[1] |= 128;
    memset(bytes + 8, 0, 16);
    memcpy(bytes + 56, (unsigned char[]){ 100, 64, 0, 9 }, 4);
    assert_int_equal(pcp_answer(&p, bytes, sizeof bytes, &a, &e), 0);
    assert_int_equal(a.s_addr, inet_addr("100.64.0.9"));
    for (size_t n = 0; n < sizeof bytes; n++)
        assert_int_equal(pcp_answer(&p, bytes, n, &a, NULL), -1);
    for (size_t i = 24; i < 44; i++) { /* nonce, protocol, port: of this very question */
        memcpy(other, bytes, sizeof other);
        other[i] ^= 1;
        if (i < 37 || i >= 40)
            assert_int_equal(pcp_answer(&p, other, sizeof other, &a, NULL), i < 42 ? -1 : 0);
    }
    bytes[3] = 2;
    assert_int_equal(pcp_answer(&p, bytes, sizeof bytes, &a, &e), -1);
    assert_non_null(strstr(e.text, "result 2"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ssdp),   cmocka_unit_test(test_descriptions), cmocka_unit_test(test_soap),
        cmocka_unit_test(test_routes), cmocka_unit_test(test_natpmp),       cmocka_unit_test(test_pcp),
    };

    return cmocka_run_group_tests_name("agent/dns/address_router", tests, NULL, NULL);
}
