/* relay/edge/mailbox.h - messages from other threads to the thread of one loop, in order.
 *
 * A value, embedded, alive on the loop of the thread that reads it. Any thread may post. */
#ifndef RELAY_EDGE_MAILBOX_H
#define RELAY_EDGE_MAILBOX_H
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

enum mail_type {
    MAIL_SNAPSHOT, /* to a worker: p is a snapshot, which it takes */
    MAIL_ENDED,    /* n: how */
    MAIL_CONSUMED, /* n: how many bytes in all */
    MAIL_LISTEN,   /* to a worker: n is a listening socket, which it takes; stream: 1 secure, 2 proxied */
    MAIL_DRAIN,
    MAIL_STOP,
    MAIL_PROVED, /* to the control plane */
    MAIL_SILENT,
    MAIL_ABORTED,
    MAIL_WAITS, /* stream: index of the worker; n: the service; at_ms: since when; and on to the other workers */
    MAIL_SHOWS,   /* lane: index of the worker; n: serial of the challenges that it shows from now on */
    MAIL_SPLICED, /* n: address and port that sshd sees; p: the visitor's address, allocated */
    MAIL_PARTED,  /* n: the same */
    MAIL_ENDLESS, /* lane: index of the worker, which drains; n: whether nothing is left that has an end of its own */
    MAIL_WORKER_ENDED,
};

struct mail {
    enum mail_type type;
    uint64_t lane, stream, n; /* as far as the type is about them */
    int64_t at_ms;
    void *p;
};

struct mailbox {
    uv_async_t async;
    uv_mutex_t lock;
    struct mail *mails;
    size_t n, room;
    void (*read)(void *user, const struct mail *mail);
    void *user;
};

void mailbox_init(struct mailbox *m, uv_loop_t *loop, void (*read)(void *user, const struct mail *mail),
                  void *user);
void mailbox_post(struct mailbox *m, const struct mail *mail);
/* On the reading thread. What is posted afterwards stays until mailbox_free. */
void mailbox_close(struct mailbox *m, uv_close_cb closed);
/* Once closed, and nobody posts any more. Hands over what is left, so that nothing it owns is lost. */
void mailbox_free(struct mailbox *m);
#endif
