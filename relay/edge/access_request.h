/* relay/edge/access_request.h - what the access log will say of one request, gathered while it lives.
 *
 * An object. NULL stands for a request that is not logged, and everything here takes it: then nothing costs anything. */
#ifndef RELAY_EDGE_ACCESS_REQUEST_H
#define RELAY_EDGE_ACCESS_REQUEST_H
#include "relay/edge/access_log.h"
#include "relay/edge/headers.h"
#include "relay/edge/snapshot.h"

struct access_request;

/* For a head that has been read, or refused; copies what it needs of it. Borrows log, site (NULL: there is no such site)
 * and tls, the name of a version, until the end. */
struct access_request *access_request_new(struct access_log *log, const struct snap_site *site,
                                          const struct h1_head *head, const struct headers_visitor *visitor,
                                          const char *tls);
void access_request_sent(struct access_request *a);                 /* its head, to the service */
void access_request_answered(struct access_request *a, int status); /* by the service, with a final head */
void access_request_page(struct access_request *a, int status,
                         struct str page);                   /* by ourselves: a whole answer */
void access_request_in(struct access_request *a, size_t n);  /* bytes of its body */
void access_request_out(struct access_request *a, size_t n); /* bytes of the response's */
/* Borrows nothing of the site any more: it will live long, or go on to another. lane: as below. */
void access_request_detach(struct access_request *a, uint64_t lane);
/* It has been detached, and now goes on to this site, which may have another name. */
void access_request_attach(struct access_request *a, const struct snap_site *site);
/* Writes the line. lane: the last one that it went to, 0 for none; complete: the answer is whole. */
void access_request_end(struct access_request *a, uint64_t lane, bool complete);
#endif
