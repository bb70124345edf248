/* shared/dns/rest.h - requests to providers that speak HTTP: paced, authorized, and judged.
 *
 * Blocking. c->status holds the status of the last reply, for the few cases where a provider has to look at it. */
#ifndef SHARED_DNS_REST_H
#define SHARED_DNS_REST_H
#include "shared/dns/client.h"
#include "shared/http/fetch.h"

enum { DNS_HEADERS = 12 };

struct dns_request {
    const char *method;
    struct buf url;
    struct buf body;
    const char *content_type; /* of the body */
    char *headers[DNS_HEADERS + 1];
    size_t headers_n;
    const char *user_agent; /* NULL: the usual one */
};

/* A header, such as "Authorization: Bearer …". Wiped when the request is over. */
void dns_header(struct dns_request *r, const char *fmt, ...) printf_like(2, 3);
void dns_header_basic(struct dns_request *r, const char *user, const struct secret *password);
void dns_request_free(struct dns_request *r); /* wipes it */
/* Adds text to a URL, with all but letters, digits and -._~ escaped. */
void dns_escape(struct buf *out, const char *text);
void dns_escape_secret(struct buf *out, const struct secret *secret);

/* Sends the request as it is, after `authorize`, and frees it. Any status is DNS_OK here: c->status; the reply is to be freed
 * in any case. */
enum dns_class dns_send(struct dns_client *c, struct dns_request *r, struct fetch_reply *reply,
                        struct dns_why *why);

/* METHOD base + path, with a JSON body (taken; or NULL). *reply is a new reference, or NULL for an empty reply; also for
 * failures, with what the provider said. reply may be NULL. */
enum dns_class dns_json(struct dns_client *c, const char *method, json_t *body, json_t **reply,
                        struct dns_why *why, const char *path_fmt, ...) printf_like(6, 7);

/* The class that a status alone stands for, with the provider's own words from its reply, if it has some. */
enum dns_class dns_judge_status(struct dns_client *c, int status, const json_t *reply, struct dns_why *why);
/* What a JSON reply says went wrong: its error, message, detail, reason or errors[], or "" for none. */
const char *dns_message_of(const json_t *reply);
/* DNS_BADREPLY: the reply has not the shape it should have; `what` is missing or wrong in it. */
enum dns_class dns_bad_reply(struct dns_client *c, struct dns_why *why, const char *what);
/* An id that is a text or a number, as text. False when it is neither. */
bool dns_id_of(const json_t *value, char out[DNS_ID_BYTES]);
#endif
