#include "relay/edge/worker.h"

#include "relay/edge/client.h"
#include "relay/edge/passthrough.h"
#include "relay/edge/pool.h"
#include "relay/edge/raws.h"
#include "relay/edge/snapshot_bans.h"
#include "relay/edge/splice.h"
#include "shared/door.h"
#include "shared/log.h"
#include "shared/mem.h"

#include <malloc.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    CROWD = 1024,         /* visitors at once */
    LAST_WORDS_MS = 1000, /* for what has no end of its own, when nothing else is left */
    LOOK_MS = 250,
};

struct listener {
    struct door *door; /* NULL once closed */
    struct worker *worker;
    struct listener *next;
    struct entrance entrance;
};

struct guest {
    struct client *client;
    uint64_t place; /* in the crowd */
    bool passed;    /* on, with his place */
};

struct worker {
    struct worker_conf conf;
    struct loop loop;
    uv_thread_t thread;
    struct mailbox mailbox;
    struct listener *listeners;
    struct pool *pool;       /* NULL once ended */
    struct parking *parking; /* likewise */
    struct doorman *doorman; /* likewise */
    uint64_t next_id;
    struct snapshot *snapshot;
    struct client_host host;
    struct buf sealed;
    struct round round;
    struct tally tally;
    struct request_ids ids;
    struct guest *clients;
    size_t clients_n, clients_room;
    size_t clients_peak; /* since memory was last given back */
    struct raws *raws;
    struct splice **splices;
    size_t splices_n;
    bool draining, stopping, running;
    uv_timer_t look; /* while it drains */
    bool endless;    /* nothing is left that has an end of its own */
};

static void on_mail(void *user, const struct mail *mail);
static void on_came(void *user, int fd);
static void end_if_done(struct worker *w);

/* ---- what streams and visitors ask of their worker ---- */

static uint64_t next_id(void *user)
{
    struct worker *w = user;

    w->next_id += w->conf.limits.workers;
    return w->next_id - w->conf.limits.workers;
}

static void tell(struct worker *w, enum mail_type type, uint64_t lane, uint64_t stream)
{
    mailbox_post(w->conf.to_control, &(struct mail){ .type = type, .lane = lane, .stream = stream });
}

static void on_proved(void *user, uint64_t lane, uint64_t took_us)
{
    struct worker *w = user;

    histogram_add(&w->tally.lane, took_us);
    tell(user, MAIL_PROVED, lane, 0);
}

static void on_silent(void *user, uint64_t lane)
{
    tell(user, MAIL_SILENT, lane, 0);
}

static void on_aborted(void *user, uint64_t lane, uint64_t stream)
{
    tell(user, MAIL_ABORTED, lane, stream);
}

static void on_waits(void *user, uint64_t lane, uint64_t service, int64_t since_ms)
{
    struct worker *w = user;

    mailbox_post(
        w->conf.to_control,
        &(struct mail){
            .type = MAIL_WAITS, .lane = lane, .stream = w->conf.index, .n = service, .at_ms = since_ms });
}

static void on_pool_ended(void *user)
{
    struct worker *w = user;

    w->pool = NULL;
    end_if_done(w);
}

static void on_parking_closed(void *user)
{
    struct worker *w = user;

    w->parking = NULL;
    end_if_done(w);
}

static void on_doorman_closed(void *user)
{
    struct worker *w = user;

    w->doorman = NULL;
    end_if_done(w);
}

static const struct pool_events pool_events = { next_id,    on_proved, on_silent,
                                                on_aborted, on_waits,  on_pool_ended };

static struct snapshot *current_snapshot(void *user)
{
    const struct worker *w = user;

    return w->snapshot;
}

/* The C library keeps what a crowd has used, for the next one; it may be days until that comes. */
static void give_memory_back(struct worker *w)
{
    if (w->clients_peak < CROWD || w->clients_n > w->clients_peak / 4)
        return;
    w->clients_peak = w->clients_n;
    malloc_trim(0);
}

static void on_client_ended(void *user, struct client *client)
{
    struct worker *w = user;

    for (size_t i = 0; i < w->clients_n; i++)
        if (w->clients[i].client == client) {
            if (!w->clients[i].passed)
                crowd_leave(w->conf.crowd, w->clients[i].place);
            w->clients[i] = w->clients[--w->clients_n];
            break;
        }
    give_memory_back(w);
    end_if_done(w);
}

/* ---- SSH ---- */

static uint64_t splice_key(const struct sockaddr_in *ours)
{
    return (uint64_t)ntohl(ours->sin_addr.s_addr) << 16 | ntohs(ours->sin_port);
}

static void on_joined(void *user, const struct sockaddr_in *ours, const struct sockaddr_storage *visitor)
{
    struct worker *w = user;
    struct sockaddr_storage *copy = mem_new(sizeof *copy);

    *copy = *visitor;
    mailbox_post(w->conf.to_control,
                 &(struct mail){ .type = MAIL_SPLICED, .n = splice_key(ours), .p = copy });
}

static void on_parted(void *user, const struct sockaddr_in *ours)
{
    struct worker *w = user;

    mailbox_post(w->conf.to_control, &(struct mail){ .type = MAIL_PARTED, .n = splice_key(ours) });
}

static void on_splice_ended(void *user, struct splice *s)
{
    struct worker *w = user;

    for (size_t i = 0; i < w->splices_n; i++)
        if (w->splices[i] == s) {
            w->splices[i] = w->splices[--w->splices_n];
            break;
        }
    end_if_done(w);
}

static void on_spliced(void *user, struct stream *visitor, const struct sockaddr_storage *addr,
                       const char *bytes, size_t n)
{
    static const struct splice_events events = { on_joined, on_parted, on_splice_ended };
    struct worker *w = user;
    struct splice *s =
        splice_start(&w->loop, w->conf.places, visitor, addr, bytes, n, w->conf.ssh_port, &events, w);

    if (!s)
        return;
    w->splices = mem_grow(w->splices, (w->splices_n + 1) * sizeof(void *));
    w->splices[w->splices_n++] = s;
}

/* ---- raw connections ---- */

static void on_raw_ended(void *user, struct raw *raw)
{
    (void)raw;
    end_if_done(user);
}

static struct raws *make_raws(struct worker *w)
{
    const struct raws_conf conf = { .host = { .loop = &w->loop,
                                              .pool = w->pool,
                                              .parking = w->parking,
                                              .access_log = w->conf.access_log,
                                              .snapshot = current_snapshot,
                                              .ended = on_raw_ended,
                                              .user = w },
                                    .crowd = w->conf.crowd,
                                    .tally = &w->tally,
                                    .worker = w->conf.index };

    return raws_new(&conf);
}

static void on_passed(void *user, struct client *client, struct stream *visitor, const struct origin *from,
                      const struct hello *hello, const char *bytes, size_t n)
{
    struct worker *w = user;
    struct passthrough_name name;
    struct raw_visit visit;
    size_t i = 0;

    while (w->clients[i].client != client)
        i++;
    w->clients[i].passed = true;
    passthrough_visit(&visit, &name, snapshot_passes(w->snapshot, hello->name), from, hello->name);
    passthrough_guard(&visit, w->snapshot, snapshot_passes(w->snapshot, hello->name), w->conf.rates,
                      tally_now_us(&w->tally) * 1000);
    visit.repeatable = hello_is_all(hello, n);
    raws_add(w->raws, visitor, &visit, w->clients[i].place, bytes, n);
}

/* ---- start ---- */

struct worker *worker_new(const struct worker_conf *conf, struct err *e)
{
    struct worker *w = mem_new(sizeof *w);

    if (loop_init(&w->loop, e) != 0) {
        free(w);
        return NULL;
    }
    w->conf = *conf;
    w->next_id = conf->first_id;
    w->snapshot = snapshot_hold(conf->snapshot);
    access_log_hold(conf->access_log);
    w->pool = pool_new(&w->loop, &w->round, &conf->limits, &pool_events, w);
    pool_follow(w->pool, w->snapshot);
    w->parking = parking_new(&w->loop, conf->limits.workers);
    parking_follow(w->parking, w->snapshot);
    w->doorman = doorman_new(&w->loop, conf->house);
    w->raws = make_raws(w);
    raws_follow(w->raws, w->snapshot);
    w->host = (struct client_host){ .tls_begin = snapshot_tls_begin(w->snapshot),
                                    .sealed = &w->sealed,
                                    .pool = w->pool,
                                    .parking = w->parking,
                                    .round = &w->round,
                                    .ids = &w->ids,
                                    .access_log = conf->access_log,
                                    .tally = &w->tally,
                                    .rates = conf->rates,
                                    .doorman = w->doorman,
                                    .snapshot = current_snapshot,
                                    .ssh = conf->ssh_port != 0,
                                    .https_port = conf->https_port,
                                    .spliced = on_spliced,
                                    .passed = on_passed,
                                    .ended = on_client_ended,
                                    .user = w };
    round_init(&w->round, &w->loop.uv);
    uv_timer_init(&w->loop.uv, &w->look);
    w->look.data = w;
    tally_init(&w->tally, &w->loop.uv);
    mailbox_init(&w->mailbox, &w->loop.uv, on_mail, w);
    return w;
}

int worker_add_listener(struct worker *w, int fd, struct entrance entrance, struct err *e)
{
    static const struct door_kind kind = { .name = "visitors", .leaves_some = true, .came = on_came };
    struct listener *l = mem_new(sizeof *l);

    l->entrance = entrance;
    l->worker = w;
    l->next = w->listeners;
    w->listeners = l;
    l->door = door_open(&w->loop, fd, &kind, l, e);
    return l->door ? 0 : -1;
}

static void run_thread(void *user)
{
    struct worker *w = user;

    loop_run(&w->loop);
    tell(w, MAIL_WORKER_ENDED, 0, 0);
}

int worker_run(struct worker *w, struct err *e)
{
    int rc = uv_thread_create(&w->thread, run_thread, w);

    w->running = rc == 0;
    return rc == 0 ? 0 : err_set(e, ERR_SYSTEM, "cannot start a worker: %s", uv_strerror(rc));
}

/* ---- visitors ---- */

/* Takes the socket of who is not let in. */
static bool admit(struct worker *w, int fd, uint64_t *place)
{
    const struct linger at_once = { .l_onoff = 1, .l_linger = 0 };
    const struct snap_rules *rules = snapshot_rules(w->snapshot);
    struct sockaddr_storage peer = { .ss_family = AF_INET };
    socklen_t size = sizeof peer;
    bool banned;

    if (getpeername(fd, (struct sockaddr *)&peer, &size) != 0)
        peer = (struct sockaddr_storage){ 0 }; /* he has gone already, and so counts for nobody */
    banned = snapshot_bans(w->snapshot, &peer);
    if (!banned && crowd_admit(w->conf.crowd, &peer, &rules->trusted, &rules->crowd, place))
        return true;
    tally_refuse(&w->tally, banned ? TALLY_BANNED : TALLY_CROWD);
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(fd);
    return false;
}

static void on_came(void *user, int fd)
{
    const struct listener *l = user;
    struct worker *w = l->worker;
    struct err why = { 0 };
    struct client *client;
    uint64_t place;

    if (!admit(w, fd, &place))
        return;
    client = client_accept(&w->loop, fd, &w->host, l->entrance, &why);
    if (!client) {
        crowd_leave(w->conf.crowd, place);
        log_warn_limited("edge", "cannot accept", kv_str("error", why.text));
        return;
    }
    if (w->clients_n == w->clients_room) {
        w->clients_room = w->clients_room ? 2 * w->clients_room : 64;
        w->clients = mem_grow(w->clients, w->clients_room * sizeof *w->clients);
    }
    w->clients[w->clients_n++] = (struct guest){ client, place, false };
    if (w->clients_n > w->clients_peak)
        w->clients_peak = w->clients_n;
}

/* ---- mail and end ---- */

static void close_doors(struct worker *w)
{
    for (struct listener *l = w->listeners; l; l = l->next) {
        struct door *door = l->door;

        l->door = NULL;
        door_close(door);
    }
}

/* Backwards: a client that ends at once takes the last one's place. */
static void each_client(struct worker *w, void (*act)(struct client *c))
{
    for (size_t i = w->clients_n; i > 0; i--)
        act(w->clients[i - 1].client);
}

static void note_endless(struct worker *w, bool endless)
{
    if (endless == w->endless)
        return;
    w->endless = endless;
    mailbox_post(w->conf.to_control,
                 &(struct mail){ .type = MAIL_ENDLESS, .lane = w->conf.index, .n = endless });
}

/* WebSockets and streams of events are not waited for: they would be broken off all the same, and while they are waited
 * for, who comes anew waits, too. */
static void on_look(uv_timer_t *timer)
{
    struct worker *w = timer->data;
    bool endless = raws_idle(w->raws);

    for (size_t i = 0; i < w->clients_n && endless; i++)
        endless = client_is_endless(w->clients[i].client);
    note_endless(w, endless);
}

static void stop(struct worker *w)
{
    if (w->stopping)
        return;
    w->stopping = true;
    uv_timer_stop(&w->look);
    if (w->draining)
        note_endless(w, true);
    close_doors(w);
    each_client(w, client_stop);
    raws_stop(w->raws);
    for (size_t i = w->splices_n; i > 0; i--)
        splice_stop(w->splices[i - 1]);
    if (w->pool)
        pool_stop(w->pool);
    parking_stop(w->parking, on_parking_closed, w);
    doorman_stop(w->doorman, on_doorman_closed, w);
    end_if_done(w);
}

static void end_if_done(struct worker *w)
{
    bool alone = w->clients_n == 0 && raws_idle(w->raws);

    if (w->draining && !w->stopping && alone)
        stop(w);
    if (w->stopping && alone && w->splices_n == 0 && !w->pool && !w->parking && !w->doorman &&
        !uv_is_closing((uv_handle_t *)&w->mailbox.async)) {
        round_close(&w->round);
        uv_close((uv_handle_t *)&w->look, NULL);
        tally_close(&w->tally);
        mailbox_close(&w->mailbox, NULL);
    }
}

/* From now on every visitor of this worker who asks for one is answered. */
static void tell_challenges(struct worker *w, const struct snapshot *before)
{
    uint64_t serial = challenges_serial(snapshot_challenges(w->snapshot));

    if (serial != challenges_serial(snapshot_challenges(before)))
        mailbox_post(w->conf.to_control,
                     &(struct mail){ .type = MAIL_SHOWS, .lane = w->conf.index, .n = serial });
}

static void follow(struct worker *w, struct snapshot *takes)
{
    struct snapshot *before = w->snapshot;
    bool http2_ends = snapshot_rules(before)->http2 && !snapshot_rules(takes)->http2;

    w->snapshot = takes;
    w->host.tls_begin = snapshot_tls_begin(takes);
    if (w->pool && !w->stopping)
        pool_follow(w->pool, takes);
    if (w->parking && !w->stopping)
        parking_follow(w->parking, takes);
    raws_follow(w->raws, takes);
    if (http2_ends)
        each_client(w, client_drain_http2);
    tell_challenges(w, before);
    snapshot_release(before);
}

/* A port that was waited for. */
static void listen_too(struct worker *w, const struct mail *mail)
{
    struct entrance entrance = { mail->stream & 1, mail->stream & 2 };
    struct err why = { 0 };

    if (w->draining || w->stopping)
        close((int)mail->n);
    else if (worker_add_listener(w, (int)mail->n, entrance, &why) != 0)
        log_error("a port of visitors cannot be had", kv_str("error", why.text));
}

static void on_mail(void *user, const struct mail *mail)
{
    struct worker *w = user;

    switch (mail->type) {
    case MAIL_SNAPSHOT: follow(w, mail->p); break;
    case MAIL_ENDED:
        if (w->pool)
            pool_note_ended(w->pool, mail->lane, mail->stream, (enum lane_how)mail->n);
        break;
    case MAIL_CONSUMED:
        if (w->pool)
            pool_note_consumed(w->pool, mail->lane, mail->stream, mail->n);
        break;
    case MAIL_WAITS:
        if (w->pool)
            pool_note_waits(w->pool, mail->lane, mail->n, mail->at_ms);
        break;
    case MAIL_LISTEN: listen_too(w, mail); break;
    case MAIL_DRAIN:
        w->draining = true;
        uv_timer_start(&w->look, on_look, LAST_WORDS_MS, LOOK_MS);
        close_doors(w);
        each_client(w, client_drain);
        raws_drain(w->raws);
        if (w->parking)
            parking_drain(w->parking);
        end_if_done(w);
        break;
    case MAIL_STOP: stop(w); break;
    default: break;
    }
}

void worker_post(struct worker *w, const struct mail *mail)
{
    mailbox_post(&w->mailbox, mail);
}

void worker_add_tally(const struct worker *w, struct tally_sum *sum)
{
    tally_merge(sum, &w->tally);
}

void worker_free(struct worker *w)
{
    if (w->running)
        uv_thread_join(&w->thread);
    else {
        stop(w);
        loop_run(&w->loop);
    }
    while (w->listeners) {
        struct listener *l = w->listeners;

        w->listeners = l->next;
        free(l);
    }
    loop_free(&w->loop);
    mailbox_free(&w->mailbox);
    snapshot_release(w->snapshot);
    access_log_release(w->conf.access_log);
    buf_free(&w->sealed);
    raws_free(w->raws);
    free(w->clients);
    free(w->splices);
    free(w);
}
