/* tunnelctl dns providers [NAME]: what each DNS provider can do, from the table that the daemons use. Asks nobody. */
#include "shared/ctl/ctl.h"
#include "shared/ctl/table.h"
#include "shared/dns/provider.h"
#include "shared/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *yes(const struct dns_provider *p, enum dns_can what)
{
    return p->can & what ? "yes" : "no";
}

static const char *kind_of(const struct dns_provider *p)
{
    static const char *const kinds[] = { "sets", "records", "update URL" };

    return kinds[p->kind];
}

static void ttl_of(const struct dns_provider *p, char *out, size_t room)
{
    if (p->min_ttl_s > 0)
        snprintf(out, room, "%" PRId64 "s", p->min_ttl_s);
    else
        snprintf(out, room, "-");
}

static void print_all(void)
{
    static const char *const headings[] = { "TYPE",     "KIND",    "AAAA",    "TXT",
                                            "WILDCARD", "CREATES", "DELETES", "MIN TTL" };
    struct buf out = { 0 };
    struct table table;
    char ttl[24];

    table_init(&table, 8, headings);
    for (size_t i = 0; dns_providers[i]; i++) {
        const struct dns_provider *p = dns_providers[i];

        ttl_of(p, ttl, sizeof ttl);
        table_row(&table, (const char *const[]){ p->type, kind_of(p), yes(p, DNS_CAN_AAAA),
                                                 yes(p, DNS_CAN_TXT), yes(p, DNS_CAN_WILDCARD),
                                                 yes(p, DNS_CAN_CREATE), yes(p, DNS_CAN_DELETE), ttl });
    }
    table_print(&out, &table);
    fputs(buf_text(&out), stdout);
    printf("tunnelctl dns providers TYPE shows a sample section, and where to get the credential\n");
    buf_free(&out);
    table_free(&table);
}

static void print_keys(const char *title, unsigned keys)
{
    struct buf list = { 0 };

    dns_keys_print(&list, keys);
    if (list.len > 0)
        printf("%-12s%s\n", title, buf_text(&list));
    buf_free(&list);
}

static void print_one(const struct dns_provider *p)
{
    char ttl[24];

    ttl_of(p, ttl, sizeof ttl);
    printf("%s (type = %s)\n\n", p->title, p->type);
    printf("%-12sA%s%s%s%s%s%s\n", "keeps", p->can & DNS_CAN_AAAA ? ", AAAA" : "",
           p->can & DNS_CAN_TXT ? ", TXT" : "", p->can & DNS_CAN_WILDCARD ? ", wildcards" : "",
           p->can & DNS_CAN_SEVERAL ? ", several values of a name" : "",
           p->can & DNS_CAN_CREATE ? "; makes records" : "; records have to be there",
           p->can & DNS_CAN_DELETE ? ", deletes them" : ", deletes none");
    printf("%-12s%s\n", "minimum ttl", ttl);
    if (p->min_interval_ms > 0)
        printf("%-12sat most one request in %" PRId64 " ms\n", "pace", p->min_interval_ms);
    print_keys("needs", p->needs);
    print_keys("also takes", p->keys & ~p->needs);
    printf("%-12s%s\n", "credential", p->credential);
    if (p->notes)
        printf("%-12s%s\n", "note", p->notes);
    printf("\n[provider %s]\ntype = %s\n%s", p->type, p->type, p->sample);
}

static json_t *json_of(const struct dns_provider *p)
{
    struct buf keys = { 0 }, needs = { 0 };
    json_t *json;

    dns_keys_print(&keys, p->keys);
    dns_keys_print(&needs, p->needs);
    json = json_pack("{s:s, s:s, s:s, s:b, s:b, s:b, s:b, s:b, s:b, s:I, s:I, s:s, s:s, s:s, s:s}", "type",
                     p->type, "title", p->title, "kind", kind_of(p), "aaaa", (p->can & DNS_CAN_AAAA) != 0,
                     "txt", (p->can & DNS_CAN_TXT) != 0, "wildcard", (p->can & DNS_CAN_WILDCARD) != 0,
                     "creates", (p->can & DNS_CAN_CREATE) != 0, "deletes", (p->can & DNS_CAN_DELETE) != 0,
                     "several", (p->can & DNS_CAN_SEVERAL) != 0, "min_ttl_s", (json_int_t)p->min_ttl_s,
                     "min_interval_ms", (json_int_t)p->min_interval_ms, "keys", buf_text(&keys), "needs",
                     buf_text(&needs), "credential", p->credential, "sample", p->sample);
    buf_free(&keys);
    buf_free(&needs);
    return json;
}

static void print_json(const struct dns_provider *only)
{
    json_t *list = json_array(), *all;
    struct buf out = { 0 };

    for (size_t i = 0; dns_providers[i]; i++)
        if (!only || dns_providers[i] == only)
            json_array_append_new(list, json_of(dns_providers[i]));
    all = json_pack("{s:o}", "providers", list);
    json_write(&out, all);
    fputs(buf_text(&out), stdout);
    buf_free(&out);
    json_decref(all);
}

enum ctl_exit ctl_dns_providers(struct ctl *c)
{
    const struct dns_provider *p = NULL;

    if (c->argc > 1)
        return ctl_wrong_usage("dns providers takes at most one TYPE, but was given %s as well", c->argv[1]);
    for (size_t i = 0; c->argc == 1 && dns_providers[i]; i++)
        if (strcmp(dns_providers[i]->type, c->argv[0]) == 0)
            p = dns_providers[i];
    if (c->argc == 1 && !p)
        return ctl_wrong_usage("there is no provider of type %s; tunnelctl dns providers lists all of them",
                               c->argv[0]);
    if (c->json)
        print_json(p);
    else if (p)
        print_one(p);
    else
        print_all();
    return CTL_WELL;
}
