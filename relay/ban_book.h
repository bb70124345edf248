/* relay/ban_book.h - who is refused: the relay's own list, for every visitor, and each agent's, for what it serves.
 *
 * Kept in STATE_DIR/bans.json, so that a restart lets nobody in. Of the control plane's thread. */
#ifndef RELAY_BAN_BOOK_H
#define RELAY_BAN_BOOK_H
#include "relay/edge/snapshot.h"
#include "shared/http/server.h"
#include "shared/lane_types.h"

struct ban_book;

struct ban_book_host {
    void (*changed)(void *user, bool by_agent); /* publish a new snapshot */
    void (*say)(void *user, const char *agent, const struct lane_msg *m);
    const struct cidrs *(*trusted)(void *user); /* proxies, which are never refused */
    void *user;
};

/* Borrows host. A file that cannot be read is told of, and the list begins anew. */
struct ban_book *ban_book_open(const char *state_dir, const struct ban_book_host *host);
void ban_book_free(struct ban_book *b); /* writes what is not written yet; NULL is fine */
void ban_book_hear(struct ban_book *b, const char *agent, const struct lane_msg *m); /* a LANE_BAN */
void ban_book_tick(struct ban_book *b); /* every few seconds: ends, files, and hits that agents are told of */
void ban_book_add_to_snapshot(struct ban_book *b, struct snapshot *s);

void ban_book_answer_list(struct ban_book *b, struct http_reply *reply);
void ban_book_answer_add(struct ban_book *b, const struct http_request *request, struct http_reply *reply);
void ban_book_answer_remove(struct ban_book *b, const struct http_request *request, struct http_reply *reply);
#endif
