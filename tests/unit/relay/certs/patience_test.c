#include "relay/certs/patience.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/loop_fixture.h"

static void test_what_takes_too_long_is_not_waited_for(void **state)
{
    struct patience p;
    struct acme_why why;

    (void)state;
    patience_init(&p, NULL, 1000);
    acme_why_init(&why);
    assert_int_equal(patience_wait(&p, 86400000, &why), -1);
    assert_int_equal(why.class, ACME_LATER);
    assert_int_equal(why.retry_after_ms, 86400000);
    assert_non_null(strstr(why.err.text, "wait for 86400 s"));
    acme_why_free(&why);
    assert_int_equal(patience_wait(&p, -1, &why), 0); /* half a second */
    assert_int_equal(p.waits, 1);
    assert_int_equal(patience_wait(&p, -1, &why), -1); /* a whole one by now */
    patience_renew(&p);
    assert_int_equal(p.waits, 0);
}

/* What may pass is tried again, a few times; nothing else is, and what went wrong stays as it was said. */
static void test_retries(void **state)
{
    struct patience p;
    struct acme_why why;

    (void)state;
    patience_init(&p, NULL, 1000);
    acme_why_init(&why);
    (void)acme_fail(&why, ACME_REFUSED, "no");
    assert_int_equal(patience_retry(&p, &why), -1);
    (void)acme_fail(&why, ACME_LATER, "not now");
    assert_int_equal(patience_retry(&p, &why), 0);
    assert_int_equal(why.class, ACME_OK);
    (void)acme_fail(&why, ACME_LATER, "not now");
    why.retry_after_ms = 60000;
    assert_int_equal(patience_retry(&p, &why), -1);
    assert_string_equal(why.err.text, "not now");
    assert_int_equal(why.retry_after_ms, 60000);
    p.failures = PATIENCE_FAILURES;
    why.retry_after_ms = -1;
    assert_int_equal(patience_retry(&p, &why), -1);
    acme_why_free(&why);
}

/* ---- a job that is cancelled ---- */

struct run {
    struct acme_why why, late;
    int waited, retried;
};

static void on_run(struct job *job, void *user)
{
    struct run *r = user;
    struct patience p;

    patience_init(&p, job, 600000);
    r->waited = patience_wait(&p, 500000, &r->why);
    r->late = (struct acme_why){ .class = ACME_LATER, .retry_after_ms = 500000 };
    r->retried = patience_retry(&p, &r->late);
}

static void on_ended(void *user)
{
    (void)user;
}

static void test_a_cancelled_job_waits_for_nothing(void **state)
{
    struct loop *loop = *state;
    struct run r = { .waited = 0 };
    struct job *job = job_start(loop, on_run, on_ended, &r, NULL);

    job_cancel(job);
    loop_run(loop);
    assert_int_equal(r.waited, -1);
    assert_int_equal(r.retried, -1);
    assert_int_equal(r.late.class, ACME_STOPPED);
    assert_int_equal(r.why.class, ACME_STOPPED);
    assert_int_equal(r.why.err.code, ERR_STOPPED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_takes_too_long_is_not_waited_for),
        cmocka_unit_test(test_retries),
        cmocka_unit_test_setup_teardown(test_a_cancelled_job_waits_for_nothing, loop_make, loop_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
