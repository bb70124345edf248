#include "relay/edge/edge.h"

#include "relay/edge/listeners.h"
#include "relay/edge/worker.h"
#include "shared/mem.h"
#include "shared/port_policy.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum { RATES_SETS = 16384 }; /* 2 MiB, of which only what is used is had */

struct spliced {
    struct spliced *next;
    uint64_t key; /* address and port, as sshd sees them */
    struct sockaddr_storage real;
};

struct edge {
    const struct edge_events *events;
    void *user;
    struct mailbox mailbox;
    struct places places;
    struct crowd crowd;
    struct limiter rates; /* of sites, for each source */
    struct doorman_house house;
    struct listeners *listeners; /* NULL: nothing is waited for any more */
    struct worker **workers;
    uint64_t *shown; /* by each worker: serial of its challenges */
    bool *endless;   /* of each: while it drains, nothing is left that has an end of its own */
    uint64_t shown_by_all;
    unsigned workers_n, running;
    struct spliced *spliced; /* who sshd's visitors from 127.64.0.0/10 really are */
    bool failed;             /* at the start: nobody waits for the end */
};

static void on_mailbox_closed(uv_handle_t *handle);

/* ---- what workers tell ---- */

static void note_spliced(struct edge *edge, const struct mail *mail)
{
    struct spliced *s = mem_new(sizeof *s);

    s->key = mail->n;
    memcpy(&s->real, mail->p, sizeof s->real);
    free(mail->p);
    s->next = edge->spliced;
    edge->spliced = s;
}

static void forget_spliced(struct edge *edge, uint64_t key)
{
    for (struct spliced **at = &edge->spliced; *at; at = &(*at)->next)
        if ((*at)->key == key) {
            struct spliced *gone = *at;

            *at = gone->next;
            free(gone);
            return;
        }
}

bool edge_real_address(const struct edge *edge, const char *address, unsigned port,
                       struct sockaddr_storage *real)
{
    struct in_addr addr;

    if (inet_pton(AF_INET, address, &addr) != 1)
        return false;
    for (const struct spliced *s = edge->spliced; s; s = s->next)
        if (s->key == ((uint64_t)ntohl(addr.s_addr) << 16 | port)) {
            *real = s->real;
            return true;
        }
    return false;
}

static void note_shown(struct edge *edge, const struct mail *mail)
{
    uint64_t least = UINT64_MAX;

    edge->shown[mail->lane] = mail->n;
    for (unsigned i = 0; i < edge->workers_n; i++)
        least = edge->shown[i] < least ? edge->shown[i] : least;
    if (least == edge->shown_by_all)
        return;
    edge->shown_by_all = least;
    edge->events->challenges_shown(edge->user, least);
}

/* One of them may wait for a download as long as it likes: then the others keep what they have. */
static void note_endless(struct edge *edge, const struct mail *mail)
{
    edge->endless[mail->lane] = mail->n;
    for (unsigned i = 0; i < edge->workers_n; i++)
        if (!edge->endless[i])
            return;
    edge_stop(edge);
}

static void pass_to_others(struct edge *edge, const struct mail *mail)
{
    for (unsigned i = 0; i < edge->workers_n; i++)
        if (i != mail->stream)
            worker_post(edge->workers[i], mail);
}

static void on_mail(void *user, const struct mail *mail)
{
    struct edge *edge = user;

    switch (mail->type) {
    case MAIL_PROVED: edge->events->lane_proved(edge->user, mail->lane); break;
    case MAIL_SILENT: edge->events->lane_silent(edge->user, mail->lane); break;
    case MAIL_ABORTED: edge->events->stream_aborted(edge->user, mail->lane, mail->stream); break;
    case MAIL_WAITS: pass_to_others(edge, mail); break;
    case MAIL_SHOWS: note_shown(edge, mail); break;
    case MAIL_ENDLESS: note_endless(edge, mail); break;
    case MAIL_SPLICED: note_spliced(edge, mail); break;
    case MAIL_PARTED: forget_spliced(edge, mail->n); break;
    case MAIL_WORKER_ENDED:
        if (--edge->running == 0)
            mailbox_close(&edge->mailbox, on_mailbox_closed);
        break;
    default: break;
    }
}

/* ---- start ---- */

/* Takes the sockets, one for each worker. */
static int hand_out(struct edge *edge, const int *fds, struct entrance entrance, struct err *e)
{
    int rc = 0;

    for (unsigned i = 0; i < edge->workers_n; i++) {
        if (rc == 0)
            rc = worker_add_listener(edge->workers[i], fds[i], entrance, e);
        else
            close(fds[i]);
    }
    return rc;
}

/* A port that was waited for: the workers run already. */
static void send_out(struct edge *edge, const int *fds, struct entrance entrance)
{
    struct mail mail = { .type = MAIL_LISTEN, .stream = entrance.secure | entrance.proxied << 1 };

    for (unsigned i = 0; i < edge->workers_n; i++) {
        mail.n = (uint64_t)fds[i];
        worker_post(edge->workers[i], &mail);
    }
}

static int on_opened(void *user, const int *fds, struct entrance entrance, struct err *e)
{
    struct edge *edge = user;

    if (edge->running == 0)
        return hand_out(edge, fds, entrance, e);
    send_out(edge, fds, entrance);
    return 0;
}

static void on_listeners_changed(void *user)
{
    struct edge *edge = user;

    edge->events->listeners_changed(edge->user);
}

static int add_listeners(struct edge *edge, struct loop *loop, const struct edge_conf *conf,
                         struct inherited *inherited, struct err *e)
{
    const struct listeners_conf listeners = { conf->listen_https, conf->listen_http, conf->proxy_listeners,
                                              edge->workers_n };

    edge->listeners = listeners_start(loop, &listeners, inherited,
                                      &(struct listeners_host){ on_opened, on_listeners_changed, edge }, e);
    return edge->listeners ? 0 : -1;
}

/* Ids begin at random, and are left room to count up without an overflow. */
static uint64_t random_id(unsigned workers)
{
    uint64_t id;

    if (getrandom(&id, sizeof id, 0) != (ssize_t)sizeof id)
        abort();
    id >>= 1;
    return id - id % workers;
}

static int make_workers(struct edge *edge, const struct edge_conf *conf, struct snapshot *snapshot,
                        struct err *e)
{
    const unsigned n = conf->workers;
    const struct pool_limits limits = { n, conf->max_streams, conf->max_buffered / n };
    const struct opt_addresses *https = conf->listen_https;
    const uint16_t https_port = https->n > 0 ? (uint16_t)port_policy_port(&https->list[0]) : 0;
    uint64_t first_id = random_id(n);

    edge->workers = mem_new(n * sizeof(void *));
    edge->shown = mem_new(n * sizeof *edge->shown);
    edge->endless = mem_new(n * sizeof *edge->endless);
    edge->shown_by_all = challenges_serial(snapshot_challenges(snapshot));
    for (unsigned i = 0; i < n; i++)
        edge->shown[i] = edge->shown_by_all;
    for (unsigned i = 0; i < n; i++) {
        const struct worker_conf worker = { .limits = limits,
                                            .ssh_port = conf->ssh_port,
                                            .https_port = https_port,
                                            .first_id = first_id + i,
                                            .index = i,
                                            .to_control = &edge->mailbox,
                                            .places = &edge->places,
                                            .crowd = &edge->crowd,
                                            .rates = &edge->rates,
                                            .house = &edge->house,
                                            .snapshot = snapshot,
                                            .access_log = conf->access_log };
        struct worker *w = worker_new(&worker, e);

        if (!w)
            return -1;
        edge->workers[edge->workers_n++] = w;
    }
    return 0;
}

static int run_workers(struct edge *edge, struct err *e)
{
    for (unsigned i = 0; i < edge->workers_n; i++) {
        if (worker_run(edge->workers[i], e) != 0)
            return -1;
        edge->running++;
    }
    return 0;
}

static void free_parts(struct edge *edge)
{
    for (unsigned i = 0; i < edge->workers_n; i++)
        worker_free(edge->workers[i]);
    mailbox_free(&edge->mailbox); /* which may hold news of splices */
    while (edge->spliced)
        forget_spliced(edge, edge->spliced->key);
    free(edge->workers);
    free(edge->shown);
    free(edge->endless);
    places_free(&edge->places);
    crowd_free(&edge->crowd);
    limiter_free(&edge->rates);
    doorman_house_free(&edge->house);
    free(edge);
}

struct edge *edge_start(struct loop *loop, const struct edge_conf *conf, struct inherited *inherited,
                        struct snapshot *takes, const struct edge_events *events, void *user, struct err *e)
{
    struct edge *edge = mem_new(sizeof *edge);
    int rc;

    edge->events = events;
    edge->user = user;
    places_init(&edge->places);
    crowd_init(&edge->crowd);
    limiter_init(&edge->rates, RATES_SETS);
    doorman_house_init(&edge->house);
    mailbox_init(&edge->mailbox, &loop->uv, on_mail, edge);
    rc = make_workers(edge, conf, takes, e);
    snapshot_release(takes);
    if (rc == 0 && add_listeners(edge, loop, conf, inherited, e) == 0 && run_workers(edge, e) == 0)
        return edge;
    edge->failed = true;
    edge_stop(edge);
    if (edge->running == 0)
        mailbox_close(&edge->mailbox, on_mailbox_closed);
    return NULL;
}

/* ---- run ---- */

static void post_all(struct edge *edge, const struct mail *mail)
{
    for (unsigned i = 0; i < edge->workers_n; i++)
        worker_post(edge->workers[i], mail);
}

void edge_publish(struct edge *edge, struct snapshot *takes)
{
    for (unsigned i = 0; i < edge->workers_n; i++)
        worker_post(edge->workers[i], &(struct mail){ .type = MAIL_SNAPSHOT, .p = snapshot_hold(takes) });
    snapshot_release(takes);
}

static void post_to_owner(struct edge *edge, const struct mail *mail)
{
    worker_post(edge->workers[mail->stream % edge->workers_n], mail);
}

void edge_stream_ended(struct edge *edge, uint64_t lane, uint64_t stream, enum lane_how how)
{
    post_to_owner(edge, &(struct mail){ .type = MAIL_ENDED, .lane = lane, .stream = stream, .n = how });
}

void edge_stream_consumed(struct edge *edge, uint64_t lane, uint64_t stream, uint64_t total)
{
    post_to_owner(edge, &(struct mail){ .type = MAIL_CONSUMED, .lane = lane, .stream = stream, .n = total });
}

void edge_add_tally(const struct edge *edge, struct tally_sum *sum)
{
    for (unsigned i = 0; i < edge->workers_n; i++)
        worker_add_tally(edge->workers[i], sum);
}

json_t *edge_listeners(const struct edge *edge)
{
    return listeners_status(edge ? edge->listeners : NULL);
}

void edge_waiting_text(const struct edge *edge, char *text, size_t room)
{
    listeners_text(edge ? edge->listeners : NULL, text, room);
}

/* ---- end ---- */

static void stop_listeners(struct edge *edge)
{
    listeners_stop(edge->listeners);
    edge->listeners = NULL;
}

void edge_drain(struct edge *edge)
{
    stop_listeners(edge);
    post_all(edge, &(struct mail){ .type = MAIL_DRAIN });
}

void edge_stop(struct edge *edge)
{
    stop_listeners(edge);
    post_all(edge, &(struct mail){ .type = MAIL_STOP });
}

static void on_mailbox_closed(uv_handle_t *handle)
{
    struct mailbox *m = handle->data;
    struct edge *edge = m->user;

    if (!edge->failed)
        edge->events->ended(edge->user);
    free_parts(edge);
}
