#include "relay/edge/passthrough.h"

#include "relay/edge/snapshot_bans.h"

#include <string.h>

static const struct snap_target *find_target(const struct snapshot *s, const char *key)
{
    const struct snap_site *site = snapshot_passes(s, str_of(key));

    return site ? &site->own : NULL;
}

/* A fatal internal_error, of any version. To those who come for a name of ours whose house does not answer: they see at
 * once that nobody is there, and that it is not for their name. */
static const struct str alert = { "\x15\x03\x03\0\x02\x02\x50", 7 };

void passthrough_visit(struct raw_visit *visit, struct passthrough_name *name, const struct snap_site *site,
                       const struct origin *from, struct str server_name)
{
    size_t n = server_name.n < sizeof name->text ? server_name.n : sizeof name->text - 1;

    memcpy(name->text, server_name.p, n);
    name->text[n] = '\0';
    *visit = (struct raw_visit){
        .alone = { .source = from->peer, .dest = from->dest, .sni = name->text },
        .key = name->text,
        .find = find_target,
        .counts = site->counts,
        .park_ms = site->policy.park_ms,
        .last_words = alert,
        .logged = site->policy.access_log,
        .method = "TLS",
        .item = site->name,
        .agent = "",
    };
}

static void refuse(struct raw_visit *visit, int status, enum tally_refusal why)
{
    visit->refused = status;
    visit->refusal = why;
}

void passthrough_guard(struct raw_visit *visit, const struct snapshot *snapshot, const struct snap_site *site,
                       struct limiter *rates, uint64_t now_ns)
{
    const struct sockaddr_storage *source = &visit->alone.source;
    unsigned retry_s;

    if (snapshot_site_bans(snapshot, site, source)) {
        refuse(visit, 403, TALLY_BANNED);
        return;
    }
    if (!site->guard)
        return;
    if (site->policy.passwords) { /* which cannot be asked for here, and so nobody has given one */
        refuse(visit, 403, TALLY_PASSWORD);
        return;
    }
    switch (guard_look(site->guard, &site->policy, rates, source, now_ns, &retry_s)) {
    case GUARD_LETS_IN: break;
    case GUARD_FORBIDS: refuse(visit, 403, TALLY_FORBIDDEN); break;
    case GUARD_TOO_OFTEN: refuse(visit, 429, TALLY_RATE); break;
    }
}
