/* relay/lanes/key_line.h - one line of authorized_keys, made and found again. Pure; for the relay and for tunnel-lane.
 *
 *   restrict,port-forwarding,permitlisten="127.0.0.1:*",command="exec …/tunnel-lane pi" ssh-ed25519 AAAA…
 *   restrict,expiry-time="20261121032425Z",command="exec …/tunnel-lane --enrol 0123456789abcdef" ssh-ed25519 AAAA… */
#ifndef RELAY_LANES_KEY_LINE_H
#define RELAY_LANES_KEY_LINE_H
#include "shared/buf.h"
#include "shared/str.h"

#include <stdbool.h>
#include <time.h>

/* Adds the line of an agent's key: command is for the shell. */
void key_line_add(struct buf *out, const char *command, const char *key);
/* Adds that of an invitation's one-time key, which can forward nothing and is over by itself at that time. */
void key_line_add_once(struct buf *out, const char *command, const char *key, time_t expires);

/* The line whose key has this fingerprint ("SHA256:…"), without its newline; false when there is none, or its time is
 * over. */
bool key_line_find(struct str lines, const char *fingerprint, time_t now, struct str *line);
#endif
