#include "shared/page/history.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static void test_what_is_kept(void **state)
{
    struct history h = { 0 };
    const struct history_sample *s;

    (void)state;
    assert_null(history_at(&h, HISTORY_SAMPLES - 1));
    history_note(&h, &(struct history_totals){ .requests = 1000, .bytes_in = 7 }, 0);
    assert_null(history_at(&h, HISTORY_SAMPLES - 1)); /* what was before is no traffic of now */
    history_note(&h,
                 &(struct history_totals){ .requests = 1010, .errors = 5, .bytes_in = 5007, .bytes_out = 1 },
                 5001);
    s = history_at(&h, HISTORY_SAMPLES - 1);
    assert_non_null(s);
    assert_true(s->first == 2 && s->second == 1 && s->in == 1000 && s->out > 0.19F && s->out < 0.21F);
    assert_null(history_at(&h, HISTORY_SAMPLES - 2));
    history_note(&h, &(struct history_totals){ .requests = 3, .errors = 5 }, 10001); /* a site is gone */
    s = history_at(&h, HISTORY_SAMPLES - 1);
    assert_true(s->first == 0 && s->second == 0 && s->in == 0 && s->out == 0);
    assert_true(history_at(&h, HISTORY_SAMPLES - 2)->first == 2);
    history_note(&h, &(struct history_totals){ .requests = 9 }, 10001); /* no time has passed */
    assert_true(history_at(&h, HISTORY_SAMPLES - 2)->first == 2);
}

static void test_ten_minutes(void **state)
{
    struct history h = { 0 };

    (void)state;
    for (uint64_t i = 0; i <= 3 * HISTORY_SAMPLES; i++)
        history_note(&h, &(struct history_totals){ .streams = i }, 1 + (int64_t)(5000 * i));
    for (size_t i = 0; i < HISTORY_SAMPLES; i++)
        assert_true(history_at(&h, i)->first == (float)(2 * HISTORY_SAMPLES + 1 + i));
}

static size_t count(struct buf *text, const char *word)
{
    size_t n = 0;

    for (const char *at = buf_text(text); (at = strstr(at, word)); at++)
        n++;
    return n;
}

static void test_plots(void **state)
{
    struct history h = { 0 };
    struct buf out = { 0 };

    (void)state;
    history_add_plots(&out, &h, true);
    assert_int_equal(count(&out, "<svg"), 2);
    assert_int_equal(count(&out, "points=\"\""), 4);
    assert_non_null(strstr(buf_text(&out), "requests 0/s, at most 0/s"));
    buf_free(&out);
    history_note(&h, &(struct history_totals){ .streams = 3 }, 1);
    history_note(&h, &(struct history_totals){ .streams = 3, .bytes_in = 50 * 1000 * 1000 }, 5001);
    history_note(&h, &(struct history_totals){ .streams = 1, .bytes_in = 50 * 1000 * 1000 }, 10001);
    history_add_plots(&out, &h, false);
    assert_int_equal(count(&out, "<polyline"), 3);
    assert_non_null(strstr(buf_text(&out), "streams 1, at most 3"));
    assert_non_null(strstr(buf_text(&out), "from visitors 0 B/s, at most 10 MB/s"));
    assert_non_null(
        strstr(buf_text(&out), "<polyline class=l0 points=\"585,24 590,24 595,48 \"/>")); /* of 5 */
    assert_non_null(strstr(buf_text(&out), "<polyline class=l0 points=\"585,0 590,0 595,60 \"/>"));
    buf_free(&out);
}

/* However much there is, each plot is in its frame, and small. */
static void test_enormous(void **state)
{
    struct history h = { 0 };
    struct buf out = { 0 };
    struct history_totals totals = { 0 };

    (void)state;
    for (int i = 0; i < 2 * HISTORY_SAMPLES; i++) {
        history_note(&h, &totals, 1 + 5000 * i);
        totals.requests += UINT64_MAX / 250;
        totals.errors += i % 2 ? 1 : UINT64_MAX / 300;
        totals.bytes_in += UINT64_MAX / 250;
        totals.bytes_out += (uint64_t)i * i * i;
    }
    history_add_plots(&out, &h, true);
    assert_true(out.len < 5600);
    assert_null(strstr(buf_text(&out), "nan"));
    assert_null(strstr(buf_text(&out), "inf"));
    assert_null(strstr(buf_text(&out), ",-"));
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_kept),
        cmocka_unit_test(test_ten_minutes),
        cmocka_unit_test(test_plots),
        cmocka_unit_test(test_enormous),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
