/* relay/relay_parts.h - what the files of the relay share: relay.c, relay_publish.c, relay_certs.c, relay_orders.c, relay_status.c. */
#ifndef RELAY_RELAY_PARTS_H
#define RELAY_RELAY_PARTS_H
#include "relay/ban_book.h"
#include "relay/certs/board.h"
#include "relay/certs/certs.h"
#include "relay/certs/dns01.h"
#include "relay/certs/files.h"
#include "relay/certs/guests.h"
#include "relay/certs/manager.h"
#include "relay/certs/placeholders.h"
#include "relay/certs/ways.h"
#include "relay/edge/begin.h"
#include "relay/edge/edge.h"
#include "relay/lanes/fixed.h"
#include "relay/lanes/lanes.h"
#include "relay/lanes/publish.h"
#include "relay/ledger.h"
#include "relay/policies.h"
#include "relay/relay.h"
#include "shared/doctor/visit.h"

#include <uv.h>

struct relay {
    struct loop *loop;
    const struct opt_conf *conf;
    struct daemon_parts_host host;
    struct certs *certs;
    struct files *files;
    struct begin *begin;
    struct board *board;
    struct ways *ways;
    struct guests *guests;
    struct guests_host guests_host;
    struct placeholders *placeholders;
    struct dns01 *dns01;
    struct errands *errands;
    struct publish published; /* addresses of ours; its texts alone */
    uv_mutex_t published_lock;
    struct obtain_help help;
    struct manager *manager;                 /* NULL: has ended, or never began */
    struct policies policies, next_policies; /* next: prepared, for the reload that follows */
    struct fixed *fixed;
    struct lanes *lanes; /* NULL: has ended, or never began */
    struct edge *edge;   /* likewise */
    struct ban_book *bans;
    struct ban_book_host bans_host;
    struct access_log *access_log;
    struct log_tap *tap; /* NULL once closed */
    int access_log_fd;   /* prepared, for the reload that follows */
    struct ledger ledger;
    struct visit doctor;
    uv_timer_t publish, renewal, look;
    int64_t renewed_ms; /* when it was tried last */
    int pending;        /* handles that libuv still holds */
    bool ending, failed, root_told;
};

/* relay_publish.c */
void relay_publish_later(struct relay *r); /* in a moment: what an agent may change all the time */
void relay_publish_soon(struct relay *r); /* several changes within one round of the loop make one snapshot */
struct snapshot *relay_make_snapshot(struct relay *r);
struct ledger_entry *relay_entry_of_port(struct relay *r, const char *agent, const char *item);

/* relay_certs.c */
struct relay_shown {
    bool trusted; /* by browsers, as far as we know */
    bool placeholder;
    bool may_lack_names; /* an authority may have left some out */
};
/* Visitors of this name of the site can be sent to it. */
bool relay_certificate_covers(SSL_CTX *tls, const struct relay_shown *shown, const char *name);
/* Names of the LAN and public ones have certificates of their own. Puts those first that go with the site's own name, which stays the
 * first, and returns how many these are. */
size_t relay_names_apart(const struct relay *r, const char *site, const struct policy *policy,
                         const char **names, size_t n);
/* The TLS context for names of a site that go together; what it is goes to *shown. The reference is the caller's. NULL with the
 * reason. */
SSL_CTX *relay_certificate(struct relay *r, const struct lanes_site *site, const struct policy *policy,
                           const char *const *names, size_t n, struct relay_shown *shown, struct err *e);
json_t *relay_cert_status(const struct relay *r, const struct lanes_site *site);
/* Those of its aliases that have another one than the site. */
json_t *relay_certs_apart(const struct relay *r, const struct lanes_site *site);
void relay_answer_certs(void *parts, const struct http_request *request, struct http_reply *reply);
void relay_answer_renew(void *parts, const struct http_request *request, struct http_reply *reply);
void relay_answer_cert_revoke(void *parts, const struct http_request *request, struct http_reply *reply);
void relay_answer_cert_import(void *parts, const struct http_request *request, struct http_reply *reply);

/* relay_orders.c */
void relay_orders_start(struct relay *r); /* behind the lanes' start */
void relay_orders_reload(struct relay *r);
void relay_orders_tick(struct relay *r); /* now and then */
void relay_orders_free(struct relay *r); /* once dns01 is closed, and no job is left */

/* relay_status.c */
void relay_add_status(void *parts, json_t *status);
void relay_add_metrics(void *parts, struct metrics *m);
bool relay_ready(void *parts, char *why, size_t room);
void relay_count(void *parts, struct history_totals *totals);
enum { RELAY_ROUTES_N = 13 };
extern const struct http_route relay_routes[RELAY_ROUTES_N];
#endif
