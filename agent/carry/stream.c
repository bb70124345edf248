/* The life of a stream, at the house's end:
 *
 *   OPENING ── 65 bytes, answered ──▶ WARM ── second header ──▶ DIAL ──▶ CARRY ── both ends done ──▶ CLOSE -> freed
 *      \___ a stranger, 5 s ____________\____ EOF: silently __________\_______\____ abort, reset, stop ──────▶
 *
 * The relay must know how a stream ended before it sees the end: an EOF or close waits until the line that explains it
 * has gone into the conversation's channel as a whole. And of raw bytes the service must not see an end that nobody has
 * meant: the relay's waits until that has shown that it lives. */
#include "agent/carry/stream_parts.h"

#include "shared/log.h"
#include "shared/mem.h"

#include <stdlib.h>
#include <string.h>

enum { OPENING_MS = 5000, HEADER_MS = 5000 };
/* The relay is told at once of much that the service has taken, and a moment later of less, as more may come: a line for each
 * read costs sshd as much as the data. Once a second of little, or idle WebSockets would seem to hold it. */
enum { CONSUMED_BYTES = 64 * 1024, CONSUMED_MANY_BYTES = 256 * 1024, CONSUMED_MS = 2, REST_BYTES = 4096 };

#define RAW_ITEM "tcp:"

_Static_assert(LOOP_READ_BYTES % SSH_PACKET_BYTES == 0, "each read would end in a short packet");

static void dial(struct carry *c, const struct site_service *service, bool passed);
static enum carry_state step_opening(struct carry *c);
static enum carry_state step_warm(struct carry *c);
static enum carry_state step_dial(struct carry *c);
static enum carry_state step_carry(struct carry *c);
static void close_if_explained(struct carry *c);
static void on_service_ready(void *user);
static void on_service_received(void *user, const char *bytes, size_t n);
static void on_service_eof(void *user);
static void on_service_drained(void *user);
static void on_service_took(void *user);
static void on_service_ended(void *user, enum lane_how how, const char *detail);

/* ---- the life, in outline ---- */

static void on_late(uv_timer_t *timer)
{
    struct carry *c = timer->data;

    c->late = true;
    carry_run(c);
}

static void set_deadline(struct carry *c, uint64_t ms)
{
    c->late = false;
    if (ms > 0)
        uv_timer_start(&c->deadline, on_late, ms, 0);
    else
        uv_timer_stop(&c->deadline);
}

struct carry *carry_start(struct carry_lane *lane, LIBSSH2_CHANNEL *channel)
{
    struct carry *c = mem_new(sizeof *c);

    c->lane = lane;
    c->channel = channel;
    uv_timer_init(&lane->loop->uv, &c->deadline);
    c->deadline.data = c;
    c->pending = 1;
    set_deadline(c, OPENING_MS);
    limits_add(lane->limits, c);
    return c;
}

struct carry *carry_start_plain(struct carry_lane *lane, LIBSSH2_CHANNEL *channel, const struct site *site)
{
    struct carry *c = carry_start(lane, channel);

    c->counted = limits_use(lane->limits);
    c->stopped = !c->counted; /* too many: it ends with its first run */
    dial(c, &site->services[0], false);
    c->state = C_DIAL;
    set_deadline(c, 0);
    return c;
}

static void on_closed(uv_handle_t *handle)
{
    struct carry *c = handle->data;

    c->pending--;
    carry_run(c);
}

static void enter(struct carry *c, enum carry_state next)
{
    c->state = next;
    set_deadline(c, 0); /* a dial has its own, and neither waiting nor carrying has one at first */
    if (next != C_CLOSE)
        return;
    uv_close((uv_handle_t *)&c->deadline, on_closed);
    if (c->service)
        service_conn_reset(c->service);
}

static void free_if_idle(struct carry *c)
{
    if (c->pending > 0 || c->channel)
        return;
    limits_remove(c->lane->limits, c);
    if (c->counted)
        limits_unuse(c->lane->limits);
    c->lane->ended(c->lane->user, c);
    buf_free(&c->in);
    buf_free(&c->out);
    free(c->item);
    free(c->route);
    free(c->service_why);
    free(c);
}

void carry_run(struct carry *c)
{
    for (;;) {
        enum carry_state next = C_CLOSE;

        if (c->state == C_CLOSE) {
            close_if_explained(c);
            free_if_idle(c);
            return;
        }
        if (!c->stopped) {
            switch (c->state) {
            case C_OPENING: next = step_opening(c); break;
            case C_WARM: next = step_warm(c); break;
            case C_DIAL: next = step_dial(c); break;
            case C_CARRY: next = step_carry(c); break;
            case C_CLOSE: break;
            }
        }
        if (next == c->state)
            return;
        enter(c, next);
    }
}

static void say_ended(struct carry *c, enum lane_how how, const char *detail)
{
    if (c->ended_said || !c->channel)
        return;
    c->ended_said = true;
    c->ended_at = c->lane->say_ended(c->lane->user, c->id, how, detail);
}

static enum carry_state fail(struct carry *c, enum lane_how how, const char *detail)
{
    if (how != LANE_EOF)
        log_info_limited(c->item ? c->item : c->lane->relay, "stream failed", kv_str("relay", c->lane->relay),
                         kv_str("item", c->item), kv_str("how", lane_how_text(how)), kv_str("error", detail));
    say_ended(c, how, detail);
    return C_CLOSE;
}

/* ---- OPENING: is it the relay? ---- */

/* Reads until c->in holds `want` bytes. False at the end of what will ever come. */
static bool read_up_to(struct carry *c, size_t want)
{
    char *chunk = c->lane->loop->read_buf; /* so a warm stream holds no memory for it */

    while (c->in.len < want && !ssh_channel_quiet(c->lane->pipe, c->channel)) {
        ssize_t n = ssh_channel_read(c->channel, chunk, want - c->in.len);

        if (n == SSH_NONE)
            return true;
        if (n < 0)
            return false;
        buf_add(&c->in, chunk, (size_t)n);
    }
    return true;
}

/* Gives libssh2 what it takes; the rest stays in c->out, to be given again from the same byte on. */
static void send_out(struct carry *c)
{
    ssize_t n = ssh_channel_write(c->channel, buf_bytes(&c->out), c->out.len);

    if (n <= 0)
        return; /* when the session has broken, the lane finds out by itself */
    c->moved += (uint64_t)n;
    buf_take(&c->out, (size_t)n);
    if (c->out.len == 0)
        buf_free(&c->out);
}

static enum carry_state step_opening(struct carry *c)
{
    /* One byte more than an opening: the relay sends nothing behind it before it has the answer. */
    bool open = read_up_to(c, PROXY2_OPEN_BYTES + 1);
    const unsigned char *in = (const unsigned char *)buf_bytes(&c->in);
    unsigned char random[PROXY2_RANDOM_BYTES], answer[PROXY2_ANSWER_BYTES];

    if (!proxy2_open_begins(in, c->in.len) || c->late || !open) {
        log_info_limited(c->lane->relay, "stream refused: no opening of the relay's",
                         kv_str("relay", c->lane->relay));
        return C_CLOSE;
    }
    if (c->in.len < PROXY2_OPEN_BYTES)
        return C_OPENING;
    if (!c->lane->secret)
        return C_OPENING; /* it has overtaken the welcome */
    if (proxy2_open_read(in, c->lane->secret, &c->id, random) != 0) {
        log_info_limited(c->lane->relay, "stream refused: wrong proof", kv_str("relay", c->lane->relay));
        return C_CLOSE;
    }
    c->opened = true;
    proxy2_answer(answer, c->lane->secret, c->id, random);
    buf_add(&c->out, answer, sizeof answer);
    send_out(c);
    buf_free(&c->in); /* there may be hundreds of warm streams */
    return C_WARM;
}

/* ---- WARM: waits for the second header as long as it takes ---- */

static enum carry_state use(struct carry *c, const struct proxy2_use *use)
{
    const struct site *site;
    const char *why;
    const struct site_service *service = sites_for(c->lane->sites, c->lane->relay, use, &site, &why);

    c->counted = limits_use(c->lane->limits);
    c->item = mem_copy_n(use->item.p, use->item.n);
    if (!service || !c->counted)
        return fail(c, LANE_REFUSED, c->counted ? why : "as many streams as max_streams admits are in use");
    dial(c, service, use->sni.n > 0);
    service_conn_introduce(c->service, use, site->traffic);
    service_conn_speak_http2(c->service, use->http2);
    return C_DIAL;
}

static enum carry_state step_warm(struct carry *c)
{
    size_t before = c->in.len;
    bool open = read_up_to(c, PROXY2_USE_MAX_BYTES);
    struct err why = { 0 };
    struct proxy2_use header;
    enum carry_state next;
    ssize_t n;

    send_out(c);
    if (c->in.len == 0)
        return open ? C_WARM : C_CLOSE;
    n = proxy2_use_read(&header, (const unsigned char *)buf_bytes(&c->in), c->in.len, &why);
    if (n < 0)
        return fail(c, LANE_REFUSED, why.text);
    if (n == 0 && (!open || c->late || c->in.len >= PROXY2_USE_MAX_BYTES))
        return fail(c, LANE_REFUSED, "the second header was not whole in time");
    if (n == 0) {
        if (before == 0)
            set_deadline(c, HEADER_MS);
        return C_WARM;
    }
    next = use(c, &header);
    buf_take(&c->in, (size_t)n); /* what is left is the visitor's */
    return next;
}

/* ---- DIAL ---- */

static void dial(struct carry *c, const struct site_service *service, bool passed)
{
    static const struct service_conn_events events = { on_service_ready, on_service_received,
                                                       on_service_eof,   on_service_drained,
                                                       on_service_took,  on_service_ended };
    struct sites *sites = c->lane->sites;
    const struct service at = service_for(&service->at, passed);

    if (!c->item)
        c->item = mem_copy(service->item);
    c->route = mem_copy(service->route);
    c->service = service_conn_start(c->lane->loop, &at, &sites->names, sites->trust, &events, c);
    c->pending++;
}

static void note_service(struct carry *c, enum lane_service state, const char *detail)
{
    sites_note_service(c->lane->sites, c->item, c->route, state, detail);
}

static void on_service_ready(void *user)
{
    struct carry *c = user;

    c->ready = true;
    if (service_conn_is_proof(c->service))
        note_service(c, LANE_SERVICE_OK, "");
    carry_run(c);
}

/* It was not reached, or it turned out not to be what it should be; or it has broken off. Many do that to connections
 * that are kept, so it is worth no line, and the relay knows whether anything is missing. */
static enum carry_state fail_service(struct carry *c)
{
    static const enum lane_service states[] = { [LANE_REFUSED] = LANE_SERVICE_REFUSED,
                                                [LANE_UNREACHABLE] = LANE_SERVICE_UNREACHABLE,
                                                [LANE_SILENT] = LANE_SERVICE_SILENT };

    if (c->service_how == LANE_EOF || c->service_how == LANE_RESET) {
        log_debug("service broke off", kv_str("item", c->item), kv_str("error", c->service_why));
        say_ended(c, LANE_RESET, c->service_why);
        return C_CLOSE;
    }
    if (!c->declined)
        note_service(c, states[c->service_how], c->service_why);
    return fail(c, c->service_how, c->service_why);
}

static uint64_t untold(const struct carry *c)
{
    int64_t n = (int64_t)(c->to_service - service_conn_unsent(c->service) - c->consumed);

    return n > 0 ? (uint64_t)n : 0; /* what TLS has not sent is estimated, and may seem to grow */
}

static void tell_consumed(struct carry *c)
{
    set_deadline(c, 0);
    c->consumed += untold(c);
    c->lane->say_consumed(c->lane->user, c->id, c->consumed);
}

static void note_consumed(struct carry *c)
{
    uint64_t n = untold(c);

    if (!c->channel || n < CONSUMED_BYTES)
        return;
    if (n >= CONSUMED_MANY_BYTES || c->late)
        tell_consumed(c);
    else if (!uv_is_active((const uv_handle_t *)&c->deadline))
        set_deadline(c, CONSUMED_MS);
}

static void to_service(struct carry *c, const char *bytes, size_t n)
{
    carry_count(c->lane, n, 0);
    c->to_service += n;
    service_conn_write(c->service, bytes, n);
}

static enum carry_state step_dial(struct carry *c)
{
    if (!c->service)
        return fail_service(c);
    if (!c->ready)
        return C_DIAL;
    to_service(c, buf_bytes(&c->in), c->in.len); /* what came right behind the header */
    buf_free(&c->in);
    return C_CARRY;
}

/* ---- CARRY: bytes both ways ---- */

static void on_service_received(void *user, const char *bytes, size_t n)
{
    struct carry *c = user;
    ssize_t taken = 0;

    carry_count(c->lane, 0, n);
    if (!c->answered)
        note_service(c, LANE_SERVICE_OK, "");
    c->answered = true;
    if (c->out.len == 0)
        taken = ssh_channel_write(c->channel, bytes, n);
    c->moved += taken > 0 ? (uint64_t)taken : 0;
    if (taken < 0)
        return; /* the session has broken; the lane finds out by itself */
    buf_add(&c->out, bytes + taken, n - (size_t)taken);
    if (!c->lane->added(c->lane->user) || c->out.len > 0)
        carry_hold(c);
}

static void on_service_eof(void *user)
{
    struct carry *c = user;

    c->service_eof = true;
    carry_run(c);
}

static void on_service_drained(void *user)
{
    carry_run(user);
}

static void on_service_took(void *user)
{
    note_consumed(user);
}

/* It can end and be done in one. */
static void on_service_ended(void *user, enum lane_how how, const char *detail)
{
    struct carry *c = user;

    c->pending--;
    c->declined = service_conn_declined(c->service);
    c->service = NULL;
    c->service_how = how;
    c->service_why = mem_copy(detail);
    c->service_eof = c->service_eof || how == LANE_EOF;
    carry_run(c);
}

void carry_hold(struct carry *c)
{
    if (c->service && c->ready && !c->paused) {
        c->paused = true;
        service_conn_pause(c->service);
    }
}

/* Where nobody looks at the bytes, an end is all that tells the service that it has everything, and sshd says it also when
 * the relay was killed. A relay that answers after its end was alive to mean it. */
static void take_end(struct carry *c)
{
    c->relay_eof = true;
    if (strncmp(c->item, RAW_ITEM, strlen(RAW_ITEM)) != 0) {
        service_conn_shutdown(c->service);
        return;
    }
    c->end_waits = true;
    c->end_ping = c->lane->ask(c->lane->user);
}

/* False: nobody has meant it. */
static bool is_meant(struct carry *c)
{
    if (!c->end_waits)
        return true;
    if (c->orphan || c->end_ping == 0)
        return false;
    if (c->lane->answered(c->lane->user, c->end_ping)) {
        c->end_waits = false;
        if (c->service)
            service_conn_shutdown(c->service);
    }
    return true;
}

/* libssh2 keeps what is not read, up to its window, so a service that reads slowly slows its visitor. */
static void carry_in(struct carry *c)
{
    char *chunk = c->lane->loop->read_buf;

    while (c->service && !c->relay_eof && !service_conn_full(c->service) &&
           !ssh_channel_quiet(c->lane->pipe, c->channel)) {
        ssize_t n = ssh_channel_read(c->channel, chunk, LOOP_BUF_BYTES);

        if (n == SSH_EOF)
            take_end(c);
        if (n <= 0)
            break;
        to_service(c, chunk, (size_t)n);
    }
    if (c->service)
        note_consumed(c);
}

static void carry_out(struct carry *c)
{
    if (c->out.len > 0)
        send_out(c);
    if (c->out.len == 0 && c->service_eof && !c->eof_sent) {
        say_ended(c, LANE_EOF, "");
        if (c->lane->said(c->lane->user, c->ended_at))
            c->eof_sent = ssh_channel_send_eof(c->channel) == SSH_DONE;
    }
    if (c->paused && c->service && c->out.len == 0 && c->lane->added(c->lane->user)) {
        c->paused = false;
        service_conn_resume(c->service);
    }
}

static enum carry_state step_carry(struct carry *c)
{
    carry_in(c);
    carry_out(c);
    if (!is_meant(c)) {
        say_ended(c, LANE_RESET, "the relay has gone");
        return C_CLOSE;
    }
    if (!c->eof_sent && (c->relay_eof || !c->service) && ssh_channel_closed(c->channel))
        return C_CLOSE; /* nobody is left who could hear why */
    /* What it said before may be all that the visitor has asked for. */
    if (!c->service && !c->service_eof && c->out.len == 0)
        return fail_service(c);
    /* When the service is gone and all it said is on its way, nothing is left to do: what the visitor may still send
     * has nowhere to go. */
    return c->eof_sent && !c->service ? C_CLOSE : C_CARRY;
}

/* ---- what the lane wants ---- */

static void stop(struct carry *c)
{
    c->stopped = true;
    carry_run(c);
}

void carry_stop(struct carry *c)
{
    c->channel = NULL;
    stop(c);
}

void carry_orphan(struct carry *c)
{
    c->orphan = true;
    carry_run(c);
}

void carry_close_warm(struct carry *c)
{
    if (c->state == C_WARM && c->in.len == 0)
        stop(c);
}

void carry_close_unused(struct carry *c)
{
    if (c->state == C_OPENING || (c->state == C_WARM && c->in.len == 0))
        stop(c);
}

bool carry_abort(struct carry *c, uint64_t stream)
{
    if (!c->opened || c->id != stream)
        return false;
    if (c->state != C_CLOSE) {
        say_ended(c, LANE_RESET, "aborted by the relay");
        stop(c);
    }
    return true;
}

/* ---- for limits.c ---- */

void carry_look(struct carry *c)
{
    uint64_t moved = c->moved + (c->service ? c->consumed + untold(c) : 0);

    c->stuck = moved == c->moved_before;
    c->moved_before = moved;
    if (c->service && c->channel && c->state == C_CARRY && untold(c) >= REST_BYTES)
        tell_consumed(c);
}

void carry_shed(struct carry *c)
{
    buf_free(&c->in);
    buf_free(&c->out);
    fail(c, LANE_RESET, "it stood still and held too much memory (max_buffered)");
    c->stopped = true;
    carry_run(c);
}

/* ---- end ---- */

static void close_if_explained(struct carry *c)
{
    if (!c->channel || (c->ended_said && !c->lane->said(c->lane->user, c->ended_at)))
        return;
    ssh_pipe_close(c->lane->pipe, c->channel);
    c->channel = NULL;
}
