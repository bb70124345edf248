#include "relay/edge/stillness.h"

enum { STILL_LOOKS = 3 }; /* the agent tells once a second of less than 64 KiB that were consumed */

void stillness_look(struct stillness *s, uint64_t moved, uint64_t held)
{
    s->looks = moved == s->moved ? s->looks + 1 : 0;
    s->stuck = stillness_lasts(s) ? held : 0;
    s->moved = moved;
}

bool stillness_lasts(const struct stillness *s)
{
    return s->looks >= STILL_LOOKS;
}
