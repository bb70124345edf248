/* agent/dns/address_verdict.h - what follows from what several say of one address. Pure.
 *
 * An address counts when `quorum` voices say it, and no other one reaches the quorum too. Two services of one operator are
 * one voice. Voices by DNS alone make no quorum where there are others in the configuration: they are easily forged.
 *
 * IPv6: what is seen from outside is often a temporary address. It speaks for one that this house says it has itself
 * (interface:) when both are of the same /64, and then that one counts. */
#ifndef AGENT_DNS_ADDRESS_VERDICT_H
#define AGENT_DNS_ADDRESS_VERDICT_H
#include "agent/dns/address_source.h"

#include <stdint.h>

struct address_vote {
    const char *who, *operator; /* operator NULL: nobody else's */
    const char *text;           /* canonical */
    enum address_voice voice;
};

struct address_rules {
    size_t quorum;
    int family;
    bool dns_suffices;
};

enum address_verdict_kind {
    ADDRESS_NOBODY,   /* says anything */
    ADDRESS_TOO_FEW,  /* say the same */
    ADDRESS_DISAGREE, /* they do */
    ADDRESS_AGREED
};

struct address_verdict {
    enum address_verdict_kind kind;
    char text[ADDRESS_BYTES];    /* of AGREED */
    char why[ADDRESS_WHY_BYTES]; /* of TOO_FEW and DISAGREE: who said what */
};

void address_judge_votes(const struct address_vote *votes, size_t n, const struct address_rules *rules,
                         struct address_verdict *out);

/* A settled address, which others replace only when they stay for a while: the longer, the more often it has changed
 * lately. All zero bytes: nothing is settled, and the first one is at once. */
struct address_settle {
    char now[ADDRESS_BYTES], next[ADDRESS_BYTES];
    int64_t next_since_ms, changed_ms;
    unsigned changes;
};

/* Text is an address, or a word of the caller's; it has to stay for least_ms in any case. Returns in how many ms it should be heard again, because another one may be
 * settled then; 0: nothing waits. */
int64_t address_settle_hear(struct address_settle *s, const char *text, int64_t least_ms, int64_t now_ms);
#endif
