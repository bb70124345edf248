/* shared/http/fetch.h - one HTTP request to a server of somebody else, on libcurl. Blocking: for job threads.
 *
 * The server's certificate is verified unless the request says that it does not matter. Redirects are not followed: they would carry a credential elsewhere.
 * Nothing of a URL but its host stands in an error, because some services take their password in there. */
#ifndef SHARED_HTTP_FETCH_H
#define SHARED_HTTP_FETCH_H
#include "shared/buf.h"
#include "shared/err.h"
#include "shared/job.h"
#include "shared/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FETCH_USER_AGENT "tunnel-agent/" TUNNEL_VERSION TUNNEL_CONTACT

enum { FETCH_TIMEOUT_MS = 30000, FETCH_MAX_BYTES = 1 << 20 };

struct fetch_request {
    const char *method, *url;   /* https://, or http:// where that was written */
    const char *const *headers; /* "Name: value", NULL at the end; or NULL */
    const void *body;
    size_t body_n;
    const char *ca_file;    /* trusted instead of the system's authorities; NULL or "": these */
    const char *user_agent; /* NULL: FETCH_USER_AGENT */
    const char *at; /* address to connect to, whatever the DNS says of the URL's host; NULL: what it says */
    bool
        any_certificate; /* for asking who answers there, with nothing secret in it: nobody has to prove who he is */
    const char *device; /* interface or source address to use; NULL: any */
    bool direct;        /* past the proxy that the environment may name */
    int family;         /* AF_INET or AF_INET6 alone; 0: either */
    int64_t timeout_ms; /* for all of it; 0: FETCH_TIMEOUT_MS */
    size_t max_bytes;   /* of the reply's body, and of its head; 0: FETCH_MAX_BYTES */
    struct job *job;    /* its cancellation ends the request; NULL: nothing does */
};

struct fetch_reply {
    int status;            /* also of a reply that is too large, or not whole in time; 0: there was none */
    struct buf head, body; /* head: the final reply's fields, one a line */
    char address[64];      /* of the server that was asked */
};

/* Any status is a reply. -1: ERR_INPUT the URL; ERR_PEER not reached, TLS, or not HTTP; ERR_TIMEOUT; ERR_LIMIT the reply is
 * too large; ERR_STOPPED by the job; ERR_MISSING the ca_file, or libcurl. The reply is all zero bytes before, and to be freed in any
 * case. */
must_check int fetch(const struct fetch_request *request, struct fetch_reply *reply, struct err *e);
/* Nothing more is to be asked for now: what requests need in memory is let go, as far as it comes again by itself. */
void fetch_rest(void);
void fetch_reply_free(struct fetch_reply *reply);
/* The value of the first such field; p is NULL when there is none. */
struct str fetch_field(const struct fetch_reply *reply, const char *name);
/* The value of the field of this name that has so many others of it before it; p is NULL when there is none. */
struct str fetch_field_nth(const struct fetch_reply *reply, const char *name, size_t before);
/* What Date says, as seconds since 1970; -1 when it says nothing that is understood. */
int64_t fetch_date_s(const struct fetch_reply *reply);
/* What Retry-After says, in milliseconds from now_s (for a date); -1 when it says nothing that is understood. */
int64_t fetch_retry_after_ms(const struct fetch_reply *reply, int64_t now_s);
#endif
