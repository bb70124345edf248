/* shared/page/parts.h - what the files of the status page share: page.c makes it of these parts, of cells. */
#ifndef SHARED_PAGE_PARTS_H
#define SHARED_PAGE_PARTS_H
#include "shared/page/html.h"

#include <jansson.h>
#include <stdbool.h>

/* Each adds the content of its section, or nothing: then the section is not shown. */
/* well: nothing is down. Returns how much there is to say. */
size_t part_wrong_add(struct buf *out, const json_t *status, const char *not_ready, bool well);
void part_lanes_add(struct buf *out, const json_t *status);
void part_ports_add(struct buf *out, const json_t *status);
void part_domains_add(struct buf *out, const json_t *status);
void part_certs_add(struct buf *out, const json_t *status);
void part_dns_add(struct buf *out, const json_t *status);
void part_notices_add(struct buf *out, const json_t *status);

/* ---- cells ---- */

bool part_is_relay(const json_t *status);
void part_text(struct html_table *t, const json_t *object, const char *key); /* "–" where there is none */
void part_number(struct html_table *t, const json_t *object, const char *key, const char *unit);
void part_bytes(struct html_table *t, const json_t *object, const char *key);
void part_since(struct html_table *t, const json_t *object, const char *key); /* how long ago */
/* A state, with a sign that needs no colour; and what there is to say of it behind a comma. */
void part_word(struct html_table *t, const char *word, bool well);
void part_state(struct html_table *t, const json_t *object, const char *key, bool well);
void part_list(struct html_table *t, const json_t *list);
#endif
