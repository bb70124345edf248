/* shared/dns/xml.h - the little XML that APIs answer with, read as JSON. Pure.
 *
 * An element with elements in it becomes an object, whose members are lists: all its elements of one name. Any other one
 * becomes its text. Attributes and prefixes of names do not count; a document type, and with it every entity of one's own,
 * is refused. */
#ifndef SHARED_DNS_XML_H
#define SHARED_DNS_XML_H
#include "shared/buf.h"
#include "shared/err.h"
#include "shared/str.h"

#include <jansson.h>

enum { XML_DEPTH = 24 };

/* {"ROOT": [...]}, a new reference; NULL when this is no whole, well-formed document. */
json_t *xml_read(struct str text, struct err *e);
/* The first element of this name; NULL when there is none. */
const json_t *xml_child(const json_t *element, const char *name);
/* Its text; "" when there is none. */
const char *xml_text(const json_t *element, const char *name);
/* Adds text that stands between tags. */
void xml_escape(struct buf *out, const char *text);
#endif
