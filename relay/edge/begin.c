#include "relay/edge/begin.h"

#include "shared/mem.h"

#include <stdlib.h>

struct begin {
    struct tickets *tickets;
    SSL_CTX *context; /* both NULL before the first call */
    enum tls_profile profile;
};

struct begin *begin_new(void)
{
    return mem_new(sizeof(struct begin));
}

void begin_free(struct begin *b)
{
    if (!b)
        return;
    SSL_CTX_free(b->context);
    tickets_release(b->tickets);
    free(b);
}

bool begin_due(const struct begin *b, time_t now)
{
    return !b->tickets || tickets_due(b->tickets, now);
}

SSL_CTX *begin_context(struct begin *b, enum tls_profile profile, time_t now)
{
    if (begin_due(b, now)) {
        struct tickets *before = b->tickets;

        b->tickets = tickets_new(before, now);
        tickets_release(before);
    } else if (b->context && b->profile == profile) {
        return b->context;
    }
    SSL_CTX_free(b->context);
    b->context = tls_begin_context(profile, b->tickets);
    b->profile = profile;
    return b->context;
}
