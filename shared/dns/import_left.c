#include "shared/dns/import_left.h"

#include "shared/dns/import_map.h"
#include "shared/mem.h"

#include <stdlib.h>
#include <string.h>

void import_leave(struct import_plan *plan, unsigned line, const char *what, const char *value,
                  const char *why)
{
    char *text = mem_format("%s%s%s: %s", what, value ? " = " : "", value ? value : "", why);

    import_add(&plan->left, str_of(what), str_of(text), line);
    free(text);
}

static void leave_setting(struct import_plan *plan, const struct import_pair *pair)
{
    bool shown;
    const char *why = import_map_why(pair->key, &shown);

    if (strcmp(pair->key, "ssl") == 0)
        why = import_is_on(pair->value) ? NULL : "https is used all the same";
    shown = (shown || strcmp(pair->key, "ssl") == 0) && !strchr(pair->value, '@');
    if (!pair->used && why)
        import_leave(plan, pair->line, pair->key, shown ? pair->value : "...", why);
}

static bool same(const struct import_pair *a, const struct import_pair *b)
{
    return a->line == b->line && strcmp(a->key, b->key) == 0;
}

static bool is_global(const struct import_file *file, const struct import_pair *pair)
{
    for (size_t i = 0; i < file->globals.n; i++)
        if (same(&file->globals.list[i], pair))
            return true;
    return false;
}

/* Accounts have copies of what holds for all. It is taken when one of them made use of it, or was left altogether, which is
 * told, and no other one has it. */
static bool is_taken(const struct import_file *file, const struct import_pair *global)
{
    bool left = false, open = false;

    for (size_t i = 0; i < file->n; i++)
        for (size_t j = 0; j < file->accounts[i].settings.n; j++) {
            const struct import_pair *pair = &file->accounts[i].settings.list[j];

            if (!same(pair, global))
                continue;
            if (pair->used && !file->accounts[i].left)
                return true;
            left |= file->accounts[i].left;
            open |= !file->accounts[i].left;
        }
    return left && !open;
}

static int by_line(const void *a, const void *b)
{
    unsigned x = ((const struct import_pair *)a)->line, y = ((const struct import_pair *)b)->line;

    return x < y ? -1 : x > y;
}

void import_left(const struct import_file *file, struct import_plan *plan)
{
    for (size_t i = 0; i < file->n; i++)
        for (size_t j = 0; j < file->accounts[i].settings.n && !file->accounts[i].left; j++)
            if (!is_global(file, &file->accounts[i].settings.list[j]))
                leave_setting(plan, &file->accounts[i].settings.list[j]);
    for (size_t i = 0; i < file->globals.n; i++)
        if (!is_taken(file, &file->globals.list[i]))
            leave_setting(plan, &file->globals.list[i]);
    if (plan->left.n > 1)
        qsort(plan->left.list, plan->left.n, sizeof *plan->left.list, by_line);
}
