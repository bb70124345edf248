#include "tests/linesim/control.h"

#include "shared/mem.h"
#include "tests/linesim/address.h"
#include "tests/linesim/command.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { COMMAND_BYTES_MAX = 4096 };

struct client {
    struct control *control;
    struct watch watch;
    struct buf in, out;
    TAILQ_ENTRY(client) link;
};

struct control {
    struct sim *sim;
    struct watch watch;
    char *path; /* NULL until the file is ours */
    TAILQ_HEAD(clients, client) clients;
};

static void on_client_connected(void *user, uint32_t events);
static void on_client_ready(void *user, uint32_t events);

struct control *control_new(struct sim *s, const char *path, struct err *e)
{
    char *text = mem_format("unix:%s", path);
    struct control *c = mem_new(sizeof *c);
    struct address address;
    int rc = address_parse(&address, str_of(text), e);

    free(text);
    *c = (struct control){ .sim = s, .watch = { -1, c, on_client_connected } };
    TAILQ_INIT(&c->clients);
    if (rc != 0)
        goto fail;
    c->watch.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (c->watch.fd < 0 || bind(c->watch.fd, (struct sockaddr *)&address.addr, address.len) != 0) {
        err_errno(e, errno, "cannot make the control socket %s", path);
        goto fail;
    }
    c->path = mem_copy(path);
    if (listen(c->watch.fd, 64) != 0) {
        err_errno(e, errno, "cannot listen on %s", path);
        goto fail;
    }
    loop_add(&s->loop, &c->watch, EPOLLIN);
    return c;
fail:
    control_free(c);
    return NULL;
}

static void on_client_connected(void *user, uint32_t events)
{
    struct control *c = user;
    struct client *client;
    int fd = accept4(c->watch.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    (void)events;
    if (fd < 0)
        return;
    client = mem_new(sizeof *client);
    client->control = c;
    client->watch = (struct watch){ fd, client, on_client_ready };
    TAILQ_INSERT_TAIL(&c->clients, client, link);
    loop_add(&c->sim->loop, &client->watch, EPOLLIN);
}

static void client_free(struct client *client)
{
    TAILQ_REMOVE(&client->control->clients, client, link);
    loop_close(&client->watch);
    buf_free(&client->in);
    buf_free(&client->out);
    free(client);
}

/* Returns false when the client has gone, or sends what can be no command. */
static bool client_read(struct client *client)
{
    ssize_t n = recv(client->watch.fd, buf_space(&client->in, COMMAND_BYTES_MAX), COMMAND_BYTES_MAX, 0);
    const char *newline;

    if (n <= 0)
        return n < 0 && (errno == EAGAIN || errno == EINTR);
    buf_added(&client->in, (size_t)n);
    while ((newline = memchr(buf_bytes(&client->in), '\n', client->in.len))) {
        struct str line = { buf_bytes(&client->in), (size_t)(newline - buf_bytes(&client->in)) };

        command_run(client->control->sim, line, &client->out);
        buf_take(&client->in, line.n + 1);
    }
    return client->in.len < COMMAND_BYTES_MAX;
}

static bool client_write(struct client *client)
{
    while (client->out.len > 0) {
        ssize_t n = send(client->watch.fd, buf_bytes(&client->out), client->out.len, MSG_NOSIGNAL);

        if (n < 0 && errno == EAGAIN)
            break;
        if (n < 0 && errno != EINTR)
            return false;
        buf_take(&client->out, n > 0 ? (size_t)n : 0);
    }
    /* Who does not fetch its answers may not send more commands. */
    loop_change(&client->control->sim->loop, &client->watch, client->out.len > 0 ? EPOLLOUT : EPOLLIN);
    return true;
}

static void on_client_ready(void *user, uint32_t events)
{
    struct client *client = user;

    if (((events & EPOLLIN) && !client_read(client)) || !client_write(client) ||
        (events & (EPOLLHUP | EPOLLERR)))
        client_free(client);
}

void control_free(struct control *c)
{
    struct client *client;

    if (!c)
        return;
    while ((client = TAILQ_FIRST(&c->clients)))
        client_free(client);
    loop_close(&c->watch);
    if (c->path)
        unlink(c->path);
    free(c->path);
    free(c);
}
