/* tests/unit/shared/http/h1_show.h - what was understood of a head, in words. Fields are shown where
 * their names begin with X. */
#ifndef TESTS_UNIT_SHARED_HTTP_H1_SHOW_H
#define TESTS_UNIT_SHARED_HTTP_H1_SHOW_H
#include "shared/buf.h"
#include "shared/http/h1.h"

static void show_fields(struct buf *out, const struct h1_head *h)
{
    for (uint32_t i = 0; i < h->field_count; i++) {
        struct str name = h1_text(h, h->fields[i].name), value = h1_text(h, h->fields[i].value);

        if (name.p[0] == 'X')
            buf_printf(out, " %.*s=[%.*s]", STR_ARG(name), STR_ARG(value));
    }
}

static void show_span(struct buf *out, const struct h1_head *h, const char *label, struct h1_span span)
{
    if (span.n > 0)
        buf_printf(out, " %s=%.*s", label, STR_ARG(h1_text(h, span)));
}

static void show_start_line(struct buf *out, const struct h1_head *h)
{
    if (h->kind == H1_RESPONSE) {
        buf_printf(out, "%d 1.%d", h->status, h->minor);
        show_span(out, h, "reason", h->reason);
        return;
    }
    buf_printf(out, "%.*s %.*s 1.%d", STR_ARG(h1_text(h, h->method)), STR_ARG(h1_text(h, h->target)),
               h->minor);
    show_span(out, h, "host", h->host);
    if (h->authority.n != h->host.n)
        show_span(out, h, "authority", h->authority);
    if (h->path.at != h->target.at)
        show_span(out, h, "path", h->path);
}

static void show_framing(struct buf *out, const struct h1_head *h)
{
    static const char *const texts[] = { [H1_NO_BODY] = "none",
                                         [H1_LENGTH] = "length",
                                         [H1_CHUNKED] = "chunked",
                                         [H1_UNTIL_CLOSE] = "until-close" };

    buf_printf(out, " %s", texts[h->framing]);
    if (h->content_length >= 0)
        buf_printf(out, "=%lld", (long long)h->content_length);
    buf_printf(out, " %s", h->keep_alive ? "keep" : "close");
}

static inline void show_head(struct buf *out, const struct h1_head *h)
{
    show_start_line(out, h);
    show_framing(out, h);
    buf_add_text(out, h->expects_continue ? " expects" : "");
    buf_add_text(out, h->te_trailers ? " trailers" : "");
    show_span(out, h, "upgrade", h->upgrade);
    show_fields(out, h);
}
#endif
