/* What becomes of a request whose stream has ended before the response began, or that got none:
 *
 *   ended ─┬─ another stream, where nothing was lost with the one before ───────▶ as at first
 *          ├─ its lane has died, or there is none: PARKED ── a lane is back ────▶ as at first
 *          │                                        └─ its time is over, the visitor has left ─┐
 *          └─ a page that says what is down, and since when ◀────────────────────────────────┘ */
#include "relay/edge/exchange_parts.h"
#include "relay/edge/grpc.h"
#include "relay/edge/page.h"
#include "relay/edge/route.h"
#include "shared/domain.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    MAX_TRIES =
        3, /* after the first one: a lane that dies takes some streams with it before all have heard of it */
    MAX_SENDS = 4, /* of one request in all: it may be what they die of */
};

static void on_woken(void *user, enum parking_news news);

/* ---- the request, read once more ---- */

enum { READ_FIELDS = 100 }; /* fewer than a head may have, so that it can be read */

/* What is needed of its head, as that went to the service. To read it again costs nothing while all is well. */
struct own_head {
    struct buf text;
    struct h1_head head;
};

static bool is_needed(struct str line)
{
    static const char *const names[] = { "host:", "accept:", "x-request-id:" };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (line.n >= strlen(names[i]) && strncasecmp(line.p, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

/* With its CRLF; the last one is the empty line. */
static struct str next_line(struct str *rest)
{
    const char *end = memchr(rest->p, '\n', rest->n);
    struct str line = { rest->p, end ? (size_t)(end - rest->p) + 1 : rest->n };

    rest->p += line.n;
    rest->n -= line.n;
    return line;
}

/* It has to be freed in any case. */
static bool read_own_head(const struct exchange *x, struct own_head *own)
{
    static const struct h1_limits limits = { .max_uri = 4 << 20, .max_header = 4 << 20 };
    struct str rest = { buf_bytes(&x->request_head), x->request_head.len };
    struct str line = next_line(&rest);

    own->text = (struct buf){ 0 };
    buf_add(&own->text, line.p, line.n);
    for (int fields = 0; rest.n > 0;) {
        line = next_line(&rest);
        if (rest.n == 0 || (is_needed(line) && fields++ < READ_FIELDS))
            buf_add(&own->text, line.p, line.n);
    }
    h1_request_init(&own->head);
    return h1_head_parse(&own->head, buf_bytes(&own->text), own->text.len, &limits) > 0;
}

static struct str own_host(const struct h1_head *head)
{
    struct str host;

    return h1_authority_parse(h1_text(head, head->authority), &host) ? host : STR("");
}

/* The site may be served by others now, or by nobody any more: then false, and the one it had stays. */
static bool follow_site(struct exchange *x, const struct h1_head *head)
{
    struct snapshot *now = x->host->snapshot(x->host->user);
    const struct snap_site *site;

    if (x->snapshot == now)
        return true;
    site = snapshot_find(now, own_host(head));
    if (!site)
        return false;
    if (x->snapshot)
        access_request_detach(x->access, x->lane);
    access_request_attach(x->access, site);
    snapshot_release(x->snapshot);
    x->snapshot = snapshot_hold(now);
    x->site = site;
    x->trusted_cert = snapshot_browsers_trust(now, site, own_host(head));
    x->target = route_find(site, h1_text(head, head->path));
    return true;
}

/* ---- pages ---- */

static const struct {
    int status;
    enum tally_refusal refusal;
    const char *cause, *text;
} causes[] = {
    [EXCHANGE_BAD_BODY] = { 400, TALLY_MALFORMED, NULL, "The request could not be understood." },
    [EXCHANGE_TOO_LARGE] = { 413, TALLY_TOO_LARGE, NULL, "The request is larger than this site takes." },
    [EXCHANGE_NOT_HTTP] = { 502, TALLY_BROKEN, "broken",
                            "The service behind this site answered in a way that could not be understood." },
    [EXCHANGE_OFFLINE] = { 503, TALLY_AWAY, "offline", "The server behind this site is offline." },
    [EXCHANGE_BUSY] = { 503, TALLY_BUSY, "busy",
                        "The server behind this site cannot take a request at the moment." },
    [EXCHANGE_REFUSED] = { 502, TALLY_UNREACHABLE, "refused",
                           "The server behind this site is online, but its service refused the connection." },
    [EXCHANGE_UNREACHABLE] = { 502, TALLY_UNREACHABLE, "unreachable",
                               "The server behind this site is online, but its service cannot be reached from there." },
    [EXCHANGE_SILENT] = { 504, TALLY_SILENT, "silent",
                          "The server behind this site is online, but its service does not answer." },
    [EXCHANGE_BROKE_OFF] = { 502, TALLY_BROKEN, "broken",
                             "The service behind this site broke off before it had answered." },
    [EXCHANGE_LOST] = { 502, TALLY_BROKEN, "lost",
                        "The connection to the server behind this site was lost before it had answered. The request may "
                        "have reached it." },
    [EXCHANGE_NO_SITE] = { 404, TALLY_UNKNOWN, NULL, "There is no such site here." },
    [EXCHANGE_PASSWORD] = { 401, TALLY_PASSWORD, NULL, "This site asks for a user name and a password." },
    [EXCHANGE_GUESSES] = { 429, TALLY_RATE, NULL, "There were too many wrong passwords from this address." },
    [EXCHANGE_CROWDED] = { 503, TALLY_BUSY, "busy", "Too many passwords are being looked at." },
};

/* Of the site's; who has to say who he is first has met none. */
static bool is_trouble(enum exchange_cause cause)
{
    return cause != EXCHANGE_PASSWORD && cause != EXCHANGE_GUESSES;
}

/* When this service was first found to be down, of all that have asked for it since it last answered. That is only kept
 * of the site's own, not of its routes'. */
static time_t failing_since(const struct exchange *x)
{
    long long now = (long long)time(NULL), before = 0;

    if (x->target != &x->site->own)
        return 0;
    if (atomic_compare_exchange_strong(&x->site->counts->failing_since, &before, now))
        return (time_t)now;
    return (time_t)before;
}

static time_t since(const struct exchange *x, enum exchange_cause cause)
{
    switch (cause) {
    case EXCHANGE_OFFLINE: return x->site->away_since;
    case EXCHANGE_REFUSED:
    case EXCHANGE_UNREACHABLE:
    case EXCHANGE_SILENT: return failing_since(x);
    default: return 0;
    }
}

static void add_hsts(const struct exchange *x, int status, struct buf *fields)
{
    const struct headers_changes changes = exchange_changes(x, status);

    if (x->secure)
        headers_add_hsts(fields, &changes);
}

void exchange_answer(struct exchange *x, enum exchange_cause cause)
{
    struct page page = { .status = causes[cause].status,
                         .cause = causes[cause].cause,
                         .text = causes[cause].text,
                         .domain = "",
                         .request_id = "",
                         .now = time(NULL) };
    char host[DOMAIN_BYTES] = "", id[REQUEST_ID_BYTES] = "";
    struct own_head own;
    struct buf out = { 0 }, hsts = { 0 };

    if (read_own_head(x, &own)) {
        int field = h1_field_find(&own.head, "x-request-id", 0);

        snprintf(host, sizeof host, "%.*s", STR_ARG(own_host(&own.head)));
        if (field >= 0)
            snprintf(id, sizeof id, "%.*s", STR_ARG(h1_text(&own.head, own.head.fields[field].value)));
        page.form = x->grpc ? ACCEPT_GRPC : accept_form(&own.head);
        page.domain = host;
        page.request_id = id;
    }
    buf_free(&own.text);
    if (x->site) {
        if (is_trouble(cause))
            counts_add(&x->site->counts->errors, 1);
        page.realm = x->site->name;
        page.since = since(x, cause);
        page.template = x->site->policy.error_page;
        add_hsts(x, page.status, &hsts);
    }
    page.fields = buf_text(&hsts);
    page.retry_s = cause == EXCHANGE_GUESSES ? x->asked.retry_s : 0;
    x->visitor_keeps = x->visitor_keeps && x->request_done;
    page.with_body = strcmp(x->method, "HEAD") != 0;
    page.close = !x->visitor_keeps;
    page_add(&out, &page);
    buf_free(&hsts);
    meter_page(&x->meter, page.status);
    tally_refuse(x->host->tally, causes[cause].refusal);
    access_request_page(x->access, page.status, (struct str){ buf_bytes(&out), out.len });
    x->side.ops->answer(x->side.user, (struct str){ buf_bytes(&out), out.len });
    x->began = true;
    buf_free(&out);
    x->response_done = true;
}

/* ---- another stream ---- */

static bool has_died(const struct exchange *x)
{
    return x->end == UPSTREAM_LOST || x->end == UPSTREAM_UNAVAILABLE;
}

/* The agent says that it did not reach its service: what was sent went nowhere. */
static bool never_arrived(const struct exchange *x)
{
    return x->end == UPSTREAM_REFUSED || x->end == UPSTREAM_UNREACHABLE || x->end == UPSTREAM_SILENT ||
           x->end == UPSTREAM_UNPROCESSED;
}

/* Nothing of the response has gone to the visitor, and what the service may have seen does no harm twice and is held. */
static bool may_be_sent_again(const struct exchange *x)
{
    return !x->began &&
           (x->sends == 0 || ((x->idempotent || never_arrived(x)) && !x->body_lost && x->sends < MAX_SENDS));
}

static enum exchange_cause cause_of_end(const struct exchange *x)
{
    bool away = x->target->lanes_n == 0;

    switch (x->end) {
    case UPSTREAM_REFUSED: return EXCHANGE_REFUSED;
    case UPSTREAM_UNREACHABLE: return EXCHANGE_UNREACHABLE;
    case UPSTREAM_SILENT: return EXCHANGE_SILENT;
    case UPSTREAM_UNAVAILABLE: return away ? EXCHANGE_OFFLINE : EXCHANGE_BUSY;
    case UPSTREAM_LOST: return away && may_be_sent_again(x) ? EXCHANGE_OFFLINE : EXCHANGE_LOST;
    case UPSTREAM_UNPROCESSED: return EXCHANGE_BUSY;
    case UPSTREAM_NOT_HTTP: return EXCHANGE_NOT_HTTP;
    case UPSTREAM_EOF:
    case UPSTREAM_RESET:
    case UPSTREAM_BROKEN: break;
    }
    return EXCHANGE_BROKE_OFF;
}

/* A kept stream may have been closed by its service before that saw the request. */
static bool was_closed_meanwhile(const struct exchange *x)
{
    return x->stream_was_kept && x->in.len == 0 && (x->end == UPSTREAM_EOF || x->end == UPSTREAM_BROKEN);
}

/* Once: of a request that is refused again and again it has to be said. One that had only waited was not refused. */
static bool may_be_asked_again(const struct exchange *x)
{
    return x->end == UPSTREAM_UNPROCESSED && x->refusals <= 1;
}

/* The service has failed, or has ended without an answer: that may be what this request does to it, so the same one is
 * not asked again. */
static bool may_go_elsewhere(const struct exchange *x)
{
    return !has_died(x) && pool_has_other(x->host->pool, x->target, x->lane);
}

/* For a kept stream that was closed meanwhile, one that died with its lane, or a service that failed, while there is
 * another: nobody has noticed anything. */
static bool take_another(struct exchange *x)
{
    bool was_kept = x->stream_was_kept;

    if (x->target->lanes_n == 0 || x->tries == MAX_TRIES)
        return false;
    x->tries++;
    exchange_take_stream(x, POOL_FRESH, was_closed_meanwhile(x) || may_be_asked_again(x) ? 0 : x->lane);
    if (x->ended && has_died(x) && was_kept)
        exchange_take_stream(x, POOL_FRESH, 0); /* perhaps the stream died alone */
    return !x->ended;
}

/* Lanes that have merely no room are not waited for, but by those that have waited for a lane. */
static bool park(struct exchange *x, const struct h1_head *head, size_t plain_bytes)
{
    struct parking_place place = { .host = own_host(head),
                                   .counts = x->site->counts,
                                   .not_lane = x->lane,
                                   .bytes = x->request_head.len + x->request_body.len + plain_bytes,
                                   .ms = x->site->policy.park_ms };

    if (x->target->lanes_n > 0 && x->lane == 0 && x->parked.until_ms == 0)
        return false;
    x->parked.wake = on_woken;
    x->parked.user = x;
    if (!parking_enter(x->host->parking, &x->parked, &place))
        return false;
    x->ended = false;
    histogram_count(&x->host->tally->parked, 1);
    access_request_detach(x->access, x->lane);
    snapshot_release(x->snapshot); /* the site is found anew */
    x->snapshot = NULL;
    x->site = NULL;
    x->target = NULL;
    return true;
}

static bool go_on(struct exchange *x, size_t plain_bytes)
{
    struct own_head own;
    bool goes_on = false;

    x->refusals += x->end == UPSTREAM_UNPROCESSED && x->sent_head;
    if (!may_be_sent_again(x))
        return false;
    if (read_own_head(x, &own)) {
        (void)follow_site(x, &own.head);
        goes_on = ((was_closed_meanwhile(x) || has_died(x) || may_be_asked_again(x) || may_go_elsewhere(x)) &&
                   take_another(x)) ||
                  (has_died(x) && park(x, &own.head, plain_bytes));
    }
    buf_free(&own.text);
    return goes_on;
}

bool exchange_passes_reset(const struct exchange *x)
{
    return x->grpc && x->ended && x->end == UPSTREAM_RESET;
}

void exchange_settle_end(struct exchange *x, size_t plain_bytes)
{
    if (x->response_done || x->broken || go_on(x, plain_bytes))
        return;
    if (!x->response_head_done && !exchange_passes_reset(x))
        exchange_answer(x, cause_of_end(x));
    else if (x->end == UPSTREAM_EOF && h1_body_eof(&x->body) == H1_BODY_END)
        exchange_end_response(x);
    else
        x->broken = true;
}

/* ---- parked ---- */

/* False: there is no such site any more. */
static bool find_again(struct exchange *x)
{
    struct own_head own;
    bool found = read_own_head(x, &own) && follow_site(x, &own.head);

    buf_free(&own.text);
    return found;
}

static void answer_parked(struct exchange *x)
{
    if (find_again(x))
        exchange_answer(x, cause_of_end(x));
    else
        exchange_answer(x, EXCHANGE_NO_SITE);
}

/* Who has ended his side, and cannot be told from who has hung up, gets an answer at once, and his place is free. */
bool exchange_waits(struct exchange *x, size_t plain_bytes)
{
    if (x->asked.check)
        return true;
    if (!x->parked.parking)
        return false;
    if (!x->side.ops->has_left(x->side.user) &&
        parking_grow(&x->parked, x->request_head.len + x->request_body.len + plain_bytes))
        return true;
    parking_leave(&x->parked);
    answer_parked(x);
    return false;
}

/* What was sent before may only be sent again by another lane. */
static void resume(struct exchange *x, enum parking_news news)
{
    x->tries = 0;
    if (!find_again(x))
        exchange_answer(x, EXCHANGE_NO_SITE);
    else if (x->sends == 0)
        exchange_take_stream(x, x->idempotent ? POOL_ANY : POOL_RECENT, 0);
    else if (news == PARKING_SAME)
        exchange_answer(x, cause_of_end(x));
    else
        exchange_take_stream(x, POOL_FRESH, x->lane);
}

static void on_woken(void *user, enum parking_news news)
{
    struct exchange *x = user;

    if (news == PARKING_OVER)
        answer_parked(x);
    else
        resume(x, news);
    visitor_run(&x->side);
}
