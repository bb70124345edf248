/* What routers, services, programs and the kernel say of the house's address. The first byte chooses who speaks. */
#include "agent/dns/address_command.h"
#include "agent/dns/address_dns.h"
#include "agent/dns/address_igd.h"
#include "agent/dns/address_natpmp.h"
#include "agent/dns/address_netlink.h"
#include "agent/dns/address_web.h"
#include "shared/cidr.h"
#include "shared/public_ip.h"
#include "tests/fuzz/must.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Either a public address, or a reason. */
static void must_be_judged(const struct address_said *said)
{
    struct sockaddr_storage address;

    must((said->text[0] != 0) != (said->why[0] != 0));
    if (!said->text[0])
        return;
    must(cidr_address(str_of(said->text), &address));
    must(public_ip_wrong((struct sockaddr *)&address) == NULL);
}

static void read_body(struct str text)
{
    struct address_said said;

    address_judge(address_of_body(text), AF_INET, &said);
    must_be_judged(&said);
    address_judge(address_of_body(text), AF_INET6, &said);
    must_be_judged(&said);
}

static void read_output(struct str text)
{
    struct address_said said[ADDRESS_FAMILIES];

    address_of_output(text, said);
    must_be_judged(&said[ADDRESS_V4]);
    must_be_judged(&said[ADDRESS_V6]);
}

static void read_answer(struct str text)
{
    struct address_said said;

    address_of_answer(text.p, text.n, MSG_TXT, MSG_CH, AF_INET, &said);
    must_be_judged(&said);
    address_of_answer(text.p, text.n, MSG_AAAA, MSG_IN, AF_INET6, &said);
    must_be_judged(&said);
}

static void read_ssdp(struct str text)
{
    static const char begin[] = "http://192.168.1.1";
    char url[IGD_URL_BYTES];
    struct err e = { 0 };

    if (igd_location(text, "192.168.1.1", url, &e) == 0)
        must(strncasecmp(url, begin, sizeof begin - 1) == 0 &&
             (url[sizeof begin - 1] == 0 || strchr(":/?#", url[sizeof begin - 1])));
    else
        must(e.text[0]);
}

static void read_xml(struct str text)
{
    char body[1024], field[256];
    struct igd_control control;
    struct err e = { 0 };
    struct str said;

    if (igd_find_control(text, "http://192.168.1.1:5000/x", &control, &e) == 0) {
        must(strncasecmp(control.url, "http://192.168.1.1", 18) == 0 && strchr(":/?#", control.url[18]));
        igd_question(&control, body, sizeof body, field, sizeof field);
        must(!strpbrk(field, "\r\n"));
    } else {
        must(e.text[0]);
    }
    if (igd_external(text, &said, NULL) == 0)
        must(said.p >= text.p && said.p + said.n <= text.p + text.n);
}

static void read_router(struct str text)
{
    struct pcp pcp = { .port = 40000 };
    struct in_addr address;

    if (natpmp_answer(text.p, text.n, &address, NULL) == 0)
        must(text.n == 12);
    if (pcp_answer(&pcp, text.p, text.n, &address, NULL) == 0)
        must(text.n >= PCP_BYTES);
    if (route_gateway(text, &address))
        must(text.n > 0);
}

static void read_netlink(struct str text)
{
    struct address_pick pick = { .index = 2, .family = AF_INET6 };

    if (address_netlink_read(&pick, text.p, text.n, NULL) >= 0)
        must(!pick.found || pick.bytes[0] >> 5 == 1);
    pick = (struct address_pick){ .index = 2, .family = AF_INET };
    if (address_netlink_read(&pick, text.p, text.n, NULL) >= 0)
        must(strlen(pick.passed_over) < sizeof pick.passed_over);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const readers[])(struct str text) = { read_body, read_output, read_answer, read_ssdp,
                                                        read_xml,  read_router, read_netlink };

    if (size > 0)
        readers[data[0] % (sizeof readers / sizeof *readers)](
            (struct str){ (const char *)data + 1, size - 1 });
    return 0;
}
