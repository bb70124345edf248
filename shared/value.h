/* shared/value.h - the small texts that ini files, arguments and messages are made of, read and printed.
 *
 * Pure. A reader returns 0, or -1 with an error that says what the text is not and what would be right, without
 * the text itself: the caller knows where it stands. Nothing is clamped, and nothing may follow the value. */
#ifndef SHARED_VALUE_H
#define SHARED_VALUE_H
#include "shared/buf.h"
#include "shared/err.h"
#include "shared/opt.h"
#include "shared/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { VALUE_SHOWN_CHARS = 60 }; /* how much of a value an error line shows */

/* ---- readers ---- */

/* Decimal, with a - in front when negative. */
must_check int value_number(struct str text, int64_t min, int64_t max, int64_t *n, struct err *e);
/* One whole number and one unit: 500ms 10s 5m 1h 7d. The unit is never left out, not even after 0. */
must_check int value_duration(struct str text, int64_t min, int64_t max, int64_t *ms, struct err *e);
/* One whole number, in bytes or with the unit k, m or g (powers of 1024). */
must_check int value_size(struct str text, int64_t min, int64_t max, int64_t *bytes, struct err *e);
must_check int value_flag(struct str text, bool *on, struct err *e);       /* on | off */
must_check int value_name(struct str text, struct err *e);                 /* [a-z0-9-]{1,32}, no - first */
must_check int value_port(struct str text, uint16_t *port, struct err *e); /* 1 to 65535 */
/* :PORT, ADDRESS:PORT or [V6]:PORT; never a host name. With `bare`, PORT alone means :PORT. */
must_check int value_address(struct str text, bool bare, struct opt_address *out, struct err *e);
/* The next of a list separated by blanks or commas; false at its end. */
bool value_next(struct str *rest, struct str *word);

/* ---- printers: canonical text, which the readers above take back ---- */

void value_print_number(struct buf *out, int64_t n);
void value_print_duration(struct buf *out, int64_t ms); /* in the largest unit that is exact */
void value_print_size(struct buf *out, int64_t bytes);
void value_print_address(struct buf *out, const struct opt_address *address);

/* ---- text from outside ---- */

/* Adds text as it may be shown to a person: what is not printable as \xNN, and a … after max_chars characters
 * (0: all of it). The result has no control characters, whatever the text holds. */
void value_show(struct buf *out, struct str text, size_t max_chars);
/* The same for one line of JSON, which stays JSON of the same meaning: \uNNNN stands for what is not printable. */
void value_show_json(struct buf *out, struct str text);
#endif
