/* relay/certs/board.h - what those who validate names are shown, and since when every worker shows it.
 *
 * An object of the control plane. It says `changed` when the workers need a snapshot with what board_challenges has by
 * then; board_shown tells it how far they are. */
#ifndef RELAY_CERTS_BOARD_H
#define RELAY_CERTS_BOARD_H
#include "relay/edge/challenges.h"
#include "shared/err.h"

struct board;

struct board *board_new(void (*changed)(void *user), void *user);
void board_free(struct board *b); /* NULL is fine */

/* Called once, later, from the loop: true when every worker shows it, false when the board closes before. */
typedef void (*board_settled_cb)(void *user, bool shown);

/* Text at a path below /.well-known/, by HTTP with and without TLS, whatever site is asked; host: to who asks that one alone
 * ("": to anybody). All is copied. Returns an id for board_take; 0 with the reason: `settled` is not called. */
uint64_t board_put_text(struct board *b, const char *path, const char *host, const char *text,
                        board_settled_cb settled, void *user, struct err *e);
/* A context to who offers acme-tls/1 alone, and asks for this server name. Gets a reference of its own. ERR_TAKEN: another
 * one is shown there, and there can be only one. */
uint64_t board_put_tls(struct board *b, const char *server_name, SSL_CTX *tls, board_settled_cb settled,
                       void *user, struct err *e);
void board_take(struct board *b, uint64_t id); /* what has not settled will not */

struct challenges *board_challenges(struct board *b); /* all of it, borrowed until the next call */
void board_shown(struct board *b, uint64_t serial);   /* every worker shows the challenges of this serial */
void board_close(struct board *b);                    /* nothing more is put up; who waits is told so */

/* "/.well-known/acme-challenge/TOKEN", for http-01; "/.well-known/tunnel-check/NONCE", for the pre-flight. */
#define BOARD_HTTP_01 "/.well-known/acme-challenge/"
#define BOARD_CHECK   "/.well-known/tunnel-check/"
#endif
