/* shared/dns/lookup.h - what everybody sees: a question to a resolver, as visitors' machines ask it. Blocking. */
#ifndef SHARED_DNS_LOOKUP_H
#define SHARED_DNS_LOOKUP_H
#include "shared/dns/ask.h"
#include "shared/dns/message.h"
#include "shared/dns/rrset.h"
#include "shared/opt.h"

enum { LOOKUP_SERVERS = 3 };

struct lookup {
    char hosts[LOOKUP_SERVERS][64];
    uint16_t ports[LOOKUP_SERVERS];
    size_t n;
    struct job *job; /* whose cancellation ends it; NULL: nothing does */
};

/* Words as in `resolvers`: ADDRESS or ADDRESS:PORT, or system for those of /etc/resolv.conf. At most LOOKUP_SERVERS count. */
must_check int lookup_open(struct lookup *l, const struct opt_words *resolvers, struct err *e);
/* -1 unless the words are of that form. Touches nothing. */
must_check int lookup_check(const struct opt_words *resolvers, struct err *e);
/* Adds the values of set's name and type, over aliases too; none is well. The first server that answers counts. */
must_check int lookup(const struct lookup *l, struct dns_rrset *set, struct err *e);
/* The same for any type: calls back for each record of the answer, of all sections. */
must_check int lookup_each(const struct lookup *l, const char *name, uint16_t type,
                           void (*each)(void *user, const struct msg *m, const struct msg_record *r),
                           void *user, struct err *e);
/* Where a name leads by CNAMEs: `name` becomes the last one. A name that leads nowhere stays as it is. */
must_check int lookup_follow(const struct lookup *l, char name[DOMAIN_BYTES], struct err *e);
#endif
