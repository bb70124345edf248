/* agent/dns/address_igd.h - the messages of UPnP's Internet Gateway Devices: found by SSDP, asked by SOAP. Pure.
 *
 * XML is not read as such: what is looked for are elements with text in them, wherever they stand. Whatever answers is
 * on the same network as we are, so nothing of it is believed but the address that it ends with, which is judged. */
#ifndef AGENT_DNS_ADDRESS_IGD_H
#define AGENT_DNS_ADDRESS_IGD_H
#include "shared/err.h"
#include "shared/str.h"

#include <stdbool.h>
#include <stddef.h>

enum { IGD_URL_BYTES = 512, IGD_TYPE_BYTES = 96 };

extern const char igd_search[]; /* what is sent to everybody */

/* The answer to a search: where its description is. Only http:// at the very address that has answered counts, so that nobody
 * sends us elsewhere. */
must_check int igd_location(struct str packet, const char *from, char url[IGD_URL_BYTES], struct err *e);

struct igd_control {
    char type[IGD_TYPE_BYTES]; /* of the service */
    char url[IGD_URL_BYTES];
};
/* Out of a description that was found at `at`: the service that knows the outer address. */
must_check int igd_find_control(struct str xml, const char *at, struct igd_control *out, struct err *e);
/* The body and the SOAPAction field of the question. */
void igd_question(const struct igd_control *control, char *body, size_t body_room, char *field,
                  size_t field_room);
/* The address in the answer, as it stands there. */
must_check int igd_external(struct str xml, struct str *text, struct err *e);
#endif
