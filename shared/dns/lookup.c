#include "shared/dns/lookup.h"

#include "shared/cidr.h"
#include "shared/dns/message.h"
#include "shared/file.h"
#include "shared/host_port.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATIENCE_MS = 1000, RESOLV_BYTES = 65536 };

static const char system_word[] = "system", resolv_conf[] = "/etc/resolv.conf";

static int read_word(const char *word, struct host_port *out, struct err *e)
{
    static const char shape[] =
        "not ADDRESS, ADDRESS:PORT or system (such as 1.1.1.1 or [2606:4700:4700::1111]:53)";
    struct sockaddr_storage address;

    if (cidr_address(str_of(word), &address)) { /* IPv6 too, without brackets */
        snprintf(out->host, sizeof out->host, "%s", word);
        out->port = DNS_PORT;
        return 0;
    }
    if (host_port_read(out, str_of(word), DNS_PORT, shape, e) != 0)
        return -1;
    return cidr_address(str_of(out->host), &address) ? 0 : err_set(e, ERR_INPUT, shape);
}

int lookup_check(const struct opt_words *resolvers, struct err *e)
{
    struct host_port at;

    for (size_t i = 0; i < resolvers->n; i++)
        if (strcmp(resolvers->words[i], system_word) != 0 && read_word(resolvers->words[i], &at, e) != 0)
            return -1;
    return resolvers->n > 0 ? 0 : err_set(e, ERR_INPUT, "is empty; write system, or addresses of resolvers");
}

static void add(struct lookup *l, const char *host, uint16_t port)
{
    if (l->n < LOOKUP_SERVERS && strlen(host) < sizeof l->hosts[0]) {
        snprintf(l->hosts[l->n], sizeof l->hosts[0], "%s", host);
        l->ports[l->n++] = port;
    }
}

static int add_system(struct lookup *l, struct err *e)
{
    struct buf text = { 0 };
    char *line, *rest = NULL, host[64];
    int rc = file_read(resolv_conf, RESOLV_BYTES, &text, e);

    for (line = rc == 0 ? strtok_r((char *)(uintptr_t)buf_text(&text), "\n", &rest) : NULL; line;
         line = strtok_r(NULL, "\n", &rest))
        if (sscanf(line, " nameserver %63s", host) == 1)
            add(l, host, DNS_PORT);
    buf_free(&text);
    return rc;
}

int lookup_open(struct lookup *l, const struct opt_words *resolvers, struct err *e)
{
    struct host_port at;

    *l = (struct lookup){ 0 };
    for (size_t i = 0; i < resolvers->n; i++) {
        if (strcmp(resolvers->words[i], system_word) == 0) {
            if (add_system(l, e) != 0)
                return -1;
        } else if (read_word(resolvers->words[i], &at, e) == 0) {
            add(l, at.host, at.port);
        } else {
            return -1;
        }
    }
    return l->n > 0 ? 0
                    : err_set(e, ERR_MISSING, "%s names no nameserver; add one, or write resolvers = 1.1.1.1",
                              resolv_conf);
}

/* ---- asking ---- */

struct question {
    const char *name;
    uint16_t type;
    void (*each)(void *user, const struct msg *m, const struct msg_record *r);
    void *user;
};

/* Whoever reads it must not see half of an answer that turns out to be broken: it is read twice. */
static int take(const struct buf *answer, const struct question *q, const char *host, struct err *e)
{
    struct msg_record r;
    struct msg m, again;
    int rc = msg_open(&m, buf_bytes(answer), answer->len, e), rcode;

    if (rc != 0)
        return -1;
    rcode = msg_rcode(&m);
    if (rcode != MSG_NOERROR && rcode != MSG_NXDOMAIN)
        return err_set(e, ERR_PEER, "%s does not look up %s: %s", host, q->name, msg_rcode_text(rcode));
    again = m;
    while ((rc = msg_next(&m, &r, e)) == 1)
        ;
    while (rc == 0 && msg_next(&again, &r, e) == 1)
        q->each(q->user, &again, &r);
    return rc;
}

static int make_question(struct buf *message, const struct question *q, struct err *e)
{
    unsigned char id[2];

    if (RAND_bytes(id, sizeof id) != 1)
        abort(); /* no randomness: nothing of TLS works either */
    msg_begin(message, (uint16_t)(id[0] << 8 | id[1]), MSG_QUERY, MSG_RD);
    return msg_question(message, q->name, q->type, MSG_IN, e);
}

static int put_question(const struct lookup *l, const struct question *q, struct err *e)
{
    struct buf message = { 0 }, answer = { 0 };
    int rc = make_question(&message, q, e);

    for (size_t i = 0; rc == 0 && i < l->n; i++) {
        struct ask how = {
            .host = l->hosts[i], .port = l->ports[i], .job = l->job, .patience_ms = PATIENCE_MS
        };
        struct err why = { 0 };

        buf_take(&answer, answer.len);
        if (ask(&how, &message, &answer, &why) == 0 && take(&answer, q, l->hosts[i], &why) == 0)
            break;
        if (i + 1 == l->n || why.code == ERR_STOPPED)
            rc = err_set(e, why.code, "%s", why.text);
    }
    buf_free(&message);
    buf_free(&answer);
    return rc;
}

int lookup_each(const struct lookup *l, const char *name, uint16_t type,
                void (*each)(void *user, const struct msg *m, const struct msg_record *r), void *user,
                struct err *e)
{
    const struct question q = { name, type, each, user };

    return put_question(l, &q, e);
}

/* Answers of the type, whoever owns them: a CNAME leads there. Values that are more than anybody needs to see, or not
 * well-formed, are not looked at. */
static void add_value(void *user, const struct msg *m, const struct msg_record *r)
{
    struct dns_rrset *set = user;
    struct buf value = { 0 };

    if (r->section == MSG_ANSWER && r->type == msg_type_of(set->type) && msg_value(m, r, &value) &&
        dns_rrset_add(set, (struct str){ buf_bytes(&value), value.len }, NULL))
        set->ttl_s = r->ttl;
    buf_free(&value);
}

int lookup(const struct lookup *l, struct dns_rrset *set, struct err *e)
{
    return lookup_each(l, set->name, (uint16_t)msg_type_of(set->type), add_value, set, e);
}

int lookup_follow(const struct lookup *l, char name[DOMAIN_BYTES], struct err *e)
{
    enum { CNAMES_MAX = 8 };
    char first[DOMAIN_BYTES];
    struct dns_rrset set;

    snprintf(first, sizeof first, "%s", name);
    for (int i = 0; i < CNAMES_MAX; i++) {
        size_t n;

        dns_rrset_init(&set, name, DNS_TYPE_CNAME);
        if (lookup(l, &set, e) != 0)
            return -1;
        n = set.n;
        if (n > 0)
            snprintf(name, DOMAIN_BYTES, "%s", set.values[n - 1].text);
        dns_rrset_free(&set);
        if (n == 0)
            return 0;
    }
    return err_set(e, ERR_INPUT, "the CNAMEs that begin at %s do not end", first);
}
