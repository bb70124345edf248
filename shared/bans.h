/* shared/bans.h - addresses and networks that are not served, each for a time: a list of bounded length.
 *
 * Of one thread; its entries are counted objects, which others may hold: only their hits change. */
#ifndef SHARED_BANS_H
#define SHARED_BANS_H
#include "shared/cidr.h"

#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    BANS_MAX = 1000,
    BANS_FOR_S = 86400,              /* how long, when nobody says */
    BANS_AGENT_MAX_S = 86400,        /* an agent's, for its own sites */
    BANS_RELAY_MAX_S = 3650 * 86400, /* a relay's own */
    BANS_ADDRESS_BYTES = 64,         /* of ADDRESS/PREFIX as text, with its NUL */
};

struct ban {
    struct cidr net;
    int64_t since, until; /* Unix time */
    atomic_ullong hits;   /* connections and requests that were refused */
    uint64_t told;        /* of them, to whoever is to know; of the list's thread */
    atomic_size_t refs;
};

struct ban *ban_hold(struct ban *b);
void ban_release(struct ban *b); /* NULL is fine */
void ban_text(const struct ban *b, char out[BANS_ADDRESS_BYTES]);

struct bans {
    struct ban **list;
    size_t n;
};

void bans_free(struct bans *b);
struct ban *bans_find(const struct bans *b, const struct cidr *net); /* NULL: it is none of them */
/* Adds it, or gives it another end. ERR_LIMIT when there are BANS_MAX already. */
must_check int bans_put(struct bans *b, const struct cidr *net, int64_t now, int64_t until, struct err *e);
bool bans_take_out(struct bans *b, const struct cidr *net); /* false: it was none of them */
bool bans_expire(struct bans *b, int64_t now);              /* true: some have ended */

/* ADDRESS or ADDRESS/PREFIX of somebody who can be banned: not of this machine itself, and no half of the internet. */
must_check int bans_read_net(struct str text, struct cidr *net, struct err *e);
bool bans_overlap(const struct cidr *a, const struct cidr *b);

/* {address, since, until, hits}. A new reference. */
json_t *ban_json(const struct ban *b);
/* The same of what was done ("banned", "unbanned") with this one, which is named even when it is none of them now. */
json_t *bans_done(const struct bans *b, const struct cidr *net, const char *done);
/* The file that a daemon keeps them in; one that is not there is an empty list, and what has ended is left out. Names
 * with `key` which list of the file it is: the object has further ones. */
must_check int bans_from_json(struct bans *b, const json_t *doc, const char *key, int64_t now, struct err *e);
json_t *bans_to_json(const struct bans *b);
/* Reads that file, if it is there, with a reader of its lists. What cannot be read is told in the log. */
typedef int (*bans_lists_cb)(void *user, const json_t *doc, struct err *e);
void bans_read_file(const char *path, size_t max_bytes, bans_lists_cb read_lists, void *user);

/* What both control sockets answer with: reads {address, for_s}; 0: it has no for_s. */
must_check int bans_read_request(const json_t *request, int64_t most_s, struct cidr *net, int64_t *for_s,
                                 struct err *e);
/* The last segment of /v1/bans/ADDRESS, where a / is written as %2F. */
must_check int bans_read_path(struct str segment, struct cidr *net, struct err *e);
#endif
