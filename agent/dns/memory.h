/* agent/dns/memory.h - what must not be asked or done again after a restart: STATE_DIR/dns.json.
 *
 * Written only when it would be another text than the one there. What cannot be read is as good as none: then providers are
 * asked once more. */
#ifndef AGENT_DNS_MEMORY_H
#define AGENT_DNS_MEMORY_H
#include "shared/err.h"

#include <jansson.h>

struct memory {
    char *path;
    char *written; /* what is on disk, as far as we know; NULL: nothing */
};

/* Returns what was remembered: an object, empty when there is none. A new reference. */
json_t *memory_open(struct memory *m, const char *state_dir);
void memory_close(struct memory *m);
/* Takes the object. */
must_check int memory_save(struct memory *m, json_t *takes, struct err *e);
#endif
