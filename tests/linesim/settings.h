/* tests/linesim/settings.h - the settings of a line as words: delay 50ms jitter 5ms rate 1mbit queue 64k */
#ifndef TESTS_LINESIM_SETTINGS_H
#define TESTS_LINESIM_SETTINGS_H
#include "shared/err.h"
#include "shared/str.h"
#include "tests/linesim/line.h"

enum { UP, DOWN }; /* from who connects to the target, and back */

/* Reads "[up|down]" off the front of *words: sets from and to so that from <= direction <= to are meant. */
void settings_directions(struct str *words, int *from, int *to);
/* Changes conf by the words "[up|down] KEY VALUE [KEY VALUE …]"; conf is the same as before when it fails. */
must_check int settings_read(struct line_conf conf[2], struct str words, struct err *e);
#endif
