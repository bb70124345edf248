/* shared/lane_word_types.h - what the messages about certificates say; for lane_types.h alone. */
#ifndef SHARED_LANE_WORD_TYPES_H
#define SHARED_LANE_WORD_TYPES_H
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* Status of a fetched that says nothing of the site: the agent could not, or would not, ask. 0: nobody answered. */
enum { LANE_FETCH_NOT_TRIED = -1 };

/* ---- asked; id: a text or a number of whoever asks, who gets it back ---- */

struct lane_txt {
    json_t *id;
    bool set; /* or clear */
    const char *name, *value;
};

struct lane_fetch {
    json_t *id;
    const char *name, *address;
    int64_t port;
    const char *path;
};

/* What the other relays of a name are to show: answers for a CA, or the nonce of a look beforehand. */
enum lane_show { LANE_SHOW_HTTP, LANE_SHOW_TLS_ALPN, LANE_SHOW_CHECK };

struct lane_challenge {
    json_t *id;
    bool set; /* or clear */
    enum lane_show how;
    const char *name, *token, *answer; /* answer: the key authorization; of a nonce, the nonce again */
};

struct lane_done {
    json_t *id;
    bool ok;
    const char *why;
    int64_t status; /* of fetched: HTTP's, 0, or LANE_FETCH_NOT_TRIED */
};

/* ---- told ---- */

/* From the agent: for so many seconds; 0 takes it back. From the relay, which has it now: how often it has refused
 * somebody for it, or why it did not take it. */
struct lane_ban {
    const char *address; /* or ADDRESS/PREFIX */
    int64_t seconds, hits;
    const char *why; /* "" when it was taken */
};

struct lane_cert {
    const char *item;
    const char *state;     /* none, waiting, ordering, valid, failing or expired */
    const char *not_after; /* RFC 3339, or "" */
    const char *why;
};

struct lane_notice {
    const char *level; /* info, warn or error */
    const char *text;
};
#endif
