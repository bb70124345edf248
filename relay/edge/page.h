/* relay/edge/page.h - the plain pages that we answer ourselves. They name neither this software nor its version. Pure. */
#ifndef RELAY_EDGE_PAGE_H
#define RELAY_EDGE_PAGE_H
#include "shared/buf.h"

#include <stdbool.h>

/* A whole answer. text says in one sentence what is the matter; it is a constant, which is not escaped. Without a body
 * for HEAD. */
void page_add(struct buf *out, int status, const char *text, bool with_body, bool close);
#endif
