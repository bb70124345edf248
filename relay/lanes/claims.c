#include "relay/lanes/claims.h"

#include "relay/lanes/claims_parts.h"
#include "shared/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What one agent may make us keep: of each site that it may have, and of some that are too many, so that it is told. */
enum { SPARE_ITEMS = LANE_ITEMS, ITEM_BYTES = 1024, PIECE_BYTES = 32 /* of memory, beside its text */ };
enum { POLICY_COST = 4 }; /* a JSON object takes some times as much memory as text */

/* ---- memory ---- */

static void items_free(struct items *items)
{
    for (size_t i = 0; i < items->n; i++) {
        ports_unread(&items->list[i]);
        for (size_t j = 0; j < items->list[i].aliases_n; j++)
            free(items->list[i].aliases[j]);
        free(items->list[i].aliases);
        for (size_t j = 0; j < items->list[i].said_n; j++)
            free(items->list[i].said[j].route);
        free(items->list[i].said);
        json_decref(items->list[i].policy);
        free(items->list[i].item);
    }
    free(items->list);
    *items = (struct items){ 0 };
}

static void free_words(char ***words, size_t *n)
{
    for (size_t i = 0; i < *n; i++)
        free((*words)[i]);
    free(*words);
    *words = NULL;
    *n = 0;
}

static void free_patterns(struct agent *a)
{
    free_words(&a->patterns, &a->patterns_n);
    free_words(&a->tcp_ports, &a->tcp_ports_n);
}

static void agent_free(struct agent *a)
{
    items_free(&a->now);
    items_free(&a->coming);
    free_patterns(a);
    free(a);
}

struct claims *claims_new(void)
{
    return mem_new(sizeof(struct claims));
}

void claims_free(struct claims *c)
{
    if (!c)
        return;
    while (c->agents) {
        struct agent *a = c->agents;

        c->agents = a->next;
        agent_free(a);
    }
    names_free(c);
    sites_free(c);
    free(c->answers);
    free(c);
}

static struct agent *find_agent(const struct claims *c, const char *name)
{
    struct agent *a = c->agents;

    while (a && strcmp(a->name, name) != 0)
        a = a->next;
    return a;
}

/* ---- the roster ---- */

static char **copy_words(const struct opt_words *from, size_t *n)
{
    char **words = mem_new((from->n + 1) * sizeof(char *));

    for (*n = 0; *n < from->n; (*n)++)
        words[*n] = mem_copy(from->words[*n]);
    return words;
}

static void set_patterns(struct agent *a, const struct roster_agent *from)
{
    free_patterns(a);
    a->patterns = copy_words(&from->domains, &a->patterns_n);
    a->tcp_ports = copy_words(&from->tcp_ports, &a->tcp_ports_n);
    a->enrolled = from->since != 0;
}

static void drop_gone(struct claims *c)
{
    for (struct agent **at = &c->agents; *at;) {
        struct agent *a = *at;

        if (a->kept) {
            at = &a->next;
        } else {
            *at = a->next;
            agent_free(a);
        }
    }
}

void claims_follow(struct claims *c, const struct opt_conf *conf, const struct roster *roster)
{
    for (struct agent *a = c->agents; a; a = a->next)
        a->kept = false;
    for (size_t i = 0; i < roster->n; i++) {
        const struct roster_agent *wanted = &roster->list[i];
        struct agent *a = find_agent(c, wanted->name);

        if (!a) {
            a = mem_new(sizeof *a);
            snprintf(a->name, sizeof a->name, "%s", wanted->name);
            a->next = c->agents;
            c->agents = a;
        }
        a->kept = true;
        set_patterns(a, wanted);
        a->max_domains = wanted->max_domains;
    }
    drop_gone(c);
    names_follow(c, conf);
    names_settle(c, NULL);
    sites_list(c);
}

void claims_set_ports(struct claims *c, const struct claims_ports *ports)
{
    c->ports = ports;
}

bool claims_lack_ports(const struct claims *c)
{
    return c->lacks_ports;
}

void claims_try_ports(struct claims *c)
{
    names_settle(c, NULL);
    sites_list(c);
}

int64_t claims_serial(const struct claims *c, const char *agent)
{
    const struct agent *a = find_agent(c, agent);

    return a ? a->serial : 0;
}

bool claims_knows(const struct claims *c, const char *agent)
{
    return find_agent(c, agent) != NULL;
}

bool claims_has(const struct claims *c, const char *agent)
{
    const struct agent *a = find_agent(c, agent);

    return a && a->now.n > 0;
}

/* ---- claims ---- */

static const char domain_prefix[] = "domain:", tcp_prefix[] = "tcp:";

/* What stands behind it; NULL where something else begins the text. */
static const char *behind(const char *text, const char *prefix)
{
    size_t n = strlen(prefix);

    return strncmp(text, prefix, n) == 0 ? text + n : NULL;
}

static void add_item(struct items *items, const struct lane_item *from)
{
    struct item *it;

    items->list = mem_grow(items->list, (items->n + 1) * sizeof *items->list);
    it = &items->list[items->n++];
    *it = (struct item){ .item = mem_copy(from->item) };
    it->name = behind(it->item, domain_prefix);
    it->tcp = behind(it->item, tcp_prefix);
    it->aliases = mem_new((from->aliases_n + 1) * sizeof(char *));
    items->bytes += sizeof *it + strlen(from->item) + PIECE_BYTES + PIECE_BYTES;
    for (size_t i = 0; i < from->aliases_n; i++) {
        it->aliases[it->aliases_n++] = mem_copy(from->aliases[i]);
        items->bytes += sizeof(char *) + strlen(from->aliases[i]) + PIECE_BYTES;
    }
    it->policy = json_incref(from->policy);
    items->bytes += POLICY_COST * policy_json_bytes(from->policy);
    ports_read(it);
}

static void make_answer(struct claims *c, const struct agent *a, int64_t serial, struct lane_msg *answer)
{
    c->answers = mem_grow(c->answers, (a->now.n + 1) * sizeof *c->answers);
    for (size_t i = 0; i < a->now.n; i++) {
        const struct item *it = &a->now.list[i];

        c->answers[i] = (struct lane_answer){ it->item, !it->why[0], it->why };
    }
    *answer = (struct lane_msg){ .type = LANE_CLAIMED,
                                 .v = LANE_VERSION,
                                 .claimed = { serial, c->answers, a->now.n } };
}

/* A boot counts its serials anew. */
static void follow_boot(struct agent *a, const char *boot)
{
    if (strcmp(a->boot, boot) == 0)
        return;
    snprintf(a->boot, sizeof a->boot, "%s", boot);
    a->serial = a->coming_serial = 0;
}

/* Each lane sends the whole claim, and an equal serial is the same claim: its next part is welcome from any of them.
 * False when this one is not it: seen already, or overtaken by a newer claim on another lane. */
static bool begin_part(struct agent *a, const struct lane_msg *part)
{
    int64_t serial = part->claim.serial;

    if (serial > a->coming_serial) {
        items_free(&a->coming);
        a->coming_serial = serial;
        a->coming_part = 0;
    }
    if (serial < a->coming_serial || part->claim.part != a->coming_part + 1)
        return false;
    a->coming_part++;
    return true;
}

static size_t most_items(const struct agent *a)
{
    return (size_t)a->max_domains + SPARE_ITEMS;
}

static bool holds_too_much(const struct agent *a, const struct items *items)
{
    return items->n > most_items(a) || items->bytes > most_items(a) * ITEM_BYTES;
}

static int add_part(struct agent *a, const struct lane_msg *part, struct err *e)
{
    size_t most = most_items(a);

    for (size_t i = 0; i < part->claim.n && !holds_too_much(a, &a->coming); i++)
        add_item(&a->coming, &part->claim.items[i]);
    if (!holds_too_much(a, &a->coming))
        return 0;
    items_free(&a->coming);
    a->coming_part = 0;
    return err_set(
        e, ERR_LIMIT,
        "a claim of more than %zu sites or %zu KiB: claim fewer, or raise max_domains in the relay's [agent %s]",
        most, most * ITEM_BYTES / 1024, a->name);
}

static struct item *find_item(const struct items *items, const char *text)
{
    for (size_t i = 0; i < items->n; i++)
        if (strcmp(items->list[i].item, text) == 0)
            return &items->list[i];
    return NULL;
}

/* A name that it has had is not new to it. What this boot has said of its services it says anew, others do not. */
static void take_over(struct item *it, struct item *old, const char *boot)
{
    it->since = old->why[0] ? 0 : old->since;
    for (size_t i = 0; i < old->said_n; i++) {
        if (strcmp(old->said[i].boot, boot) == 0)
            continue;
        it->said = mem_grow(it->said, (it->said_n + 1) * sizeof *it->said);
        it->said[it->said_n++] = old->said[i];
        old->said[i].route = NULL;
    }
}

static void enforce(struct claims *c, struct agent *a)
{
    a->serial = a->coming_serial;
    for (size_t i = 0; i < a->now.n; i++) {
        struct item *it = find_item(&a->coming, a->now.list[i].item);

        if (it)
            take_over(it, &a->now.list[i], a->boot);
    }
    items_free(&a->now);
    a->now = a->coming;
    a->coming = (struct items){ 0 };
    a->remembered = false;
    names_settle(c, a);
    sites_list(c);
}

int claims_take(struct claims *c, const char *agent, const char *boot, const struct lane_msg *part,
                struct lane_msg *answer, struct err *e)
{
    struct agent *a = find_agent(c, agent);

    *answer = (struct lane_msg){ .type = LANE_UNKNOWN };
    if (!a)
        return 0;
    follow_boot(a, boot);
    if (part->claim.serial != a->serial) {
        if (!begin_part(a, part))
            return 0;
        if (add_part(a, part, e) != 0)
            return -1;
        if (part->claim.last)
            enforce(c, a);
    }
    if (part->claim.last) {
        make_answer(c, a, a->serial, answer);
        a->untold = false;
    }
    return 0;
}

bool claims_untold(struct claims *c, const char **agent, struct lane_msg *answer)
{
    for (struct agent *a = c->agents; a; a = a->next) {
        bool untold = a->untold;

        a->untold = false;
        if (!untold || a->serial == 0)
            continue; /* whoever has not claimed yet is answered when he does */
        *agent = a->name;
        make_answer(c, a, a->serial, answer);
        return true;
    }
    return false;
}

bool claims_echo(struct claims *c, const char *agent, const struct lane_msg *part, struct lane_msg *answer)
{
    const struct agent *a = find_agent(c, agent);

    if (!a || !part->claim.last)
        return false;
    make_answer(c, a, part->claim.serial, answer);
    return true;
}

/* ---- from before ---- */

static void remember(struct claims *c, const char *agent, const char *prefix, const char *name,
                     const struct lane_item *item)
{
    struct agent *a = find_agent(c, agent);
    char *text;

    if (!a || a->serial != 0 || holds_too_much(a, &a->now))
        return;
    a->remembered = true;
    text = mem_format("%s%s", prefix, name);
    add_item(&a->now, &(struct lane_item){ text, item->aliases, item->aliases_n, item->policy });
    a->now.list[a->now.n - 1].since = ++c->accepted; /* in the order in which they had it */
    free(text);
}

void claims_remember(struct claims *c, const char *agent, const char *name, const struct lane_item *item)
{
    remember(c, agent, domain_prefix, name, item);
}

void claims_remember_port(struct claims *c, const char *agent, const char *name, json_t *policy)
{
    remember(c, agent, tcp_prefix, name, &(struct lane_item){ .policy = policy });
}

void claims_remembered(struct claims *c)
{
    names_settle(c, NULL);
    sites_list(c);
}

/* ---- services ---- */

static bool has_route(const struct item *it, const char *route)
{
    const json_t *routes = json_object_get(it->policy, "routes");
    bool found = !route[0];

    for (size_t i = 0; i < json_array_size(routes) && !found; i++) {
        const char *path = json_string_value(json_array_get(routes, i));

        found = path && strcmp(path, route) == 0;
    }
    return found;
}

static struct said *find_said(const struct item *it, const char *boot, const char *route)
{
    for (size_t i = 0; i < it->said_n; i++)
        if (strcmp(it->said[i].boot, boot) == 0 && strcmp(it->said[i].route, route) == 0)
            return &it->said[i];
    return NULL;
}

static struct said *add_said(struct item *it, const char *boot, const char *route)
{
    struct said *said;

    it->said = mem_grow(it->said, (it->said_n + 1) * sizeof *it->said);
    said = &it->said[it->said_n++];
    *said = (struct said){ .route = mem_copy(route) };
    snprintf(said->boot, sizeof said->boot, "%s", boot);
    return said;
}

bool claims_note_service(struct claims *c, const char *agent, const char *boot, const struct lane_msg *said,
                         int64_t now_s)
{
    const struct agent *a = find_agent(c, agent);
    struct item *it = a ? find_item(&a->now, said->service.item) : NULL;
    struct said *known;

    if (!it || !has_route(it, said->service.route))
        return false;
    known = find_said(it, boot, said->service.route);
    if (!known)
        known = add_said(it, boot, said->service.route);
    if (known->state == said->service.state)
        return false;
    known->state = said->service.state;
    known->since_s = now_s;
    return true;
}

static void forget_said(struct item *it, const char *boot)
{
    size_t n = 0;

    for (size_t i = 0; i < it->said_n; i++) {
        if (strcmp(it->said[i].boot, boot) == 0)
            free(it->said[i].route);
        else
            it->said[n++] = it->said[i];
    }
    it->said_n = n;
}

void claims_boot_gone(struct claims *c, const char *agent, const char *boot)
{
    const struct agent *a = find_agent(c, agent);

    for (size_t i = 0; a && i < a->now.n; i++)
        forget_said(&a->now.list[i], boot);
}
