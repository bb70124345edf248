#include "relay/edge/crowd.h"

#include "relay/edge/headers.h"
#include "shared/log.h"
#include "shared/mem.h"
#include "shared/source.h"

#include <assert.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { BUCKETS = 8192 };

struct crowd_source {
    struct crowd_source *next;
    uint64_t key;
    int64_t n;
};

void crowd_init(struct crowd *c)
{
    *c = (struct crowd){ .table = mem_new(BUCKETS * sizeof(void *)) };
    uv_mutex_init(&c->lock);
    if (getrandom(&c->seed, sizeof c->seed, 0) != (ssize_t)sizeof c->seed)
        abort(); /* or who chooses his addresses could make one bucket hold them all */
}

void crowd_free(struct crowd *c)
{
    uv_mutex_destroy(&c->lock);
    free(c->table);
}

static struct crowd_source **find(struct crowd *c, uint64_t key)
{
    uint64_t hash = (key ^ c->seed) * 0x9e3779b97f4a7c15u;
    struct crowd_source **at;

    hash = (hash ^ hash >> 29) * 0xbf58476d1ce4e5b9u;
    at = &c->table[(hash >> 32) % BUCKETS];
    while (*at && (*at)->key != key)
        at = &(*at)->next;
    return at;
}

static enum crowd_answer add(struct crowd *c, uint64_t key, bool many, const struct crowd_limits *limits)
{
    struct crowd_source **at = find(c, key);

    if (*at && !many && limits->max_per_source > 0 && (*at)->n >= limits->max_per_source)
        return CROWD_SOURCE_HAS_ENOUGH;
    if (!*at) {
        *at = mem_new(sizeof **at);
        (*at)->key = key;
    }
    (*at)->n++;
    c->n++;
    return CROWD_IN;
}

static enum crowd_answer enter(struct crowd *c, uint64_t key, bool many, const struct crowd_limits *limits)
{
    return limits->max > 0 && c->n >= (uint64_t)limits->max ? CROWD_FULL : add(c, key, many, limits);
}

enum crowd_answer crowd_enter(struct crowd *c, const struct sockaddr_storage *addr, bool many,
                              const struct crowd_limits *limits, uint64_t *place)
{
    enum crowd_answer answer;

    *place = source_key(addr);
    uv_mutex_lock(&c->lock);
    answer = enter(c, *place, many || *place == SOURCE_NONE, limits);
    uv_mutex_unlock(&c->lock);
    return answer;
}

static void say_enough(const struct sockaddr_storage *addr)
{
    char peer[64];

    headers_address_text(addr, peer, sizeof peer);
    log_warn_limited(peer, "closed a visitor's connection: there are max_per_source from that address",
                     kv_str("peer", peer));
}

bool crowd_admit(struct crowd *c, const struct sockaddr_storage *addr, const struct cidrs *trusted,
                 const struct crowd_limits *limits, uint64_t *place)
{
    switch (crowd_enter(c, addr, cidrs_have(trusted, addr), limits, place)) {
    case CROWD_IN: return true;
    case CROWD_FULL:
        log_warn_limited("crowd", "closed a visitor's connection: there are max_connections of them");
        return false;
    case CROWD_SOURCE_HAS_ENOUGH: break;
    }
    say_enough(addr);
    return false;
}

static void leave(struct crowd *c, uint64_t key)
{
    struct crowd_source **at = find(c, key), *source = *at;

    assert(source);
    c->n--;
    if (--source->n == 0) {
        *at = source->next;
        free(source);
    }
}

bool crowd_move(struct crowd *c, const struct sockaddr_storage *addr, const struct cidrs *trusted,
                const struct crowd_limits *limits, uint64_t *place)
{
    uint64_t key = source_key(addr);
    bool many = cidrs_have(trusted, addr) || key == SOURCE_NONE, moves = true;

    if (key == *place)
        return true;
    uv_mutex_lock(&c->lock);
    if (add(c, key, many, limits) == CROWD_IN)
        leave(c, *place);
    else
        moves = false;
    uv_mutex_unlock(&c->lock);
    if (moves)
        *place = key;
    else
        say_enough(addr);
    return moves;
}

void crowd_leave(struct crowd *c, uint64_t place)
{
    uv_mutex_lock(&c->lock);
    leave(c, place);
    uv_mutex_unlock(&c->lock);
}
