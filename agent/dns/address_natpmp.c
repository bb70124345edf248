#include "agent/dns/address_natpmp.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ANSWER = 128,
    NATPMP_VERSION = 0,
    NATPMP_ANSWER_BYTES = 12,
    NATPMP_WRONG_VERSION = 1,
    PCP_VERSION = 2,
    PCP_MAP = 1,
    PCP_MOST_BYTES = 1100,
    ROUTE_GATEWAY = 2,
    ROUTE_LINE = 128
};

/* ---- where the router is ---- */

static bool next_line(struct str *rest, char line[ROUTE_LINE])
{
    const char *end;
    size_t n;

    if (rest->n == 0)
        return false;
    end = memchr(rest->p, '\n', rest->n);
    n = end ? (size_t)(end - rest->p) : rest->n;
    snprintf(line, ROUTE_LINE, "%.*s", (int)(n < ROUTE_LINE ? n : ROUTE_LINE - 1), rest->p);
    rest->p += n + (end ? 1 : 0);
    rest->n -= n + (end ? 1 : 0);
    return true;
}

bool route_gateway(struct str text, struct in_addr *out)
{
    unsigned least = UINT32_MAX;
    bool found = false;
    char line[ROUTE_LINE];

    while (next_line(&text, line)) {
        unsigned to, by, flags, metric, mask;

        /* Iface Destination Gateway Flags RefCnt Use Metric Mask */
        if (sscanf(line, "%*s %8x %8x %4x %*d %*d %9u %8x", &to, &by, &flags, &metric, &mask) != 5 ||
            to != 0 || mask != 0 || !(flags & ROUTE_GATEWAY) || (found && metric >= least))
            continue;
        out->s_addr = by; /* it stands there as the machine has it in memory */
        least = metric;
        found = true;
    }
    return found;
}

/* ---- NAT-PMP ---- */

static unsigned u16(const unsigned char *p)
{
    return (unsigned)(p[0] << 8 | p[1]);
}

void natpmp_question(unsigned char out[NATPMP_QUESTION_BYTES])
{
    out[0] = NATPMP_VERSION;
    out[1] = 0; /* the outer address */
}

int natpmp_answer(const void *bytes, size_t n, struct in_addr *out, struct err *e)
{
    const unsigned char *p = bytes;

    if (n >= 2 && p[0] == PCP_VERSION && (p[1] & ANSWER))
        return err_set(e, ERR_MISSING, "the router speaks PCP alone");
    if (n < 4 || p[0] != NATPMP_VERSION || !(p[1] & ANSWER))
        return err_set(e, ERR_PEER, "the router says something else than NAT-PMP");
    if (u16(p + 2) == NATPMP_WRONG_VERSION)
        return err_set(e, ERR_MISSING, "the router speaks PCP alone");
    if (u16(p + 2) != 0)
        return err_set(e, ERR_PEER, "the router does not tell its outer address: NAT-PMP result %u",
                       u16(p + 2));
    if (n != NATPMP_ANSWER_BYTES || p[1] != ANSWER)
        return err_set(e, ERR_PEER, "the router's answer by NAT-PMP is not well-formed");
    memcpy(&out->s_addr, p + 8, sizeof out->s_addr);
    return 0;
}

/* ---- PCP ---- */

static void put_mapped(unsigned char *p, struct in_addr address)
{
    p[10] = p[11] = 0xff;
    memcpy(p + 12, &address.s_addr, 4);
}

void pcp_question(const struct pcp *q, uint32_t lifetime_s, unsigned char out[PCP_BYTES])
{
    uint32_t lifetime = htonl(lifetime_s);
    uint16_t port = htons(q->port);

    memset(out, 0, PCP_BYTES);
    out[0] = PCP_VERSION;
    out[1] = PCP_MAP;
    memcpy(out + 4, &lifetime, sizeof lifetime);
    put_mapped(out + 8, q->own);
    memcpy(out + 24, q->nonce, PCP_NONCE_BYTES);
    out[36] = IPPROTO_UDP;
    memcpy(out + 40, &port, sizeof port);
    put_mapped(out + 44, (struct in_addr){ 0 }); /* IPv4, whichever */
}

int pcp_answer(const struct pcp *q, const void *bytes, size_t n, struct in_addr *out, struct err *e)
{
    static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };
    const unsigned char *p = bytes;

    if (n < 24 || n % 4 != 0 || n > PCP_MOST_BYTES || p[0] != PCP_VERSION || !(p[1] & ANSWER))
        return err_set(e, ERR_PEER, "the router says something else than PCP");
    if (p[3] != 0)
        return err_set(e, ERR_PEER, "the router does not tell its outer address: PCP result %u", p[3]);
    if (n < PCP_BYTES || p[1] != (ANSWER | PCP_MAP) || memcmp(p + 24, q->nonce, PCP_NONCE_BYTES) != 0 ||
        p[36] != IPPROTO_UDP || u16(p + 40) != q->port)
        return err_set(e, ERR_PEER, "the router's answer by PCP is to another question");
    if (memcmp(p + 44, mapped, sizeof mapped) != 0)
        return err_set(e, ERR_PEER, "the router's outer address by PCP is no IPv4 one");
    memcpy(&out->s_addr, p + 56, sizeof out->s_addr);
    return 0;
}
