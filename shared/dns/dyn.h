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
#endif
