#include "relay/edge/proof.h"

#include "shared/secret.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

void proof_begin(struct proof *p, uint64_t id, const unsigned char secret[PROXY2_SECRET_BYTES],
                 unsigned char opening[PROXY2_OPEN_BYTES])
{
    p->id = id;
    p->answer_n = 0;
    memcpy(p->secret, secret, sizeof p->secret);
    if (getrandom(p->random, sizeof p->random, 0) != (ssize_t)sizeof p->random)
        abort(); /* a proof without randomness proves nothing */
    proxy2_open_write(opening, p->secret, id, p->random);
}

enum proof_verdict proof_take(struct proof *p, const char *bytes, size_t n)
{
    unsigned char expected[PROXY2_ANSWER_BYTES];

    if (n > sizeof p->answer - p->answer_n)
        return PROOF_WRONG;
    memcpy(p->answer + p->answer_n, bytes, n);
    p->answer_n += n;
    if (p->answer_n < sizeof p->answer)
        return PROOF_UNFINISHED;
    proxy2_answer(expected, p->secret, p->id, p->random);
    return secret_eq(expected, p->answer, sizeof expected) ? PROOF_RIGHT : PROOF_WRONG;
}

void proof_free(struct proof *p)
{
    explicit_bzero(p, sizeof *p);
}
