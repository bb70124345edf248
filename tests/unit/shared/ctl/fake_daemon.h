/* tests/unit/shared/ctl/fake_daemon.h - a daemon that answers one request with bytes of the test's choice. */
#ifndef TESTS_UNIT_SHARED_CTL_FAKE_DAEMON_H
#define TESTS_UNIT_SHARED_CTL_FAKE_DAEMON_H
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shared/unix_socket.h"

struct fake_daemon {
    struct unix_listener socket;
    pthread_t thread;
    const char *reply;
    size_t reply_n;
    bool hasty;      /* closes without having read the request */
    char heard[512]; /* the request */
};

static inline void *fake_daemon_run(void *user)
{
    struct fake_daemon *d = user;
    struct pollfd caller = { .fd = d->socket.fd, .events = POLLIN };
    size_t n = 0;
    int fd;

    while (poll(&caller, 1, -1) != 1)
        continue;
    fd = accept(d->socket.fd, NULL, NULL);
    while (!d->hasty && n + 1 < sizeof d->heard && !strstr(d->heard, "\r\n\r\n")) {
        ssize_t got = read(fd, d->heard + n, sizeof d->heard - 1 - n);

        if (got <= 0)
            break;
        n += (size_t)got;
    }
    for (size_t at = 0; at < d->reply_n;) {
        ssize_t sent = send(fd, d->reply + at, d->reply_n - at, MSG_NOSIGNAL);

        if (sent <= 0)
            break;
        at += (size_t)sent;
    }
    close(fd);
    return NULL;
}

/* It listens when this returns. */
static inline void fake_daemon_begin(struct fake_daemon *d, const char *path, const char *reply, size_t n)
{
    bool hasty = d->hasty;

    *d = (struct fake_daemon){ .reply = reply, .reply_n = n, .hasty = hasty };
    if (unix_listen(&d->socket, path, NULL, 0600, NULL) != 0 ||
        pthread_create(&d->thread, NULL, fake_daemon_run, d) != 0)
        abort();
}

static inline void fake_daemon_end(struct fake_daemon *d)
{
    pthread_join(d->thread, NULL);
    close(d->socket.fd);
    unix_listener_remove(&d->socket);
}
#endif
