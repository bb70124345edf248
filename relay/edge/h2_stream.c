/* One request and its response on a connection by HTTP/2: what has come of the one, what waits of the other. */
#include "relay/edge/h2_parts.h"

#include "shared/mem.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* ---- start ---- */

struct h2_stream *h2_stream_new(struct h2_session *s, int32_t id)
{
    struct h2_stream *st = mem_new(sizeof *st);

    st->session = s;
    st->id = id;
    st->began_ms = s->now_ms;
    st->next = s->streams;
    if (st->next)
        st->next->prev = st;
    s->streams = st;
    return st;
}

void h2_stream_touch(struct h2_stream *st)
{
    struct h2_session *s = st->session;

    if (st->dirty)
        return;
    st->dirty = true;
    st->next_dirty = NULL;
    *s->dirty_end = st;
    s->dirty_end = &st->next_dirty;
}

/* ---- the request ---- */

struct h2_fields *h2_stream_fields(struct h2_stream *st)
{
    return st->head_whole ? &st->trailing : &st->fields;
}

/* The second section is the trailers. Behind a body of known length they go no further unless they were announced: HTTP/1.1
 * has no place for them there, and RFC 9110 6.5.1 lets them be left out. */
void h2_stream_fields_whole(struct h2_stream *st, bool ends)
{
    if (st->head_whole && st->connects) { /* RFC 9113 8.5: what is connected has DATA alone */
        h2_fields_free(&st->trailing);
        h2_stream_reset(st, NGHTTP2_PROTOCOL_ERROR);
        return;
    }
    if (st->head_whole) {
        if (st->trailing.why)
            h2_stream_reset(st, NGHTTP2_PROTOCOL_ERROR);
        h2_fields_trailers(&st->trailing, &st->trailers);
        h2_fields_free(&st->trailing);
    } else {
        st->head_whole = true;
        st->connects = st->fields.protocol.len > 0;
        st->chunked = !ends && h2_fields_wants_chunks(&st->fields);
    }
    if (ends)
        h2_stream_remote_end(st);
    h2_stream_touch(st);
}

int h2_stream_take_head(struct h2_stream *st, const char *websocket_key, struct buf *out)
{
    int rc = h2_fields_request(&st->fields, st->chunked, websocket_key, out);

    if (rc == 0)
        h2_fields_free(&st->fields);
    return rc;
}

enum h2_head h2_stream_read_head(struct h2_stream *st, const char *websocket_key,
                                 const struct h1_limits *limits, struct buf *out, struct h1_head *parsed)
{
    h1_request_init(parsed);
    if (h2_stream_take_head(st, websocket_key, out) == 0) {
        if (h1_head_parse(parsed, buf_bytes(out), out->len, limits) > 0)
            return H2_HEAD_READ;
        if (parsed->status != 400)
            return H2_HEAD_REFUSED;
    } else if (st->fields.too_large || st->fields.unknown_protocol) {
        parsed->status = st->fields.too_large ? 431 : 501;
        parsed->why = st->fields.why;
        parsed->bytes = "";
        return H2_HEAD_REFUSED;
    }
    h2_stream_reset(st, NGHTTP2_PROTOCOL_ERROR);
    return H2_HEAD_MALFORMED;
}

static void consume(struct h2_stream *st, size_t n)
{
    st->unacked -= n;
    if (n > 0 && !st->closed)
        nghttp2_session_consume_stream(st->session->ng, st->id, n);
}

void h2_stream_received(struct h2_stream *st, const void *bytes, size_t n)
{
    st->unacked += n;
    if (!st->discards)
        buf_add(st->chunked ? &st->raw : &st->in, bytes, n);
    h2_stream_touch(st);
}

void h2_stream_remote_end(struct h2_stream *st)
{
    st->remote_ended = true;
    h2_stream_touch(st);
}

static void terminate(struct h2_stream *st)
{
    st->terminated = true;
    buf_add_text(&st->in, "0\r\n");
    if (st->trailers.len > 0)
        buf_add(&st->in, buf_bytes(&st->trailers), st->trailers.len);
    else
        buf_add_text(&st->in, "\r\n");
    buf_free(&st->trailers);
}

/* One chunk of all that has come: however small the frames are, it stays about as large as the window. */
bool h2_stream_fill(struct h2_stream *st)
{
    if (!st->chunked || st->in.len > 0 || st->discards)
        return false;
    if (st->raw.len > 0) {
        buf_printf(&st->in, "%zx\r\n", st->raw.len);
        buf_add(&st->in, buf_bytes(&st->raw), st->raw.len);
        buf_add_text(&st->in, "\r\n");
        buf_free(&st->raw);
        return true;
    }
    if (!st->remote_ended || st->terminated)
        return false;
    terminate(st);
    return true;
}

void h2_stream_used(struct h2_stream *st)
{
    size_t waits = st->raw.len + st->in.len;

    if (st->in.len == 0)
        buf_free(&st->in);
    if (st->unacked > waits)
        consume(st, st->unacked - waits);
}

void h2_stream_discard(struct h2_stream *st)
{
    st->discards = true;
    buf_free(&st->raw);
    buf_free(&st->in);
}

/* ---- the response ---- */

static bool is_drained(const struct h2_stream *st)
{
    return st->out.len <= H2_DRAINED_BYTES && st->interims == 0;
}

static ssize_t on_read(nghttp2_session *ng, int32_t id, uint8_t *to, size_t room, uint32_t *flags,
                       nghttp2_data_source *source, void *user)
{
    struct h2_stream *st = source->ptr;
    size_t n = st->out.len < room ? st->out.len : room;
    struct h2_list list;

    (void)user;
    if (n < st->out.len &&
        n < H2_SMALL_BYTES) /* noticed by the next frame, without which there is no more room */
        (void)h2_patience_pay(&st->session->patience, H2_COST_OF_FRAME, st->session->now_ms);
    if (n == 0 && !st->out_ended) {
        st->deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    memcpy(to, buf_bytes(&st->out), n);
    buf_take(&st->out, n);
    st->sent_bytes += n;
    st->session->sent_bytes += n;
    if (st->was_full && is_drained(st))
        h2_stream_touch(st);
    if (st->out.len > 0 || !st->out_ended)
        return (ssize_t)n;
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (st->out_trailers.len > 0) {
        h2_list_make(&list, (char *)buf_bytes(&st->out_trailers), st->out_trailers.len, H2_TRAILERS);
        if (list.n > 0 && nghttp2_submit_trailer(ng, id, list.nv, list.n) == 0)
            *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        free(list.nv);
    }
    return (ssize_t)n;
}

void h2_stream_head(struct h2_stream *st, int status)
{
    struct h2_list list;

    st->switched = status == 101;
    st->head_ready = status >= 200 || st->switched;
    if (st->head_ready)
        return;
    h2_list_make(&list, (char *)buf_bytes(&st->head), st->head.len, H2_HEAD);
    if (!st->closed &&
        nghttp2_submit_headers(st->session->ng, NGHTTP2_FLAG_NONE, st->id, NULL, list.nv, list.n, NULL) == 0)
        st->interims++;
    free(list.nv);
    buf_free(&st->head);
}

/* The 1xx come first, as they were said. */
void h2_stream_head_sent(struct h2_stream *st)
{
    if (st->interims == 0)
        return;
    st->interims--;
    if (st->was_full && is_drained(st))
        h2_stream_touch(st);
}

void h2_stream_body(struct h2_stream *st, const void *bytes, size_t n)
{
    buf_add(&st->out, bytes, n);
}

void h2_stream_end(struct h2_stream *st, struct str trailers)
{
    buf_add(&st->out_trailers, trailers.p, trailers.n);
    st->out_ended = true;
}

void h2_stream_answer(struct h2_stream *st, struct str whole)
{
    const char *end = memmem(whole.p, whole.n, "\r\n\r\n", 4);
    size_t head = end ? (size_t)(end - whole.p) + 4 : whole.n;

    buf_add(&st->head, whole.p, head);
    h2_stream_head(st, 200);
    h2_stream_body(st, whole.p + head, whole.n - head);
    h2_stream_end(st, STR(""));
}

void h2_stream_finish(struct h2_stream *st)
{
    st->out_ended = true;
}

bool h2_stream_full(struct h2_stream *st)
{
    if (st->was_full)
        st->was_full = !is_drained(st);
    else
        st->was_full = st->out.len >= H2_FULL_BYTES || st->interims >= H2_FULL_INTERIMS;
    return st->was_full;
}

static void submit(struct h2_stream *st)
{
    nghttp2_data_provider provider = { .source.ptr = st, .read_callback = on_read };
    bool bare = st->out_ended && st->out.len == 0 && st->out_trailers.len == 0;
    struct h2_list list;

    st->submitted = true;
    h2_list_make(&list, (char *)buf_bytes(&st->head), st->head.len, st->switched ? H2_SWITCHED : H2_HEAD);
    if (nghttp2_submit_response(st->session->ng, st->id, list.nv, list.n, bare ? NULL : &provider) != 0)
        h2_stream_reset(st, NGHTTP2_INTERNAL_ERROR);
    free(list.nv);
    buf_free(&st->head);
}

void h2_stream_flush(struct h2_stream *st)
{
    if (st->closed)
        return;
    if (st->head_ready && !st->submitted)
        submit(st);
    if (st->deferred && (st->out.len > 0 || st->out_ended)) {
        st->deferred = false;
        nghttp2_session_resume_data(st->session->ng, st->id);
    }
}

void h2_stream_served(struct h2_stream *st)
{
    h2_patience_served(&st->session->patience);
}

void h2_stream_reset(struct h2_stream *st, uint32_t code)
{
    if (!st->closed)
        nghttp2_submit_rst_stream(st->session->ng, NGHTTP2_FLAG_NONE, st->id, code);
}

bool h2_stream_is_held(const struct h2_stream *st)
{
    return nghttp2_session_get_stream_remote_window_size(st->session->ng, st->id) <= 0;
}

void h2_stream_unread(struct h2_stream *st)
{
    (void)h2_patience_pay(&st->session->patience, H2_COST_OF_STALL, st->session->now_ms);
    h2_stream_reset(st, NGHTTP2_CANCEL);
}

/* The reset goes out before anything else; without its end in sight what is left of the body cannot look whole. */
void h2_stream_drop(struct h2_stream *st)
{
    h2_stream_reset(st, NGHTTP2_CANCEL);
    st->out_ended = false;
    buf_free(&st->out);
    buf_free(&st->out_trailers);
}

/* ---- end ---- */

static void forget_dirty(struct h2_stream *st)
{
    struct h2_session *s = st->session;

    for (struct h2_stream **at = &s->dirty; *at; at = &(*at)->next_dirty)
        if (*at == st) {
            *at = st->next_dirty;
            break;
        }
    s->dirty_end = &s->dirty;
    while (*s->dirty_end)
        s->dirty_end = &(*s->dirty_end)->next_dirty;
}

void h2_stream_free(struct h2_stream *st)
{
    if (st->dirty)
        forget_dirty(st);
    if (st->next)
        st->next->prev = st->prev;
    if (st->prev)
        st->prev->next = st->next;
    else
        st->session->streams = st->next;
    if (!st->closed) {
        nghttp2_session_set_stream_user_data(st->session->ng, st->id, NULL);
        st->session->stream_n--;
    }
    h2_fields_free(&st->fields);
    h2_fields_free(&st->trailing);
    buf_free(&st->raw);
    buf_free(&st->in);
    buf_free(&st->trailers);
    buf_free(&st->head);
    buf_free(&st->out);
    buf_free(&st->out_trailers);
    free(st);
}
