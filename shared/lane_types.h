/* shared/lane_types.h - what the control conversation's messages say; shared/lane_msg.h reads and writes them. */
#ifndef SHARED_LANE_TYPES_H
#define SHARED_LANE_TYPES_H
#include "shared/arena.h"
#include "shared/lane_word_types.h"
#include "shared/proxy2.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define LANE_DUPLICATE "duplicate" /* why of a goodbye: a second machine has this agent's key */
enum { LANE_VERSION = 1, LANE_HEARTBEAT_S = 5 };
/* What a line may hold. Texts for people (why, detail) are cut to fit and made printable, by both sides. */
enum {
    LANE_ITEMS = 1000,
    LANE_ALIASES = 100,
    LANE_PUBLISH = 32,
    LANE_ITEM_BYTES = 255,
    LANE_TEXT_BYTES = 256
};

enum lane_msg_type {
    LANE_UNKNOWN, /* a later version's: ignore it */
    LANE_LANE,    /* from tunnel-lane itself: who the agent is */
    LANE_HELLO,
    LANE_WELCOME,
    LANE_CLAIM,
    LANE_CLAIMED,
    LANE_PING,
    LANE_PONG,
    LANE_ABORT,
    LANE_ENDED,
    LANE_CONSUMED,
    LANE_SERVICE,
    LANE_AWAY,   /* from tunnel-lane itself: the relay is gone */
    LANE_RESYNC, /* and is back */
    LANE_GOODBYE,
    LANE_ERROR,
    LANE_END,
    LANE_ENROL, /* over a one-time key: the agent's own public key */
    LANE_ENROLLED,
    LANE_TXT, /* a TXT record of the agent's zone, for dns-01 */
    LANE_TXT_DONE,
    LANE_FETCH, /* does a site answer, seen from the house? */
    LANE_FETCHED,
    LANE_CHALLENGE, /* an answer for the CA, that this side is to give, too */
    LANE_CHALLENGE_DONE,
    LANE_CERT,   /* how a site's certificate is doing */
    LANE_NOTICE, /* for whoever looks at the agent's status */
    LANE_BAN,    /* an address that the agent refuses; and what became of that */
};

/* How a stream ended at the agent. */
enum lane_how { LANE_EOF, LANE_RESET, LANE_REFUSED, LANE_UNREACHABLE, LANE_SILENT };

/* When last tried: refused, nothing listens there; unreachable, no such name or no way; silent, no answer. */
enum lane_service {
    LANE_SERVICE_UNKNOWN,
    LANE_SERVICE_OK,
    LANE_SERVICE_REFUSED,
    LANE_SERVICE_UNREACHABLE,
    LANE_SERVICE_SILENT
};

struct lane_item {    /* of a claim */
    const char *item; /* "domain:NAME" */
    const char *const *aliases;
    size_t aliases_n;
    json_t *policy; /* see shared/policy.h; NULL: nothing is asked for */
};
struct lane_answer { /* of a claimed */
    const char *item;
    bool ok;
    const char *why; /* "" when ok */
};

struct lane_msg {
    enum lane_msg_type type;
    int v; /* the version the line carries; 0 when it carries none */
    union {
        struct {
            const char *agent, *ssh;
            int64_t sshd_pid;
            const char *enrol; /* NULL; or the invitation's id, and there is no agent yet: agent is "" */
        } lane;
        struct {
            const char *boot;
            int64_t lane, port;
            const char *version, *reached; /* the relay's address that led the agent there; "": unsaid */
        } hello;
        struct {
            const char *relay, *lane_id, *seen_from; /* seen_from: "" where the relay does not know */
            unsigned char secret[PROXY2_SECRET_BYTES];
            const char *const *publish; /* addresses, as inet_pton reads them */
            size_t publish_n;
            int64_t heartbeat_s;
            const char *time;
        } welcome;
        struct {
            int64_t serial, part;
            bool last;
            const struct lane_item *items;
            size_t n;
        } claim;
        struct {
            int64_t serial;
            const struct lane_answer *items;
            size_t n;
        } claimed;
        struct {
            int64_t n, t, rtt_ms;
        } ping; /* and pong; rtt_ms -1 while none is known */
        struct {
            uint64_t stream;
        } abort;
        struct {
            uint64_t stream;
            enum lane_how how;
            const char *detail;
        } ended;
        struct {
            uint64_t stream, total; /* bytes after the second header that the service has taken */
        } consumed;
        struct {
            const char *item, *route; /* route: "" for the domain's own service */
            enum lane_service state;
            const char *detail;
        } service;
        struct {
            const char *why;
        } why; /* goodbye, error */
        struct {
            const char *name, *key; /* "ssh-ed25519 AAAA…" */
        } enrol;
        struct {
            const char *name, *relay;
        } enrolled;
        struct lane_txt txt;
        struct lane_fetch fetch;
        struct lane_challenge challenge;
        struct lane_done done; /* txt_done, fetched, challenge_done */
        struct lane_cert cert;
        struct lane_notice notice;
        struct lane_ban ban;
    };
    json_t *json; /* these two hold what the members point to */
    struct arena arena;
};
#endif
