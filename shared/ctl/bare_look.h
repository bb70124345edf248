/* shared/ctl/bare_look.h - a machine before anything is set up on it, as tunnelctl sees it. */
#ifndef SHARED_CTL_BARE_LOOK_H
#define SHARED_CTL_BARE_LOOK_H
#include <jansson.h>
#include <stdbool.h>

/* Facts for shared/doctor/bare.h. relay: those that only a relay's machine needs, too. A new reference. */
json_t *bare_look(bool relay);
#endif
