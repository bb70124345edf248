#include "relay/certs/board.h"

#include "shared/mem.h"

#include <stdlib.h>
#include <string.h>

struct notice {
    struct notice *next;
    uint64_t id, serial;      /* serial: of the first challenges that have it */
    char *name, *host, *text; /* name: a path, or a server name */
    SSL_CTX *tls;             /* NULL: it is a text */
    board_settled_cb settled; /* NULL: has been called */
    void *user;
};

struct board {
    void (*changed)(void *user);
    void *user;
    struct notice *notices;
    uint64_t last_id, serial;
    struct challenges *challenges; /* of this serial, or an older one */
    bool closed;
};

struct board *board_new(void (*changed)(void *user), void *user)
{
    struct board *b = mem_new(sizeof *b);

    b->changed = changed;
    b->user = user;
    return b;
}

/* ---- putting up, taking away ---- */

static void note_change(struct board *b)
{
    b->serial++;
    b->changed(b->user);
}

static uint64_t put(struct board *b, const struct notice *notice)
{
    struct notice *n = mem_new(sizeof *n);

    *n = *notice;
    n->id = ++b->last_id;
    n->serial = b->serial + 1;
    n->next = b->notices;
    b->notices = n;
    note_change(b);
    return n->id;
}

static int refuse_when_closed(const struct board *b, struct err *e)
{
    return b->closed ? err_set(e, ERR_STOPPED, "the relay is stopping") : 0;
}

uint64_t board_put_text(struct board *b, const char *path, const char *host, const char *text,
                        board_settled_cb settled, void *user, struct err *e)
{
    if (refuse_when_closed(b, e) != 0)
        return 0;
    return put(b, &(struct notice){ .name = mem_copy(path),
                                    .host = mem_copy(host),
                                    .text = mem_copy(text),
                                    .settled = settled,
                                    .user = user });
}

uint64_t board_put_tls(struct board *b, const char *server_name, SSL_CTX *tls, board_settled_cb settled,
                       void *user, struct err *e)
{
    if (refuse_when_closed(b, e) != 0)
        return 0;
    for (const struct notice *n = b->notices; n; n = n->next)
        if (n->tls && strcmp(n->name, server_name) == 0) {
            err_set(e, ERR_TAKEN,
                    "%s: another order shows its tls-alpn-01 challenge there; try again when that has ended",
                    server_name);
            return 0;
        }
    SSL_CTX_up_ref(tls);
    return put(
        b, &(struct notice){ .name = mem_copy(server_name), .tls = tls, .settled = settled, .user = user });
}

static void notice_free(struct notice *n)
{
    free(n->name);
    free(n->host);
    free(n->text);
    SSL_CTX_free(n->tls);
    free(n);
}

void board_take(struct board *b, uint64_t id)
{
    for (struct notice **at = &b->notices; *at; at = &(*at)->next)
        if ((*at)->id == id) {
            struct notice *gone = *at;

            *at = gone->next;
            notice_free(gone);
            note_change(b);
            return;
        }
}

/* ---- what is published, and how far that is ---- */

struct challenges *board_challenges(struct board *b)
{
    if (b->challenges && challenges_serial(b->challenges) == b->serial)
        return b->challenges;
    challenges_release(b->challenges);
    b->challenges = challenges_new(b->serial);
    for (const struct notice *n = b->notices; n; n = n->next) {
        if (n->tls)
            challenges_add_tls(b->challenges, n->name, n->tls);
        else
            challenges_add_text(b->challenges, n->name, n->host, n->text);
    }
    challenges_finish(b->challenges);
    return b->challenges;
}

/* Who is told may put up and take away in turn, so the list is walked anew each time. */
static bool settle_one(struct board *b, uint64_t serial, bool shown)
{
    for (struct notice *n = b->notices; n; n = n->next) {
        board_settled_cb settled = n->settled;

        if (!settled || n->serial > serial)
            continue;
        n->settled = NULL;
        settled(n->user, shown);
        return true;
    }
    return false;
}

void board_shown(struct board *b, uint64_t serial)
{
    while (settle_one(b, serial, true))
        continue;
}

void board_close(struct board *b)
{
    b->closed = true;
    while (settle_one(b, UINT64_MAX, false))
        continue;
}

void board_free(struct board *b)
{
    if (!b)
        return;
    while (b->notices) {
        struct notice *gone = b->notices;

        b->notices = gone->next;
        notice_free(gone);
    }
    challenges_release(b->challenges);
    free(b);
}
