/* shared/idn.h - host names with letters beyond a-z, in the form that the DNS knows: "bücher.example" is
 * "xn--bcher-kva.example" there (RFC 3492, RFC 5891). Pure. */
#ifndef SHARED_IDN_H
#define SHARED_IDN_H
#include "shared/domain.h"

bool idn_is_needed(struct str name); /* true when there is such a letter in it */
/* Into out, in lower case; labels without such letters as they are but for case. ERR_INPUT: not UTF-8, too long, or
 * with characters that stand in no name. Letters have to be composed (NFC), as keyboards and browsers write them. */
must_check int idn_to_ascii(struct str name, char out[DOMAIN_BYTES], struct err *e);
#endif
