/* What the router says of its outer side. Three protocols, of which a router speaks some or none; the first answer counts.
 *
 *   NAT-PMP ──▶ (speaks PCP alone) ──▶ PCP: a port is mapped, and that taken back
 *      └─────── no answer ───────────▶ UPnP: SSDP finds it, its description names a service, SOAP asks that  */
#include "agent/dns/address_igd.h"
#include "agent/dns/address_natpmp.h"
#include "agent/dns/address_source.h"
#include "shared/file.h"
#include "shared/http/fetch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/rand.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

enum {
    FIRST_WAIT_MS = 250, /* as RFC 6886 has it, doubling */
    ATTEMPTS = 3,
    SEARCH_MS = 2500,
    LOOK_MS = 100,
    WEB_MS = 4000,
    MAPPED_S = 120,
    SSDP_PORT = 1900,
    PACKET_BYTES = 2048,
    ROUTES_BYTES = 1 << 20
};

static const char routes[] = "/proc/net/route", ssdp_group[] = "239.255.255.250";

static int64_t now_ms(void)
{
    return (int64_t)(uv_hrtime() / 1000000);
}

/* The next packet within the time. -1: none, with ERR_TIMEOUT, or the socket's own error. */
static ssize_t hear(struct job *job, int fd, int64_t until_ms, void *bytes, size_t room,
                    struct sockaddr_in *from, struct err *e)
{
    while (now_ms() < until_ms) {
        int64_t left = until_ms - now_ms();
        struct pollfd p = { .fd = fd, .events = POLLIN };
        socklen_t from_n = sizeof *from;
        ssize_t n;

        if (job_cancelled(job))
            return err_set(e, ERR_STOPPED, "was given up, as told");
        if (poll(&p, 1, (int)(left < LOOK_MS ? left : LOOK_MS)) <= 0)
            continue;
        n = recvfrom(fd, bytes, room, MSG_DONTWAIT, (struct sockaddr *)from, &from_n);
        if (n >= 0)
            return n;
        if (errno != EAGAIN && errno != EINTR)
            return err_errno(e, errno, "the router does not answer");
    }
    return err_set(e, ERR_TIMEOUT, "the router does not answer");
}

/* ---- NAT-PMP and PCP ---- */

static int find_gateway(struct in_addr *out, struct err *e)
{
    struct buf text = { 0 };
    int rc = file_read(routes, ROUTES_BYTES, &text, e);

    if (rc == 0 && !route_gateway((struct str){ buf_bytes(&text), text.len }, out))
        rc = err_set(e, ERR_MISSING, "this machine has no default route over a router");
    buf_free(&text);
    return rc;
}

static int connect_gateway(struct in_addr gateway, struct pcp *pcp, struct err *e)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(NATPMP_PORT), .sin_addr = gateway };
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in own = { 0 };
    socklen_t n = sizeof own;

    if (fd < 0)
        return err_errno(e, errno, "cannot make a socket");
    if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0 ||
        getsockname(fd, (struct sockaddr *)&own, &n) != 0) {
        err_errno(e, errno, "cannot reach the router");
        close(fd);
        return -1;
    }
    pcp->own = own.sin_addr;
    pcp->port = ntohs(own.sin_port);
    return fd;
}

/* Asks, and asks again, until there is an answer. */
static ssize_t exchange(struct job *job, int fd, const void *question, size_t n, void *answer, size_t room,
                        struct err *e)
{
    struct sockaddr_in from;
    int64_t wait_ms = FIRST_WAIT_MS;

    for (int i = 0; i < ATTEMPTS; i++, wait_ms *= 2) {
        ssize_t got;

        if (send(fd, question, n, MSG_NOSIGNAL) < 0)
            return err_errno(e, errno, "cannot reach the router");
        got = hear(job, fd, now_ms() + wait_ms, answer, room, &from, e);
        if (got >= 0 || !e || e->code != ERR_TIMEOUT)
            return got;
    }
    return -1;
}

static int by_pcp(struct job *job, int fd, struct pcp *pcp, struct in_addr *out, struct err *e)
{
    unsigned char question[PCP_BYTES], answer[PACKET_BYTES];
    ssize_t n;
    int rc;

    if (RAND_bytes(pcp->nonce, sizeof pcp->nonce) != 1)
        abort(); /* no randomness: nothing of TLS works either */
    pcp_question(pcp, MAPPED_S, question);
    n = exchange(job, fd, question, sizeof question, answer, sizeof answer, e);
    if (n < 0)
        return -1;
    rc = pcp_answer(pcp, answer, (size_t)n, out, e);
    pcp_question(pcp, 0, question);
    if (rc == 0 && send(fd, question, sizeof question, MSG_NOSIGNAL) < 0)
        return 0; /* it ends by itself, after MAPPED_S */
    return rc;
}

static int by_natpmp(struct job *job, struct in_addr *out, struct err *e)
{
    unsigned char question[NATPMP_QUESTION_BYTES], answer[PACKET_BYTES];
    struct in_addr gateway;
    struct pcp pcp;
    ssize_t n;
    int fd, rc;

    if (find_gateway(&gateway, e) != 0 || (fd = connect_gateway(gateway, &pcp, e)) < 0)
        return -1;
    natpmp_question(question);
    n = exchange(job, fd, question, sizeof question, answer, sizeof answer, e);
    rc = n < 0 ? -1 : natpmp_answer(answer, (size_t)n, out, e);
    if (n >= 0 && rc != 0 && e->code == ERR_MISSING)
        rc = by_pcp(job, fd, &pcp, out, e);
    close(fd);
    return rc;
}

/* ---- UPnP ---- */

static int find_igd(struct job *job, char url[IGD_URL_BYTES], struct err *e)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(SSDP_PORT) }, from = { 0 };
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), rc = -1;
    int64_t until_ms = now_ms() + SEARCH_MS;
    char packet[PACKET_BYTES], host[INET_ADDRSTRLEN];
    ssize_t n = 0;

    if (fd < 0)
        return err_errno(e, errno, "cannot make a socket");
    inet_pton(AF_INET, ssdp_group, &to.sin_addr);
    if (sendto(fd, igd_search, strlen(igd_search), MSG_NOSIGNAL, (struct sockaddr *)&to, sizeof to) < 0)
        n = err_errno(e, errno, "cannot ask for a router");
    while (rc != 0 && n >= 0 && (n = hear(job, fd, until_ms, packet, sizeof packet, &from, e)) >= 0)
        if (inet_ntop(AF_INET, &from.sin_addr, host, sizeof host))
            rc = igd_location((struct str){ packet, (size_t)n }, host, url, NULL);
    close(fd);
    return rc;
}

static int get(struct job *job, const struct fetch_request *what, struct fetch_reply *reply, struct err *e)
{
    struct fetch_request request = *what;

    request.job = job;
    request.direct = true;
    request.timeout_ms = WEB_MS;
    return fetch(&request, reply, e);
}

static int find_control(struct job *job, const char *url, struct igd_control *control, struct err *e)
{
    struct fetch_reply reply = { 0 };
    int rc = get(job, &(struct fetch_request){ .method = "GET", .url = url }, &reply, e);

    if (rc == 0)
        rc = igd_find_control((struct str){ buf_bytes(&reply.body), reply.body.len }, url, control, e);
    fetch_reply_free(&reply);
    return rc;
}

static int by_upnp(struct job *job, char text[ADDRESS_BYTES], struct err *e)
{
    char url[IGD_URL_BYTES], body[1024], field[256];
    const char *headers[] = { "Content-Type: text/xml; charset=\"utf-8\"", field, NULL };
    struct fetch_request request = { .method = "POST", .headers = headers, .body = body };
    struct fetch_reply reply = { 0 };
    struct igd_control control;
    struct str said;
    int rc;

    if (find_igd(job, url, e) != 0 || find_control(job, url, &control, e) != 0)
        return -1;
    igd_question(&control, body, sizeof body, field, sizeof field);
    request.url = control.url;
    request.body_n = strlen(body);
    rc = get(job, &request, &reply, e);
    if (rc == 0)
        rc = igd_external((struct str){ buf_bytes(&reply.body), reply.body.len }, &said, e);
    if (rc == 0)
        snprintf(text, ADDRESS_BYTES, "%.*s", STR_ARG(said));
    fetch_reply_free(&reply);
    return rc;
}

/* ---- both ---- */

void address_ask_router(const struct address_question *q, struct address_said said[ADDRESS_FAMILIES])
{
    struct err by_port = { 0 }, by_search = { 0 };
    struct in_addr address;
    char text[ADDRESS_BYTES] = "";
    bool told = by_natpmp(q->job, &address, &by_port) == 0 && address.s_addr != 0 &&
                inet_ntop(AF_INET, &address, text, sizeof text);

    if (told || by_upnp(q->job, text, &by_search) == 0)
        address_judge(str_of(text), AF_INET, &said[ADDRESS_V4]);
    else
        snprintf(said[ADDRESS_V4].why, sizeof said[ADDRESS_V4].why,
                 "by NAT-PMP and PCP: %.150s; by UPnP: %.150s; it may have to be allowed in the router",
                 by_port.code ? by_port.text : "it has no outer address", by_search.text);
}
