/* One call on a connection to a service by HTTP/2: what waits of its request, what has come of its response. */
#include "relay/edge/h2_client_parts.h"
#include "relay/edge/h2_head.h"
#include "shared/mem.h"

#include <stdlib.h>
#include <string.h>

/* ---- start ---- */

struct h2_call *h2_call_new(struct h2_client *c, void *user)
{
    struct h2_call *call = mem_new(sizeof *call);

    call->client = c;
    call->user = user;
    call->next = c->calls;
    if (call->next)
        call->next->prev = call;
    c->calls = call;
    return call;
}

void h2_call_touch(struct h2_call *call)
{
    struct h2_client *c = call->client;

    if (call->dirty)
        return;
    call->dirty = true;
    call->next_dirty = NULL;
    *c->dirty_end = call;
    c->dirty_end = &call->next_dirty;
}

/* ---- the request ---- */

void h2_call_head(struct h2_call *call, struct str text, const char *scheme)
{
    h2_head_add_pseudo(&call->head, text, scheme);
    call->head_ready = true;
}

void h2_call_body(struct h2_call *call, const void *bytes, size_t n)
{
    buf_add(&call->out, bytes, n);
}

void h2_call_end(struct h2_call *call, struct str trailers)
{
    buf_add(&call->out_trailers, trailers.p, trailers.n);
    call->out_ended = true;
}

size_t h2_call_room(const struct h2_call *call)
{
    return call->out.len < H2_CALL_ROOM_BYTES ? H2_CALL_ROOM_BYTES - call->out.len : 0;
}

static void submit_trailers(struct h2_call *call, uint32_t *flags)
{
    struct h2_list list;

    h2_head_list(&list, (char *)buf_bytes(&call->out_trailers), call->out_trailers.len);
    if (list.n > 0 && nghttp2_submit_trailer(call->client->ng, call->id, list.nv, list.n) == 0)
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    free(list.nv);
}

/* Who fills the body is called again when there is room for more than a little. */
static void note_sent(struct h2_call *call, size_t n)
{
    buf_take(&call->out, n);
    if (call->out.len == 0)
        buf_free(&call->out);
    call->sent_bytes += n;
    call->client->room -= n;
    h2_call_touch(call);
}

static ssize_t on_read(nghttp2_session *ng, int32_t id, uint8_t *to, size_t room, uint32_t *flags,
                       nghttp2_data_source *source, void *user)
{
    struct h2_call *call = source->ptr;
    struct h2_client *c = user;
    size_t n = call->out.len < room ? call->out.len : room;

    (void)ng, (void)id;
    c->starved = c->starved || n > c->room;
    n = n < c->room ? n : c->room;
    if (n == 0 && (call->out.len > 0 || !call->out_ended)) {
        call->deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    memcpy(to, buf_bytes(&call->out), n);
    if (n > 0)
        note_sent(call, n);
    if (call->out.len > 0 || !call->out_ended)
        return (ssize_t)n;
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (call->out_trailers.len > 0)
        submit_trailers(call, flags);
    return (ssize_t)n;
}

static void begin(struct h2_call *call)
{
    nghttp2_data_provider provider = { .source.ptr = call, .read_callback = on_read };
    bool bare = call->out_ended && call->out.len == 0 && call->out_trailers.len == 0;
    struct h2_list list;

    h2_head_list(&list, (char *)buf_bytes(&call->head), call->head.len);
    call->id = nghttp2_submit_request(call->client->ng, NULL, list.nv, list.n, bare ? NULL : &provider, call);
    free(list.nv);
    buf_free(&call->head);
    if (call->id < 0) { /* all numbers of this connection are used up */
        call->id = 0;
        call->client->retiring = true;
        h2_call_closed(call, NGHTTP2_REFUSED_STREAM);
    }
}

void h2_call_flush(struct h2_call *call)
{
    if (call->closed || !call->head_ready)
        return;
    if (call->id == 0)
        begin(call);
    if (call->deferred && (call->out.len > 0 || call->out_ended)) {
        call->deferred = false;
        nghttp2_session_resume_data(call->client->ng, call->id);
    }
}

/* ---- the response ---- */

void h2_call_refuse(struct h2_call *call, const char *why)
{
    bool first = !call->why;

    if (!first)
        return;
    call->why = why;
    if (!call->closed)
        nghttp2_submit_rst_stream(call->client->ng, NGHTTP2_FLAG_NONE, call->id, NGHTTP2_PROTOCOL_ERROR);
    h2_call_touch(call);
}

static void take_head(struct h2_call *call, bool ends)
{
    if (call->status == 0 || (call->status < 200 && ends)) {
        h2_call_refuse(call, "a head without a status, or a 1xx at the end");
        return;
    }
    if (call->status < 200 && call->interims++ == H2_CALL_INTERIMS) {
        h2_call_refuse(call, "1xx without end");
        return;
    }
    h2_head_add_response(&call->heads, call->status, &call->fields);
    call->head_done = call->status >= 200;
    call->status = 0;
}

void h2_call_section(struct h2_call *call, bool ends)
{
    if (call->why)
        return;
    if (call->head_done)
        h2_fields_trailers(&call->fields, &call->trailers);
    else
        take_head(call, ends);
    h2_fields_free(&call->fields);
    if (ends)
        h2_call_remote_end(call);
    h2_call_touch(call);
}

static void consume(struct h2_call *call)
{
    size_t n = call->unacked;

    call->unacked = 0;
    if (n > 0 && !call->closed)
        nghttp2_session_consume_stream(call->client->ng, call->id, n);
}

void h2_call_received(struct h2_call *call, const void *bytes, size_t n)
{
    call->unacked += n;
    if (!call->head_done)
        h2_call_refuse(call, "a body in front of its head");
    if (call->user && !call->why)
        buf_add(&call->in, bytes, n);
    else
        consume(call);
    h2_call_touch(call);
}

void h2_call_remote_end(struct h2_call *call)
{
    call->remote_ended = !call->why;
    h2_call_touch(call);
}

void h2_call_hold(struct h2_call *call, bool held)
{
    call->held = held;
    if (!held && call->in.len == 0)
        consume(call);
}

void h2_call_taken(struct h2_call *call)
{
    buf_free(&call->in);
    if (!call->held)
        consume(call);
}

/* ---- end ---- */

void h2_call_closed(struct h2_call *call, uint32_t code)
{
    call->closed = true;
    call->code = code;
    h2_call_touch(call);
}

/* A stream above the last one of a GOAWAY is closed by nghttp2, with the same code as one that was refused alone. */
enum h2_call_end h2_call_how(const struct h2_call *call)
{
    if (call->why || (!call->reset && call->code != NGHTTP2_REFUSED_STREAM))
        return H2_CALL_REFUSED;
    return call->code == NGHTTP2_REFUSED_STREAM && !call->head_done ? H2_CALL_UNPROCESSED : H2_CALL_RESET;
}

/* Behind a whole response the rest of the request is of no use; a request that is all sent ends by itself. */
void h2_call_leave(struct h2_call *call)
{
    bool whole = call->remote_ended && call->out_ended && call->out.len == 0;

    call->user = NULL;
    buf_free(&call->in);
    buf_free(&call->heads);
    consume(call);
    if (call->id > 0 && !call->closed && !whole)
        nghttp2_submit_rst_stream(call->client->ng, NGHTTP2_FLAG_NONE, call->id, NGHTTP2_CANCEL);
    if (call->id == 0)
        call->closed = true;
    h2_call_touch(call);
}

static void forget_dirty(struct h2_call *call)
{
    struct h2_client *c = call->client;

    for (struct h2_call **at = &c->dirty; *at; at = &(*at)->next_dirty)
        if (*at == call) {
            *at = call->next_dirty;
            break;
        }
    c->dirty_end = &c->dirty;
    while (*c->dirty_end)
        c->dirty_end = &(*c->dirty_end)->next_dirty;
}

void h2_call_free(struct h2_call *call)
{
    if (call->dirty)
        forget_dirty(call);
    if (call->next)
        call->next->prev = call->prev;
    if (call->prev)
        call->prev->next = call->next;
    else
        call->client->calls = call->next;
    if (call->id > 0 && !call->closed)
        nghttp2_session_set_stream_user_data(call->client->ng, call->id, NULL);
    h2_fields_free(&call->fields);
    buf_free(&call->head);
    buf_free(&call->out);
    buf_free(&call->out_trailers);
    buf_free(&call->heads);
    buf_free(&call->in);
    buf_free(&call->trailers);
    free(call);
}
