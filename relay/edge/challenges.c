#include "relay/edge/challenges.h"

#include "shared/arena.h"
#include "shared/domain.h"
#include "shared/mem.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct text {
    const char *path, *host, *text;
};

struct context {
    const char *server_name;
    SSL_CTX *tls;
};

struct challenges {
    atomic_int refs;
    uint64_t serial;
    struct arena strings;
    struct text *texts;
    struct context *contexts;
    size_t texts_n, contexts_n;
};

/* ---- building ---- */

struct challenges *challenges_new(uint64_t serial)
{
    struct challenges *c = mem_new(sizeof *c);

    atomic_init(&c->refs, 1);
    c->serial = serial;
    arena_init(&c->strings, 0);
    return c;
}

void challenges_add_text(struct challenges *c, const char *path, const char *host, const char *text)
{
    c->texts = mem_grow(c->texts, (c->texts_n + 1) * sizeof *c->texts);
    c->texts[c->texts_n++] = (struct text){ arena_copy(&c->strings, path), arena_copy(&c->strings, host),
                                            arena_copy(&c->strings, text) };
}

void challenges_add_tls(struct challenges *c, const char *server_name, SSL_CTX *tls)
{
    c->contexts = mem_grow(c->contexts, (c->contexts_n + 1) * sizeof *c->contexts);
    c->contexts[c->contexts_n++] = (struct context){ arena_copy(&c->strings, server_name), tls };
    SSL_CTX_up_ref(tls);
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct text *)a)->path, ((const struct text *)b)->path);
}

static int by_server_name(const void *a, const void *b)
{
    return strcmp(((const struct context *)a)->server_name, ((const struct context *)b)->server_name);
}

void challenges_finish(struct challenges *c)
{
    if (c->texts_n > 0)
        qsort(c->texts, c->texts_n, sizeof *c->texts, by_path);
    if (c->contexts_n > 0)
        qsort(c->contexts, c->contexts_n, sizeof *c->contexts, by_server_name);
}

struct challenges *challenges_hold(struct challenges *c)
{
    if (c)
        atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    return c;
}

void challenges_release(struct challenges *c)
{
    if (!c || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) > 1)
        return;
    for (size_t i = 0; i < c->contexts_n; i++)
        SSL_CTX_free(c->contexts[i].tls);
    free(c->contexts);
    free(c->texts);
    arena_free(&c->strings);
    free(c);
}

/* ---- asking ---- */

uint64_t challenges_serial(const struct challenges *c)
{
    return c ? c->serial : 0;
}

static bool is_for(const struct text *t, struct str host)
{
    char name[DOMAIN_BYTES];

    return t->host[0] == '\0' || (domain_normalize(host, name) && strcmp(name, t->host) == 0);
}

/* One path may be shown for several hosts, which then stand side by side. */
static const char *text_of(const struct challenges *c, const char *path, struct str host)
{
    const struct text key = { .path = path };
    const struct text *found = bsearch(&key, c->texts, c->texts_n, sizeof key, by_path);

    if (!found)
        return NULL;
    while (found > c->texts && by_path(found - 1, &key) == 0)
        found--;
    for (; found < c->texts + c->texts_n && by_path(found, &key) == 0; found++)
        if (is_for(found, host))
            return found->text;
    return NULL;
}

const char *challenges_text(const struct challenges *c, struct str path, struct str host)
{
    static const char prefix[] = "/.well-known/";
    const char *query = path.n > 0 ? memchr(path.p, '?', path.n) : NULL;
    size_t n = query ? (size_t)(query - path.p) : path.n;
    char text[512];

    if (!c || c->texts_n == 0 || n >= sizeof text || n < sizeof prefix ||
        memcmp(path.p, prefix, sizeof prefix - 1) != 0)
        return NULL;
    memcpy(text, path.p, n);
    text[n] = '\0';
    return text_of(c, text, host);
}

SSL_CTX *challenges_tls(const struct challenges *c, struct str server_name)
{
    char name[DOMAIN_BYTES];
    const struct context key = { .server_name = name };
    const struct context *found;

    if (!c || c->contexts_n == 0 || !domain_normalize(server_name, name))
        return NULL;
    found = bsearch(&key, c->contexts, c->contexts_n, sizeof key, by_server_name);
    return found ? found->tls : NULL;
}
