/* What is said on lanes about certificates: errands for jobs, news for agents' own status, answers of other relays. */
#include "relay/lanes/lanes_parts.h"
#include "shared/domain.h"
#include "shared/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BAN_BYTES = 1024 }; /* what one costs us beside its line */

static const char item_prefix[] = "domain:";

/* ---- who is meant ---- */

enum match { MATCH_NONE, MATCH_WILDCARD, MATCH_EXACT };

static enum match match_of(const struct claims_site *site, const struct claims_agent *agent, const char *host)
{
    enum match best = MATCH_NONE;

    if (!agent->claimed && !agent->remembered)
        return MATCH_NONE;
    for (size_t i = 0; i <= agent->aliases_n; i++) {
        const char *name = i == 0 ? site->name : agent->aliases[i - 1];

        if (strcmp(name, host) == 0)
            return MATCH_EXACT;
        if (domain_matches(name, host))
            best = MATCH_WILDCARD;
    }
    return best;
}

/* As with visitors: where somebody has the very name, those who have a wildcard over it have no say. */
static enum match match_that_counts(const struct lanes *l, const char *host)
{
    enum match best = MATCH_NONE;
    struct claims_site site;

    for (size_t i = 0; claims_site(l->claims, i, &site); i++)
        for (size_t j = 0; j < site.agents_n; j++) {
            enum match match = match_of(&site, &site.agents[j], host);

            best = match > best ? match : best;
        }
    return best;
}

static bool is_among(char names[][ERRANDS_AGENT_BYTES], size_t n, const char *agent)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(names[i], agent) == 0)
            return true;
    return false;
}

static size_t agents_of(void *user, const char *host, char names[][ERRANDS_AGENT_BYTES])
{
    const struct lanes *l = user;
    enum match counts = match_that_counts(l, host);
    struct claims_site site;
    size_t n = 0;

    for (size_t i = 0; claims_site(l->claims, i, &site); i++)
        for (size_t j = 0; j < site.agents_n && n < ERRANDS_AGENTS; j++)
            if (counts != MATCH_NONE && match_of(&site, &site.agents[j], host) == counts &&
                !is_among(names, n, site.agents[j].name))
                snprintf(names[n++], ERRANDS_AGENT_BYTES, "%s", site.agents[j].name);
    return n;
}

bool lanes_serves(const struct lanes *l, const char *agent, const char *host)
{
    enum match counts = match_that_counts(l, host);
    struct claims_site site;

    for (size_t i = 0; claims_site(l->claims, i, &site); i++)
        for (size_t j = 0; j < site.agents_n; j++)
            if (counts != MATCH_NONE && strcmp(site.agents[j].name, agent) == 0 &&
                match_of(&site, &site.agents[j], host) == counts)
                return true;
    return false;
}

/* ---- saying ---- */

static bool hears(const struct lane_facts *f, const char *agent)
{
    return (f->state == LANE_S_OPENING || lane_is_up(f)) && strcmp(f->agent, agent) == 0;
}

uint64_t lanes_say(struct lanes *l, const char *agent, const struct lane_msg *m)
{
    struct lane_facts f;

    for (size_t i = 0; i < l->n; i++) {
        lane_facts(l->list[i], &f);
        if (hears(&f, agent) && boots_is_newest(&l->boots, agent, f.boot)) {
            lane_say(l->list[i], m);
            return f.id;
        }
    }
    return 0;
}

static uint64_t say_errand(void *user, const char *agent, const struct lane_msg *m)
{
    return lanes_say(user, agent, m);
}

/* ---- news: the same to each machine of an agent, by one lane ---- */

static bool is_first_of_boot(const struct lanes *l, size_t at)
{
    struct lane_facts f, other;

    lane_facts(l->list[at], &f);
    for (size_t i = 0; i < at; i++) {
        lane_facts(l->list[i], &other);
        if (hears(&other, f.agent) && strcmp(other.boot, f.boot) == 0)
            return false;
    }
    return true;
}

static void say_to_machines(struct lanes *l, const char *agent, const struct lane_msg *m)
{
    struct lane_facts f;

    for (size_t i = 0; i < l->n; i++) {
        lane_facts(l->list[i], &f);
        if (hears(&f, agent) && is_first_of_boot(l, i))
            lane_say(l->list[i], m);
    }
}

void lanes_tell_notice(struct lanes *l, const char *agent, const char *level, const char *text)
{
    const struct lane_msg m = { .type = LANE_NOTICE, .notice = { level, text } };

    say_to_machines(l, agent, &m);
}

static struct lane_msg cert_msg(const struct lanes_news *n)
{
    return (struct lane_msg){ .type = LANE_CERT, .cert = { n->item, n->state, n->not_after, n->why } };
}

static void free_news(struct lanes_news *n)
{
    free(n->item);
    free(n->state);
    free(n->not_after);
    free(n->why);
}

static struct lanes_news *news_of(struct lanes *l, const char *item)
{
    for (size_t i = 0; i < l->news_n; i++)
        if (strcmp(l->news[i].item, item) == 0)
            return &l->news[i];
    l->news = mem_grow(l->news, (l->news_n + 1) * sizeof *l->news);
    l->news[l->news_n] = (struct lanes_news){ .item = mem_copy(item) };
    return &l->news[l->news_n++];
}

static bool is_same(const struct lanes_news *n, const char *state, const char *not_after, const char *why)
{
    return n->state && strcmp(n->state, state) == 0 && strcmp(n->not_after, not_after) == 0 &&
           strcmp(n->why, why) == 0;
}

/* Whether the agent serves a name there: the site's own, or an alias with a certificate of its own. */
static bool claims_name(const struct claims_site *s, const struct claims_agent *agent, const char *name)
{
    bool found = strcmp(s->name, name) == 0;

    for (size_t i = 0; agent->claimed && !found && i < agent->aliases_n; i++)
        found = strcmp(agent->aliases[i], name) == 0;
    return found && agent->claimed;
}

void lanes_tell_cert(struct lanes *l, const char *site, const char *state, const char *not_after,
                     const char *why)
{
    char *item = mem_format("%s%s", item_prefix, site);
    struct lanes_news *n = news_of(l, item);
    struct claims_site s;
    struct lane_msg m;

    free(item);
    if (is_same(n, state, not_after, why))
        return;
    free(n->state);
    free(n->not_after);
    free(n->why);
    *n = (struct lanes_news){ n->item, mem_copy(state), mem_copy(not_after), mem_copy(why) };
    m = cert_msg(n);
    for (size_t i = 0; claims_site(l->claims, i, &s); i++)
        for (size_t j = 0; j < s.agents_n; j++)
            if (claims_name(&s, &s.agents[j], site))
                say_to_machines(l, s.agents[j].name, &m);
}

static bool is_claimed(const struct lanes *l, const char *agent, const char *name)
{
    struct claims_site s;

    for (size_t i = 0; claims_site(l->claims, i, &s); i++)
        for (size_t j = 0; j < s.agents_n; j++)
            if (strcmp(s.agents[j].name, agent) == 0 && claims_name(&s, &s.agents[j], name))
                return true;
    return false;
}

void lanes_tell_claimer(struct lanes *l, struct lane *lane)
{
    struct lane_facts f;

    lane_facts(lane, &f);
    for (size_t i = 0; i < l->n; i++)
        if (l->list[i] == lane && !is_first_of_boot(l, i))
            return;
    for (size_t i = 0; i < l->news_n; i++) {
        const struct lane_msg m = cert_msg(&l->news[i]);

        if (l->news[i].state && is_claimed(l, f.agent, l->news[i].item + strlen(item_prefix)))
            lane_say(lane, &m);
    }
}

/* ---- hearing ---- */

void lanes_hear(void *user, struct lane *lane, const struct lane_msg *m)
{
    struct lanes *l = user;
    struct lane_facts f;

    lane_facts(lane, &f);
    if (m->type == LANE_CHALLENGE)
        l->events->challenge(l->user, f.agent, m);
    else if (m->type == LANE_BAN) {
        budget_spend(budget_of(&l->budget, f.agent), BAN_BYTES);
        l->events->ban(l->user, f.agent, m);
    } else if (l->errands)
        errands_answered(l->errands, f.agent, m);
}

/* ---- begin and end ---- */

int lanes_begin_words(struct lanes *l, struct err *e)
{
    l->errands_host = (struct errands_host){ agents_of, say_errand, l };
    l->errands = errands_new(l->loop, &l->errands_host, e);
    return l->errands ? 0 : -1;
}

void lanes_free_words(struct lanes *l)
{
    for (size_t i = 0; i < l->news_n; i++)
        free_news(&l->news[i]);
    free(l->news);
}

const struct publish *lanes_publish(const struct lanes *l)
{
    return &l->publish;
}

struct errands *lanes_errands(const struct lanes *l)
{
    return l->errands;
}
