#include "relay/certs/caa.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { CRITICAL = 0x80, HEAD_BYTES = 2 };

/* ---- one record: flags, length of the tag, tag, value ---- */

bool caa_read(struct caa *c, const unsigned char *rdata, size_t n)
{
    size_t tag = n >= HEAD_BYTES ? rdata[1] : 0, value = n - HEAD_BYTES - tag;

    if (n < HEAD_BYTES || tag == 0 || HEAD_BYTES + tag > n)
        return false;
    if (c->n == CAA_VALUES)
        return true; /* nobody needs to see more of them */
    c->list[c->n].critical = rdata[0] & CRITICAL;
    snprintf(c->list[c->n].tag, sizeof c->list[0].tag, "%.*s", (int)tag, (const char *)rdata + HEAD_BYTES);
    snprintf(c->list[c->n].value, sizeof c->list[0].value, "%.*s", (int)value,
             (const char *)rdata + HEAD_BYTES + tag);
    c->n++;
    return true;
}

/* ---- what they mean ---- */

/* "letsencrypt.org; validationmethods=dns-01": the name in front; "" lets nobody. */
static bool names_one_of(const char *value, const char *const *cas, size_t n)
{
    size_t length;

    value += strspn(value, " \t");
    length = strcspn(value, "; \t");
    for (size_t i = 0; i < n; i++)
        if (strlen(cas[i]) == length && strncasecmp(cas[i], value, length) == 0)
            return true;
    return false;
}

static bool has_tag(const struct caa *c, const char *tag)
{
    for (size_t i = 0; i < c->n; i++)
        if (strcasecmp(c->list[i].tag, tag) == 0)
            return true;
    return false;
}

const char *caa_unknown(const struct caa *c)
{
    static const char *const known[] = { "issue", "issuewild", "iodef", "issuemail" };

    for (size_t i = 0; i < c->n; i++) {
        bool is_known = !c->list[i].critical;

        for (size_t j = 0; j < sizeof known / sizeof *known; j++)
            is_known = is_known || strcasecmp(c->list[i].tag, known[j]) == 0;
        if (!is_known)
            return c->list[i].tag;
    }
    return NULL;
}

bool caa_admits(const struct caa *c, bool wildcard, const char *const *cas, size_t cas_n)
{
    const char *tag = wildcard && has_tag(c, "issuewild") ? "issuewild" : "issue";

    if (!has_tag(c, tag))
        return true; /* nothing of this kind is said */
    for (size_t i = 0; i < c->n; i++)
        if (strcasecmp(c->list[i].tag, tag) == 0 && names_one_of(c->list[i].value, cas, cas_n))
            return true;
    return false;
}

/* ---- found ---- */

static void add(void *user, const struct msg *m, const struct msg_record *r)
{
    (void)m;
    if (r->section == MSG_ANSWER && r->type == MSG_CAA && !caa_read(user, r->rdata, r->rdata_n))
        return; /* the CA will say what it makes of it */
}

int caa_find(struct caa *c, const struct lookup *l, const char *name, struct err *e)
{
    *c = (struct caa){ 0 };
    for (const char *at = name; at; at = strchr(at, '.') ? strchr(at, '.') + 1 : NULL) {
        if (lookup_each(l, at, MSG_CAA, add, c, e) != 0)
            return err_wrap(e, "the CAA records of %.200s", at);
        if (c->n == 0)
            continue;
        snprintf(c->at, sizeof c->at, "%s", at);
        return 0;
    }
    return 0;
}
