#include "relay/certs/authority.h"

#include "shared/log.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum {
    NAMES_MAX = 8,
    PATIENCE_MS = 2000,
    SILENT_ROUNDS = 3,
    FIRST_WAIT_MS = 500,
    LONGEST_WAIT_MS = 5000,
    SOA_NUMBERS = 20, /* bytes at the end of its data */
};

/* ---- who they are ---- */

struct found {
    const char *at;
    char names[NAMES_MAX][DOMAIN_BYTES];
    size_t n;
};

static void add_name(void *user, const struct msg *m, const struct msg_record *r)
{
    struct found *f = user;
    struct buf name = { 0 };

    if (r->section == MSG_ANSWER && r->type == MSG_NS && dns_same_name(r->name, f->at) && f->n < NAMES_MAX &&
        msg_value(m, r, &name) && name.len < DOMAIN_BYTES)
        snprintf(f->names[f->n++], DOMAIN_BYTES, "%s", buf_text(&name));
    buf_free(&name);
}

/* The zone begins at the first name, from the whole one upwards, that has servers of its own. */
static int find_names(struct authority *a, const struct lookup *l, const char *name, struct found *f,
                      struct err *e)
{
    for (const char *at = name; at; at = strchr(at, '.') ? strchr(at, '.') + 1 : NULL) {
        f->at = at;
        if (lookup_each(l, at, MSG_NS, add_name, f, e) != 0)
            return err_wrap(e, "the name servers of %.200s", name);
        if (f->n == 0)
            continue;
        snprintf(a->zone, sizeof a->zone, "%s", at);
        return 0;
    }
    return err_set(e, ERR_MISSING, "%.200s is in no zone that has name servers; is the domain registered?",
                   name);
}

static void note_negative(void *user, const struct msg *m, const struct msg_record *r)
{
    int64_t *negative_s = user;
    const unsigned char *minimum;
    uint32_t s;

    (void)m;
    if (r->section != MSG_ANSWER || r->type != MSG_SOA || r->rdata_n < SOA_NUMBERS)
        return;
    minimum = r->rdata + r->rdata_n - 4;
    s = (uint32_t)minimum[0] << 24 | (uint32_t)minimum[1] << 16 | (uint32_t)minimum[2] << 8 | minimum[3];
    *negative_s = s < r->ttl ? s : r->ttl;
}

/* One that has no address of this family is asked by the other one. */
static void add_addresses(struct authority *a, const struct lookup *l, const char *name, enum dns_type type)
{
    struct dns_rrset set;

    dns_rrset_init(&set, name, type);
    if (lookup(l, &set, NULL) == 0)
        for (size_t i = 0; i < set.n && a->n < AUTHORITY_SERVERS; i++) {
            struct authority_server *s = &a->servers[a->n++];

            *s = (struct authority_server){ 0 };
            snprintf(s->name, sizeof s->name, "%s", name);
            snprintf(s->address, sizeof s->address, "%s", set.values[i].text);
        }
    dns_rrset_free(&set);
}

int authority_find(struct authority *a, const struct lookup *l, const char *name, struct err *e)
{
    struct found f = { .n = 0 };

    a->n = 0;
    a->negative_s = 0;
    if (find_names(a, l, name, &f, e) != 0)
        return -1;
    if (lookup_each(l, a->zone, MSG_SOA, note_negative, &a->negative_s, NULL) != 0)
        a->negative_s = 0; /* the least time counts */
    for (size_t i = 0; i < f.n; i++) {
        add_addresses(a, l, f.names[i], DNS_TYPE_A);
        add_addresses(a, l, f.names[i], DNS_TYPE_AAAA);
    }
    return a->n > 0
               ? 0
               : err_set(e, ERR_MISSING, "none of the name servers of %.200s (such as %.100s) has an address",
                         a->zone, f.names[0]);
}

/* ---- what they say ---- */

static int make_question(struct buf *message, const char *name, struct err *e)
{
    unsigned char id[2];

    if (RAND_bytes(id, sizeof id) != 1)
        abort(); /* no randomness: nothing of TLS works either */
    msg_begin(message, (uint16_t)(id[0] << 8 | id[1]), MSG_QUERY, 0);
    return msg_question(message, name, MSG_TXT, MSG_IN, e);
}

/* -1: it did not answer, or not as one that is responsible for the zone. */
static int read_answer(const struct buf *answer, const char *name, const char *value, bool *shows)
{
    struct buf text = { 0 };
    struct msg_record r;
    struct msg m;
    int rc = msg_open(&m, buf_bytes(answer), answer->len, NULL);

    *shows = false;
    if (rc != 0 || (msg_rcode(&m) != MSG_NOERROR && msg_rcode(&m) != MSG_NXDOMAIN) || !(m.flags & MSG_AA))
        return -1;
    while ((rc = msg_next(&m, &r, NULL)) == 1) {
        buf_take(&text, text.len);
        if (r.section == MSG_ANSWER && r.type == MSG_TXT && dns_same_name(r.name, name) &&
            msg_value(&m, &r, &text))
            *shows = *shows || strcmp(buf_text(&text), value) == 0;
    }
    buf_free(&text);
    return rc;
}

static int ask_server(struct authority_server *s, const char *name, const char *value, struct job *job,
                      struct err *e)
{
    const struct ask how = { .host = s->address, .port = DNS_PORT, .job = job, .patience_ms = PATIENCE_MS };
    struct buf message = { 0 }, answer = { 0 };
    struct err why = { 0 };
    int rc = make_question(&message, name, e);

    if (rc == 0 &&
        (ask(&how, &message, &answer, &why) != 0 || read_answer(&answer, name, value, &s->shows) != 0)) {
        s->silent++;
        s->shows = false;
    } else {
        s->silent = 0;
    }
    buf_free(&message);
    buf_free(&answer);
    return rc == 0 && why.code == ERR_STOPPED ? err_set(e, why.code, "%s", why.text) : rc;
}

/* Who is still waited for; NULL: nobody. */
static const struct authority_server *laggard(const struct authority *a)
{
    const struct authority_server *late = NULL;
    bool somebody = false;

    for (size_t i = 0; i < a->n; i++) {
        const struct authority_server *s = &a->servers[i];

        somebody = somebody || s->shows;
        if (!s->shows && s->silent < SILENT_ROUNDS)
            late = s;
    }
    return late || somebody ? late : &a->servers[0];
}

static int one_round(struct authority *a, const char *name, const char *value, struct job *job, struct err *e)
{
    for (size_t i = 0; i < a->n; i++)
        if (!a->servers[i].shows && ask_server(&a->servers[i], name, value, job, e) != 0)
            return -1;
    return 0;
}

static int64_t patience_s(const struct authority *a)
{
    return a->negative_s < AUTHORITY_LEAST_S  ? AUTHORITY_LEAST_S
           : a->negative_s > AUTHORITY_MOST_S ? AUTHORITY_MOST_S
                                              : a->negative_s;
}

static int too_late(const struct authority_server *s, const char *name, int64_t waited_s, struct err *e)
{
    if (s->silent > 0)
        return err_set(e, ERR_TIMEOUT, "the name server %.100s (%s) does not answer about %.200s", s->name,
                       s->address, name);
    return err_set(
        e, ERR_TIMEOUT,
        "the name server %.100s (%s) does not show the TXT value at %.150s after %lld s, though the provider "
        "took it; does the zone get there, and is it the provider's?",
        s->name, s->address, name, (long long)waited_s);
}

static void log_silent(const struct authority *a, const char *name)
{
    for (size_t i = 0; i < a->n; i++)
        if (!a->servers[i].shows)
            log_warn_limited("dns-01", "a name server does not answer; the CA may meet it, too",
                             kv_str("peer", a->servers[i].address), kv_str("name", name));
}

int authority_wait(struct authority *a, const char *name, const char *value, struct job *job, struct err *e)
{
    const uint64_t began = uv_hrtime(), until = began + (uint64_t)patience_s(a) * 1000000000;
    const struct authority_server *late;
    int64_t wait_ms = FIRST_WAIT_MS;

    for (;;) {
        if (one_round(a, name, value, job, e) != 0)
            return -1;
        late = laggard(a);
        if (!late)
            break;
        if (uv_hrtime() >= until)
            return too_late(late, name, (int64_t)((uv_hrtime() - began) / 1000000000), e);
        if (!job_sleep(job, wait_ms))
            return err_set(e, ERR_STOPPED, "waiting for the name servers of %.200s was given up, as told",
                           a->zone);
        wait_ms = 2 * wait_ms < LONGEST_WAIT_MS ? 2 * wait_ms : LONGEST_WAIT_MS;
    }
    log_silent(a, name);
    return 0;
}
