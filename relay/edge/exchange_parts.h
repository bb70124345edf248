/* relay/edge/exchange_parts.h - what exchange.c, exchange_response.c and exchange_ended.c share. */
#ifndef RELAY_EDGE_EXCHANGE_PARTS_H
#define RELAY_EDGE_EXCHANGE_PARTS_H
#include "relay/edge/access_request.h"
#include "relay/edge/exchange.h"
#include "relay/edge/meter.h"
#include "relay/edge/parking.h"
#include "relay/edge/tunnelled.h"

struct exchange {
    struct visitor_side side;
    const struct client_host *host;
    struct snapshot *snapshot; /* NULL while it is parked */
    const struct snap_site *site;
    const struct snap_target *target;
    struct purpose_alone *alone;   /* NULL: its stream may be shared, one request after another */
    struct service_side service;   /* without ops: none, or it has ended */
    struct access_request *access; /* NULL: it is not logged */
    struct meter meter;

    struct tunnelled *tunnelled; /* after an upgrade: nothing else is left of it then */

    struct buf offer;        /* the protocols that the visitor would rather speak; empty: none */
    struct buf request_head; /* kept until the response begins, to be sent again */
    struct buf request_body; /* likewise, what of it has been said, as long as it is not too much */
    struct h1_body request;
    int64_t max_body, body_bytes;
    struct buf request_trailers;
    enum h1_framing request_framing;
    char method[H1_MAX_METHOD + 1];
    bool idempotent, visitor_keeps, visitor_1_0, secure;
    bool trusted_cert; /* by browsers, of the name that was asked for */
    bool grpc;         /* a call; then the visitor speaks HTTP/2 */
    bool sent_head, request_done, stream_was_kept;
    bool joined;    /* visitor's and service's socket wait for one another */
    bool body_lost; /* more of it has been sent than is held */
    int sends;      /* heads, on one stream after another */
    int tries;      /* after the first, or after it was parked */
    int refusals;   /* by services that say that they have not looked at it */
    uint64_t lane;  /* of the last stream */
    struct parked parked;
    struct doorman_guest asked; /* while his password is looked at */
    enum pool_reuse reuse;      /* which streams it may go on at first */
    bool too_large;             /* as its head says */

    struct buf in; /* of the response, until its head is whole */
    struct h1_head *response;
    struct h1_body body;
    struct buf response_trailers;
    enum h1_framing framing; /* towards the visitor */
    bool began;              /* something of the response has been sent */
    bool response_head_done, response_done, service_keeps;
    bool of_events; /* server-sent ones: as long as there are any */
    enum upstream_end end;
    uint32_t reset_code; /* of UPSTREAM_RESET */
    bool ended, broken;
};

/* exchange.c */
void exchange_take_stream(struct exchange *x, enum pool_reuse reuse, uint64_t not_lane);
/* Trailers go on only when they are well formed; their last empty line is in them. */
bool exchange_may_trail(const struct buf *trailers);
void exchange_forget_request(struct exchange *x);
void exchange_enter(struct exchange *x); /* it may be served, as far as its visitor is concerned */

/* exchange_password.c: whose visitor has to give a password first. He then enters, is answered, or waits. */
void exchange_ask_password(struct exchange *x, const struct h1_head *head,
                           const struct headers_visitor *visitor);

/* exchange_response.c */
struct headers_changes exchange_changes(const struct exchange *x, int status); /* of an answer of its site */
void exchange_read_response(struct exchange *x, const char *bytes, size_t n);
/* By HTTP/2: a part of its body, without framing; its end. */
void exchange_read_body(struct exchange *x, const char *bytes, size_t n);
void exchange_read_end(struct exchange *x, struct str trailers);
void exchange_end_response(struct exchange *x); /* it is whole */

/* exchange_ended.c: what is answered in place of the service. */
enum exchange_cause {
    EXCHANGE_BAD_BODY,
    EXCHANGE_TOO_LARGE,
    EXCHANGE_NOT_HTTP,
    EXCHANGE_OFFLINE,
    EXCHANGE_BUSY,
    EXCHANGE_REFUSED,
    EXCHANGE_UNREACHABLE,
    EXCHANGE_SILENT,
    EXCHANGE_BROKE_OFF,
    EXCHANGE_LOST,
    EXCHANGE_NO_SITE,
    EXCHANGE_PASSWORD, /* none was given, or a wrong one */
    EXCHANGE_GUESSES,  /* too many wrong ones */
    EXCHANGE_CROWDED,  /* too many wait to be looked at */
};
/* A call of gRPC that the service has reset hears of it as it was said, by a reset; others get a page. */
bool exchange_passes_reset(const struct exchange *x);
void exchange_answer(struct exchange *x, enum exchange_cause cause);
/* The stream has ended, or there was none to be had: tries another, waits for one, or answers. */
void exchange_settle_end(struct exchange *x, size_t plain_bytes);
/* True while it is parked, or its visitor's password is looked at. plain_bytes: what has come of its body, and waits. */
bool exchange_waits(struct exchange *x, size_t plain_bytes);
#endif
