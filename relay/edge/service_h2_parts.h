/* relay/edge/service_h2_parts.h - what service_h2.c and service_h2_member.c share. */
#ifndef RELAY_EDGE_SERVICE_H2_PARTS_H
#define RELAY_EDGE_SERVICE_H2_PARTS_H
#include "relay/edge/h2_client.h"
#include "relay/edge/service_h2.h"
#include "relay/edge/stillness.h"

/* A request on it. */
struct member {
    struct service_h2 *conn;
    struct member *prev, *next;
    struct h2_call *call;
    const struct upstream_events *events;
    void *user;
    bool admitted, was_full;
    bool told; /* that its response is whole */
    struct stillness stillness;
};

struct service_h2 {
    struct service_h2 *next; /* of the lane's */
    struct lane *lane;       /* NULL: it is on no list any more */
    struct round_item later; /* what visitors say goes out together */
    struct loop *loop;
    struct upstream *upstream;
    struct h2_client *client;
    struct counts *counts; /* of the lane */
    const char *scheme;
    int64_t claim;
    struct member *members; /* the last one first */
    unsigned members_n, admitted_n;
    uint32_t expected;   /* calls at once, as another one to this service was told; 0: nobody was */
    uint32_t refused_at; /* with so many it refused a further one; 0: it did not */
    int64_t idle_since_ms, heard_ms, pinged_ms;
    size_t overdraft;
    const char *why; /* it is broken */
    enum upstream_end how;
    bool ready, retiring, at_work;
};

/* ---- service_h2.c ---- */

void service_h2_make_due(struct service_h2 *c);
void service_h2_note_bad(struct service_h2 *c, const char *why); /* who comes next gets another one */

/* ---- service_h2_member.c ---- */

struct member *member_new(struct service_h2 *c, const struct upstream_events *events, void *user);
struct service_side member_side(struct member *m);
/* What has happened to its call is told; it may be gone afterwards, and so may the call. */
void member_tell(struct h2_call *call);
/* It has left by the time it is told. */
void member_end(struct member *m, enum upstream_end how, uint32_t code);
/* Once a second: bytes that wait in it, for either side; adds those that have moved in all. */
uint64_t member_look(struct member *m, uint64_t *moved);
struct member *member_find_orphan(const struct service_h2 *c);  /* stands still, and its visitor is gone */
struct member *member_find_fattest(const struct service_h2 *c); /* of those that stand still */
#endif
