#include "shared/http/date.h"

/* In English whoever reads it: the daemons have no locale but "C". */
void http_date_add(struct buf *out, time_t at)
{
    char text[64] = "";
    struct tm tm;

    if (gmtime_r(&at, &tm) && strftime(text, sizeof text, "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &tm) > 0)
        buf_add_text(out, text);
}
