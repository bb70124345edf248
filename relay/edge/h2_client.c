#include "relay/edge/h2_client_parts.h"

#include "shared/mem.h"

#include <stdlib.h>
#include <string.h>

/* What a service makes us do for nothing is paid for out of a patience that comes back with time, and with every frame
 * that is of use: some measure their line by a PING with each piece of a body. */
enum {
    PATIENCE = 10000,
    PATIENCE_PER_S = 1000,
    COST_OF_RESET = 5, /* a call, or a frame, that was wrong */
    COST_OF_FRAME = 1, /* PING, SETTINGS, PRIORITY, CONTINUATION, DATA of nothing */
    CONNECTION_WINDOW_BYTES = 1 << 20,
    MAX_BOMB = 8, /* times H2_CALL_HEAD_BYTES: no service says anything in that way */
};

/* ---- patience ---- */

static void refill(struct h2_client *c, uint64_t n)
{
    c->patience = n > PATIENCE - c->patience ? PATIENCE : c->patience + (unsigned)n;
}

static int pay(struct h2_client *c, unsigned cost)
{
    uint64_t back = (c->now_ms - c->refilled_ms) * PATIENCE_PER_S / 1000;

    if (back > 0) {
        refill(c, back);
        c->refilled_ms = c->now_ms;
    }
    c->flooded = c->flooded || c->patience < cost;
    if (!c->flooded)
        c->patience -= cost;
    return c->flooded ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

/* ---- what nghttp2 tells ---- */

static struct h2_call *call_of(nghttp2_session *ng, int32_t id)
{
    return nghttp2_session_get_stream_user_data(ng, id);
}

static bool is_idle(const nghttp2_frame_hd *hd)
{
    return hd->type == NGHTTP2_PING || hd->type == NGHTTP2_SETTINGS || hd->type == NGHTTP2_PRIORITY ||
           hd->type == NGHTTP2_CONTINUATION ||
           (hd->type == NGHTTP2_DATA && hd->length == 0 && !(hd->flags & NGHTTP2_FLAG_END_STREAM));
}

static int on_begin_frame(nghttp2_session *ng, const nghttp2_frame_hd *hd, void *user)
{
    struct h2_client *c = user;

    (void)ng;
    if (is_idle(hd))
        return pay(c, COST_OF_FRAME);
    if (hd->type == NGHTTP2_DATA || hd->type == NGHTTP2_HEADERS)
        refill(c, 2);
    return 0;
}

/* "200"; what is none was refused by nghttp2, on which this must not depend. */
static int status_of(struct str value)
{
    if (value.n != 3)
        return -1;
    for (size_t i = 0; i < value.n; i++)
        if (value.p[i] < '0' || value.p[i] > '9')
            return -1;
    return (value.p[0] - '0') * 100 + (value.p[1] - '0') * 10 + value.p[2] - '0';
}

static void take_status(struct h2_call *call, struct str value)
{
    int status = status_of(value);

    if (call->head_done || call->status != 0 || status < 100 || status == 101)
        h2_call_refuse(call, "no status, or one that HTTP/2 does not have");
    else
        call->status = status;
}

static int on_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name, size_t name_n,
                     const uint8_t *value, size_t value_n, uint8_t flags, void *user)
{
    const struct str what = { (const char *)name, name_n }, is = { (const char *)value, value_n };
    struct h2_call *call = call_of(ng, frame->hd.stream_id);
    struct h2_client *c = user;

    (void)flags;
    if (!call)
        return 0;
    if (str_eq(what, ":status"))
        take_status(call, is);
    else if (name_n > 0 && name[0] == ':')
        h2_call_refuse(call, "a pseudo-header field of a request");
    else if (!h2_fields_add(&call->fields, what, is, H2_CALL_HEAD_BYTES))
        h2_call_refuse(call, call->fields.why);
    c->flooded = c->flooded || call->fields.bytes / MAX_BOMB > H2_CALL_HEAD_BYTES;
    return c->flooded ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

/* nghttp2 would leave such fields out; nobody is to get less than was said without knowing. */
static int on_invalid_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name,
                             size_t name_n, const uint8_t *value, size_t value_n, uint8_t flags, void *user)
{
    struct h2_call *call = call_of(ng, frame->hd.stream_id);

    (void)name, (void)name_n, (void)value, (void)value_n, (void)flags, (void)user;
    if (call)
        h2_call_refuse(call, "a field that is none");
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static int on_data(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *bytes, size_t n, void *user)
{
    struct h2_call *call = call_of(ng, id);

    (void)flags, (void)user;
    /* A visitor who does not read must not keep the others waiting. */
    nghttp2_session_consume_connection(ng, n);
    if (call)
        h2_call_received(call, bytes, n);
    return 0;
}

static int on_frame(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
    struct h2_call *call = call_of(ng, frame->hd.stream_id);
    struct h2_client *c = user;
    bool ends = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;

    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
        if (call)
            h2_call_section(call, ends);
        break;
    case NGHTTP2_DATA:
        if (call && ends)
            h2_call_remote_end(call);
        break;
    case NGHTTP2_RST_STREAM:
        if (call)
            call->reset = true;
        return pay(c, COST_OF_RESET);
    case NGHTTP2_SETTINGS: c->settled = c->settled || !(frame->hd.flags & NGHTTP2_FLAG_ACK); break;
    case NGHTTP2_GOAWAY: c->retiring = true; break;
    default: break;
    }
    return 0;
}

static int on_invalid_frame(nghttp2_session *ng, const nghttp2_frame *frame, int error, void *user)
{
    struct h2_call *call = call_of(ng, frame->hd.stream_id);

    (void)error;
    if (call)
        h2_call_refuse(call, "a frame or head that is none");
    return pay(user, COST_OF_RESET);
}

/* What it finds broken by itself nghttp2 says nobody but the service. */
static int on_sent(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
    struct h2_client *c = user;

    (void)ng;
    if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code != NGHTTP2_NO_ERROR)
        c->broken = c->retiring = true;
    return 0;
}

static int on_not_sent(nghttp2_session *ng, const nghttp2_frame *frame, int error, void *user)
{
    struct h2_call *call = call_of(ng, frame->hd.stream_id);

    (void)error, (void)user;
    if (call && frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
        h2_call_closed(call, NGHTTP2_REFUSED_STREAM);
    return 0;
}

static int on_closed(nghttp2_session *ng, int32_t id, uint32_t code, void *user)
{
    struct h2_call *call = call_of(ng, id);

    (void)user;
    if (call) {
        nghttp2_session_set_stream_user_data(ng, id, NULL);
        h2_call_closed(call, code);
    }
    return 0;
}

/* ---- life ---- */

static nghttp2_session_callbacks *make_callbacks(void)
{
    nghttp2_session_callbacks *k;

    if (nghttp2_session_callbacks_new(&k) != 0)
        abort(); /* out of memory */
    nghttp2_session_callbacks_set_on_begin_frame_callback(k, on_begin_frame);
    nghttp2_session_callbacks_set_on_header_callback(k, on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback(k, on_invalid_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(k, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(k, on_frame);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(k, on_invalid_frame);
    nghttp2_session_callbacks_set_on_frame_send_callback(k, on_sent);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(k, on_not_sent);
    nghttp2_session_callbacks_set_on_stream_close_callback(k, on_closed);
    return k;
}

static nghttp2_option *make_options(void)
{
    nghttp2_option *o;

    if (nghttp2_option_new(&o) != 0)
        abort(); /* out of memory */
    nghttp2_option_set_no_auto_window_update(o, 1);
    nghttp2_option_set_no_closed_streams(o, 1);
    nghttp2_option_set_peer_max_concurrent_streams(o, H2_CLIENT_CALLS);
    nghttp2_option_set_max_send_header_block_length(o, 262144);
    return o;
}

struct h2_client *h2_client_new(uint64_t now_ms)
{
    const nghttp2_settings_entry settings[] = {
        { NGHTTP2_SETTINGS_ENABLE_PUSH, 0 },
        { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, H2_CALL_WINDOW_BYTES },
        { NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, H2_CALL_HEAD_BYTES },
        { NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1 },
    };
    struct h2_client *c = mem_new(sizeof *c);
    nghttp2_session_callbacks *callbacks = make_callbacks();
    nghttp2_option *options = make_options();

    c->dirty_end = &c->dirty;
    c->now_ms = c->refilled_ms = now_ms;
    c->patience = PATIENCE;
    if (nghttp2_session_client_new2(&c->ng, callbacks, c, options) != 0 ||
        nghttp2_submit_settings(c->ng, NGHTTP2_FLAG_NONE, settings, sizeof settings / sizeof *settings) !=
            0 ||
        nghttp2_session_set_local_window_size(c->ng, NGHTTP2_FLAG_NONE, 0, CONNECTION_WINDOW_BYTES) != 0)
        abort(); /* out of memory */
    nghttp2_option_del(options);
    nghttp2_session_callbacks_del(callbacks);
    return c;
}

void h2_client_free(struct h2_client *c)
{
    if (!c)
        return;
    while (c->calls)
        h2_call_free(c->calls);
    nghttp2_session_del(c->ng);
    free(c);
}

static int give_up(struct h2_client *c, int error, const char **why)
{
    bool flood = c->flooded || error == NGHTTP2_ERR_FLOODED || error == NGHTTP2_ERR_TOO_MANY_CONTINUATIONS;

    c->retiring = true;
    nghttp2_session_terminate_session(c->ng, flood ? NGHTTP2_ENHANCE_YOUR_CALM : NGHTTP2_PROTOCOL_ERROR);
    *why = flood ? "a flood of frames" : nghttp2_strerror(error);
    return -1;
}

int h2_client_feed(struct h2_client *c, const char *bytes, size_t n, uint64_t now_ms, const char **why)
{
    ssize_t used;

    c->now_ms = now_ms;
    used = nghttp2_session_mem_recv(c->ng, (const uint8_t *)bytes, n);
    return used < 0 || c->flooded ? give_up(c, (int)used, why) : 0;
}

/* ---- what goes out ---- */

static void wake_starved(struct h2_client *c)
{
    if (!c->starved || c->room == 0)
        return;
    c->starved = false;
    for (struct h2_call *call = c->calls; call; call = call->next)
        h2_call_flush(call);
}

void h2_client_send(struct h2_client *c, struct buf *out, size_t most, size_t room)
{
    const uint8_t *bytes;
    ssize_t n;

    c->room = room;
    wake_starved(c);
    while (out->len < most && (n = nghttp2_session_mem_send(c->ng, &bytes)) > 0)
        buf_add(out, bytes, (size_t)n);
}

void h2_client_ping(struct h2_client *c)
{
    nghttp2_submit_ping(c->ng, NGHTTP2_FLAG_NONE, NULL);
}

void h2_client_end(struct h2_client *c)
{
    if (!c->retiring)
        nghttp2_submit_goaway(c->ng, NGHTTP2_FLAG_NONE, 0, NGHTTP2_NO_ERROR, NULL, 0);
    c->retiring = true;
}

/* ---- what is asked ---- */

uint32_t h2_client_limit(const struct h2_client *c)
{
    uint32_t theirs = nghttp2_session_get_remote_settings(c->ng, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);

    if (!c->settled)
        return 0;
    return theirs < H2_CLIENT_CALLS ? theirs : H2_CLIENT_CALLS;
}

bool h2_client_settled(const struct h2_client *c)
{
    return c->settled;
}

bool h2_client_broken(const struct h2_client *c)
{
    return c->broken;
}

bool h2_client_retiring(const struct h2_client *c)
{
    return c->retiring || !nghttp2_session_check_request_allowed(c->ng);
}

struct h2_call *h2_client_next(struct h2_client *c)
{
    struct h2_call *call = c->dirty;

    if (!call)
        return NULL;
    c->dirty = call->next_dirty;
    if (!c->dirty)
        c->dirty_end = &c->dirty;
    call->dirty = false;
    return call;
}

bool h2_client_has_news(const struct h2_client *c)
{
    return c->dirty;
}

struct h2_call *h2_client_first(const struct h2_client *c)
{
    return c->calls;
}
