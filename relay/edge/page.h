/* relay/edge/page.h - what we answer ourselves, as HTML, JSON or a status of gRPC. It names neither this software nor its version. Pure. */
#ifndef RELAY_EDGE_PAGE_H
#define RELAY_EDGE_PAGE_H
#include "relay/edge/accept.h"
#include "shared/buf.h"

#include <stdbool.h>
#include <time.h>

struct page {
    int status;
    const char *text;       /* in one sentence, what is the matter */
    const char *cause;      /* the same in one word, for programs; NULL: the status says all */
    unsigned retry_s;       /* when to come again; 0: nothing is said of it, but with 503 */
    const char *realm;      /* of 401: what a password is asked for, of letters that need no quoting */
    time_t since;           /* 0: it is not known */
    time_t now;             /* when this is said */
    const char *domain;     /* "": none */
    const char *request_id; /* as in the access log; "": none */
    const char *fields;     /* further ones, each a whole line; NULL: none */
    const char *template;   /* the site's own page, as HTML; NULL: there is none */
    enum accept_form form;
    bool with_body; /* without it: the answer to HEAD */
    bool close;
};

/* Adds a whole answer. Every text is escaped. */
void page_add(struct buf *out, const struct page *page);
#endif
