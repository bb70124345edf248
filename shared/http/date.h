/* shared/http/date.h - when an answer was made, as HTTP says it. */
#ifndef SHARED_HTTP_DATE_H
#define SHARED_HTTP_DATE_H
#include "shared/buf.h"

#include <time.h>

/* The whole line: "Date: Sun, 06 Nov 1994 08:49:37 GMT". */
void http_date_add(struct buf *out, time_t at);
#endif
