/* shared/policy.h - how a site treats its visitors: what the agent asks for in its claim, and what the relay's own
 * [domain] section says instead. Pure.
 *
 * A policy travels as a JSON object whose members are named as the keys of the ini files are; a member that is missing
 * was not given. The relay lays such objects over the defaults, one after another: the agent's, then its own. */
#ifndef SHARED_POLICY_H
#define SHARED_POLICY_H
#include "shared/arena.h"
#include "shared/cidr.h"
#include "shared/err.h"
#include "shared/htpasswd.h"
#include "shared/rate.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum policy_https { POLICY_REDIRECT, POLICY_BOTH, POLICY_ONLY };
enum policy_www { POLICY_WWW_AS_IS, POLICY_WWW_ADD, POLICY_WWW_STRIP };
enum policy_tls { POLICY_TERMINATE, POLICY_PASSTHROUGH };
enum policy_share { POLICY_ALONE, POLICY_BALANCE, POLICY_STANDBY };
/* Whether a service is spoken to by HTTP/2: never; always; or over TLS, for requests that need it (ALPN). */
enum policy_http2 { POLICY_HTTP2_NEVER, POLICY_HTTP2_ALONE, POLICY_HTTP2_ASKED };

enum {
    POLICY_HEADERS = 64, /* of set_header, and as many of unset_header */
    POLICY_ROUTES = 64,
    POLICY_NAME_BYTES = 128, /* of a header's name */
    POLICY_VALUE_BYTES = 2048,
    POLICY_PATH_BYTES = 200,
    POLICY_PAGE_BYTES = 24 * 1024,
    POLICY_JSON_BYTES = 56 * 1024, /* of the whole object: a claim's line has to hold it */
    POLICY_PRIORITY_MAX = 1000,
};
#define POLICY_HSTS_MAX_S  ((int64_t)730 * 86400)
#define POLICY_PARK_MAX_MS ((int64_t)300 * 1000)

extern const char *const policy_https_words[], *const policy_www_words[], *const policy_share_words[],
                                                                              *const policy_tls_words[];

struct policy_header {
    const char *name, *value;
};

struct policy {
    enum policy_https https;
    enum policy_www www;
    enum policy_share share;
    enum policy_tls tls; /* who ends it: we, or the service in the house */
    int64_t priority;    /* of those that stand by: the lowest that is up gets all */
    int64_t hsts_s;      /* 0: no such header */
    int64_t max_body;    /* bytes of a request's body; 0: any number */
    int64_t park_ms;     /* 0: nobody waits */
    bool access_log;
    bool
        proxy_protocol; /* its service is told of each visitor, so that he cannot share a connection with others */
    const char *issuer;                      /* a word or a name of the relay's; NULL: none is asked for */
    const char *error_page;                  /* a template; NULL: our own page */
    const struct policy_header *set_headers; /* of responses */
    size_t set_headers_n;
    const char *const *unset_headers;
    size_t unset_headers_n;
    struct cidrs allow, deny;  /* of visitors; allow: nobody else, when there is any; deny comes first */
    struct rate rate;          /* of requests of each source */
    const char *passwords;     /* as htpasswd.h has them; NULL: nobody is asked for one */
    const char *const *routes; /* paths that have a service of their own; the longest first */
    size_t routes_n;
};

/* What holds where nothing is said; park_ms is the relay's own. */
void policy_defaults(struct policy *p, int64_t park_ms);
/* Lays the object's members over p; NULL is an object without any. Texts are copied into the arena. ERR_INPUT names the
 * member that is wrong; members of later versions are ignored. */
must_check int policy_lay(struct policy *p, const json_t *object, struct arena *arena, struct err *e);
/* Lists are copied into the arena, so that the copy lives as long. */
void policy_copy(struct policy *to, const struct policy *from, struct arena *arena);
size_t policy_json_bytes(const json_t *object); /* as text */
/* Whom it lets in, as an object that may be shown: allow and deny, rate, and whether it asks for a password.
 * JSON's null: everybody. */
json_t *policy_guard_status(const struct policy *p);

/* What an object says of the service of this route ("": the site's own): its member "http2" is an object with a word for
 * each route of which there is something to say. Words of later versions mean what no word means: never. */
extern const char *const policy_http2_words[];
enum policy_http2 policy_http2(const json_t *object, const char *route);

/* Checks of one value each, for options too. */
must_check int policy_check_header(const char *name, const char *value, struct err *e);
must_check int policy_check_path(const char *path, struct err *e);
must_check int policy_check_page(const char *text, size_t n, struct err *e);
#endif
