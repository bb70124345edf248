#include "shared/log.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "shared/file.h"
#include "tests/unit/temp.h"

enum { LINE_BYTES = 8192 };

/* ---- the text of a line ---- */

static void test_lines(void **state)
{
    static const struct {
        const char *text, *line; /* what stands for the value of a="…" */
    } rows[] = {
        { "", "" },
        { "plain text", "plain text" },
        { "a\" b=\"c", "a\\\" b=\\\"c" },
        { "back\\slash", "back\\\\slash" },
        { "two\nlines\r\n", "two\\nlines\\r\\n" },
        { "a\tb", "a\\tb" },
        { "\x1b[31m\x07\x7f", "\\x1b[31m\\x07\\x7f" },
        { "\xc2\x9b"
          "31m",
          "\\xc2\\x9b31m" }, /* CSI of C1 */
        { "\xc3\xa4 \xf0\x9f\x98\x80", "\xc3\xa4 \xf0\x9f\x98\x80" },
        { "\xff\xc3", "\\xff\\xc3" },
        { "\xe2\x82\n", "\\xe2\\x82\\n" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct kv kv = kv_str("a", rows[i].text);
        char line[256], expected[256];
        size_t n = log_format(line, sizeof line, "m", &kv, 1);

        snprintf(expected, sizeof expected, "m a=\"%s\"\n", rows[i].line);
        assert_int_equal(n, strlen(expected));
        assert_memory_equal(line, expected, n);
    }
}

static void test_keys(void **state)
{
    const struct kv kvs[] = {
        { 0 }, kv_str("none", NULL), kv_int("low", INT64_MIN), kv_int("n", 0), kv_str("t", "x")
    };
    char line[256];
    size_t n = log_format(line, sizeof line, "session up", kvs, 5);

    (void)state;
    line[n] = 0;
    assert_string_equal(line, "session up none=\"\" low=-9223372036854775808 n=0 t=\"x\"\n");
}

static void test_a_line_is_cut_where_the_room_ends(void **state)
{
    const struct kv kvs[] = { kv_str("host", "a\"b\n"), kv_int("n", 12345) };
    char whole[64], line[64];
    size_t len = log_format(whole, sizeof whole, "message", kvs, 2);

    (void)state;
    for (size_t room = 1; room < sizeof line; room++) {
        size_t n = log_format(line, room, "message", kvs, 2);

        assert_int_equal(n, room < len ? room : len);
        assert_memory_equal(line, whole, n - 1);
        assert_int_equal(line[n - 1], '\n');
    }
}

/* ---- where it goes ---- */

static void log_to(const char *path)
{
    int fd = -1;

    assert_int_equal(log_prepare(path, &fd, NULL), 0);
    log_commit(fd);
}

/* What the file holds, without the time in front of each line. */
static const char *logged(const char *path, struct buf *text)
{
    struct buf in = { 0 };
    char *rest, *line;

    buf_free(text);
    assert_int_equal(file_read(path, 1 << 22, &in, NULL), 0);
    buf_text(&in);
    rest = in.mem;
    while ((line = strsep(&rest, "\n")) && *line) {
        assert_int_equal(strspn(line, "0123456789-T:.Z"), 24); /* 2026-11-21T03:24:25.123Z */
        buf_printf(text, "%s\n", line + 25);
    }
    buf_free(&in);
    return buf_text(text);
}

static void test_levels(void **state)
{
    const char *path = temp_path(*state, "log");
    struct buf text = { 0 };

    log_to(path);
    log_debug("not by default");
    for (int level = LOG_ERROR; level <= LOG_DEBUG; level++) {
        log_set_level((enum log_level)level);
        log_error("one", kv_int("level", level));
        log_warn("one", kv_int("level", level));
        log_info("one", kv_int("level", level));
        log_debug("one", kv_int("level", level));
    }
    log_set_level(LOG_INFO);
    log_close();
    assert_string_equal(logged(path, &text), "error one level=0\n"
                                             "error one level=1\nwarn  one level=1\n"
                                             "error one level=2\nwarn  one level=2\ninfo  one level=2\n"
                                             "error one level=3\nwarn  one level=3\ninfo  one level=3\n"
                                             "debug one level=3\n");
    buf_free(&text);
}

static void test_a_rotated_file_is_opened_anew(void **state)
{
    const char *path = temp_path(*state, "log"), *old = temp_path(*state, "log.1");
    struct buf text = { 0 };

    log_to(path);
    log_info("before");
    assert_int_equal(rename(path, old), 0);
    log_info("meanwhile");
    log_to(path);
    log_info("after");
    log_to(path);
    log_info("appended");
    log_close();
    assert_string_equal(logged(old, &text), "info  before\ninfo  meanwhile\n");
    assert_string_equal(logged(path, &text), "info  after\ninfo  appended\n");
    assert_int_equal(temp_mode(path) & 037, 0);
    buf_free(&text);
}

/* Sparse: nearly all of it takes no room on the disk. */
static void test_a_file_beyond_2_gib(void **state)
{
    const char *path = temp_file(*state, "log", "", 0600);
    const int64_t before = INT64_C(3) << 30;
    struct stat st;

    assert_int_equal(truncate(path, before), 0);
    log_to(path);
    log_info("one more");
    log_close();
    assert_int_equal(stat(path, &st), 0);
    assert_true(st.st_size > before);
}

static void test_a_failure_leaves_the_log_as_it_was(void **state)
{
    const char *path = temp_path(*state, "log");
    struct buf text = { 0 };
    struct err e = { 0 };
    int fd;

    log_to(path);
    assert_int_equal(log_prepare(temp_path(*state, "none/log"), &fd, &e), -1);
    assert_int_equal(e.code, ERR_MISSING);
    assert_int_equal(log_prepare(((struct temp *)*state)->folder, &fd, &e), -1);
    assert_non_null(strstr(e.text, "cannot open the log /tmp/"));
    log_info("still here");
    log_close();
    assert_string_equal(logged(path, &text), "info  still here\n");
    buf_free(&text);
    assert_int_equal(log_prepare("stderr", &fd, &e), 0);
    assert_int_equal(fd, STDERR_FILENO);
    log_commit(fd);
    log_close();
    assert_int_not_equal(write(STDERR_FILENO, "", 0), -1); /* is not closed with the log */
}

/* A seqpacket socket keeps apart what was written apart. */
static void test_a_line_is_one_write(void **state)
{
    char *longest = malloc(3 * LINE_BYTES), line[3 * LINE_BYTES];
    int pair[2];

    (void)state;
    memset(longest, '"', 3 * LINE_BYTES);
    longest[3 * LINE_BYTES - 1] = 0;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
    log_commit(pair[0]);
    log_info("small", kv_str("host", "a"), kv_int("n", 1));
    log_info("large", kv_str("host", longest), kv_int("n", 1));
    assert_int_equal(recv(pair[1], line, sizeof line, 0), 25 + 6 + strlen("small host=\"a\" n=1\n"));
    assert_int_equal(recv(pair[1], line, sizeof line, 0), LINE_BYTES);
    assert_int_equal(line[LINE_BYTES - 1], '\n');
    assert_null(memchr(line, '\n', LINE_BYTES - 1));
    assert_int_equal(recv(pair[1], line, sizeof line, 0), -1);
    close(pair[1]);
    log_info("nobody reads this"); /* must not end the process */
    log_close();
    free(longest);
}

static void test_journald(void **state)
{
    const char *path = temp_path(*state, "log");
    struct buf text = { 0 };
    char stream[64];
    struct stat st;

    log_to(path);
    assert_int_equal(stat(path, &st), 0);
    snprintf(stream, sizeof stream, "%llu:%llu", (unsigned long long)st.st_dev,
             (unsigned long long)st.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    log_set_level(LOG_DEBUG);
    log_error("a");
    log_warn("b");
    log_info("c");
    log_debug("d");
    log_set_level(LOG_INFO);
    assert_int_equal(file_read(path, 1000, &text, NULL), 0);
    assert_string_equal(buf_text(&text), "<3>a\n<4>b\n<6>c\n<7>d\n");
    assert_int_equal(truncate(path, 0), 0);
    setenv("JOURNAL_STREAM", "1:1", 1); /* stderr was redirected */
    log_info("time again");
    setenv("JOURNAL_STREAM", "nonsense", 1);
    log_info("and again");
    unsetenv("JOURNAL_STREAM");
    log_close();
    assert_string_equal(logged(path, &text), "info  time again\ninfo  and again\n");
    buf_free(&text);
}

static void test_limits(void **state)
{
    const char *path = temp_path(*state, "log");
    struct buf text = { 0 };

    log_to(path);
    for (int i = 0; i < 8; i++)
        log_warn_limited("192.0.2.1", "refused", kv_int("n", i));
    log_info_limited("192.0.2.2", "refused");
    log_warn("refused"); /* without a source, without a limit */
    log_close();
    assert_string_equal(logged(path, &text),
                        "warn  refused n=0\nwarn  refused n=1\nwarn  refused n=2\nwarn  refused n=3\n"
                        "warn  refused n=4\ninfo  refused\nwarn  refused\n"
                        "warn  similar lines left out message=\"refused\" source=\"192.0.2.1\" left_out=3\n");
    buf_free(&text);
}

static void *write_many(void *user)
{
    for (int i = 0; i < 500; i++)
        log_info("from a thread", kv_str("name", user));
    return NULL;
}

static void test_threads_do_not_mix_lines(void **state)
{
    const char *path = temp_path(*state, "log");
    char name[] = "a name that is not too short";
    struct buf text = { 0 };
    pthread_t threads[4];

    log_to(path);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_many, name), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    log_close();
    logged(path, &text);
    for (int i = 0; i < 2000; i++, buf_take(&text, 56))
        assert_memory_equal(buf_bytes(&text), "info  from a thread name=\"a name that is not too short\"\n",
                            56);
    assert_int_equal(text.len, 0);
    buf_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_a_line_is_cut_where_the_room_ends),
        cmocka_unit_test_setup_teardown(test_levels, temp_make, temp_remove),
        cmocka_unit_test_setup_teardown(test_a_rotated_file_is_opened_anew, temp_make, temp_remove),
        cmocka_unit_test_setup_teardown(test_a_file_beyond_2_gib, temp_make, temp_remove),
        cmocka_unit_test_setup_teardown(test_a_failure_leaves_the_log_as_it_was, temp_make, temp_remove),
        cmocka_unit_test(test_a_line_is_one_write),
        cmocka_unit_test_setup_teardown(test_journald, temp_make, temp_remove),
        cmocka_unit_test_setup_teardown(test_limits, temp_make, temp_remove),
        cmocka_unit_test_setup_teardown(test_threads_do_not_mix_lines, temp_make, temp_remove),
    };

    unsetenv("JOURNAL_STREAM");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
