/* shared/opt_print.h - what is made from the option table: dump, help, sample file, manual, JSON.
 *
 * All add to a buffer, and none can fail. */
#ifndef SHARED_OPT_PRINT_H
#define SHARED_OPT_PRINT_H
#include "shared/buf.h"
#include "shared/opt.h"

/* Loads back to the same values from any folder. What was included stands in it, so its include keys are empty. */
void opt_print_dump(struct buf *out, const struct opt_conf *conf);
void opt_print_help(struct buf *out,
                    const struct opt_schema *schema); /* --help: one block per key, 79 columns */
void opt_print_sample(struct buf *out,
                      const struct opt_schema *schema); /* conf/NAME.ini: loads as the defaults */
void opt_print_manual(struct buf *out,
                      const struct opt_schema *schema); /* mdoc: .Sh OPTIONS of NAME.ini(5), whole */

/* One value in canonical text, as the dump shows it, without quotes. */
void opt_value_text(struct buf *out, const struct opt *o, const void *values);

struct json_t;
/* For /v1/config: {"file", "files": [PATH], "sections": [{"kind", "name", "options": [{"key", "value", "origin"}]}]}.
 * File and origin name files as errors do, by way of the path that was given. Files are the whole paths of all that were
 * read, that one first, also of those without any key. Name is null in [kind], value is null where none is given and there
 * is no default. Returns a new reference. */
struct json_t *opt_json(const struct opt_conf *conf);
#endif
