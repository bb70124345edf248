/* relay/certs/authority.h - what the authoritative servers of a name say, each of them: a CA asks any one, and resolvers of our
 * own may remember what was before, or see another view. Blocking: for job threads. */
#ifndef RELAY_CERTS_AUTHORITY_H
#define RELAY_CERTS_AUTHORITY_H
#include "shared/dns/lookup.h"
#include "shared/domain.h"
#include "shared/err.h"
#include "shared/job.h"

enum { AUTHORITY_SERVERS = 16, AUTHORITY_LEAST_S = 120, AUTHORITY_MOST_S = 600 };

struct authority {
    char zone[DOMAIN_BYTES]; /* that the name is in */
    int64_t negative_s;      /* how long resolvers may remember that something was not there */
    struct authority_server {
        char name[DOMAIN_BYTES], address[64];
        unsigned silent; /* rounds in which it did not answer */
        bool shows;      /* in the last round */
    } servers[AUTHORITY_SERVERS];
    size_t n;
};

/* Finds zone and servers of the name, by asking resolvers. */
must_check int authority_find(struct authority *a, const struct lookup *l, const char *name, struct err *e);
/* Waits until every server that answers shows this TXT value there, for a negative TTL of the zone and no less than two
 * minutes. A server that never answers is not waited for while another one does. ERR_TIMEOUT names who does not show it. */
must_check int authority_wait(struct authority *a, const char *name, const char *value, struct job *job,
                              struct err *e);
#endif
