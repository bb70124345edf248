#include "relay/edge/proof.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static void begin(struct proof *p, char answer[PROXY2_ANSWER_BYTES + 1])
{
    unsigned char secret[PROXY2_SECRET_BYTES], opening[PROXY2_OPEN_BYTES],
        right[PROXY2_ANSWER_BYTES]; /* as the agent would make it */

    memset(secret, 7, sizeof secret);
    proof_begin(p, 42, secret, opening);
    proxy2_answer(right, secret, 42, p->random);
    memcpy(answer, right, sizeof right);
    answer[PROXY2_ANSWER_BYTES] = '!';
}

static void test_the_right_answer_cut_at_every_place(void **state)
{
    char answer[PROXY2_ANSWER_BYTES + 1];
    struct proof p;

    (void)state;
    for (size_t cut = 0; cut < PROXY2_ANSWER_BYTES; cut++) {
        begin(&p, answer);
        assert_int_equal(proof_take(&p, answer, cut), PROOF_UNFINISHED);
        assert_int_equal(proof_take(&p, answer + cut, PROXY2_ANSWER_BYTES - cut), PROOF_RIGHT);
        proof_free(&p);
    }
}

static void test_wrong_answers(void **state)
{
    char answer[PROXY2_ANSWER_BYTES + 1];
    struct proof p;

    (void)state;
    for (size_t at = 0; at < PROXY2_ANSWER_BYTES; at++) {
        begin(&p, answer);
        answer[at] ^= 1;
        assert_int_equal(proof_take(&p, answer, PROXY2_ANSWER_BYTES), PROOF_WRONG);
        begin(&p, answer); /* one byte too many, at once and behind a cut */
        assert_int_equal(proof_take(&p, answer, sizeof answer), PROOF_WRONG);
        begin(&p, answer);
        assert_int_equal(proof_take(&p, answer, at), PROOF_UNFINISHED);
        assert_int_equal(proof_take(&p, answer + at, sizeof answer - at), PROOF_WRONG);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_right_answer_cut_at_every_place),
        cmocka_unit_test(test_wrong_answers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
