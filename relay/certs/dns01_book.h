/* relay/certs/dns01_book.h - which TXT values this relay has set: STATE_DIR/dns01.json. For dns01.c alone, which locks it.
 *
 * A value. An entry is there before anybody is asked to set it, and until somebody has said that it is cleared. */
#ifndef RELAY_CERTS_DNS01_BOOK_H
#define RELAY_CERTS_DNS01_BOOK_H
#include "shared/domain.h"
#include "shared/err.h"

#include <stdbool.h>
#include <stddef.h>

struct dns01_entry {
    char name[DOMAIN_BYTES], target[DOMAIN_BYTES]; /* target: where the name leads by CNAMEs */
    char provider[64], value[44];
    bool left; /* nobody needs it any more */
};

struct dns01_book {
    char *path;
    struct dns01_entry *list;
    size_t n;
};

void dns01_book_open(struct dns01_book *b, const char *state_dir); /* all that stands there was left behind */
void dns01_book_close(struct dns01_book *b);
must_check int dns01_book_add(struct dns01_book *b, const struct dns01_entry *v, struct err *e);
void dns01_book_remove(struct dns01_book *b, const struct dns01_entry *v);
void dns01_book_leave(struct dns01_book *b, const struct dns01_entry *v);
bool dns01_book_is_left(const struct dns01_book *b, const struct dns01_entry *v);
/* Sets the target of an entry with this name, provider and value, where there is one. */
void dns01_book_find(const struct dns01_book *b, struct dns01_entry *v);
/* How many others there are at its target, by its provider. */
size_t dns01_book_others(const struct dns01_book *b, const struct dns01_entry *v);
/* The i-th of those that were left behind. False at the end. */
bool dns01_book_left(const struct dns01_book *b, size_t i, struct dns01_entry *v);
#endif
