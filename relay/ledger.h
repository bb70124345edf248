/* relay/ledger.h - what is noted of each site from one snapshot to the next: its traffic, its state, what is wrong.
 *
 * Plain data: zeroed at first. An entry lives for as long as there is such a site: whoever claims names in turn gathers
 * none. Workers and snapshots hold the counts for themselves. */
#ifndef RELAY_LEDGER_H
#define RELAY_LEDGER_H
#include "relay/edge/counts.h"
#include "shared/page/history.h"

#include <stdbool.h>
#include <time.h>

struct ledger_entry {
    struct ledger_entry *next;
    char *name;
    struct counts *counts;
    char *trouble; /* NULL: none */
    time_t trouble_since;
    const char *state; /* of struct lanes_site; NULL: there is no such site now */
    time_t state_since;
    bool kept; /* over the next ledger_forget */
};

struct ledger {
    struct ledger_entry *first;
    struct history_totals gone; /* what those that are forgotten had counted by then */
};

/* Never NULL: a new one where there was none. */
struct ledger_entry *ledger_of(struct ledger *l, const char *name);
struct ledger_entry *ledger_keep(struct ledger *l, const char *name); /* the same; there is such a site */
/* Told once to the log when it is another than before, or over. Copies it; NULL: there is none. */
void ledger_note_trouble(struct ledger_entry *entry, const char *trouble);
/* Borrows it for good; NULL: there is no such site now. */
void ledger_note_state(struct ledger_entry *entry, const char *state, time_t now);
void ledger_forget(struct ledger *l); /* all that were not kept since the last time */
/* Of all sites and ports since the start. Sites have requests, ports have connections, which do not count as such. */
void ledger_count(const struct ledger *l, struct history_totals *totals);
void ledger_free(struct ledger *l);
#endif
