/* The way of a response: its head, in our words, its body as it comes, its end. */
#include "relay/edge/exchange_parts.h"
#include "relay/edge/upgrade.h"
#include "shared/log.h"

#include <strings.h>

/* ---- its head ---- */

static enum h1_framing framing_down(const struct exchange *x)
{
    enum h1_framing framing = x->response->framing;

    if (framing != H1_CHUNKED && framing != H1_UNTIL_CLOSE)
        return framing;
    return x->visitor_1_0 || x->side.ops->multiplexed ? H1_UNTIL_CLOSE : H1_CHUNKED; /* they know no chunks */
}

static void note_that_it_works(struct exchange *x)
{
    atomic_llong *failing = &x->site->counts->failing_since;

    if (x->target == &x->site->own && atomic_load_explicit(failing, memory_order_relaxed) != 0)
        atomic_store_explicit(failing, 0, memory_order_relaxed);
}

static bool is_of_events(const struct h1_head *response)
{
    static const char type[] = "text/event-stream";
    int at = h1_field_find(response, "content-type", 0);
    struct str value = at < 0 ? STR("") : h1_text(response, response->fields[at].value);

    return value.n >= sizeof type - 1 && strncasecmp(value.p, type, sizeof type - 1) == 0;
}

/* From now on nothing will be sent again. */
static void begin_response(struct exchange *x)
{
    x->of_events = is_of_events(x->response);
    if (x->of_events && !x->service.ops->multiplexed)
        upstream_note_endless(x->service.ops->upstream(x->service.user));
    access_request_answered(x->access, x->response->status);
    meter_answered(&x->meter, x->response->status);
    note_that_it_works(x);
    buf_free(&x->request_body);
}

/* A 1xx is about the request alone, but for 101, after which there is nothing else. */
struct headers_changes exchange_changes(const struct exchange *x, int status)
{
    const struct snap_site *site = x->site;

    if (status < 200 && status != 101)
        return (struct headers_changes){ 0 };
    return (struct headers_changes){ .policy = &site->policy,
                                     .hsts_s = x->secure && x->trusted_cert ? site->policy.hsts_s : 0,
                                     .without_hsts = !x->trusted_cert,
                                     .now = status < 200 ? 0 : time(NULL) };
}

static void send_response_head(struct exchange *x)
{
    struct h1_head *head = x->response;
    bool interim = head->status < 200;
    struct headers_changes changes = exchange_changes(x, head->status);

    x->framing = framing_down(x);
    if (!interim && (x->framing == H1_UNTIL_CLOSE || !x->request_done) && !x->side.ops->multiplexed)
        x->visitor_keeps = false;
    if (interim || head->status == 204)
        head->content_length = -1;
    if (!interim || !x->visitor_1_0) {
        headers_add_response(x->side.ops->head_room(x->side.user), head, x->framing,
                             interim             ? ""
                             : !x->visitor_keeps ? "close"
                             : x->visitor_1_0    ? "keep-alive"
                                                 : "",
                             &changes);
        x->side.ops->head(x->side.user, head->status);
        x->began = true;
    }
    x->began = x->began && !interim; /* after 100 (Continue) another answer may still be given */
    x->service_keeps = head->keep_alive;
    x->response_head_done = !interim;
    if (!interim)
        begin_response(x);
    h1_body_init(&x->body, head->framing, head->content_length);
    x->body.padded = true; /* other servers and browsers take them; what leaves us is framed anew */
}

static void upgrade(struct exchange *x)
{
    note_that_it_works(x);
    access_request_answered(x->access, x->response->status);
    meter_answered(&x->meter, x->response->status);
    access_request_detach(x->access, x->lane);
    x->tunnelled = tunnelled_new(&x->side, x->service.ops->upstream(x->service.user), x->access, &x->meter);
    x->service.ops = NULL;
    exchange_forget_request(x);
}

static const char *why_not_http(const struct exchange *x, ssize_t parsed)
{
    struct str offer = { buf_bytes(&x->offer), x->offer.len };

    if (parsed < 0)
        return x->response->why;
    if (x->response->status == 101 && !upgrade_is_granted(x->response, offer))
        return offer.n > 0 ? "101 to a protocol that was not offered"
                           : "101 without having been asked to upgrade";
    if (x->response->status == 101 &&
        !x->request_done) /* RFC 9110 7.8: not before it has all of the request */
        return "101 before the request was whole";
    return x->side.ops->declines ? x->side.ops->declines(x->side.user, x->response) : NULL;
}

/* A head that comes whole, as most do, is read where it lies. */
static ssize_t parse_response_head(struct exchange *x, const char *bytes, size_t n)
{
    static const struct h1_limits limits = { .max_uri = 16384, .max_header = 65536 };
    ssize_t got = x->in.len == 0 ? h1_head_parse(x->response, bytes, n, &limits) : 0;

    if (got != 0)
        return got;
    buf_add(&x->in, bytes, n);
    return h1_head_parse(x->response, buf_bytes(&x->in), x->in.len, &limits);
}

/* Bytes used of those given; all of them while the head is not whole. */
static size_t read_response_head(struct exchange *x, const char *bytes, size_t n)
{
    size_t before = x->in.len;
    ssize_t got = parse_response_head(x, bytes, n);
    const char *wrong;

    if (got == 0)
        return n;
    wrong = why_not_http(x, got);
    if (wrong) {
        log_warn_limited(x->site->name, "a service answered with what is not HTTP",
                         kv_str("domain", x->site->name), kv_str("error", wrong));
        x->service_keeps = false;
        exchange_answer(x, EXCHANGE_NOT_HTTP);
        return n;
    }
    send_response_head(x);
    buf_free(&x->in);
    if (x->response->status == 101)
        upgrade(x);
    else if (!x->response_head_done)
        h1_response_init(x->response, str_of(x->method));
    return (size_t)got - before;
}

/* ---- its body ---- */

static void pass_body_on(struct exchange *x, struct str data)
{
    access_request_out(x->access, data.n);
    meter_out(&x->meter, data.n);
    x->side.ops->body(x->side.user, x->framing, data.p, data.n);
}

void exchange_end_response(struct exchange *x)
{
    const struct buf *trailers = &x->response_trailers;

    if (!exchange_may_trail(trailers)) {
        x->broken = true;
        return;
    }
    x->side.ops->end(x->side.user, x->framing, (struct str){ buf_bytes(trailers), trailers->len });
    x->response_done = true;
}

static size_t read_response_body(struct exchange *x, const char *bytes, size_t n)
{
    struct str data;
    size_t used;

    switch (h1_body_feed(&x->body, bytes, n, &used, &data)) {
    case H1_BODY_DATA: pass_body_on(x, data); break;
    case H1_BODY_TRAILER: buf_add(&x->response_trailers, data.p, data.n); break;
    case H1_BODY_END: exchange_end_response(x); break;
    case H1_BODY_BAD: x->broken = true; break;
    case H1_BODY_MORE: break;
    }
    return used;
}

void exchange_read_response(struct exchange *x, const char *bytes, size_t n)
{
    do {
        size_t used =
            x->response_head_done ? read_response_body(x, bytes, n) : read_response_head(x, bytes, n);

        bytes += used;
        n -= used;
        if (x->response_head_done && !x->response_done && n == 0 && !x->service.ops->multiplexed)
            read_response_body(x, bytes, 0); /* a body of no bytes ends without any */
    } while (n > 0 && !x->response_done && !x->broken && !x->tunnelled);
    if (x->tunnelled) {
        access_request_out(x->access, n);
        meter_out(&x->meter, n);
        x->side.ops->send(x->side.user, bytes, n);
    } else if (n > 0) {
        x->service_keeps = false; /* more than it was asked for */
    }
}

/* ---- by HTTP/2 ---- */

/* More than was announced cannot come, nor less: our parser of HTTP/2 sees to that. This must not depend on it. */
void exchange_read_body(struct exchange *x, const char *bytes, size_t n)
{
    struct str data;
    size_t used;

    x->broken = x->broken || !x->response_head_done;
    for (; n > 0 && !x->broken; bytes += used, n -= used) {
        if (h1_body_feed(&x->body, bytes, n, &used, &data) == H1_BODY_DATA)
            pass_body_on(x, data);
        else
            x->broken = true;
    }
}

void exchange_read_end(struct exchange *x, struct str trailers)
{
    struct str data;
    size_t used;

    if (!x->response_head_done || (h1_body_feed(&x->body, "", 0, &used, &data) != H1_BODY_END &&
                                   h1_body_eof(&x->body) != H1_BODY_END)) {
        x->broken = true;
        return;
    }
    buf_add(&x->response_trailers, trailers.p, trailers.n);
    exchange_end_response(x);
}
