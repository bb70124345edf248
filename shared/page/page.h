/* shared/page/page.h - the status page: HTML made of a daemon's status, and what changes of it. Pure but for the clock.
 *
 * It says what tunnelctl status says, and in the same words; in parts, each no larger than it may be. What there is no
 * room for is counted, and the worst comes first. */
#ifndef SHARED_PAGE_PAGE_H
#define SHARED_PAGE_PAGE_H
#include "shared/buf.h"
#include "shared/page/history.h"

#include <jansson.h>

enum { PAGE_BYTES = 60 * 1000 }; /* whatever the status holds */

enum page_part {
    PAGE_HEAD,
    PAGE_SUM,
    PAGE_WRONG,
    PAGE_TRAFFIC,
    PAGE_LANES,
    PAGE_DOMAINS,
    PAGE_CERTS,
    PAGE_DNS,
    PAGE_PORTS,
    PAGE_NOTICES,
    PAGE_PARTS
};

struct page {
    char title[320]; /* plain text */
    struct buf heading, parts[PAGE_PARTS];
};

/* status: as /v1/status has it. not_ready: why /readyz says no; "": it says yes. */
void page_make(struct page *page, const json_t *status, const struct history *traffic, const char *not_ready);
void page_free(struct page *page); /* leaves an empty one */
/* The document. */
void page_whole(struct buf *out, const struct page *page);
/* An event of /events: the parts that differ, or with `before` NULL all of them. */
void page_event(struct buf *out, const struct page *page, const struct page *before);
#endif
