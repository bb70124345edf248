#include "agent/link/converse.h"

#include "shared/log.h"
#include "shared/mem.h"
#include "shared/policy.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

/* A claim's line holds 64 KiB; an item that is larger than a part goes alone, and is bounded where it comes from. */
enum { PART_BYTES = 32 * 1024, ITEM_EXTRA_BYTES = 32, ALIAS_EXTRA_BYTES = 3 };

void converse_init(struct converse *c, const char *relay, int64_t lane, const char *boot, struct sites *sites,
                   const struct converse_events *events, void *user)
{
    *c = (struct converse){
        .events = events,
        .user = user,
        .relay = relay,
        .lane = lane,
        .boot = boot,
        .sites = sites,
        .heartbeat_ms = (int64_t)LANE_HEARTBEAT_S * 1000,
        .rtt_ms = -1,
    };
}

void converse_free(struct converse *c)
{
    lane_lines_free(&c->in);
    buf_free(&c->out);
    secret_free(&c->secret);
}

struct buf *converse_out(struct converse *c)
{
    return &c->out;
}

void converse_took(struct converse *c, size_t n)
{
    buf_take(&c->out, n);
    c->taken += n;
    if (c->out.len == 0)
        buf_free(&c->out);
}

/* ---- what we say ---- */

static void say_hello(struct converse *c)
{
    const struct lane_msg m = {
        .type = LANE_HELLO,
        .v = LANE_VERSION,
        .hello = { .boot = c->boot,
                   .lane = c->lane,
                   .port = c->port,
                   .version = TUNNEL_VERSION,
                   .reached = c->reached },
    };

    c->state = CONVERSE_HELLO;
    lane_msg_write(&c->out, &m);
}

void converse_hello(struct converse *c, int port)
{
    c->port = port;
    say_hello(c);
}

static size_t item_bytes(const struct site *site)
{
    size_t n = strlen(site->item) + ITEM_EXTRA_BYTES;

    for (size_t i = 0; i < site->aliases_n; i++)
        n += strlen(site->aliases[i]) + ALIAS_EXTRA_BYTES;
    return n + policy_json_bytes(site->policy);
}

/* Those that are for this relay, from number *from on, as many as fit into one line. Moves *from behind them. */
static size_t fill_part(const struct converse *c, struct lane_item items[LANE_ITEMS], size_t *from)
{
    const struct sites *s = c->sites;
    size_t bytes = 0, n = 0;

    for (; *from < s->n && n < LANE_ITEMS; (*from)++) {
        const struct site *site = &s->list[*from];

        if (!site_goes_by(site, c->relay))
            continue;
        bytes += item_bytes(site);
        if (bytes > PART_BYTES && n > 0)
            break;
        items[n++] = (struct lane_item){ site->item, site->aliases, site->aliases_n, site->policy };
    }
    return n;
}

/* Others than those that serve a site hear nothing of it. */
static bool concerns_relay(const struct converse *c, const struct lane_msg *m)
{
    const struct site *site;

    if (m->type != LANE_SERVICE)
        return true;
    site = sites_find(c->sites, str_of(m->service.item));
    return site && site_goes_by(site, c->relay);
}

bool converse_say(struct converse *c, const struct lane_msg *m)
{
    if (c->state != CONVERSE_UP || !concerns_relay(c, m))
        return false;
    lane_msg_write(&c->out, m);
    return true;
}

/* Those that somebody has tried. */
static void say_services(struct converse *c)
{
    for (size_t i = 0; i < c->sites->n; i++) {
        const struct site *site = &c->sites->list[i];

        for (size_t j = 0; j < site->services_n; j++)
            if (site->services[j].state != LANE_SERVICE_UNKNOWN) {
                const struct lane_msg m = site_service_msg(&site->services[j]);

                converse_say(c, &m);
            }
    }
}

void converse_claim(struct converse *c)
{
    struct lane_item *items;
    struct lane_msg m = { .type = LANE_CLAIM, .claim.serial = c->sites->serial };
    size_t from = 0;

    if (c->state != CONVERSE_UP)
        return;
    m.claim.items = items = mem_new(LANE_ITEMS * sizeof *items);
    do { /* an empty set is claimed too: it takes the earlier one back */
        m.claim.n = fill_part(c, items, &from);
        m.claim.part++;
        m.claim.last = from == c->sites->n;
        lane_msg_write(&c->out, &m);
    } while (from < c->sites->n);
    free(items);
    say_services(c);
}

static void say_ping(struct converse *c, int64_t now_ms)
{
    const struct lane_msg m = { .type = LANE_PING,
                                .ping = { .n = ++c->pings, .t = now_ms, .rtt_ms = c->rtt_ms } };

    lane_msg_write(&c->out, &m);
    c->pinged = c->taken + c->out.len;
}

static bool hears(const struct converse *c)
{
    return c->state != CONVERSE_HELLO && c->state != CONVERSE_AWAY;
}

bool converse_ping(struct converse *c, int64_t now_ms)
{
    bool answers = c->pongs == c->pings;

    /* What is still on its way makes the same point, and a stuck channel is not to fill up with pings. */
    if (!hears(c) || c->out.len > 0)
        return false;
    say_ping(c, now_ms);
    return answers;
}

uint64_t converse_ask(struct converse *c, int64_t now_ms)
{
    if (!hears(c))
        return 0;
    if (c->pings == 0 || c->taken >= c->pinged) /* one that is still here serves all who ask meanwhile */
        say_ping(c, now_ms);
    return (uint64_t)c->pings;
}

bool converse_answered(const struct converse *c, uint64_t ping)
{
    return (uint64_t)c->pongs >= ping;
}

static void say_why(struct converse *c, enum lane_msg_type type, const char *why)
{
    const struct lane_msg m = { .type = type, .why = { why } };

    lane_msg_write(&c->out, &m);
}

void converse_goodbye(struct converse *c, const char *why)
{
    if (c->state == CONVERSE_UP)
        say_why(c, LANE_GOODBYE, why);
    c->state = CONVERSE_GOODBYE;
}

uint64_t converse_ended(struct converse *c, uint64_t stream, enum lane_how how, const char *detail)
{
    const struct lane_msg m = { .type = LANE_ENDED, .ended = { stream, how, detail } };

    lane_msg_write(&c->out, &m);
    return c->taken + c->out.len;
}

void converse_consumed(struct converse *c, uint64_t stream, uint64_t total)
{
    const struct lane_msg m = { .type = LANE_CONSUMED, .consumed = { stream, total } };

    lane_msg_write(&c->out, &m);
}

bool converse_said(const struct converse *c, uint64_t place)
{
    return c->taken >= place;
}

/* ---- what we hear ---- */

/* A relay says it again when what it says of itself has changed. */
static bool is_said_again(const struct converse *c, const struct lane_msg *m)
{
    return c->state == CONVERSE_UP &&
           CRYPTO_memcmp(c->secret.bytes, m->welcome.secret, PROXY2_SECRET_BYTES) == 0;
}

static void hear_welcome(struct converse *c, const struct lane_msg *m)
{
    if (c->state == CONVERSE_GOODBYE)
        return; /* it was on its way when we said so */
    if (is_said_again(c, m)) {
        c->heartbeat_ms = m->welcome.heartbeat_s * 1000;
        if (c->sites->welcomed)
            c->sites->welcomed(c->sites->user, c->relay, m);
        return;
    }
    if (!c->secret.bytes)
        secret_init(&c->secret, PROXY2_SECRET_BYTES);
    memcpy(c->secret.bytes, m->welcome.secret, PROXY2_SECRET_BYTES);
    c->heartbeat_ms = m->welcome.heartbeat_s * 1000;
    c->state = CONVERSE_UP;
    log_info("lane up", kv_str("relay", c->relay), kv_str("lane", m->welcome.lane_id),
             kv_str("name", m->welcome.relay), kv_str("seen_from", m->welcome.seen_from));
    if (c->sites->welcomed)
        c->sites->welcomed(c->sites->user, c->relay, m);
    c->events->welcomed(c->user);
    converse_claim(c);
}

static void hear_claimed(struct converse *c, const struct lane_msg *m)
{
    if (m->claimed.serial != c->sites->serial)
        return; /* of a set that is no longer ours */
    for (size_t i = 0; i < m->claimed.n; i++) {
        const struct lane_answer *answer = &m->claimed.items[i];
        struct site *site = sites_find(c->sites, str_of(answer->item));
        enum site_claim claim = answer->ok ? SITE_ACCEPTED : SITE_REFUSED;

        if (!site)
            continue;
        if (!answer->ok)
            log_warn_limited(c->relay, "claim refused", kv_str("relay", c->relay), kv_str("item", site->item),
                             kv_str("error", answer->why));
        else if (site->claim != claim)
            log_info("claim accepted", kv_str("relay", c->relay), kv_str("item", site->item));
        site_note_claim(site, claim, answer->ok ? "" : answer->why);
    }
}

static void hear_ping(struct converse *c, const struct lane_msg *m)
{
    const struct lane_msg pong = { .type = LANE_PONG,
                                   .ping = { .n = m->ping.n, .t = m->ping.t, .rtt_ms = c->rtt_ms } };

    lane_msg_write(&c->out, &pong);
}

static void hear_pong(struct converse *c, const struct lane_msg *m, int64_t now_ms)
{
    if (m->ping.n > c->pings || m->ping.n <= c->pongs || m->ping.t > now_ms)
        return;
    c->pongs = m->ping.n;
    c->rtt_ms = now_ms - m->ping.t;
}

static void hear_away(struct converse *c)
{
    c->events->away(c->user);
    if (c->state == CONVERSE_AWAY || c->state == CONVERSE_GOODBYE)
        return;
    c->state = CONVERSE_AWAY;
    log_warn("relay away; the SSH session stays", kv_str("relay", c->relay));
}

static int hear(struct converse *c, const struct lane_msg *m, int64_t now_ms, struct err *e)
{
    switch (m->type) {
    case LANE_WELCOME: hear_welcome(c, m); return 0;
    case LANE_CLAIMED: hear_claimed(c, m); return 0;
    case LANE_PING: hear_ping(c, m); return 0;
    case LANE_PONG: hear_pong(c, m, now_ms); return 0;
    case LANE_ABORT: c->events->aborted(c->user, m->abort.stream); return 0;
    case LANE_TXT:
    case LANE_FETCH:
    case LANE_CHALLENGE:
    case LANE_CHALLENGE_DONE:
    case LANE_CERT:
    case LANE_NOTICE:
    case LANE_BAN:
        if (c->sites->told)
            c->sites->told(c->sites->user, c->relay, m);
        return 0;
    case LANE_AWAY: hear_away(c); return 0;
    case LANE_RESYNC:
        if (c->state != CONVERSE_GOODBYE)
            say_hello(c);
        return 0;
    case LANE_GOODBYE:
        if (strcmp(m->why.why, LANE_DUPLICATE) == 0)
            return err_set(
                e, ERR_TAKEN,
                "another machine is connected with this agent's key (this one is boot %.8s); give each its own "
                "key and name, or let the relay's [agent] section admit more instances",
                c->boot);
        c->state = CONVERSE_GOODBYE;
        log_warn("relay says goodbye", kv_str("relay", c->relay), kv_str("error", m->why.why));
        return 0;
    case LANE_ERROR: return err_set(e, ERR_STOPPED, "the relay refuses this agent: %s", m->why.why);
    case LANE_END:
        return err_set(
            e, ERR_STOPPED,
            "the relay ended the lane for good: this agent was revoked, or its key is in use elsewhere");
    case LANE_LANE:
    case LANE_HELLO:
    case LANE_CLAIM:
    case LANE_ENROL:
    case LANE_ENROLLED:
    case LANE_ENDED:
    case LANE_CONSUMED:
    case LANE_SERVICE:
    case LANE_TXT_DONE:
    case LANE_FETCHED: return err_set(e, ERR_PEER, "the relay said what only an agent says");
    case LANE_UNKNOWN: break; /* of a later version */
    }
    return 0;
}

static int hear_line(struct converse *c, struct str line, int64_t now_ms, struct err *e)
{
    struct lane_msg m;
    int rc = lane_msg_read(&m, line.p, line.n, e);

    if (rc == 0)
        rc = hear(c, &m, now_ms, e);
    else
        e->code = ERR_PEER;
    lane_msg_free(&m);
    return rc;
}

int converse_feed(struct converse *c, const char *bytes, size_t n, int64_t now_ms, struct err *e)
{
    struct str line;
    int rc = lane_lines_feed(&c->in, bytes, n, e);

    if (rc != 0)
        e->code = ERR_PEER;
    while (rc == 0 && lane_lines_next(&c->in, &line))
        rc = hear_line(c, line, now_ms, e);
    if (rc != 0 && e->code == ERR_PEER)
        say_why(c, LANE_ERROR, e->text);
    return rc;
}
