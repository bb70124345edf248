#include "relay/edge/mailbox.h"

#include "shared/mem.h"

#include <stdlib.h>

static void on_posted(uv_async_t *async)
{
    struct mailbox *m = async->data;
    struct mail *mails;
    size_t n;

    uv_mutex_lock(&m->lock);
    mails = m->mails;
    n = m->n;
    m->mails = NULL;
    m->n = m->room = 0;
    uv_mutex_unlock(&m->lock);
    for (size_t i = 0; i < n; i++)
        m->read(m->user, &mails[i]);
    free(mails);
}

void mailbox_init(struct mailbox *m, uv_loop_t *loop, void (*read)(void *user, const struct mail *mail),
                  void *user)
{
    *m = (struct mailbox){ .read = read, .user = user };
    uv_mutex_init(&m->lock);
    uv_async_init(loop, &m->async, on_posted);
    m->async.data = m;
}

void mailbox_post(struct mailbox *m, const struct mail *mail)
{
    uv_mutex_lock(&m->lock);
    if (m->n == m->room) {
        m->room = m->room ? 2 * m->room : 8;
        m->mails = mem_grow(m->mails, m->room * sizeof *m->mails);
    }
    m->mails[m->n++] = *mail;
    /* Inside the lock: whoever closes the box afterwards has seen this send. */
    uv_async_send(&m->async);
    uv_mutex_unlock(&m->lock);
}

void mailbox_close(struct mailbox *m, uv_close_cb closed)
{
    uv_close((uv_handle_t *)&m->async, closed);
}

void mailbox_free(struct mailbox *m)
{
    for (size_t i = 0; i < m->n; i++)
        m->read(m->user, &m->mails[i]);
    uv_mutex_destroy(&m->lock);
    free(m->mails);
}
