#include "shared/dns/resolve.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/loop_fixture.h"

/* In front of the C library's: says nothing of names before it is let go. */
static struct {
    uv_mutex_t lock;
    uv_cond_t changed;
    bool go;
    int waiting;
} resolver;

int getaddrinfo(const char *restrict node, const char *restrict service,
                const struct addrinfo *restrict hints, struct addrinfo **restrict out)
{
    (void)node;
    (void)service;
    (void)out;
    if (hints->ai_flags & AI_NUMERICHOST)
        return EAI_NONAME;
    uv_mutex_lock(&resolver.lock);
    resolver.waiting++;
    uv_cond_broadcast(&resolver.changed);
    while (!resolver.go)
        uv_cond_wait(&resolver.changed, &resolver.lock);
    resolver.waiting--;
    uv_cond_broadcast(&resolver.changed);
    uv_mutex_unlock(&resolver.lock);
    return EAI_FAIL;
}

static int make(void **state)
{
    resolver.go = false;
    return loop_make(state);
}

/* Nothing that was left to itself is there any more. */
static int end(void **state)
{
    uv_mutex_lock(&resolver.lock);
    resolver.go = true;
    uv_cond_broadcast(&resolver.changed);
    while (resolver.waiting > 0)
        uv_cond_wait(&resolver.changed, &resolver.lock);
    uv_mutex_unlock(&resolver.lock);
    return loop_end(state);
}

struct work {
    struct err why;
    int rc;
    bool ended;
};

static void run(struct job *job, void *user)
{
    struct work *w = user;
    struct addrinfo *list;

    w->rc = resolve("ns1.test", 53, job, 3600 * 1000, &list, &w->why);
}

static void on_ended(void *user)
{
    ((struct work *)user)->ended = true;
}

static void test_cancelling_ends_it(void **state)
{
    struct work w = { 0 };
    struct job *job = job_start(*state, run, on_ended, &w, NULL);

    uv_mutex_lock(&resolver.lock);
    while (resolver.waiting == 0)
        uv_cond_wait(&resolver.changed, &resolver.lock);
    uv_mutex_unlock(&resolver.lock);
    job_cancel(job);
    loop_until(*state, &w.ended);
    assert_int_equal(w.rc, -1);
    assert_int_equal(w.why.code, ERR_STOPPED);
}

static void test_it_has_an_end(void **state)
{
    struct addrinfo *list;
    struct err why = { 0 };

    (void)state;
    assert_int_equal(resolve("ns1.test", 53, NULL, 1, &list, &why), -1);
    assert_int_equal(why.code, ERR_TIMEOUT);
    assert_non_null(strstr(why.text, "ns1.test"));
}

static void test_what_the_resolver_says(void **state)
{
    struct addrinfo *list;
    struct err why = { 0 };

    (void)state;
    resolver.go = true;
    assert_int_equal(resolve("ns1.test", 53, NULL, 3600 * 1000, &list, &why), -1);
    assert_int_equal(why.code, ERR_PEER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_cancelling_ends_it, make, end),
        cmocka_unit_test_setup_teardown(test_it_has_an_end, make, end),
        cmocka_unit_test_setup_teardown(test_what_the_resolver_says, make, end),
    };

    uv_mutex_init(&resolver.lock);
    uv_cond_init(&resolver.changed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
