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

static void entry_free(struct ledger_entry *entry)
{
    counts_release(entry->counts);
    free(entry->trouble);
    free(entry->name);
    free(entry);
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
            entry_free(entry);
        }
    }
}

void ledger_free(struct ledger *l)
{
    ledger_forget(l);
    ledger_forget(l); /* the second time nothing is kept */
}
