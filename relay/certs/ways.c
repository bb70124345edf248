/* One thing that is shown, from the job that asks for it to its end:
 *
 *   job's thread                             loop
 *   put: ASKED ──────────────────────────▶  on_posted: to the board, SHOWING
 *        waits                               every worker shows it: SHOWN; or the board cannot, or closes: FAILED
 *        ◀───────────────────────────────────┘
 *   take: leaves it behind ──────────────▶  on_posted: from the board, freed
 *
 * Everything of it is behind one lock, which nobody holds while he calls the board. */
#include "relay/certs/ways.h"

#include "relay/certs/validation_cert.h"
#include "shared/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LOOK_MS = 100 }; /* at whether the job was cancelled */

enum state { W_ASKED, W_SHOWING, W_SHOWN, W_FAILED };

struct shown {
    struct shown *next;
    struct ways *ways;
    enum state state;
    bool left;   /* by its job: it is only to be taken away and freed */
    uint64_t id; /* at the board; the loop's alone */
    char *key;   /* by which take finds it: a path or a server name */
    char *text;  /* NULL: it is a context */
    SSL_CTX *tls;
    struct err why;
};

struct ways {
    struct board *board;
    struct challenge_ways challenges;
    uv_async_t posted;
    uv_mutex_t lock;
    uv_cond_t news;
    struct shown *list;
    bool stopped;
    void (*closed)(void *user);
    void *user;
};

static int put_challenge(void *user, const struct challenge *c, struct job *job, struct err *e);
static void take_challenge(void *user, const struct challenge *c);
static void on_posted(uv_async_t *async);

struct ways *ways_start(struct loop *loop, struct board *borrows)
{
    struct ways *w = mem_new(sizeof *w);

    w->board = borrows;
    w->challenges = (struct challenge_ways){ put_challenge, take_challenge, w };
    if (uv_mutex_init(&w->lock) != 0 || uv_cond_init(&w->news) != 0)
        abort(); /* glibc's cannot fail */
    uv_async_init(&loop->uv, &w->posted, on_posted);
    w->posted.data = w;
    return w;
}

const struct challenge_ways *ways_challenges(const struct ways *w)
{
    return &w->challenges;
}

/* ---- on the job's thread ---- */

/* Inside the lock: whoever stops afterwards has seen this send. */
static void post(struct ways *w)
{
    if (!w->stopped)
        uv_async_send(&w->posted);
}

static struct shown *ask(struct ways *w, const struct shown *what)
{
    struct shown *s = mem_new(sizeof *s);

    *s = *what;
    s->ways = w;
    uv_mutex_lock(&w->lock);
    if (w->stopped) {
        s->state = W_FAILED;
        err_set(&s->why, ERR_STOPPED, "the relay is stopping");
    }
    s->next = w->list;
    w->list = s;
    post(w);
    uv_mutex_unlock(&w->lock);
    return s;
}

static uint64_t now_ms(void)
{
    return uv_hrtime() / 1000000;
}

/* What was asked for and is not wanted any more is left to the loop. */
static int wait_until_shown(struct ways *w, struct shown *s, struct job *job, struct err *e)
{
    const uint64_t until = now_ms() + WAYS_SHOW_MS;
    struct err why = { 0 };
    bool late = false;

    uv_mutex_lock(&w->lock);
    while (s->state < W_SHOWN && !job_cancelled(job) && !(late = now_ms() >= until))
        uv_cond_timedwait(&w->news, &w->lock, (uint64_t)LOOK_MS * 1000000);
    if (s->state == W_FAILED)
        why = s->why;
    else if (late)
        err_set(&why, ERR_TIMEOUT, "not every worker shows it after %d s; is this machine overloaded?",
                WAYS_SHOW_MS / 1000);
    else if (s->state != W_SHOWN)
        err_set(&why, ERR_STOPPED, "it was cancelled");
    if (why.code != ERR_NONE) {
        s->left = true;
        post(w);
    }
    uv_mutex_unlock(&w->lock);
    return why.code == ERR_NONE ? 0 : err_set(e, why.code, "%s", why.text);
}

static void take(struct ways *w, const char *key)
{
    uv_mutex_lock(&w->lock);
    for (struct shown *s = w->list; s; s = s->next)
        if (!s->left && s->state == W_SHOWN && strcmp(s->key, key) == 0) {
            s->left = true;
            post(w);
            break;
        }
    uv_mutex_unlock(&w->lock);
}

/* "/.well-known/acme-challenge/TOKEN", or the server name that tls-alpn-01 asks for. */
static void key_of(const struct challenge *c, char out[DOMAIN_BYTES])
{
    if (c->type == CHALLENGE_HTTP_01)
        snprintf(out, DOMAIN_BYTES, BOARD_HTTP_01 "%s", c->token);
    else
        validation_server_name(c->name, out);
}

static int put_challenge(void *user, const struct challenge *c, struct job *job, struct err *e)
{
    struct shown what = { 0 };
    struct ways *w = user;
    char key[DOMAIN_BYTES];

    if (c->type != CHALLENGE_HTTP_01 && c->type != CHALLENGE_TLS_ALPN_01)
        return err_set(e, ERR_INPUT, "%s: the relay itself cannot show a %s challenge", c->name,
                       challenge_type_name(c->type));
    key_of(c, key);
    if (c->type == CHALLENGE_HTTP_01)
        what.text = mem_copy(c->key_authorization);
    else if (!(what.tls = validation_context(c, time(NULL), e)))
        return -1;
    what.key = mem_copy(key);
    return wait_until_shown(w, ask(w, &what), job, e) == 0
               ? 0
               : err_wrap(e, "%s: %s", c->name, challenge_type_name(c->type));
}

static void take_challenge(void *user, const struct challenge *c)
{
    char key[DOMAIN_BYTES];

    key_of(c, key);
    take(user, key);
}

int ways_put_nonce(struct ways *w, const char *nonce, struct job *job, struct err *e)
{
    struct shown what = { .text = mem_copy(nonce), .key = mem_format(BOARD_CHECK "%s", nonce) };

    return wait_until_shown(w, ask(w, &what), job, e) == 0 ? 0 : err_wrap(e, "the nonce of the check");
}

void ways_take_nonce(struct ways *w, const char *nonce)
{
    char *key = mem_format(BOARD_CHECK "%s", nonce);

    take(w, key);
    free(key);
}

/* ---- on the loop ---- */

static void tell(struct shown *s, enum state state, const struct err *why)
{
    struct ways *w = s->ways;

    uv_mutex_lock(&w->lock);
    s->state = state;
    if (why)
        s->why = *why;
    uv_cond_broadcast(&w->news);
    uv_mutex_unlock(&w->lock);
}

static void on_settled(void *user, bool shown)
{
    struct err why = { 0 };

    err_set(&why, ERR_STOPPED, "the relay is stopping");
    tell(user, shown ? W_SHOWN : W_FAILED, shown ? NULL : &why);
}

static void put_up(struct ways *w, struct shown *s)
{
    struct err why = { 0 };

    tell(s, W_SHOWING, NULL);
    s->id = s->tls ? board_put_tls(w->board, s->key, s->tls, on_settled, s, &why)
                   : board_put_text(w->board, s->key, "", s->text, on_settled, s, &why);
    if (s->id == 0)
        tell(s, W_FAILED, &why);
}

static void shown_free(struct shown *s)
{
    free(s->key);
    free(s->text);
    SSL_CTX_free(s->tls);
    free(s);
}

/* NULL: there is nothing to be done. *gone: it is to be taken away, and is in the list no more. */
static struct shown *next_to_do(struct ways *w, bool *gone)
{
    struct shown *found = NULL;

    uv_mutex_lock(&w->lock);
    for (struct shown **at = &w->list; *at && !found; at = found ? at : &(*at)->next)
        if ((*at)->left || (*at)->state == W_ASKED) {
            found = *at;
            *gone = found->left;
            if (*gone)
                *at = found->next;
        }
    uv_mutex_unlock(&w->lock);
    return found;
}

static void on_posted(uv_async_t *async)
{
    struct ways *w = async->data;
    struct shown *s;
    bool gone;

    while ((s = next_to_do(w, &gone))) {
        if (!gone) {
            put_up(w, s);
            continue;
        }
        if (s->id != 0)
            board_take(w->board, s->id);
        shown_free(s);
    }
}

/* ---- end ---- */

static void on_closed(uv_handle_t *handle)
{
    struct ways *w = handle->data;

    w->closed(w->user);
}

/* The board may have closed before, and told those whom it knew. */
void ways_stop(struct ways *w, void (*closed)(void *user), void *user)
{
    w->closed = closed;
    w->user = user;
    uv_mutex_lock(&w->lock);
    w->stopped = true;
    for (struct shown *s = w->list; s; s = s->next)
        if (s->state == W_ASKED || s->state == W_SHOWING) {
            s->state = W_FAILED;
            err_set(&s->why, ERR_STOPPED, "the relay is stopping");
        }
    uv_cond_broadcast(&w->news);
    uv_mutex_unlock(&w->lock);
    uv_close((uv_handle_t *)&w->posted, on_closed);
}

void ways_free(struct ways *w)
{
    if (!w)
        return;
    while (w->list) {
        struct shown *s = w->list;

        w->list = s->next;
        shown_free(s);
    }
    uv_cond_destroy(&w->news);
    uv_mutex_destroy(&w->lock);
    free(w);
}
