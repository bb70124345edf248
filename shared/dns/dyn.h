/* shared/dns/dyn.h - services whose update is one URL, and whose answer is a word: the dyndns2 family.
 *
 * HTTP 200 says nothing there: the first word of the body does, whole and in its own case. A page of HTML with "good" in
 * it is no success. */
#ifndef SHARED_DNS_DYN_H
#define SHARED_DNS_DYN_H
#include "shared/dns/rest.h"

/* What the first line of an answer means. `success` (may be ""): further words for DNS_OK, separated by blanks. `sent` is the
 * address that was sent, or NULL: "good 127.0.0.1" for another one means that the program is not welcome. */
enum dns_class dns_dyn_judge(struct dns_client *c, struct str body, const char *success, const char *sent,
                             struct dns_why *why);
/* Sends the request (which it frees) and judges the answer so: by its status where that is no 2xx, then by its words. */
enum dns_class dns_dyn_ask(struct dns_client *c, struct dns_request *r, const char *sent,
                           struct dns_why *why);

/* For services that take one family by one request: both families, each by `one`. What went well while the other family failed
 * is remembered in c->own, so that the service is not told it twice: its provider's close is dns_dyn_forget. */
enum dns_class dns_dyn_each(struct dns_client *c, const char *name, const char *v4, const char *v6,
                            enum dns_class (*one)(struct dns_client *c, const char *name, const char *address,
                                                  struct dns_why *why),
                            struct dns_why *why);
void dns_dyn_forget(struct dns_client *c);
/* For services whose credential stands for one name, which is not part of a request: DNS_CONFIG unless it is conf.zone. */
enum dns_class dns_dyn_only(struct dns_client *c, const char *name, struct dns_why *why);
#endif
