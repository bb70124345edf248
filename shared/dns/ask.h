/* shared/dns/ask.h - one DNS message to a server, and its answer: by UDP, and by TCP when it is long. Blocking. */
#ifndef SHARED_DNS_ASK_H
#define SHARED_DNS_ASK_H
#include "shared/buf.h"
#include "shared/err.h"
#include "shared/job.h"

#include <stdbool.h>
#include <stdint.h>

enum { DNS_PORT = 53 };

struct ask {
    const char *host; /* name or address */
    uint16_t port;
    struct job *job;     /* whose cancellation ends it; NULL: nothing does */
    bool tcp;            /* from the beginning */
    int64_t patience_ms; /* for each attempt; 0: 3 s */
};

/* Any well-formed answer to this very message (its id, and its question when it shows one) is put into the empty `answer`. A
 * truncated one is asked for again by TCP. */
must_check int ask(const struct ask *how, const struct buf *message, struct buf *answer, struct err *e);
#endif
