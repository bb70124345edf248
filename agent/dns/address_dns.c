/* Name servers that answer with the address they are asked from. Anybody on the path can answer in their place, and
 * somebody beside it can try: they count only together with others, see address_verdict. */
#include "agent/dns/address_dns.h"

#include "shared/dns/ask.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATIENCE_MS = 1500 };

struct place {
    const char *name;
    enum msg_type types[ADDRESS_FAMILIES];
    enum msg_class class;
    const char *servers[ADDRESS_FAMILIES];
};

const struct address_service address_dns_services[ADDRESS_DNS_SERVICES] = {
    { "myip.opendns.com", "OpenDNS" },
    { "whoami.cloudflare", "Cloudflare" },
    { "o-o.myaddr.l.google.com", "Google" },
};

static const struct place places[ADDRESS_DNS_SERVICES] = {
    { "myip.opendns.com", { MSG_A, MSG_AAAA }, MSG_IN, { "208.67.222.222", "2620:119:35::35" } },
    { "whoami.cloudflare", { MSG_TXT, MSG_TXT }, MSG_CH, { "1.1.1.1", "2606:4700:4700::1111" } },
    { "o-o.myaddr.l.google.com", { MSG_TXT, MSG_TXT }, MSG_IN, { "216.239.32.10", "2001:4860:4802:32::a" } },
};

/* ---- pure ---- */

static int read_answer(const void *bytes, size_t n, enum msg_type type, enum msg_class class,
                       struct buf *value, struct err *e)
{
    struct msg_record r;
    struct msg m;
    int rc, found = 0;

    if (msg_open(&m, bytes, n, e) != 0)
        return -1;
    if (msg_rcode(&m) != MSG_NOERROR)
        return err_set(e, ERR_PEER, "is answered with an error: %s", msg_rcode_text(msg_rcode(&m)));
    while ((rc = msg_next(&m, &r, e)) == 1) {
        if (r.section != MSG_ANSWER || r.type != type || r.class != class)
            continue;
        buf_take(value, value->len);
        if (!msg_value(&m, &r, value))
            return err_set(e, ERR_PEER, "is answered with a record that is not well-formed");
        found++;
    }
    if (rc == 0 && found != 1)
        return err_set(e, ERR_PEER, "is answered with %d records where one was asked for", found);
    return rc;
}

void address_of_answer(const void *bytes, size_t n, enum msg_type type, enum msg_class class, int family,
                       struct address_said *said)
{
    struct buf value = { 0 };
    struct err why = { 0 };

    *said = (struct address_said){ .text = "" };
    if (read_answer(bytes, n, type, class, &value, &why) == 0)
        address_judge((struct str){ buf_bytes(&value), value.len }, family, said);
    else
        snprintf(said->why, sizeof said->why, "%s", why.text);
    buf_free(&value);
}

/* ---- asked ---- */

static int make_question(struct buf *message, const struct place *p, int f, struct err *e)
{
    unsigned char id[2];

    if (RAND_bytes(id, sizeof id) != 1)
        abort(); /* no randomness: nothing of TLS works either */
    msg_begin(message, (uint16_t)(id[0] << 8 | id[1]), MSG_QUERY, MSG_RD);
    return msg_question(message, p->name, (uint16_t)p->types[f], p->class, e);
}

void address_ask_dns(const struct address_question *q, struct address_said said[ADDRESS_FAMILIES])
{
    int f = q->family == AF_INET ? ADDRESS_V4 : ADDRESS_V6;
    const struct place *p = &places[q->service];
    struct ask how = { .host = p->servers[f], .port = DNS_PORT, .job = q->job, .patience_ms = PATIENCE_MS };
    struct buf message = { 0 }, answer = { 0 };
    struct err why = { 0 };

    if (make_question(&message, p, f, &why) == 0 && ask(&how, &message, &answer, &why) == 0)
        address_of_answer(buf_bytes(&answer), answer.len, p->types[f], p->class, q->family, &said[f]);
    else
        snprintf(said[f].why, sizeof said[f].why, "%s", why.text);
    buf_free(&message);
    buf_free(&answer);
}
