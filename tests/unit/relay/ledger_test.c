#include "relay/ledger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void test_lasts_while_it_is_used(void **state)
{
    struct ledger l = { 0 };
    struct ledger_entry *a = ledger_of(&l, "a.test");
    struct counts *held = counts_hold(ledger_of(&l, "b.test")->counts);

    (void)state;
    assert_ptr_equal(ledger_of(&l, "a.test"), a);
    counts_add(&a->counts->requests, 7);
    counts_add(&held->requests, 5);
    for (int i = 0; i < 3; i++) {
        assert_ptr_equal(ledger_keep(&l, "a.test"), a);
        ledger_forget(&l);
        assert_ptr_equal(ledger_of(&l, "a.test"), a);
    }
    assert_ptr_equal(l.first, a);
    assert_null(a->next); /* b.test has gone, and who still counts for it may do so */
    counts_add(&held->requests, 1);
    assert_int_equal(atomic_load(&held->requests), 6);
    counts_release(held);
    assert_int_equal(atomic_load(&a->counts->requests), 7);
    assert_int_equal(atomic_load(&ledger_of(&l, "b.test")->counts->requests), 0);
    ledger_free(&l);
    assert_null(l.first);
}

static void test_trouble(void **state)
{
    struct ledger l = { 0 };
    struct ledger_entry *a = ledger_of(&l, "a.test");

    (void)state;
    assert_null(a->trouble);
    ledger_note_trouble(a, NULL);
    ledger_note_trouble(a, "one");
    ledger_note_trouble(a, "one");
    assert_string_equal(a->trouble, "one");
    ledger_note_trouble(a, "two");
    assert_string_equal(a->trouble, "two");
    ledger_note_trouble(a, NULL);
    assert_null(a->trouble);
    ledger_note_trouble(a, "again");
    ledger_free(&l);
}

/* A state that did not change lasts; what is no site for a while comes to each of its states anew. */
static void test_state(void **state)
{
    struct ledger l = { 0 };
    struct ledger_entry *a = ledger_of(&l, "a.test");

    (void)state;
    ledger_note_state(a, "pending", 1001);
    ledger_note_state(a, "pending", 1002);
    assert_int_equal(a->state_since, 1001);
    ledger_note_state(a, "up", 1004);
    ledger_note_state(a, "pending", 1005);
    assert_int_equal(a->state_since, 1005);
    ledger_note_state(a, NULL, 1007);
    ledger_note_state(a, "pending", 1008);
    assert_int_equal(a->state_since, 1008);
    ledger_free(&l);
}

/* What is forgotten goes on to count, so that the sum never falls. */
static void test_of_all(void **state)
{
    struct history_totals totals;
    struct ledger l = { 0 };
    struct counts *port = ledger_of(&l, "pi tcp:ssh")->counts, *gone = ledger_of(&l, "b.test")->counts;

    (void)state;
    counts_add(&port->requests, 100); /* connections */
    counts_add(&port->bytes_in, 3);
    counts_add(&gone->requests, 7);
    counts_add(&gone->errors, 2);
    counts_add(&gone->bytes_out, 50);
    for (int i = 0; i < 3; i++) {
        ledger_count(&l, &totals);
        assert_int_equal(totals.requests, 7);
        assert_int_equal(totals.errors, 2);
        assert_int_equal(totals.bytes_in, 3);
        assert_int_equal(totals.bytes_out, 50);
        ledger_keep(&l, "pi tcp:ssh");
        ledger_forget(&l);
    }
    ledger_free(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lasts_while_it_is_used),
        cmocka_unit_test(test_trouble),
        cmocka_unit_test(test_state),
        cmocka_unit_test(test_of_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
