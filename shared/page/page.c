#include "shared/page/page.h"

#include "shared/json.h"
#include "shared/page/asset.h"
#include "shared/page/parts.h"
#include "shared/page_template.h"
#include "shared/status/text.h"
#include "shared/status/well.h"
#include "shared/value.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* ---- parts ---- */

static const char *const ids[PAGE_PARTS] = { "head",    "sum",   "wrong", "traffic", "lanes",
                                             "domains", "certs", "dns",   "ports",   "notices" };

/* "4 days", as tunnelctl status has it, and when this was. */
static void add_head(struct buf *out, const json_t *status)
{
    char up[32], at[32] = "";
    time_t now = time(NULL);
    struct tm utc;

    status_duration(json_integer_value(json_object_get(status, "uptime_s")), up, sizeof up);
    if (gmtime_r(&now, &utc))
        strftime(at, sizeof at, "%Y-%m-%d %H:%M:%S", &utc);
    buf_printf(out, "up %s \xc2\xb7 as of <time>%s UTC</time>", up, at);
}

static void add_sum(struct buf *out, size_t wrong, bool well)
{
    if (wrong == 0 && well)
        buf_add_text(out, "<b class=ok>All is well</b>");
    else if (wrong == 0)
        buf_add_text(out, "<b class=bad>Not all is well: see below</b>");
    else
        buf_printf(out, "<b class=%s>%zu %s to be seen to</b>", well ? "warn" : "bad", wrong,
                   wrong == 1 ? "thing" : "things");
}

/* Of a tab one sees the first letters. */
static void set_title(struct page *page, const json_t *status, size_t wrong, bool well)
{
    struct buf name = { 0 };
    char mark[32] = "";

    if (wrong > 0)
        snprintf(mark, sizeof mark, "(%zu) ", wrong);
    else if (!well)
        snprintf(mark, sizeof mark, "(!) ");
    value_show(&name, str_of(status_text(status, "name")), 60);
    snprintf(page->title, sizeof page->title, "%s%s \xc2\xb7 tunnel-%s", mark, buf_text(&name),
             part_is_relay(status) ? "relay" : "agent");
    buf_free(&name);
}

static void add_heading(struct buf *out, const json_t *status)
{
    html_text(out, status_text(status, "name"), 60);
    buf_printf(out, " <small>tunnel-%s ", part_is_relay(status) ? "relay" : "agent");
    html_text(out, status_text(status, "version"), 60);
    buf_add_text(out, "</small>");
}

void page_make(struct page *page, const json_t *status, const struct history *traffic, const char *not_ready)
{
    struct buf *parts = page->parts;
    bool well = well_all(status) && !*not_ready;
    size_t wrong;

    *page = (struct page){ 0 };
    wrong = part_wrong_add(&parts[PAGE_WRONG], status, not_ready, well);
    set_title(page, status, wrong, well);
    add_heading(&page->heading, status);
    add_head(&parts[PAGE_HEAD], status);
    add_sum(&parts[PAGE_SUM], wrong, well);
    buf_add_text(&parts[PAGE_TRAFFIC], "<h2>Traffic</h2>");
    history_add_plots(&parts[PAGE_TRAFFIC], traffic, part_is_relay(status));
    part_lanes_add(&parts[PAGE_LANES], status);
    part_domains_add(&parts[PAGE_DOMAINS], status);
    part_certs_add(&parts[PAGE_CERTS], status);
    part_dns_add(&parts[PAGE_DNS], status);
    part_ports_add(&parts[PAGE_PORTS], status);
    part_notices_add(&parts[PAGE_NOTICES], status);
}

void page_free(struct page *page)
{
    buf_free(&page->heading);
    for (size_t i = 0; i < PAGE_PARTS; i++)
        buf_free(&page->parts[i]);
}

/* ---- the document ---- */

static void add_part(struct buf *out, const char *tag, const struct page *page, enum page_part part,
                     const char *more)
{
    buf_printf(out, "<%s id=%s%s>", tag, ids[part], more);
    buf_add(out, buf_bytes(&page->parts[part]), page->parts[part].len);
    buf_printf(out, "</%s>\n", tag);
}

void page_whole(struct buf *out, const struct page *page)
{
    struct str css = asset_css(), js = asset_js();

    buf_add_text(
        out, "<!doctype html>\n<html lang=en>\n<meta charset=utf-8>\n"
             "<meta name=viewport content=\"width=device-width\">\n<link rel=icon href=\"data:,\">\n<title>");
    page_template_escape(out, page->title);
    buf_add_text(out, "</title>\n<style>");
    buf_add(out, css.p, css.n);
    buf_add_text(out, "</style>\n<header><h1>");
    buf_add(out, buf_bytes(&page->heading), page->heading.len);
    buf_add_text(out, "</h1>\n");
    add_part(out, "p", page, PAGE_SUM, " role=status"); /* a screen reader says it when it changes */
    add_part(out, "p", page, PAGE_HEAD, "");
    buf_add_text(
        out, "<p id=live></p>\n<noscript>Without JavaScript this stays as it was then: reload it.</noscript>"
             "</header>\n<main>\n");
    for (enum page_part part = PAGE_WRONG; part < PAGE_PARTS; part++)
        add_part(out, "section", page, part, "");
    buf_add_text(
        out, "</main>\n<footer>Nothing can be changed here. <code>tunnelctl status</code> says the same, and "
             "<code>tunnelctl doctor</code> looks for causes.</footer>\n<script>");
    buf_add(out, js.p, js.n);
    buf_add_text(out, "</script>\n");
}

/* ---- what changes ---- */

static bool is_same(const struct buf *a, const struct buf *b)
{
    return a->len == b->len && memcmp(buf_bytes(a), buf_bytes(b), a->len) == 0;
}

static json_t *text_of(const struct buf *text)
{
    return json_stringn(buf_bytes(text), text->len);
}

void page_event(struct buf *out, const struct page *page, const struct page *before)
{
    json_t *parts = json_object(), *event;

    for (size_t i = 0; i < PAGE_PARTS; i++)
        if (!before || !is_same(&page->parts[i], &before->parts[i]))
            json_object_set_new(parts, ids[i], text_of(&page->parts[i]));
    event = json_pack("{s:o, s:o}", "title", json_any_text(page->title), "parts", parts);
    buf_add_text(out, "data: ");
    json_write(out, event);
    buf_add_text(out, "\n");
    json_decref(event);
}
