/* relay/certs/renewal.h - when a certificate is renewed, and when a failed try is repeated.
 *
 * Pure: times are seconds since 1970 and arguments, and so is randomness. No number of days is written here: all
 * follows from the certificate's own life and from what its authority says (RFC 9773). */
#ifndef RELAY_CERTS_RENEWAL_H
#define RELAY_CERTS_RENEWAL_H
#include "shared/err.h"

#include <stdbool.h>
#include <stdint.h>

/* The authority's suggestion; both 0: there is none. */
struct renewal_window {
    int64_t start, end;
};

/* Plain data, kept on disk: a moment that was chosen stays, whatever restarts. */
struct renewal {
    int64_t not_before, not_after;
    struct renewal_window window;
    int64_t moment;
};

/* A new certificate: a third of its life before its end (half of it when it lives less than ten days), a little
 * earlier by chance, so that those made together are not renewed together. */
void renewal_begin(struct renewal *r, int64_t not_before, int64_t not_after, uint32_t random);
/* The authority suggests this window. The same one as before changes nothing; another one gets a new moment in it, by
 * chance. 1: changed, 0: not, -1: no window at all, and what was chosen before holds. */
must_check int renewal_suggested(struct renewal *r, const struct renewal_window *window, uint32_t random,
                                 struct err *e);
/* The authority suggests nothing any more, or another one will be asked: by life alone. */
void renewal_unsuggested(struct renewal *r, uint32_t random);
/* The moment chosen; whatever that is, not later than with a twentieth of the life left. */
int64_t renewal_at(const struct renewal *r);
const char *renewal_why(const struct renewal *r); /* in words, a constant */
bool renewal_is_due(const struct renewal *r, int64_t now);
/* Names that fail may be left out of its successor: half of the time for renewal is over. Until then it is good for
 * them, too. */
bool renewal_may_leave_out(const struct renewal *r, int64_t now);

/* When the authority's suggestion is looked at again. retry_after_s: as it asked, 0: it did not. */
int64_t renewal_next_look(int64_t now, int64_t retry_after_s, uint32_t random);
int64_t renewal_next_look_failed(int64_t now, uint32_t random);
/* Also when that is farther off than ever chosen: the clock was wrong then. */
bool renewal_may_look(int64_t next_look, int64_t now);

/* ---- tries ---- */

/* Plain data, kept on disk. All zero: nothing has failed, and a try may begin. */
struct renewal_retry {
    uint32_t failures; /* in a row */
    int64_t last_try, next_try;
    int64_t asked_until; /* when the authority wants to be asked again; 0: it said nothing */
};

enum renewal_patience {
    RENEWAL_SOON, /* it may go by itself */
    RENEWAL_SLOW, /* nothing changes unless somebody changes it: daily from the first failure on */
};

/* 1, 10, 100 minutes, then daily, a little later by chance, and not before at_least_s (0: no such wish). */
void renewal_failed(struct renewal_retry *r, int64_t now, enum renewal_patience patience, int64_t at_least_s,
                    uint32_t random);
/* What it may have failed for has changed: the next try is now, as far as the authority lets us. What changes all the time hastens
 * three tries, and then one in an hour. False: it stays as it is. */
bool renewal_hasten(struct renewal_retry *r, int64_t now);
/* Success; or another configuration, other DNS, or a person who wants it now. */
void renewal_reset(struct renewal_retry *r);
/* Also when the clock has gone back: renewal_mend_clock says until when to wait. */
bool renewal_may_try(const struct renewal_retry *r, int64_t now);
/* A clock that went back would hold the next try off for as long as it went: the wait begins anew instead. True when
 * something changed, which is to be kept on disk. */
bool renewal_mend_clock(struct renewal_retry *r, int64_t now);
#endif
