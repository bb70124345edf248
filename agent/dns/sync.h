/* agent/dns/sync.h - POST /v1/dns/sync {domain, dry_run}: ask and tell providers now, or say what would be told. One at a time.
 *
 * `domain` is any name of a site, aliases too, as people write it. A value, embedded in struct dns. */
#ifndef AGENT_DNS_SYNC_H
#define AGENT_DNS_SYNC_H
#include "agent/dns/account.h"
#include "shared/http/server.h"

struct sync {
    struct names *names;
    struct account ***accounts; /* of the part above, which may make new ones */
    size_t *accounts_n;
    struct http_later *later; /* NULL: none is under way */
    char *site;               /* NULL: all of them */
    bool dry;
    size_t pending; /* accounts that have not said their plan */
    json_t *plan, *errors;
};

void sync_init(struct sync *s, struct names *names, struct account ***accounts, size_t *accounts_n);
void sync_answer(struct sync *s, const struct http_request *request, struct http_reply *reply);
void sync_look(struct sync *s); /* an account has done something: is all of it done? */
void sync_stop(struct sync *s);
#endif
