/* shared/page_template.h - a site's own page for what its relay has to say: HTML with placeholders. Pure.
 *
 * A placeholder is {word}: small letters and _ between braces, and nothing else, not even a blank. Everything else in
 * braces is left as it is, so CSS and scripts are in nobody's way: "{color:red}", "{ }", "{ name }". */
#ifndef SHARED_PAGE_TEMPLATE_H
#define SHARED_PAGE_TEMPLATE_H
#include "shared/buf.h"
#include "shared/err.h"
#include "shared/str.h"

enum page_word { PAGE_STATUS, PAGE_TITLE, PAGE_TEXT, PAGE_SINCE, PAGE_DOMAIN, PAGE_REQUEST_ID, PAGE_WORDS };

/* How many placeholders a page may have: then it is not much larger than its template. */
enum { PAGE_TEMPLATE_MOST = 64 };

/* ERR_INPUT names a placeholder that is none of these, with its line; or there are too many. */
must_check int page_template_check(struct str text, struct err *e);
/* Adds the page; the values are escaped, so they may hold anything. A placeholder that is none is left as it is. */
void page_template_render(struct buf *out, struct str text, const char *const values[PAGE_WORDS]);

/* Adds text as it may stand in HTML, also between quotes. */
void page_template_escape(struct buf *out, const char *text);
#endif
