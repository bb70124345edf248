#include "shared/dns/dyn.h"

#include "shared/mem.h"
#include "shared/value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SERVER_TROUBLE_MS = 30 * 60 * 1000, TOO_SOON_MS = 2 * 60 * 1000, SHOWN_CHARS = 60 };

static const struct word {
    const char *word;
    enum dns_class class;
    int64_t retry_after_ms;
    const char *remedy;
} words[] = {
    { "good", DNS_OK, -1, "" },
    { "nochg", DNS_NOCHANGE, -1, "" },
    { "badauth", DNS_AUTH, -1, "user or password is wrong; correct user and password_file" },
    { "!donator", DNS_AUTH, -1, "this account may not do that; it needs another plan there" },
    { "badsys", DNS_AUTH, -1, "the kind of record it was asked for is unknown there" },
    { "badagent", DNS_AUTH, -1, "it does not let this program in" },
    { "notfqdn", DNS_CONFIG, -1, "it takes this name for no whole host name" },
    { "nohost", DNS_CONFIG, -1, "this account has no such name; make it there first" },
    { "!yours", DNS_CONFIG, -1, "the name belongs to another account" },
    { "!active", DNS_CONFIG, -1, "the name is not active there" },
    { "numhost", DNS_CONFIG, -1, "too many names at once, or none" },
    { "abuse", DNS_ABUSE, -1, "the name is blocked for abuse; ask there to have it unblocked" },
    { "dnserr", DNS_TRANSIENT, SERVER_TROUBLE_MS, "its own DNS has a problem" },
    { "911", DNS_TRANSIENT, SERVER_TROUBLE_MS,
      "it has a problem, and wants to be left alone for half an hour" },
    { "interval", DNS_THROTTLED, TOO_SOON_MS, "too many updates of this record" },
};

static bool is_among(const char *list, struct str word)
{
    struct str rest = str_of(list), next;

    while (value_next(&rest, &next))
        if (next.n == word.n && memcmp(next.p, word.p, word.n) == 0)
            return true;
    return false;
}

static const struct word *find(struct str word)
{
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (str_eq(word, words[i].word))
            return &words[i];
    return NULL;
}

static enum dns_class not_understood(struct dns_client *c, struct str line, struct dns_why *why)
{
    struct buf shown = { 0 };

    value_show(&shown, line, SHOWN_CHARS);
    dns_fail(c, why, DNS_BADREPLY, "its answer \"%s\" is none of this kind of service; is the url right?",
             buf_text(&shown));
    buf_free(&shown);
    return DNS_BADREPLY;
}

enum dns_class dns_dyn_judge(struct dns_client *c, struct str body, const char *success, const char *sent,
                             struct dns_why *why)
{
    const char *end = body.n > 0 ? memchr(body.p, '\n', body.n) : NULL;
    struct str line = { body.p, end ? (size_t)(end - body.p) : body.n }, rest, first = { 0 }, second = { 0 };
    const struct word *word;

    if (line.n > 0 && line.p[line.n - 1] == '\r')
        line.n--;
    rest = line;
    str_next_word(&rest, "", &first);
    str_next_word(&rest, "", &second);
    word = find(first);
    if (word && word->class == DNS_OK && sent && str_eq(second, "127.0.0.1") &&
        strcmp(sent, "127.0.0.1") != 0)
        return dns_fail(c, why, DNS_AUTH,
                        "it answers good 127.0.0.1, which means that it does not let this program in");
    if (word && word->class <= DNS_NOCHANGE)
        return word->class;
    if (!word)
        return first.n > 0 && is_among(success, first) ? DNS_OK : not_understood(c, line, why);
    if (why->retry_after_ms < 0)
        why->retry_after_ms = word->retry_after_ms;
    return dns_fail(c, why, word->class, "it answers %s: %s", word->word, word->remedy);
}

enum dns_class dns_dyn_ask(struct dns_client *c, struct dns_request *r, const char *sent, struct dns_why *why)
{
    struct fetch_reply reply;
    enum dns_class class = dns_send(c, r, &reply, why);
    struct str body = { buf_bytes(&reply.body), reply.body.len };

    if (class == DNS_OK)
        class = dns_judge_status(c, reply.status, NULL, why);
    if (class == DNS_OK)
        class = dns_dyn_judge(c, body, c->conf.success, sent, why);
    fetch_reply_free(&reply);
    return class;
}

/* ---- one family by one request ---- */

struct told {
    struct told *next;
    char name[DOMAIN_BYTES], v4[16];
};

static struct told *find_told(struct dns_client *c, const char *name)
{
    struct told *t = c->own;

    while (t && strcmp(t->name, name) != 0)
        t = t->next;
    return t;
}

static void remember(struct dns_client *c, const char *name, const char *v4)
{
    struct told *t = find_told(c, name);

    if (!t) {
        t = mem_new(sizeof *t);
        snprintf(t->name, sizeof t->name, "%s", name);
        t->next = c->own;
        c->own = t;
    }
    snprintf(t->v4, sizeof t->v4, "%s", v4);
}

enum dns_class dns_dyn_each(struct dns_client *c, const char *name, const char *v4, const char *v6,
                            enum dns_class (*one)(struct dns_client *c, const char *name, const char *address,
                                                  struct dns_why *why),
                            struct dns_why *why)
{
    enum dns_class first = DNS_NOCHANGE, second = DNS_NOCHANGE;
    struct told *t = find_told(c, name);

    if (v4 && !(v6 && t && strcmp(t->v4, v4) == 0))
        first = one(c, name, v4, why);
    else if (v4)
        first = DNS_OK; /* it was told before, and what came behind that is to be made up for */
    if (t)
        t->v4[0] = 0;
    if (first > DNS_NOCHANGE)
        return first;
    if (v6)
        second = one(c, name, v6, why);
    if (second > DNS_NOCHANGE) {
        if (v4)
            remember(c, name, v4);
        return second;
    }
    return first == DNS_OK ? DNS_OK : second;
}

void dns_dyn_forget(struct dns_client *c)
{
    for (struct told *t = c->own, *next; t; t = next) {
        next = t->next;
        free(t);
    }
    c->own = NULL;
}

enum dns_class dns_dyn_only(struct dns_client *c, const char *name, struct dns_why *why)
{
    if (strcmp(name, c->conf.zone) == 0)
        return DNS_OK;
    return dns_fail(
        c, why, DNS_CONFIG,
        "its credential is for %s alone, which its section says by zone, so it cannot be told of %s; "
        "give that name a [provider] of its own",
        c->conf.zone, name);
}
