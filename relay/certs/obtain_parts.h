/* relay/certs/obtain_parts.h - what the files of obtain.h share: obtain.c, obtain_look.c. */
#ifndef RELAY_CERTS_OBTAIN_PARTS_H
#define RELAY_CERTS_OBTAIN_PARTS_H
#include "relay/certs/obtain.h"

struct attempt {
    const struct obtain_ask *ask;
    struct obtain_result *r;
    struct meta *m;
    const struct issuer *by;
    const struct challenge_ways *ways[CHALLENGE_TYPES];
    const char **names; /* those that are not left out */
    size_t names_n;
    enum key_type type;
    bool needs_one; /* whoever asks */
    bool held_back; /* by what we have counted ourselves: no failure of the authority */
};

/* obtain.c */
void obtain_choose_names(struct attempt *t);
struct limits_order obtain_limits(const struct attempt *t, const char *directory, bool exempt);
/* obtain_install.c: what was issued; -1 with result->class. What our own disk does not take is kept in t->r. */
must_check int obtain_install(struct attempt *t, struct order_result *result, const struct limits_order *o);
/* What an earlier job has kept. -1: the disk still fails. */
must_check int obtain_install_kept(struct attempt *t);
/* obtain_look.c */
uint32_t obtain_chance(void);
must_check int obtain_save(struct attempt *t);
/* What authorities suggest for renewals. It never stands in the way of one. */
must_check int obtain_suggestions(struct attempt *t);
/* Before a site's first order. -1: nothing is to be ordered. */
must_check int obtain_look_ahead(struct attempt *t);
/* At names that were left out; and whether what made tries fail has been mended. */
must_check int obtain_look_again(struct attempt *t);
must_check int obtain_watch(struct attempt *t);
#endif
