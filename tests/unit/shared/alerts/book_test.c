/* What is kept of events, how many are lost, and that a restart changes nothing. */
#include "shared/alerts/book.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static void add(struct book *b, size_t n)
{
    uint64_t before = b->last_id;
    struct event event;

    event_make(&event, EVENT_AGENT, "pi", EVENT_BAD, "", "", -1);
    event.at_s = event.since_s = 1795836265;
    for (size_t i = 0; i < n; i++)
        assert_int_equal(book_add(b, &event)->id, before + i + 1);
}

static size_t count(const struct book *b, uint64_t id)
{
    const struct event *event;
    size_t n = 0;

    for (; (event = book_after(b, id)); id = event->id, n++)
        assert_true(event->id > id);
    return n;
}

static void test_the_last_ones(void **state)
{
    struct book b = { 0 };

    (void)state;
    assert_null(book_after(&b, 0));
    assert_int_equal(book_lost(&b, 0), 0);
    add(&b, 3);
    assert_int_equal(count(&b, 0), 3);
    assert_int_equal(count(&b, 2), 1);
    assert_int_equal(count(&b, 3), 0);
    add(&b, BOOK_KEPT);
    assert_int_equal(count(&b, 0), BOOK_KEPT);
    assert_int_equal(book_after(&b, 0)->id, 4);
    assert_int_equal(book_lost(&b, 0), 3);
    assert_int_equal(book_lost(&b, 2), 1);
    assert_int_equal(book_lost(&b, 3), 0);
    assert_int_equal(book_lost(&b, b.last_id), 0);
    book_free(&b);
}

static void test_a_restart(void **state)
{
    struct book b = { 0 }, again = { 0 };
    json_t *json, *broken = json_pack("[i, {}, {s:i}]", 1, "id", 5);

    (void)state;
    add(&b, BOOK_KEPT + 10);
    json = book_json(&b);
    book_recall(&again, json, b.last_id);
    assert_int_equal(count(&again, 0), BOOK_KEPT);
    assert_memory_equal(book_after(&b, 100), book_after(&again, 100), sizeof(struct event));
    add(&again, 1);
    assert_int_equal(again.last_id, BOOK_KEPT + 11);
    book_free(&again);
    book_recall(&again, broken, 7); /* numbers go on from there all the same */
    assert_int_equal(count(&again, 0), 0);
    assert_int_equal(book_lost(&again, 0), 0);
    add(&again, 1);
    assert_int_equal(book_after(&again, 0)->id, 8);
    book_free(&again);
    book_free(&b);
    json_decref(json);
    json_decref(broken);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_last_ones),
        cmocka_unit_test(test_a_restart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
