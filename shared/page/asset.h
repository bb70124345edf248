/* shared/page/asset.h - page.css and page.js, as they stand in this folder, inside the program. */
#ifndef SHARED_PAGE_ASSET_H
#define SHARED_PAGE_ASSET_H
#include "shared/str.h"

struct str asset_css(void);
struct str asset_js(void);
/* Further lines of the page's head, each with its CR LF: nothing but this style and this script may be used, and nobody else
 * may frame it or look into it. */
enum { ASSET_FIELDS_BYTES = 700 };
void asset_fields(char out[ASSET_FIELDS_BYTES]);
#endif
