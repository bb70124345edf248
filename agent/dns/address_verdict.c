#include "agent/dns/address_verdict.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

enum { PREFIX_BYTES = 8, CANDIDATES = 16 };

/* ---- who says what ---- */

struct candidate {
    const char *text;
    bool own; /* the house says it itself */
};

static bool same_prefix(const char *a, const char *b)
{
    struct in6_addr x, y;

    return inet_pton(AF_INET6, a, &x) == 1 && inet_pton(AF_INET6, b, &y) == 1 &&
           memcmp(&x, &y, PREFIX_BYTES) == 0;
}

static bool speaks_for(const struct address_vote *v, const struct candidate *c, int family)
{
    if (strcmp(v->text, c->text) == 0)
        return true;
    return family == AF_INET6 && c->own && v->voice != ADDRESS_ITSELF && same_prefix(v->text, c->text);
}

/* What the house says itself comes first, so that others speak for it. */
static size_t find_candidates(const struct address_vote *votes, size_t n, int family,
                              struct candidate list[CANDIDATES])
{
    size_t found = 0;

    for (int own = 1; own >= 0; own--)
        for (size_t i = 0; i < n && found < CANDIDATES; i++) {
            bool known = (votes[i].voice == ADDRESS_ITSELF) != own;

            for (size_t j = 0; j < found && !known; j++)
                known = speaks_for(&votes[i], &list[j], family);
            if (!known)
                list[found++] = (struct candidate){ votes[i].text, own };
        }
    return found;
}

static bool is_repeated(const struct address_vote *votes, size_t i, const struct candidate *c, int family)
{
    for (size_t j = 0; j < i; j++)
        if (votes[i].operator&& votes[j].operator&& strcmp(votes[i].operator, votes[j].operator) == 0 &&
            speaks_for(&votes[j], c, family))
            return true;
    return false;
}

static bool reaches(const struct address_vote *votes, size_t n, const struct candidate *c,
                    const struct address_rules *rules)
{
    bool more_than_dns = rules->dns_suffices;
    size_t voices = 0;

    for (size_t i = 0; i < n; i++) {
        if (!speaks_for(&votes[i], c, rules->family))
            continue;
        more_than_dns = more_than_dns || votes[i].voice != ADDRESS_OUTSIDE_DNS;
        voices += !is_repeated(votes, i, c, rules->family);
    }
    return voices >= rules->quorum && more_than_dns;
}

/* "relay fra1 says 81.2.3.4; web api.ipify.org and dns myip.opendns.com say 81.2.3.5" */
static void tell(const struct address_vote *votes, size_t n, const struct candidate *list, size_t found,
                 const struct address_rules *rules, char *out, size_t room)
{
    size_t used = strlen(out);

    for (size_t c = 0; c < found && used < room; c++) {
        size_t speakers = 0;

        for (size_t i = 0; i < n && used < room; i++)
            if (speaks_for(&votes[i], &list[c], rules->family))
                used += (size_t)snprintf(out + used, room - used, "%s%s",
                                         speakers++ > 0 ? ", " : (c > 0 ? "; " : ""), votes[i].who);
        if (used < room)
            used += (size_t)snprintf(out + used, room - used, " %s %s", speakers == 1 ? "says" : "say",
                                     list[c].text);
    }
}

void address_judge_votes(const struct address_vote *votes, size_t n, const struct address_rules *rules,
                         struct address_verdict *out)
{
    struct candidate list[CANDIDATES];
    size_t found = find_candidates(votes, n, rules->family, list), reached = 0, which = 0;

    *out = (struct address_verdict){ .kind = ADDRESS_NOBODY };
    for (size_t i = 0; i < found; i++)
        if (reaches(votes, n, &list[i], rules)) {
            which = i;
            reached++;
        }
    if (reached == 1 && found < CANDIDATES) { /* more than that are not even counted */
        out->kind = ADDRESS_AGREED;
        snprintf(out->text, sizeof out->text, "%s", list[which].text);
    } else if (found > 1) {
        out->kind = ADDRESS_DISAGREE;
        snprintf(out->why, sizeof out->why, "the sources disagree: ");
        tell(votes, n, list, found, rules, out->why, sizeof out->why);
    } else if (found == 1) {
        out->kind = ADDRESS_TOO_FEW;
        snprintf(out->why, sizeof out->why, "too few agree (quorum = %zu): ", rules->quorum);
        tell(votes, n, list, found, rules, out->why, sizeof out->why);
    }
}

/* ---- for how long ---- */

enum { FIRST_MS = 3000, MOST_MS = 15 * 60 * 1000, CALM_MS = 60 * 60 * 1000, TIMES = 4 };

static int64_t hold_ms(const struct address_settle *s, int64_t least_ms)
{
    int64_t ms = FIRST_MS;

    for (unsigned i = 0; i < s->changes && ms < MOST_MS; i++)
        ms *= TIMES;
    if (ms > MOST_MS)
        ms = MOST_MS;
    return ms > least_ms ? ms : least_ms;
}

int64_t address_settle_hear(struct address_settle *s, const char *text, int64_t least_ms, int64_t now_ms)
{
    int64_t left;

    if (s->changes > 0 && now_ms - s->changed_ms >= CALM_MS)
        s->changes = 0;
    if (strcmp(text, s->now) == 0) {
        s->next[0] = 0;
        return 0;
    }
    if (strcmp(text, s->next) != 0) {
        snprintf(s->next, sizeof s->next, "%s", text);
        s->next_since_ms = now_ms;
    }
    left = s->next_since_ms + (s->now[0] ? hold_ms(s, least_ms) : least_ms) - now_ms;
    if (left > 0)
        return left;
    if (s->now[0]) {
        s->changes++;
        s->changed_ms = now_ms;
    }
    snprintf(s->now, sizeof s->now, "%s", text);
    s->next[0] = 0;
    return 0;
}
