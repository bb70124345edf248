#include "relay/edge/reception.h"

#include "relay/edge/gate.h"

/* Of a head that was not understood nothing is believed. */
static void know_visitor(const struct reception *r, const struct snapshot *snapshot,
                         const struct h1_head *head, struct headers_visitor *visitor)
{
    *visitor = (struct headers_visitor){ .peer = r->from->peer,
                                         .addr = r->from->peer,
                                         .dest = r->from->dest,
                                         .port = r->from->port,
                                         .secure = r->tls[0],
                                         .http2 = r->http2 };
    request_id_make(r->host->ids, visitor->request_id);
    if (!head->why)
        headers_know_visitor(visitor, head, &snapshot_rules(snapshot)->trusted);
}

static struct gate gate_for(const struct reception *r, const struct snapshot *snapshot,
                            const struct h1_head *head, const struct headers_visitor *visitor)
{
    return (struct gate){ .snapshot = snapshot,
                          .access_log = r->host->access_log,
                          .tally = r->host->tally,
                          .rates = r->host->rates,
                          .head = head,
                          .visitor = visitor,
                          .server_name = str_of(r->server_name),
                          .tls = r->tls,
                          /* A proxy in front of us, of either kind, has it where everybody looks for it. */
                          .https_port = visitor->trusted || r->from->told ? 443 : r->host->https_port };
}

void reception_refuse(const struct reception *r, const struct h1_head *head, struct buf *out)
{
    const struct snapshot *snapshot = r->host->snapshot(r->host->user);
    struct headers_visitor visitor;
    struct gate gate;

    know_visitor(r, snapshot, head, &visitor);
    gate = gate_for(r, snapshot, head, &visitor);
    gate_refuse_head(&gate, out);
}

struct exchange *reception_admit(const struct reception *r, const struct visitor_side *side,
                                 const struct h1_head *head, struct buf *out)
{
    struct snapshot *snapshot = r->host->snapshot(r->host->user);
    const struct snap_site *site = snapshot_find(snapshot, h1_text(head, head->host));
    struct headers_visitor visitor;
    struct gate gate;

    know_visitor(r, snapshot, head, &visitor);
    gate = gate_for(r, snapshot, head, &visitor);
    if (gate_answers(&gate, site, out))
        return NULL;
    return exchange_new(side, r->host, snapshot, site, head, &visitor);
}
