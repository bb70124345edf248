/* relay/certs/import.h - certificates that another program has ordered, and that somebody brings: POST /v1/certs/import.
 *
 * Content: {chain, key, origin}: PEM, PEM, and where they were found. Each name of the certificate that is a site's own, or
 * that no site has yet, gets it in the store, if it is better than what is there. */
#ifndef RELAY_CERTS_IMPORT_H
#define RELAY_CERTS_IMPORT_H
#include "relay/certs/store.h"

#include <jansson.h>

/* Who knows which sites there are. */
struct import_sites {
    /* All names of the site that this name belongs to, its own first; borrowed until the next call. 0: there is no such
     * site. */
    size_t (*names_of)(void *user, const char *name, const char *const **names);
    bool (*is_busy)(void *user, const char *site);   /* an order for it is under way */
    bool (*interrupt)(void *user, const char *site); /* it is, and ends soon for this */
    void (*taken)(void *user, const char *site);     /* the store has another certificate of it */
    const char *caveat;                              /* what holds for all that is taken; NULL: nothing */
    void *user;
};

/* True when orders of sites that it would go to are under way, and end soon for it: to be taken then. */
bool import_waits(const struct import_sites *sites, const json_t *content);
/* {names, key_type, ca, not_after, results[] {name, state (taken|kept|refused), why}}: kept is what is in the store. A new reference;
 * NULL with the reason when it is no usable certificate at all. */
json_t *import_take(const struct store *s, const struct import_sites *sites, const json_t *content,
                    int64_t now, struct err *e);
#endif
