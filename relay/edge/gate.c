#include "relay/edge/gate.h"

#include "relay/edge/accept.h"
#include "relay/edge/access_request.h"
#include "relay/edge/grpc.h"
#include "relay/edge/page.h"
#include "relay/edge/redirect.h"
#include "relay/edge/snapshot_bans.h"
#include "shared/http/date.h"

#include <string.h>

/* One that was not understood counts for the site of the connection. */
static void log_answer(const struct gate *g, int status, const struct buf *answer)
{
    struct str name = g->head->why ? g->server_name : h1_text(g->head, g->head->host);
    const struct snap_site *site = snapshot_find(g->snapshot, name);
    struct access_request *access = access_request_new(g->access_log, site, g->head, g->visitor, g->tls);

    if (site)
        counts_answered(site->counts, status);
    access_request_page(access, status, (struct str){ buf_bytes(answer), answer->len });
    access_request_end(access, 0, true);
}

static bool wants_body(const struct gate *g)
{
    return !str_eq(h1_text(g->head, g->head->method), "HEAD");
}

static bool answer(const struct gate *g, int status, const char *text, unsigned retry_s, struct buf *out)
{
    struct page page = { .status = status,
                         .retry_s = retry_s,
                         .text = text,
                         .domain = "",
                         .request_id = g->visitor->request_id,
                         .now = time(NULL),
                         .with_body = wants_body(g),
                         .close = true };

    if (!g->head->why) /* the fields of a refused head mean nothing */
        page.form = g->visitor->http2 && grpc_is_call(g->head) ? ACCEPT_GRPC : accept_form(g->head);
    page_add(out, &page);
    log_answer(g, status, out);
    return true;
}

static bool refuse(const struct gate *g, enum tally_refusal why, int status, const char *text,
                   struct buf *out)
{
    tally_refuse(g->tally, why);
    return answer(g, status, text, 0, out);
}

/* By who he is, and how often he comes. */
static bool refuse_by_guard(const struct gate *g, const struct snap_site *site, struct buf *out)
{
    unsigned retry_s = 0;

    switch (guard_look(site->guard, &site->policy, g->rates, &g->visitor->addr, tally_now_us(g->tally) * 1000,
                       &retry_s)) {
    case GUARD_LETS_IN: return false;
    case GUARD_FORBIDS: return refuse(g, TALLY_FORBIDDEN, 403, "This address is not served here.", out);
    case GUARD_TOO_OFTEN: break;
    }
    tally_refuse(g->tally, TALLY_RATE);
    return answer(g, 429, "There were too many requests from this address.", retry_s, out);
}

/* Who came without TLS and is not sent to https://, because no browser would trust what he finds there yet. */
static bool refuse_in_clear(const struct gate *g, const struct snap_site *site, struct buf *out)
{
    if (!site->guard || !site->policy.passwords || g->visitor->https)
        return false;
    return refuse(g, TALLY_PASSWORD, 503, "This site asks for a password, which is taken by https:// alone.",
                  out);
}

/* A connection whose TLS we have ended was made for another site, or before this one took that upon itself. */
static bool is_misdirected(const struct gate *g, const struct snap_site *site)
{
    return g->tls[0] &&
           (site != snapshot_find(g->snapshot, g->server_name) || site->policy.tls == POLICY_PASSTHROUGH);
}

/* Of the name that was asked for: whoever only ever hears that the site is elsewhere has to come to it by TLS as well. */
static void add_hsts(const struct gate *g, const struct snap_site *site, struct buf *fields)
{
    const bool trusted = snapshot_browsers_trust(g->snapshot, site, h1_text(g->head, g->head->host));
    const struct headers_changes changes = { .policy = &site->policy, .hsts_s = site->policy.hsts_s };

    if (g->visitor->secure && trusted)
        headers_add_hsts(fields, &changes);
}

static bool redirect(const struct gate *g, const struct snap_site *site, struct buf *out)
{
    const struct redirect_from from = { g->visitor->https, g->https_port };
    struct buf location = { 0 }, fields = { 0 };
    bool goes = redirect_find(g->snapshot, site, g->head, &from, &location);

    if (goes) {
        http_date_add(&fields, time(NULL));
        add_hsts(g, site, &fields);
        redirect_add(out, &location, &fields, wants_body(g), true);
        log_answer(g, 308, out);
    }
    buf_free(&location);
    buf_free(&fields);
    return goes;
}

/* Who looks whether a name leads to us is answered whatever site he asks, or none: in front of every redirect and route. */
static bool answer_validator(const struct gate *g, struct buf *out)
{
    struct str method = h1_text(g->head, g->head->method);
    const char *text = challenges_text(snapshot_challenges(g->snapshot), h1_text(g->head, g->head->path),
                                       h1_text(g->head, g->head->host));

    if (!text || !(str_eq(method, "GET") || str_eq(method, "HEAD")))
        return false;
    buf_printf(out,
               "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: %zu\r\n"
               "Cache-Control: no-store\r\nConnection: close\r\n",
               strlen(text));
    http_date_add(out, time(NULL));
    buf_printf(out, "\r\n%s", wants_body(g) ? text : "");
    log_answer(g, 200, out);
    return true;
}

void gate_refuse_head(const struct gate *g, struct buf *out)
{
    refuse(g, TALLY_MALFORMED, g->head->status, "The request could not be understood.", out);
}

bool gate_answers(const struct gate *g, const struct snap_site *site, struct buf *out)
{
    if (str_eq(h1_text(g->head, g->head->method), "CONNECT"))
        return refuse(g, TALLY_MALFORMED, 405, "This is not a proxy.", out);
    if (answer_validator(g, out))
        return true;
    if (snapshot_bans(g->snapshot, &g->visitor->addr) ||
        (site && snapshot_site_bans(g->snapshot, site, &g->visitor->addr)))
        return refuse(g, TALLY_BANNED, 403, "This address is not served here.", out);
    if (!site || (!g->visitor->https && site->policy.https == POLICY_ONLY))
        return refuse(g, TALLY_UNKNOWN, 404, "There is no such site here.", out);
    if (is_misdirected(g, site))
        return refuse(g, TALLY_MISDIRECTED, 421, "This connection was made for another site.", out);
    if (site->guard && refuse_by_guard(g, site, out))
        return true;
    return redirect(g, site, out) || refuse_in_clear(g, site, out);
}
