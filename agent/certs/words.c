#include "agent/certs/words.h"

#include "agent/certs/claimed.h"
#include "agent/certs/outside.h"
#include "agent/certs/txt.h"
#include "agent/options.h"
#include "shared/json.h"
#include "shared/log.h"
#include "shared/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Addresses that a relay says are its own. */
struct published {
    char relay[64];
    char addresses[LANE_PUBLISH][64];
    size_t n;
};

struct words {
    struct loop *loop;
    const struct opt_conf *conf;
    const struct passing_host *host;
    void (*ended)(void *user);
    void *user;
    struct txt *txt;         /* NULL when it has ended */
    struct outside *outside; /* likewise */
    struct passing passing;
    struct told told;
    struct published *published;
    size_t published_n;
    struct {
        char relay[64];
        int64_t time_s; /* 0: nobody was heard */
        uint64_t heard_ns;
    } clock;
};

static void end_if_done(struct words *w);

/* ---- what the parts tell ---- */

static void on_answered(void *user, const char *relay, const struct lane_msg *m)
{
    const struct words *w = user;

    w->host->say(w->host->user, relay, m); /* a relay that is not there any more asks again when it is back */
}

static void on_txt_ended(void *user)
{
    struct words *w = user;

    w->txt = NULL;
    end_if_done(w);
}

static void on_outside_ended(void *user)
{
    struct words *w = user;

    w->outside = NULL;
    end_if_done(w);
}

/* ---- what a relay says ---- */

static struct published *published_by(struct words *w, const char *relay)
{
    for (size_t i = 0; i < w->published_n; i++)
        if (strcmp(w->published[i].relay, relay) == 0)
            return &w->published[i];
    w->published = mem_grow(w->published, (w->published_n + 1) * sizeof *w->published);
    w->published[w->published_n] = (struct published){ 0 };
    snprintf(w->published[w->published_n].relay, sizeof w->published[0].relay, "%s", relay);
    return &w->published[w->published_n++];
}

/* Of another version the time may be written otherwise: then it is not known. */
static void note_clock(struct words *w, const char *relay, const char *text)
{
    json_t *said = json_pack("{s:s}", "time", text);
    int64_t time_s = 0;

    if (json_get_time(said, "time", &time_s, NULL) == 0) {
        snprintf(w->clock.relay, sizeof w->clock.relay, "%s", relay);
        w->clock.time_s = time_s;
        w->clock.heard_ns = uv_hrtime();
    }
    json_decref(said);
}

void words_welcomed(struct words *w, const char *relay, const struct lane_msg *welcome)
{
    struct published *p = published_by(w, relay);

    p->n = 0;
    for (size_t i = 0; i < welcome->welcome.publish_n && p->n < LANE_PUBLISH; i++)
        snprintf(p->addresses[p->n++], sizeof p->addresses[0], "%s", welcome->welcome.publish[i]);
    note_clock(w, relay, welcome->welcome.time);
}

json_t *words_clock(const struct words *w)
{
    int64_t there_s;

    if (!w || w->clock.time_s == 0)
        return NULL;
    there_s = w->clock.time_s + (int64_t)((uv_hrtime() - w->clock.heard_ns) / 1000000000);
    return json_pack("{s:o, s:I}", "who", json_sprintf("relay %s", w->clock.relay), "ahead_s",
                     (json_int_t)(time(NULL) - there_s));
}

static bool is_published(struct words *w, const char *relay, const char *address)
{
    const struct published *p = published_by(w, relay);

    for (size_t i = 0; i < p->n; i++)
        if (strcmp(p->addresses[i], address) == 0)
            return true;
    return false;
}

static const char *why_not_pass(const struct words *w, const char *relay, const struct lane_msg *m)
{
    return claimed_at(w->conf, relay, m->challenge.name) ? "" : "the agent does not claim this name there";
}

static void log_notice(const char *relay, const struct lane_msg *m)
{
    if (strcmp(m->notice.level, "info") == 0)
        log_info_limited(relay, "the relay says", kv_str("relay", relay), kv_str("message", m->notice.text));
    else
        log_warn_limited(relay, "the relay says", kv_str("relay", relay), kv_str("message", m->notice.text));
}

/* A relay that is on its way out, and a site that was taken away from one, are not. */
static bool is_ours(void *user, const char *relay, const char *item)
{
    const struct words *w = user;

    return opt_values(w->conf, "relay", relay) && strncmp(item, "domain:", 7) == 0 &&
           claimed_at(w->conf, relay, item + 7);
}

void words_hear(struct words *w, const char *relay, const struct lane_msg *m)
{
    switch (m->type) {
    case LANE_TXT:
        if (w->txt)
            txt_hear(w->txt, relay, m);
        break;
    case LANE_FETCH:
        if (w->outside)
            outside_hear(w->outside, w->conf, relay, is_published(w, relay, m->fetch.address), m);
        break;
    case LANE_CHALLENGE:
        passing_hear(&w->passing, relay, m, why_not_pass(w, relay, m), loop_now_ms(w->loop));
        break;
    case LANE_CHALLENGE_DONE: passing_done(&w->passing, relay, m); break;
    case LANE_CERT:
        if (is_ours(w, relay, m->cert.item))
            told_cert(&w->told, relay, m);
        break;
    case LANE_NOTICE:
        told_notice(&w->told, relay, m, time(NULL));
        log_notice(relay, m);
        break;
    default: break; /* is not about certificates */
    }
}

void words_tick(struct words *w)
{
    passing_tick(&w->passing, loop_now_ms(w->loop));
    if (w->txt)
        txt_tick(w->txt);
}

enum told_state words_cert_state(const struct words *w, const char *relay, const char *site)
{
    return told_state(&w->told, relay, site);
}

json_t *words_certs_status(const struct words *w, const char *site)
{
    const struct agent_domain_conf *d = opt_values(w->conf, "domain", site);

    return told_certs_status(&w->told, site, d ? &d->aliases : NULL);
}

json_t *words_notices_status(const struct words *w)
{
    return told_notices_status(&w->told);
}

/* ---- start, reload, end ---- */

struct words *words_start(struct loop *loop, const struct opt_conf *conf, const struct passing_host *host,
                          void (*ended)(void *user), void *user)
{
    static const struct txt_events txt_events = { on_answered, on_txt_ended };
    static const struct outside_events outside_events = { on_answered, on_outside_ended };
    struct words *w = mem_new(sizeof *w);

    w->loop = loop;
    w->conf = conf;
    w->host = host;
    w->ended = ended;
    w->user = user;
    passing_init(&w->passing, host);
    w->txt = txt_start(loop, conf, &txt_events, w);
    w->outside = outside_start(loop, &outside_events, w);
    return w;
}

void words_reload(struct words *w, const struct opt_conf *conf)
{
    w->conf = conf;
    if (w->txt)
        txt_reload(w->txt, conf);
    told_keep(&w->told, is_ours, w);
}

void words_stop(struct words *w)
{
    passing_free(&w->passing);
    if (w->txt)
        txt_stop(w->txt);
    if (w->outside)
        outside_stop(w->outside);
}

static void end_if_done(struct words *w)
{
    void (*ended)(void *user) = w->ended;
    void *user = w->user;

    if (w->txt || w->outside)
        return;
    passing_free(&w->passing);
    told_free(&w->told);
    free(w->published);
    free(w);
    ended(user);
}
