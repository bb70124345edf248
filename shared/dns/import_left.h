/* shared/dns/import_left.h - what of another program's file is not carried over, and why. Pure; for import_plan.c. */
#ifndef SHARED_DNS_IMPORT_LEFT_H
#define SHARED_DNS_IMPORT_LEFT_H
#include "shared/dns/import.h"

/* value may be NULL: there is none to show. */
void import_leave(struct import_plan *plan, unsigned line, const char *what, const char *value,
                  const char *why);
/* Every setting that is not `used` by then; and all of them in the order of their lines. */
void import_left(const struct import_file *file, struct import_plan *plan);
#endif
