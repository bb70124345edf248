#include "relay/certs/dns_said.h"

#include "relay/certs/caa.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SAID_MAX = 2 * DNS_VALUES + CAA_VALUES + 1, SAID_BYTES = CAA_VALUE_BYTES + 32 };

struct said {
    char texts[SAID_MAX][SAID_BYTES];
    size_t n;
};

static int add_addresses(struct said *s, const struct lookup *l, const char *name, enum dns_type type,
                         struct err *e)
{
    struct dns_rrset set;
    int rc;

    dns_rrset_init(&set, name, type);
    rc = lookup(l, &set, e);
    for (size_t i = 0; rc == 0 && i < set.n; i++)
        snprintf(s->texts[s->n++], SAID_BYTES, "%s", set.values[i].text);
    dns_rrset_free(&set);
    return rc;
}

static int add_caa(struct said *s, const struct lookup *l, const char *name, struct err *e)
{
    struct caa caa;

    if (caa_find(&caa, l, name, e) != 0)
        return -1;
    for (size_t i = 0; i < caa.n; i++)
        snprintf(s->texts[s->n++], SAID_BYTES, "%d %s %s", caa.list[i].critical, caa.list[i].tag,
                 caa.list[i].value);
    return 0;
}

static int add_challenge(struct said *s, const struct lookup *l, const char *name, struct err *e)
{
    char at[DOMAIN_BYTES];

    if (snprintf(at, sizeof at, "_acme-challenge.%s", name) >= (int)sizeof at)
        return 0; /* too long to be asked for: nobody proves anything there */
    if (lookup_follow(l, at, e) != 0)
        return -1;
    snprintf(s->texts[s->n++], SAID_BYTES, "%s", at);
    return 0;
}

static int compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

int dns_said(const struct lookup *l, const char *name, struct buf *out, struct err *e)
{
    const char *base = strncmp(name, "*.", 2) == 0 ? name + 2 : name;
    struct said *s;
    int rc;

    if (domain_is_address(name))
        return 0;
    s = calloc(1, sizeof *s);
    if (!s)
        return err_set(e, ERR_SYSTEM, "no memory for what DNS says of %s", name);
    rc = add_addresses(s, l, base, DNS_TYPE_A, e) != 0 || add_addresses(s, l, base, DNS_TYPE_AAAA, e) != 0 ||
                 add_caa(s, l, base, e) != 0 || add_challenge(s, l, base, e) != 0
             ? -1
             : 0;
    qsort(s->texts, s->n, SAID_BYTES, compare);
    for (size_t i = 0; rc == 0 && i < s->n; i++)
        buf_printf(out, "%s\n", s->texts[i]);
    buf_printf(out, "\n");
    free(s);
    return rc;
}
