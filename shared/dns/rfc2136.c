/* Any name server that takes signed updates (RFC 2136, RFC 8945): BIND, Knot, PowerDNS, Windows, and services that offer it.
 *
 * Questions and updates go to the primary server, all of them signed. An update says what it thinks is there, so that two of
 * them at once cannot undo each other. */
#include "shared/dns/ask.h"
#include "shared/dns/list.h"
#include "shared/dns/rest.h"
#include "shared/dns/tsig.h"
#include "shared/host_port.h"
#include "shared/mem.h"

#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct server {
    struct host_port at;
    struct tsig_key key;
    int64_t offset_s; /* of its clock, as a signed BADTIME has said it */
};

static const char *conf_wrong(const struct dns_conf *conf)
{
    struct host_port at;

    return *conf->server && host_port_read(&at, str_of(conf->server), DNS_PORT, "not a server", NULL) != 0
               ? "server is not HOST or HOST:PORT (such as ns1.example.net or 192.0.2.53:53)"
               : NULL;
}

static enum dns_class open_server(struct dns_client *c, struct dns_why *why)
{
    struct server *s = mem_new(sizeof *s);
    const struct str text = { (const char *)c->key.bytes, c->key.n };
    struct err e = { 0 };

    c->own = s;
    if (host_port_read(&s->at, str_of(c->conf.server), DNS_PORT, "not HOST or HOST:PORT", &e) != 0)
        return dns_fail(c, why, DNS_CONFIG, "%s", e.text);
    s->key.algorithm = DNS_HMAC_SHA256;
    if (tsig_key_read(&s->key, text, &e) != 0)
        return dns_fail(c, why, DNS_AUTH, "%s", e.text);
    if (c->conf.key_algorithm >= 0)
        s->key.algorithm = c->conf.key_algorithm;
    if (*c->conf.key_name && !domain_normalize(str_of(c->conf.key_name), s->key.name))
        return dns_fail(c, why, DNS_AUTH, "key_name is no name");
    if (!s->key.name[0])
        return dns_fail(c, why, DNS_AUTH, "the key has no name; add key_name, or use BIND's key { } form");
    return DNS_OK;
}

static void close_server(struct dns_client *c)
{
    struct server *s = c->own;

    if (s)
        tsig_key_free(&s->key);
    free(s);
}

/* ---- one message and its answer ---- */

static enum dns_class judge_signature(struct dns_client *c, const struct tsig_answer *a, int rcode,
                                      struct dns_why *why)
{
    switch (a->verdict) {
    case TSIG_GOOD:
        if (a->error != TSIG_BADTIME)
            return DNS_OK;
        return dns_fail(c, why, DNS_TRANSIENT,
                        "this machine's clock and the server's differ too much (BADTIME); set the clock");
    case TSIG_OLD:
        return dns_fail(c, why, DNS_TRANSIENT,
                        "its answer is signed with another time; set this machine's clock");
    case TSIG_FORGED:
        return dns_fail(c, why, DNS_BADREPLY, "its answer is signed with another key or altered on its way");
    case TSIG_REFUSED:
        if (a->error == TSIG_BADKEY)
            return dns_fail(
                c, why, DNS_AUTH,
                "it does not know the key (BADKEY); are its name and algorithm those of the server?");
        return dns_fail(c, why, DNS_AUTH,
                        "it does not accept the signature (TSIG error %d); is the secret that of the server?",
                        a->error);
    case TSIG_UNSIGNED: break;
    }
    if (rcode == MSG_NOERROR || rcode == MSG_NXDOMAIN)
        return dns_fail(
            c, why, DNS_BADREPLY,
            "its answer is not signed, so anybody could have sent it; does the server know this key?");
    return DNS_OK; /* a refusal is one, whoever sent it */
}

static enum dns_class not_primary(struct dns_client *c, struct dns_why *why, const char *name,
                                  const char *rcode)
{
    return dns_fail(c, why, DNS_CONFIG, "it is not the primary server of %s (%s); correct server", name,
                    rcode);
}

static enum dns_class judge_rcode(struct dns_client *c, int rcode, bool update, const char *name,
                                  struct dns_why *why)
{
    const char *text = msg_rcode_text(rcode);

    if (rcode == MSG_NOERROR || (rcode == MSG_NXDOMAIN && !update))
        return DNS_OK;
    switch (rcode) {
    case MSG_SERVFAIL: return dns_fail(c, why, DNS_TRANSIENT, "it has a problem with %s (SERVFAIL)", name);
    case MSG_NXDOMAIN:
    case MSG_YXDOMAIN:
    case MSG_YXRRSET:
    case MSG_NXRRSET:
        return dns_fail(c, why, DNS_TRANSIENT, "%s was changed meanwhile (%s); it is read again", name, text);
    case MSG_REFUSED:
        return dns_fail(
            c, why, DNS_CONFIG,
            "it refuses %s %s (REFUSED); may this key do that there (allow-update, update-policy, acl)?",
            update ? "to change" : "to show", name);
    case MSG_NOTAUTH:
        if (!update) /* of a question it is said for its signature alone, by Knot 3.4 without a TSIG that says so too */
            return dns_fail(
                c, why, DNS_AUTH,
                "it does not know the key (NOTAUTH); are its name and algorithm those of the server?");
        return not_primary(c, why, name, text);
    case MSG_NOTZONE: return not_primary(c, why, name, text);
    default: return dns_fail(c, why, DNS_CONFIG, "it refuses the request for %s (%s)", name, text);
    }
}

static enum dns_class class_of(const struct err *e)
{
    return e->code == ERR_STOPPED ? DNS_STOPPED : e->code == ERR_INPUT ? DNS_CONFIG : DNS_TRANSIENT;
}

/* Signs a copy of the message for the server's time, sends it, and verifies the answer. */
static enum dns_class exchange(struct dns_client *c, const struct buf *message, struct buf *answer,
                               struct tsig_answer *verdict, struct dns_why *why)
{
    const struct server *s = c->own;
    int64_t now_s = (int64_t)time(NULL) + s->offset_s;
    struct ask how = { .host = s->at.host, .port = s->at.port, .job = c->job };
    struct buf whole = { 0 };
    struct tsig_mac mac;
    struct err e = { 0 };
    enum dns_class class = dns_pace(c, why);

    if (class != DNS_OK)
        return class;
    buf_add(&whole, buf_bytes(message), message->len);
    buf_take(answer, answer->len);
    if (tsig_sign(&whole, &s->key, now_s, NULL, &mac, &e) != 0 || ask(&how, &whole, answer, &e) != 0)
        class = dns_fail(c, why, class_of(&e), "%s", e.text);
    else if (tsig_verify(verdict, buf_bytes(answer), answer->len, &s->key, &mac, now_s, &e) != 0)
        class = dns_fail(c, why, DNS_BADREPLY, "%s", e.text);
    buf_free(&whole);
    return class;
}

/* A server that signs "your clock is wrong" says what time it is: that is good for one more attempt. */
static enum dns_class talk(struct dns_client *c, const struct buf *message, struct buf *answer, bool update,
                           const char *name, struct dns_why *why)
{
    struct server *s = c->own;
    struct tsig_answer verdict = { 0 };
    enum dns_class class = exchange(c, message, answer, &verdict, why);
    int rcode;

    if (class == DNS_OK && verdict.verdict == TSIG_GOOD && verdict.server_s > 0) {
        s->offset_s = verdict.server_s - (int64_t)time(NULL);
        class = exchange(c, message, answer, &verdict, why);
    }
    if (class != DNS_OK)
        return class;
    rcode = buf_bytes(answer)[3] & 0xf;
    class = judge_signature(c, &verdict, rcode, why);
    return class == DNS_OK ? judge_rcode(c, rcode, update, name, why) : class;
}

static void begin_message(struct buf *out, enum msg_opcode opcode)
{
    unsigned char id[2];

    if (RAND_bytes(id, sizeof id) != 1)
        abort(); /* no randomness: nothing of TLS works either */
    buf_free(out);
    msg_begin(out, (uint16_t)(id[0] << 8 | id[1]), opcode, 0);
}

/* ---- questions ---- */

static enum dns_class question(struct dns_client *c, const char *name, uint16_t type, struct buf *answer,
                               struct dns_why *why)
{
    struct buf message = { 0 };
    struct err e = { 0 };
    enum dns_class class;

    begin_message(&message, MSG_QUERY);
    class = msg_question(&message, name, type, MSG_IN, &e) == 0 ? talk(c, &message, answer, false, name, why)
                                                                : dns_fail(c, why, DNS_CONFIG, "%s", e.text);
    buf_free(&message);
    return class;
}

/* The owner of the SOA that the answer shows: the zone of the name, in the answer or the authority section. */
static bool soa_owner(const struct buf *answer, const char *name, struct dns_zone *zone)
{
    struct msg_record r;
    struct msg m;

    if (msg_open(&m, buf_bytes(answer), answer->len, NULL) != 0 || !(m.flags & MSG_AA))
        return false;
    while (msg_next(&m, &r, NULL) == 1)
        if ((r.section == MSG_ANSWER || r.section == MSG_AUTHORITY) && r.type == MSG_SOA &&
            dns_zone_set(zone, str_of(r.name), NULL) && dns_zone_has(zone, name))
            return true;
    *zone = (struct dns_zone){ 0 };
    return false;
}

/* A CNAME in the way, or a part of the name that the server has handed to another one, shows no SOA above the name: then its
 * parent is asked about. */
static enum dns_class find_zone(struct dns_client *c, const char *name, struct dns_zone *zone,
                                struct dns_why *why)
{
    struct buf answer = { 0 };
    enum dns_class class = DNS_OK;
    bool refused = false;

    for (const char *at = name; at && class == DNS_OK && !zone->name[0];
         at = strchr(at, '.') ? strchr(at, '.') + 1 : NULL) {
        class = question(c, at, MSG_SOA, &answer, why);
        if (class == DNS_OK)
            soa_owner(&answer, at, zone);
        else if (class == DNS_CONFIG) { /* it may know the parent */
            refused = true;
            class = DNS_OK;
        }
    }
    buf_free(&answer);
    if (class == DNS_OK && !zone->name[0])
        return dns_fail(c, why, DNS_CONFIG,
                        "%s port %u has no zone for %s%s; correct server: it has to be the zone's primary",
                        ((struct server *)c->own)->at.host, ((struct server *)c->own)->at.port, name,
                        refused ? ", or shows it to others alone" : "");
    return class;
}

static enum dns_class has_zone(struct dns_client *c, const char *name, struct dns_zone *zone,
                               struct dns_why *why)
{
    enum dns_class class;

    *zone = (struct dns_zone){ 0 };
    class = find_zone(c, name, zone, why);
    if (class == DNS_OK && strcmp(zone->name, name) != 0)
        *zone = (struct dns_zone){ 0 };
    return class;
}

/* The record stands in the zone, at the name or above it. */
static bool is_above(const struct msg_record *r, const struct dns_zone *zone, const char *name)
{
    struct dns_zone part;

    return dns_zone_set(&part, str_of(r->name), NULL) && dns_zone_has(zone, part.name) &&
           dns_zone_has(&part, name);
}

/* What this server would take and never show, for its zone ends above the name: other servers are asked for what is below an
 * NS record, and a DNAME record says that everything below it is elsewhere. */
static enum dns_class refuse_elsewhere(struct dns_client *c, const struct buf *answer,
                                       const struct dns_zone *zone, const char *name, struct dns_why *why)
{
    struct msg_record r;
    struct msg m;

    if (msg_open(&m, buf_bytes(answer), answer->len, NULL) != 0)
        return DNS_OK; /* whoever takes its records says so */
    while (msg_next(&m, &r, NULL) == 1) {
        if (r.section == MSG_AUTHORITY && r.type == MSG_NS && !(m.flags & MSG_AA) &&
            m.counts[MSG_ANSWER] == 0 && strcmp(r.name, zone->name) != 0 && is_above(&r, zone, name))
            return dns_fail(
                c, why, DNS_CONFIG,
                "%.100s is delegated to other servers by an NS record in %.100s, so nobody asks here for %.100s; "
                "name one of those as server, or remove that record",
                r.name, zone->name, name);
        if (r.section == MSG_ANSWER && r.type == MSG_DNAME && strcmp(r.name, name) != 0 &&
            is_above(&r, zone, name))
            return dns_fail(
                c, why, DNS_CONFIG,
                "a DNAME record at %.100s says that all names below it are elsewhere, so %.100s cannot be set; "
                "remove that record, or choose another name",
                r.name, name);
    }
    return DNS_OK;
}

static enum dns_class take_records(struct dns_client *c, const struct buf *answer, struct dns_rrset *set,
                                   struct dns_why *why)
{
    struct buf value = { 0 };
    struct msg_record r;
    struct err e = { 0 };
    struct msg m;
    int rc = msg_open(&m, buf_bytes(answer), answer->len, &e);
    bool well = rc == 0;

    while (well && (rc = msg_next(&m, &r, &e)) == 1) {
        if (r.section != MSG_ANSWER || r.type != msg_type_of(set->type) || strcmp(r.name, set->name) != 0)
            continue;
        buf_take(&value, value.len);
        well =
            msg_value(&m, &r, &value) && dns_rrset_add(set, (struct str){ buf_bytes(&value), value.len }, "");
        set->ttl_s = r.ttl;
    }
    buf_free(&value);
    return well && rc == 0 ? DNS_OK : dns_bad_reply(c, why, "a record in it is not well-formed");
}

static enum dns_class read_set(struct dns_client *c, const struct dns_zone *zone, struct dns_rrset *set,
                               struct dns_why *why)
{
    struct buf answer = { 0 };
    enum dns_class class;

    if (set->type == DNS_TYPE_ALIAS)
        return DNS_OK; /* no such type in the DNS itself */
    class = question(c, set->name, (uint16_t)msg_type_of(set->type), &answer, why);
    if (class == DNS_OK)
        class = refuse_elsewhere(c, &answer, zone, set->name, why);
    if (class == DNS_OK)
        class = take_records(c, &answer, set, why);
    buf_free(&answer);
    return class;
}

/* ---- updates ---- */

/* One value each, in the sense of its section: prerequisites say what has to be there, updates what is to come. */
static int add_values(struct buf *out, enum msg_section section, const struct dns_rrset *set, uint32_t ttl,
                      struct err *e)
{
    struct buf rdata = { 0 };
    int rc = 0;

    for (size_t i = 0; i < set->n && rc == 0; i++) {
        buf_take(&rdata, rdata.len);
        rc = msg_rdata(&rdata, set->type, set->values[i].text, e);
        if (rc == 0)
            rc = msg_record(out, section, set->name, (uint16_t)msg_type_of(set->type), MSG_IN, ttl,
                            buf_bytes(&rdata), rdata.len, e);
    }
    buf_free(&rdata);
    return rc;
}

static int make_update(struct dns_client *c, struct buf *out, const struct dns_zone *zone,
                       const struct dns_rrset *have, const struct dns_rrset *want, struct err *e)
{
    uint16_t type = (uint16_t)msg_type_of(want->type);

    begin_message(out, MSG_UPDATE);
    if (msg_question(out, zone->name, MSG_SOA, MSG_IN, e) != 0)
        return -1;
    if (have->n == 0 ? msg_record(out, MSG_ANSWER, want->name, type, MSG_NONE, 0, NULL, 0, e) != 0
                     : add_values(out, MSG_ANSWER, have, 0, e) != 0)
        return -1;
    if (have->n > 0 && msg_record(out, MSG_AUTHORITY, want->name, type, MSG_ANY, 0, NULL, 0, e) != 0)
        return -1;
    return add_values(out, MSG_AUTHORITY, want, (uint32_t)dns_ttl(c, want), e);
}

static enum dns_class write_set(struct dns_client *c, const struct dns_zone *zone,
                                const struct dns_rrset *have, const struct dns_rrset *want,
                                struct dns_why *why)
{
    struct buf message = { 0 }, answer = { 0 };
    struct err e = { 0 };
    enum dns_class class;

    class = make_update(c, &message, zone, have, want, &e) == 0
                ? talk(c, &message, &answer, true, want->name, why)
                : dns_fail(c, why, DNS_CONFIG, "%s", e.text);
    buf_free(&message);
    buf_free(&answer);
    return class;
}

const struct dns_provider dns_rfc2136 = {
    .type = "rfc2136",
    .title = "RFC 2136",
    .kind = DNS_RRSET,
    .can = DNS_CAN_USUAL,
    .keys = DNS_KEY_SERVER | DNS_KEY_KEY | DNS_KEY_KEY_NAME | DNS_KEY_ALGORITHM | DNS_KEY_ZONE,
    .needs = DNS_KEY_SERVER | DNS_KEY_KEY,
    .min_ttl_s = 1,
    .default_ttl_s = 60,
    .signs_time = true,
    .credential =
        "On the primary server, tsig-keygen pi makes a key for named.conf. In the zone there, update-policy { grant "
        "pi name sassy-cat-pics.com A AAAA TXT; }; lets it change that name alone.",
    .sample = "server        = 192.0.2.53:53\n"
              "key_file      = /etc/tunnel/tsig.key\n"
              "key_name      = pi.\n"
              "key_algorithm = hmac-sha256\n",
    .notes =
        "For BIND, Knot, PowerDNS and every other server that takes signed updates. key_file holds the base64 secret "
        "alone, or BIND's key { } form, which has the name and the algorithm in it.",
    .conf_wrong = conf_wrong,
    .open = open_server,
    .close = close_server,
    .find_zone = find_zone,
    .has_zone = has_zone,
    .read = read_set,
    .write = write_set,
};
