/* relay/lanes/boots.h - which runs of an agent may be connected: a restart takes the place of what it was before, a
 * second machine with the same key does not. Pure.
 *
 * A value. An agent makes a random boot id at each start. A boot that was displaced and comes again while the one that
 * displaced it is there cannot be an earlier run: it is a twin. */
#ifndef RELAY_LANES_BOOTS_H
#define RELAY_LANES_BOOTS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BOOT_BYTES = 65 };
enum { BOOTS_TWIN_MS = 330 * 1000 }; /* one that was sent away comes again after 5 minutes */

struct boots {
    struct boots_agent *list;
    size_t n;
};

enum boots_verdict { BOOTS_KNOWN, BOOTS_NEW, BOOTS_TWIN };

void boots_free(struct boots *b);
/* there: whether a boot has a lane now. BOOTS_NEW: `displaced` is the boot whose lanes must go now, "" when there is room
 * for all of `instances`. */
enum boots_verdict boots_admit(struct boots *b, const char *agent, const char *boot, int64_t instances,
                               bool (*there)(void *user, const char *agent, const char *boot), void *user,
                               char displaced[BOOT_BYTES]);
/* After BOOTS_TWIN: where the other machine is, and when it came. */
void boots_note_twin(struct boots *b, const char *agent, const char *boot, const char *from, int64_t now_ms);
/* In words, "" when none came within the last BOOTS_TWIN_MS; valid until the next call. */
const char *boots_twin(const struct boots *b, const char *agent, int64_t now_ms);
/* The one admitted last: its claims count. */
bool boots_is_newest(const struct boots *b, const char *agent, const char *boot);
#endif
