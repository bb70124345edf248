#include "relay/edge/h2_parts.h"

#include "shared/mem.h"

#include <assert.h>
#include <stdlib.h>

enum {
    CONNECTION_WINDOW_BYTES = 1 << 20,
    OWED_BYTES = CONNECTION_WINDOW_BYTES / 4,
    MAX_BOMB = 8,           /* times max_header: nobody asks for anything in that way */
    MAX_CONTINUATIONS = 64, /* nghttp2 takes each read before one for another */
    NO_LIMIT = 1 << 20,
};

static int pay(struct h2_session *s, unsigned cost)
{
    return h2_patience_pay(&s->patience, cost, s->now_ms) ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
}

/* ---- what nghttp2 tells ---- */

static struct h2_stream *stream_of(nghttp2_session *ng, int32_t id)
{
    return nghttp2_session_get_stream_user_data(ng, id);
}

static int on_begin_frame(nghttp2_session *ng, const nghttp2_frame_hd *hd, void *user)
{
    struct h2_session *s = user;

    (void)ng;
    s->ignored--;
    switch (hd->type) {
    case NGHTTP2_HEADERS: return s->ended ? pay(s, H2_COST_OF_REQUEST) : 0; /* it is not looked at */
    case NGHTTP2_RST_STREAM: return 0;                                      /* as a whole: below */
    case NGHTTP2_DATA:
        return hd->length == 0 && !(hd->flags & NGHTTP2_FLAG_END_STREAM) ? pay(s, H2_COST_OF_FRAME) : 0;
    case NGHTTP2_WINDOW_UPDATE:
    case NGHTTP2_PING: return h2_patience_pay_ack(&s->patience, s->now_ms) ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
    default: return pay(s, H2_COST_OF_FRAME);
    }
}

static int on_begin_headers(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
    struct h2_stream *st = stream_of(ng, frame->hd.stream_id);
    struct h2_session *s = user;

    if (!st && frame->headers.cat == NGHTTP2_HCAT_REQUEST && s->stream_n >= H2_MAX_STREAMS) {
        nghttp2_submit_rst_stream(ng, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_REFUSED_STREAM);
        return pay(s, H2_COST_OF_REQUEST);
    }
    if (!st && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
        s->stream_n++;
        st = h2_stream_new(s, frame->hd.stream_id);
        nghttp2_session_set_stream_user_data(ng, st->id, st);
        h2_patience_asked(&s->patience);
    }
    return 0;
}

/* Of a head that is too large nothing more is kept; it is answered when it is whole. */
static int on_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name, size_t name_n,
                     const uint8_t *value, size_t value_n, uint8_t flags, void *user)
{
    struct h2_stream *st = stream_of(ng, frame->hd.stream_id);
    struct h2_fields *fields;
    struct h2_session *s = user;

    (void)flags;
    if (!st)
        return 0;
    fields = h2_stream_fields(st);
    (void)h2_fields_add(fields, (struct str){ (const char *)name, name_n },
                        (struct str){ (const char *)value, value_n }, s->max_header);
    s->patience.lost = s->patience.lost || fields->bytes / MAX_BOMB > s->max_header;
    return s->patience.lost ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static int on_data(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *bytes, size_t n, void *user)
{
    struct h2_stream *st = stream_of(ng, id);

    (void)flags, (void)user;
    /* One stream that stands still must not keep the others waiting. */
    nghttp2_session_consume_connection(ng, n);
    if (st)
        h2_stream_received(st, bytes, n);
    return 0;
}

static int on_frame(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
    struct h2_stream *st = stream_of(ng, frame->hd.stream_id);
    struct h2_session *s = user;
    bool ends = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;

    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
        if (st)
            h2_stream_fields_whole(st, ends);
        return st && st->fields.too_large ? pay(s, H2_COST_OF_REQUEST) : 0;
    case NGHTTP2_DATA:
        if (st && ends)
            h2_stream_remote_end(st);
        else if (frame->hd.length > 0 && frame->data.padlen >= frame->hd.length)
            return pay(s, H2_COST_OF_FRAME); /* nothing but padding */
        break;
    case NGHTTP2_RST_STREAM:
        h2_rules_ended(&s->rules, (uint32_t)frame->hd.stream_id, true);
        return pay(s, H2_COST_OF_REQUEST);
    case NGHTTP2_SETTINGS: s->settled = s->settled || (frame->hd.flags & NGHTTP2_FLAG_ACK); break;
    case NGHTTP2_PING:
        /* What the visitor had begun before he heard of the end has come by now. */
        if (s->draining && (frame->hd.flags & NGHTTP2_FLAG_ACK))
            h2_session_end(s);
        break;
    default: break;
    }
    return 0;
}

static int on_invalid_frame(nghttp2_session *ng, const nghttp2_frame *frame, int error, void *user)
{
    (void)ng, (void)frame, (void)error;
    return pay(user, H2_COST_OF_REQUEST);
}

static int on_frame_sent(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
    struct h2_stream *st = stream_of(ng, frame->hd.stream_id);
    struct h2_session *s = user;
    bool data = frame->hd.type == NGHTTP2_DATA;

    if (st && (data || frame->hd.type == NGHTTP2_HEADERS) && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)) {
        st->answered = true;
        if (!st->remote_ended)
            h2_stream_touch(st);
    } else if (st && frame->hd.type == NGHTTP2_HEADERS)
        h2_stream_head_sent(st);
    if (data && frame->hd.length > 0)
        h2_patience_sent(&s->patience);
    if (frame->hd.type == NGHTTP2_GOAWAY && s->draining && !s->ended)
        nghttp2_submit_ping(ng, NGHTTP2_FLAG_NONE,
                            NULL); /* its answer shows that the notice has been heard */
    return 0;
}

static int on_stream_closed(nghttp2_session *ng, int32_t id, uint32_t code, void *user)
{
    struct h2_stream *st = stream_of(ng, id);
    struct h2_session *s = user;
    bool visitors_fault =
        code == NGHTTP2_PROTOCOL_ERROR || code == NGHTTP2_FLOW_CONTROL_ERROR || code == NGHTTP2_STREAM_CLOSED;

    if (st) {
        nghttp2_session_set_stream_user_data(ng, id, NULL);
        st->closed = true;
        s->stream_n--;
        st->ended_well = code == NGHTTP2_NO_ERROR && st->remote_ended && st->answered;
        if (st->remote_ended && !st->refused)
            h2_rules_ended(&s->rules, (uint32_t)id, false);
        h2_stream_touch(st);
    }
    if (visitors_fault)
        (void)pay(s, H2_COST_OF_REQUEST); /* noticed by the next frame */
    return 0;
}

/* ---- life ---- */

static nghttp2_session_callbacks *make_callbacks(void)
{
    nghttp2_session_callbacks *c;

    if (nghttp2_session_callbacks_new(&c) != 0)
        abort(); /* out of memory */
    nghttp2_session_callbacks_set_on_begin_frame_callback(c, on_begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(c, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(c, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(c, on_frame);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(c, on_invalid_frame);
    nghttp2_session_callbacks_set_on_frame_send_callback(c, on_frame_sent);
    nghttp2_session_callbacks_set_on_stream_close_callback(c, on_stream_closed);
    return c;
}

static nghttp2_option *make_options(void)
{
    nghttp2_option *o;

    if (nghttp2_option_new(&o) != 0)
        abort(); /* out of memory */
    nghttp2_option_set_no_auto_window_update(o, 1);
    nghttp2_option_set_no_closed_streams(o, 1);
    nghttp2_option_set_max_send_header_block_length(o, 262144);
    nghttp2_option_set_max_continuations(o, MAX_CONTINUATIONS);
    nghttp2_option_set_stream_reset_rate_limit(o, NO_LIMIT, NO_LIMIT); /* resets are paid for as all else */
    return o;
}

/* One stream too many is an error of that stream (RFC 9113 5.1.2); nghttp2 would end the connection. So it knows a larger
 * number than the visitor is told, which stands behind the frame's header, and on_begin_headers looks at the right one. */
static void tell_settings(struct h2_session *s)
{
    static const char number[] = { H2_MAX_STREAMS >> 24, (char)(H2_MAX_STREAMS >> 16),
                                   (char)(H2_MAX_STREAMS >> 8), (char)H2_MAX_STREAMS };
    const uint8_t *bytes;
    ssize_t n = nghttp2_session_mem_send(s->ng, &bytes);
    enum { ID = 2, AT = H2_FRAME_HEAD + ID };

    if (n < AT + (ssize_t)sizeof number)
        abort(); /* out of memory */
    assert(bytes[AT - 1] == NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
    buf_add(&s->settings, bytes, AT);
    buf_add(&s->settings, number, sizeof number);
    buf_add(&s->settings, bytes + AT + sizeof number, (size_t)n - AT - sizeof number);
}

struct h2_session *h2_session_new(uint32_t max_header, uint64_t now_ms)
{
    const nghttp2_settings_entry settings[] = {
        { NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, NO_LIMIT }, /* first: see tell_settings */
        { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, H2_WINDOW_BYTES },
        { NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, max_header },
        { NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1 },
        { NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1 },
    };
    struct h2_session *s = mem_new(sizeof *s);
    nghttp2_session_callbacks *callbacks = make_callbacks();
    nghttp2_option *options = make_options();

    s->dirty_end = &s->dirty;
    h2_rules_init(&s->rules);
    s->max_header = max_header;
    s->now_ms = s->began_ms = now_ms;
    h2_patience_init(&s->patience, now_ms);
    if (nghttp2_session_server_new2(&s->ng, callbacks, s, options) != 0 ||
        nghttp2_submit_settings(s->ng, NGHTTP2_FLAG_NONE, settings, sizeof settings / sizeof *settings) !=
            0 ||
        nghttp2_session_set_local_window_size(s->ng, NGHTTP2_FLAG_NONE, 0, CONNECTION_WINDOW_BYTES) != 0)
        abort(); /* out of memory */
    nghttp2_option_del(options);
    nghttp2_session_callbacks_del(callbacks);
    tell_settings(s);
    return s;
}

void h2_session_free(struct h2_session *s)
{
    if (!s)
        return;
    while (s->streams)
        h2_stream_free(s->streams);
    buf_free(&s->settings);
    nghttp2_session_del(s->ng);
    free(s);
}

static int give_up(struct h2_session *s, uint32_t code, const char **why)
{
    nghttp2_session_terminate_session(s->ng, code);
    *why = nghttp2_http2_strerror(code);
    return -1;
}

/* What nghttp2 says of itself when it goes no further. */
static uint32_t code_for(const struct h2_session *s, int error)
{
    bool flood =
        s->patience.lost || error == NGHTTP2_ERR_FLOODED || error == NGHTTP2_ERR_TOO_MANY_CONTINUATIONS;

    return flood ? NGHTTP2_ENHANCE_YOUR_CALM : NGHTTP2_PROTOCOL_ERROR;
}

/* An error of the stream alone: the others go on. */
static void refuse_frame(struct h2_session *s, uint32_t code)
{
    nghttp2_submit_rst_stream(s->ng, NGHTTP2_FLAG_NONE, (int32_t)s->rules.stream, code);
    (void)pay(s, H2_COST_OF_REQUEST);
}

/* The same, and nghttp2 does not hear of it. RFC 9113 5.4: an error is told once. */
static void drop_frame(struct h2_session *s, struct h2_stream *st, uint32_t code)
{
    s->drops = true;
    if (!st->refused)
        refuse_frame(s, code);
    st->refused = true;
}

/* The rest of a request that was said to be whole. It has taken room in the connection's window nonetheless, which is
 * given back in large pieces: a frame of ours for each of his would be kept for a visitor who reads none of them. */
static void drop_data(struct h2_session *s, struct h2_stream *st)
{
    s->owed_bytes += s->rules.length;
    if (s->owed_bytes >= OWED_BYTES) {
        nghttp2_submit_window_update(s->ng, NGHTTP2_FLAG_NONE, 0, (int32_t)s->owed_bytes);
        s->owed_bytes = 0;
    }
    drop_frame(s, st, NGHTTP2_STREAM_CLOSED);
}

/* RFC 9113 5.1: what may come on a stream that is not open any more, or whose request is whole. */
static uint32_t check_stream(struct h2_session *s)
{
    struct h2_stream *st = stream_of(s->ng, (int32_t)s->rules.stream);
    bool of_stream;
    uint32_t code;

    if (!st) {
        code = h2_rules_without_stream(&s->rules, &of_stream);
        if (!of_stream)
            return code;
        refuse_frame(s, code); /* nghttp2 passes over it, and keeps its tables and windows right */
    } else if (s->rules.adds_nothing) {
        drop_frame(s, st, NGHTTP2_PROTOCOL_ERROR);
    } else if (st->remote_ended && s->rules.kind == NGHTTP2_DATA) {
        drop_data(s, st);
    } else if (st->remote_ended && s->rules.kind == NGHTTP2_HEADERS) {
        return NGHTTP2_STREAM_CLOSED; /* of the connection, whose table would not be right any more */
    }
    return NGHTTP2_NO_ERROR;
}

/* RFC 9113 6.9.2: no window of a stream may become too large by a setting for all. */
static uint32_t check_windows(const struct h2_session *s)
{
    int64_t more = (int64_t)s->rules.most_window -
                   nghttp2_session_get_remote_settings(s->ng, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE);

    for (const struct h2_stream *st = s->streams; st && more > 0; st = st->next)
        if (!st->closed &&
            nghttp2_session_get_stream_remote_window_size(s->ng, st->id) + more > NGHTTP2_MAX_WINDOW_SIZE)
            return NGHTTP2_FLOW_CONTROL_ERROR;
    return NGHTTP2_NO_ERROR;
}

/* Of frames that nghttp2 ignores it does not tell, so all are counted. */
static bool pay_ignored(struct h2_session *s)
{
    unsigned frames = s->ignored > 0 ? (unsigned)s->ignored : 0;

    s->ignored = 0;
    return frames == 0 || h2_patience_pay_ignored(&s->patience, frames, s->now_ms);
}

static uint32_t check(struct h2_session *s)
{
    uint32_t code = NGHTTP2_NO_ERROR;

    if (s->rules.begins) {
        s->drops = false;
        s->ignored++;
        if (s->rules.stream != 0)
            code = check_stream(s);
    }
    return code != NGHTTP2_NO_ERROR ? code : check_windows(s);
}

int h2_session_feed(struct h2_session *s, const char *bytes, size_t n, uint64_t now_ms, const char **why)
{
    struct str rest = { bytes, n }, piece;

    s->now_ms = now_ms;
    while (rest.n > 0) {
        uint32_t code = h2_rules_next(&s->rules, &rest, &piece);
        ssize_t used = 0;

        if (code == NGHTTP2_NO_ERROR && piece.n > 0)
            code = check(s);
        if (code != NGHTTP2_NO_ERROR)
            return give_up(s, code, why);
        if (!s->drops)
            used = nghttp2_session_mem_recv(s->ng, (const uint8_t *)piece.p, piece.n);
        if (used < 0 || s->patience.lost)
            return give_up(s, code_for(s, (int)used), why);
    }
    return pay_ignored(s) ? 0 : give_up(s, NGHTTP2_ENHANCE_YOUR_CALM, why);
}

void h2_session_send(struct h2_session *s, struct buf *out, size_t most)
{
    const uint8_t *bytes;
    ssize_t n;

    buf_add(out, buf_bytes(&s->settings), s->settings.len);
    buf_free(&s->settings);
    while (out->len < most && (n = nghttp2_session_mem_send(s->ng, &bytes)) > 0)
        buf_add(out, bytes, (size_t)n);
}

uint64_t h2_session_sent(const struct h2_session *s)
{
    return s->sent_bytes;
}

bool h2_session_is_over(const struct h2_session *s)
{
    return !nghttp2_session_want_read(s->ng) && !nghttp2_session_want_write(s->ng);
}

bool h2_session_is_flooded(const struct h2_session *s)
{
    return s->patience.lost;
}

void h2_session_calm(struct h2_session *s)
{
    nghttp2_session_terminate_session(s->ng, NGHTTP2_ENHANCE_YOUR_CALM);
}

void h2_session_late(struct h2_session *s, uint64_t now_ms)
{
    if (!s->settled && now_ms - s->began_ms >= H2_SETTINGS_MS)
        nghttp2_session_terminate_session(s->ng, NGHTTP2_SETTINGS_TIMEOUT);
}

void h2_session_drain(struct h2_session *s)
{
    if (s->draining)
        return;
    s->draining = true;
    nghttp2_submit_shutdown_notice(s->ng);
}

void h2_session_end(struct h2_session *s)
{
    if (s->ended)
        return;
    s->ended = true;
    nghttp2_submit_goaway(s->ng, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(s->ng),
                          NGHTTP2_NO_ERROR, NULL, 0);
}

struct h2_stream *h2_session_next(struct h2_session *s)
{
    struct h2_stream *st = s->dirty;

    if (!st)
        return NULL;
    s->dirty = st->next_dirty;
    if (!s->dirty)
        s->dirty_end = &s->dirty;
    st->dirty = false;
    return st;
}

bool h2_session_has_news(const struct h2_session *s)
{
    return s->dirty;
}

struct h2_stream *h2_session_first(const struct h2_session *s)
{
    return s->streams;
}
