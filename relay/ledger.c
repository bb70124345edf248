#include "relay/ledger.h"

#include "shared/log.h"
#include "shared/mem.h"

#include <stdlib.h>
#include <string.h>

struct ledger_entry *ledger_of(struct ledger *l, const char *name)
{
    struct ledger_entry *entry = l->first;

    while (entry && strcmp(entry->name, name) != 0)
        entry = entry->next;
    if (!entry) {
        entry = mem_new(sizeof *entry);
        entry->name = mem_copy(name);
        entry->counts = counts_new();
        entry->next = l->first;
        l->first = entry;
    }
    return entry;
}

struct ledger_entry *ledger_keep(struct ledger *l, const char *name)
{
    struct ledger_entry *entry = ledger_of(l, name);

    entry->kept = true;
    return entry;
}

void ledger_note_trouble(struct ledger_entry *entry, const char *trouble)
{
    if (!trouble == !entry->trouble && (!trouble || strcmp(trouble, entry->trouble) == 0))
        return;
    if (trouble)
        log_warn("a site is not served as it should be", kv_str("domain", entry->name),
                 kv_str("error", trouble));
    else
        log_info("a site is served as it should be again", kv_str("domain", entry->name));
    if (!entry->trouble)
        entry->trouble_since = time(NULL);
    free(entry->trouble);
    entry->trouble = trouble ? mem_copy(trouble) : NULL;
}

void ledger_note_state(struct ledger_entry *entry, const char *state, time_t now)
{
    if (!entry->state || !state || strcmp(entry->state, state) != 0)
        entry->state_since = now;
    entry->state = state;
}

static void entry_free(struct ledger_entry *entry)
{
    counts_release(entry->counts);
    free(entry->trouble);
    free(entry->name);
    free(entry);
}

static bool is_port(const struct ledger_entry *entry)
{
    return strchr(entry->name, ' '); /* AGENT tcp:NAME; no site is called so */
}

static void add_counts(struct history_totals *totals, const struct ledger_entry *entry)
{
    struct counts *counts = entry->counts;

    totals->requests += is_port(entry) ? 0 : atomic_load(&counts->requests);
    totals->errors += is_port(entry) ? 0 : atomic_load(&counts->errors);
    totals->bytes_in += atomic_load(&counts->bytes_in);
    totals->bytes_out += atomic_load(&counts->bytes_out);
}

void ledger_count(const struct ledger *l, struct history_totals *totals)
{
    *totals = l->gone;
    for (const struct ledger_entry *entry = l->first; entry; entry = entry->next)
        add_counts(totals, entry);
}

void ledger_forget(struct ledger *l)
{
    for (struct ledger_entry **at = &l->first; *at;) {
        struct ledger_entry *entry = *at;

        if (entry->kept) {
            entry->kept = false;
            at = &entry->next;
        } else {
            *at = entry->next;
            add_counts(&l->gone, entry);
            entry_free(entry);
        }
    }
}

void ledger_free(struct ledger *l)
{
    ledger_forget(l);
    ledger_forget(l); /* the second time nothing is kept */
}
