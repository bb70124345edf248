/* The house's public address, as far as it can be found out.
 *
 *   timer, network, a relay's new view ──▶ askers look, each on its own ──▶ for each family, when all have said what they
 *   say: verdict (quorum) ──▶ settled, when it stays ──▶ the view, which has become another one ──▶ changed  */
#include "agent/dns/address.h"

#include "agent/dns/address_asker.h"
#include "agent/dns/address_conf.h"
#include "agent/dns/address_verdict.h"
#include "agent/link/netprint.h"
#include "shared/json.h"
#include "shared/log.h"
#include "shared/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    SPACE_MS = 2000,     /* between looks that something has caused: networks change in bursts */
    LOSS_MS = 60 * 1000, /* that a family is gone has to hold for so long before its records are taken away */
};

static const char none[] = "none"; /* settled: the house has no address of this family */
static const char *const family_texts[] = { "IPv4", "IPv6" };

/* What a relay says of where we come from: a family each, as its lanes come by. */
struct relay_view {
    struct asker_says says[ADDRESS_FAMILIES];
};

struct family {
    struct address_settle settle;
    struct address_verdict verdict;
    bool absent; /* nobody says anything, and this machine has no way into that internet */
};

struct address {
    struct loop *loop;
    const struct opt_conf *conf;
    struct address_plan plan;
    char *sources; /* of the askers, as text */
    struct asker **askers;
    size_t askers_n, leaving; /* leaving: askers whose job is still at work */
    struct relay_view *relays;
    size_t relays_n;
    struct family families[ADDRESS_FAMILIES];
    struct address_view view;
    struct netprint network;
    void (*changed)(void *user);
    void (*ended)(void *user);
    void *user;
    uv_timer_t timer;        /* the next look */
    uv_timer_t tell;         /* tells of changes from the loop */
    int open;                /* timers */
    int64_t due_ms, last_ms; /* of the next look by time, and of the last one */
    bool caused;             /* something has caused one, too: */
    int64_t caused_ms;
    enum asker_look caused_how;
    bool stopping;
};

static void evaluate(struct address *a, int f);
static void on_timer(uv_timer_t *timer);
static void end_if_done(struct address *a);

/* ---- when to look ---- */

static const struct address_conf *conf_of(const struct address *a)
{
    return opt_values(a->conf, "address", NULL);
}

/* A tenth earlier or later, so that houses do not ask all at once. */
static int64_t jittered(int64_t ms)
{
    uint32_t n;

    if (uv_random(NULL, NULL, &n, sizeof n, 0, NULL) != 0)
        n = (uint32_t)uv_hrtime();
    return ms - ms / 10 + (int64_t)(n % 1024) * (ms / 5) / 1024;
}

/* The timer is for whichever comes first: the look that is due, or one that something has caused. */
static void arm(struct address *a)
{
    int64_t at_ms = a->caused && a->caused_ms < a->due_ms ? a->caused_ms : a->due_ms,
            now_ms = loop_now_ms(a->loop);

    if (a->stopping || !a->plan.needed)
        uv_timer_stop(&a->timer);
    else
        uv_timer_start(&a->timer, on_timer, (uint64_t)(at_ms > now_ms ? at_ms - now_ms : 0), 0);
}

static void look_at(struct address *a, int64_t at_ms, enum asker_look how)
{
    if (!a->caused || at_ms < a->caused_ms)
        a->caused_ms = at_ms;
    if (!a->caused || how > a->caused_how)
        a->caused_how = how;
    a->caused = true;
    arm(a);
}

static void look_soon(struct address *a, enum asker_look how)
{
    int64_t now_ms = loop_now_ms(a->loop), at_ms = a->last_ms + SPACE_MS;

    look_at(a, at_ms > now_ms ? at_ms : now_ms, how);
}

static void on_timer(uv_timer_t *timer)
{
    struct address *a = timer->data;
    int64_t now_ms = loop_now_ms(a->loop);
    enum asker_look how = ASKER_LOCAL;

    if (a->caused && now_ms >= a->caused_ms) {
        how = a->caused_how;
        a->caused = false;
    }
    if (now_ms >= a->due_ms && how < ASKER_DUE)
        how = ASKER_DUE;
    if (how >= ASKER_DUE)
        a->due_ms = now_ms + jittered(conf_of(a)->interval_ms);
    a->last_ms = now_ms;
    for (size_t i = 0; i < a->askers_n; i++)
        asker_look(a->askers[i], how);
    arm(a);
    for (int f = 0; f < ADDRESS_FAMILIES; f++)
        evaluate(a, f);
}

/* ---- askers ---- */

static void on_asker_done(void *user)
{
    struct address *a = user;

    for (int f = 0; f < ADDRESS_FAMILIES; f++)
        evaluate(a, f);
}

static void on_asker_ended(void *user)
{
    struct address *a = user;

    a->leaving--;
    end_if_done(a);
}

static void add_asker(struct address *a, const struct address_kind *kind, const char *arg, int family)
{
    static const struct asker_events events = { on_asker_done, on_asker_ended };

    a->askers = mem_grow(a->askers, (a->askers_n + 1) * sizeof(struct asker *));
    a->askers[a->askers_n++] = asker_start(a->loop, kind, arg, family, a->plan.quorum, &events, a);
}

static void start_askers(struct address *a)
{
    const struct opt_words *sources = &conf_of(a)->sources;
    const struct address_kind *kind;
    const char *arg;

    for (size_t i = 0; i < sources->n; i++) {
        bool v4 = !a->plan.fixed[ADDRESS_V4], v6 = !a->plan.fixed[ADDRESS_V6];

        kind = address_kind_of(sources->words[i], &arg, NULL);
        if (!kind || !kind->ask)
            continue;
        if (kind->both_at_once && v4 && v6) {
            add_asker(a, kind, arg, AF_UNSPEC);
            continue;
        }
        if (kind->v4 && v4)
            add_asker(a, kind, arg, AF_INET);
        if (kind->v6 && v6)
            add_asker(a, kind, arg, AF_INET6);
    }
}

static void stop_askers(struct address *a)
{
    for (size_t i = 0; i < a->askers_n; i++)
        a->leaving += !asker_stop(a->askers[i]);
    a->askers_n = 0;
}

/* ---- relays ---- */

static struct relay_view *relay_view(struct address *a, const char *relay)
{
    char name[ADDRESS_NAME_BYTES];
    struct relay_view *v;

    snprintf(name, sizeof name, "relay %.100s", relay);
    for (size_t i = 0; i < a->relays_n; i++)
        if (strcmp(a->relays[i].says[0].name, name) == 0)
            return &a->relays[i];
    a->relays = mem_grow(a->relays, (a->relays_n + 1) * sizeof *a->relays);
    v = &a->relays[a->relays_n++];
    *v = (struct relay_view){ 0 };
    for (int f = 0; f < ADDRESS_FAMILIES; f++) {
        snprintf(v->says[f].name, sizeof v->says[f].name, "%s", name);
        v->says[f].family = f;
    }
    return v;
}

static bool set_view(struct asker_says *says, const char *seen_from)
{
    struct address_said before = says->said;

    says->said = (struct address_said){ .text = "" };
    if (*seen_from)
        address_judge(str_of(seen_from), says->family == ADDRESS_V4 ? AF_INET : AF_INET6, &says->said);
    says->counts = says->said.text[0] != 0;
    says->checked_s = (int64_t)time(NULL);
    return strcmp(before.text, says->said.text) != 0;
}

void address_relay_says(struct address *a, const char *relay, const char *seen_from)
{
    struct relay_view *v = relay_view(a, relay);
    int f = strchr(seen_from, ':') && strncasecmp(seen_from, "::ffff:", 7) != 0 ? ADDRESS_V6 : ADDRESS_V4;
    bool another = false;

    if (*seen_from)
        another = set_view(&v->says[f], seen_from);
    for (int each = 0; !*seen_from && each < ADDRESS_FAMILIES; each++)
        another = set_view(&v->says[each], "") || another;
    if (!another || a->stopping)
        return;
    if (*seen_from && v->says[f].counts && strcmp(v->says[f].said.text, a->families[f].settle.now) != 0)
        look_soon(a, ASKER_AGAIN); /* what do the others say? */
    for (f = 0; f < ADDRESS_FAMILIES; f++)
        evaluate(a, f);
}

/* Relays that are no longer in the configuration say nothing. */
static void drop_relays(struct address *a)
{
    for (size_t i = a->relays_n; i-- > 0;)
        if (!opt_values(a->conf, "relay", a->relays[i].says[0].name + strlen("relay ")))
            a->relays[i] = a->relays[--a->relays_n];
}

/* ---- the verdict ---- */

static bool is_busy(const struct address *a, int f)
{
    for (size_t i = 0; i < a->askers_n; i++)
        if (asker_works(a->askers[i]) && asker_is_for(a->askers[i], f))
            return true;
    return false;
}

static void vote(struct address_vote *votes, size_t *n, const struct asker_says *says,
                 enum address_voice voice, const char *operator)
{
    if (says->counts)
        votes[(*n)++] = (struct address_vote){ says->name, operator, says->said.text, voice };
}

static size_t collect(const struct address *a, int f, struct address_vote *votes)
{
    const struct asker_says *says;
    size_t n = 0;

    for (size_t i = 0; a->plan.relays && i < a->relays_n; i++)
        vote(votes, &n, &a->relays[i].says[f], ADDRESS_OUTSIDE, NULL);
    for (size_t i = 0; i < a->askers_n; i++) {
        const struct address_kind *kind = asker_kind(a->askers[i]);

        for (size_t s = 0; (says = asker_said(a->askers[i], f, s)); s++)
            vote(votes, &n, says, kind->voice, kind->services ? kind->services[s].operator : NULL);
    }
    return n;
}

/* Nobody says anything of this family while the other one is well known, and an interface or the routes show why. */
static bool is_absent(const struct address *a, int f)
{
    const struct family *other = &a->families[!f];
    const struct asker_says *says;
    bool asked = false, has_none = false;

    for (size_t i = 0; i < a->askers_n; i++)
        for (size_t s = 0; (says = asker_said(a->askers[i], f, s)); s++) {
            asked = asked || says->checked_s > 0;
            has_none = has_none || says->said.none;
        }
    return asked && other->settle.now[0] && strcmp(other->settle.now, none) != 0 &&
           (has_none || !netprint_has_route(&a->network, f == ADDRESS_V4 ? AF_INET : AF_INET6));
}

/* Of those who were asked and did not tell, the first one's reason. */
static void explain_nobody(const struct address *a, int f, char *out, size_t room)
{
    const struct asker_says *says;

    for (size_t i = 0; a->plan.relays && i < a->relays_n; i++)
        if (a->relays[i].says[f].said.why[0]) {
            says = &a->relays[i].says[f];
            snprintf(out, room, "nobody tells the house's %s address: %.100s %.200s", family_texts[f],
                     says->name, says->said.why);
            return;
        }
    for (size_t i = 0; i < a->askers_n; i++)
        for (size_t s = 0; (says = asker_said(a->askers[i], f, s)); s++)
            if (says->checked_s > 0 && says->said.why[0]) {
                snprintf(out, room, "nobody tells the house's %s address: %.100s: %.200s", family_texts[f],
                         says->name, says->said.why);
                return;
            }
    snprintf(out, room, "no source of [address] has told the house's %s address yet", family_texts[f]);
}

/* ---- the view ---- */

static void on_tell(uv_timer_t *timer)
{
    const struct address *a = timer->data;

    a->changed(a->user);
}

static void set_one(struct address *a, int f, bool known, const char *text, const char *why)
{
    struct address_family *view = f == ADDRESS_V4 ? &a->view.v4 : &a->view.v6;
    bool another = view->known != known || strcmp(view->text, text) != 0;

    if (another && (view->known || known))
        log_info("public address", kv_str("family", family_texts[f]), kv_str("before", view->text),
                 kv_str("now", text), kv_str("why", why));
    if (another || strcmp(view->why, why) != 0)
        uv_timer_start(&a->tell, on_tell, 0, 0);
    view->known = known;
    snprintf(view->text, sizeof view->text, "%s", text);
    snprintf(view->why, sizeof view->why, "%s", why);
}

static void set_view_of(struct address *a, int f)
{
    const struct family *family = &a->families[f];
    enum address_verdict_kind said = family->verdict.kind;
    const char *now = family->settle.now;
    char why[ADDRESS_WHY_BYTES] = "";

    if (a->plan.fixed[f])
        set_one(a, f, true, a->plan.fixed[f], "");
    else if (said == ADDRESS_DISAGREE || (said == ADDRESS_TOO_FEW && !*now))
        set_one(a, f, false, "", family->verdict.why);
    else if (strcmp(now, none) == 0)
        set_one(a, f, true, "", "the house has no address of this family");
    else if (*now)
        set_one(a, f, true, now, "");
    else {
        explain_nobody(a, f, why, sizeof why);
        set_one(a, f, false, "", why);
    }
}

static void evaluate(struct address *a, int f)
{
    struct address_rules rules = { a->plan.quorum, f == ADDRESS_V4 ? AF_INET : AF_INET6,
                                   a->plan.dns_suffices };
    struct family *family = &a->families[f];
    struct address_verdict before = family->verdict;
    struct address_vote *votes;
    int64_t now_ms = loop_now_ms(a->loop), again_ms = 0;

    if (a->stopping || is_busy(a, f))
        return;
    votes = mem_new((a->relays_n + a->askers_n * ADDRESS_SERVICES + 1) * sizeof *votes);
    address_judge_votes(votes, collect(a, f, votes), &rules, &family->verdict);
    free(votes);
    if (family->verdict.kind == ADDRESS_AGREED)
        again_ms = address_settle_hear(&family->settle, family->verdict.text, 0, now_ms);
    else if (family->verdict.kind == ADDRESS_NOBODY && is_absent(a, f))
        again_ms = address_settle_hear(&family->settle, none, LOSS_MS, now_ms);
    if (again_ms > 0)
        look_at(a, now_ms + again_ms, ASKER_AGAIN);
    if (family->verdict.kind == ADDRESS_DISAGREE && strcmp(before.why, family->verdict.why) != 0)
        log_warn("the public address is not certain", kv_str("family", family_texts[f]),
                 kv_str("error", family->verdict.why));
    set_view_of(a, f);
}

/* ---- from outside ---- */

/* Routers announce themselves all the time; only a network that is another one is worth everybody's being asked. */
void address_look(struct address *a)
{
    struct netprint now;

    netprint_take(&now);
    look_soon(a, netprint_same(&now, &a->network) ? ASKER_LOCAL : ASKER_ALL);
    a->network = now;
}

const struct address_view *address_now(const struct address *a)
{
    return &a->view;
}

/* ---- start and reload ---- */

static char *sources_text(const struct address *a)
{
    const struct opt_words *sources = &conf_of(a)->sources;
    struct buf out = { 0 };
    char *text;

    for (size_t i = 0; i < sources->n; i++)
        buf_printf(&out, "%s ", sources->words[i]);
    buf_printf(&out, "%zu", a->plan.quorum);
    text = mem_copy(buf_text(&out));
    buf_free(&out);
    return text;
}

/* Those who are asked stay as they are, with what they said, while sources and quorum are the same. */
static void apply(struct address *a)
{
    char *text;

    address_plan_make(&a->plan, a->conf);
    text = sources_text(a);
    drop_relays(a);
    if (!a->sources || strcmp(a->sources, text) != 0) {
        stop_askers(a);
        start_askers(a);
        look_soon(a, ASKER_ALL);
    } else {
        a->due_ms =
            a->last_ms + jittered(conf_of(a)->interval_ms); /* at once, when nobody wanted it before */
        arm(a);
    }
    free(a->sources);
    a->sources = text;
    for (int f = 0; f < ADDRESS_FAMILIES; f++)
        evaluate(a, f);
}

struct address *address_start(struct loop *loop, const struct opt_conf *conf, void (*changed)(void *user),
                              void (*ended)(void *user), void *user)
{
    struct address *a = mem_new(sizeof *a);

    a->loop = loop;
    a->conf = conf;
    a->changed = changed;
    a->ended = ended;
    a->user = user;
    a->open = 2;
    a->last_ms = loop_now_ms(loop) - SPACE_MS;
    uv_timer_init(&loop->uv, &a->timer);
    uv_timer_init(&loop->uv, &a->tell);
    a->timer.data = a->tell.data = a;
    netprint_take(&a->network);
    apply(a);
    return a;
}

void address_reload(struct address *a, const struct opt_conf *conf)
{
    a->conf = conf;
    apply(a);
}

/* ---- status ---- */

static json_t *text_or_null(const char *text)
{
    return *text ? json_any_text(text) : json_null();
}

static json_t *time_or_null(int64_t at_s)
{
    return at_s > 0 ? json_time((time_t)at_s) : json_null();
}

static void add_source(const struct asker_says *says, int64_t next_s, json_t *list)
{
    json_array_append_new(list,
                          json_pack("{s:o, s:s, s:o, s:o, s:o, s:o}", "name", json_any_text(says->name),
                                    "family", says->family == ADDRESS_V4 ? "ipv4" : "ipv6", "said",
                                    text_or_null(says->said.text), "why", text_or_null(says->said.why),
                                    "checked", time_or_null(says->checked_s), "next", time_or_null(next_s)));
}

static int64_t next_ms(const struct address *a)
{
    return a->caused && a->caused_how >= ASKER_DUE && a->caused_ms < a->due_ms ? a->caused_ms : a->due_ms;
}

json_t *address_status(const struct address *a)
{
    int64_t due_s = (int64_t)time(NULL) + (next_ms(a) - loop_now_ms(a->loop)) / 1000;
    bool planned = uv_is_active((const uv_handle_t *)&a->timer);
    const struct asker_says *says;
    json_t *list = json_array();

    for (int f = 0; f < ADDRESS_FAMILIES; f++) {
        if (a->plan.fixed[f])
            json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:n, s:n, s:n}", "name", "fixed", "family",
                                                  f == ADDRESS_V4 ? "ipv4" : "ipv6", "said", a->plan.fixed[f],
                                                  "why", "checked", "next"));
        for (size_t i = 0; a->plan.relays && i < a->relays_n; i++)
            if (a->relays[i].says[f].said.text[0] || a->relays[i].says[f].said.why[0])
                add_source(&a->relays[i].says[f], 0, list);
        for (size_t i = 0; i < a->askers_n; i++)
            for (size_t s = 0; (says = asker_said(a->askers[i], f, s)); s++)
                add_source(says,
                           !planned                     ? 0
                           : says->not_before_s > due_s ? says->not_before_s
                                                        : due_s,
                           list);
    }
    return json_pack("{s:o, s:o, s:o}", "v4", text_or_null(a->view.v4.text), "v6",
                     text_or_null(a->view.v6.text), "sources", list);
}

/* ---- end ---- */

static void on_closed(uv_handle_t *handle)
{
    struct address *a = handle->data;

    a->open--;
    end_if_done(a);
}

void address_stop(struct address *a)
{
    a->stopping = true;
    stop_askers(a);
    uv_close((uv_handle_t *)&a->timer, on_closed);
    uv_close((uv_handle_t *)&a->tell, on_closed);
}

static void end_if_done(struct address *a)
{
    void (*ended)(void *user) = a->ended;
    void *user = a->user;

    if (!a->stopping || a->open > 0 || a->leaving > 0)
        return;
    free(a->askers);
    free(a->relays);
    free(a->sources);
    free(a);
    ended(user);
}
