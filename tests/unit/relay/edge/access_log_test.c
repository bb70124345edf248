#include "relay/edge/access_log.h"

#include "shared/file.h"
#include "shared/log.h"
#include "tests/unit/capture.h"
#include "tests/unit/temp.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <cmocka.h>

enum { THREADS = 4, LINES = 20000, ROTATIONS = 30 };

static int commit(struct access_log *l, const char *where, enum access_format format, struct err *e)
{
    int fd;

    if (access_log_prepare(l, where, &fd, e) != 0)
        return -1;
    access_log_commit(l, where, format, fd);
    return 0;
}

static struct access_log *started(const char *where, enum access_format format)
{
    struct access_log *l = access_log_new();
    struct err e = { 0 };

    if (commit(l, where, format, &e) != 0)
        fail_msg("%s", e.text);
    return l;
}

/* A line whose target is this number. */
static void add(struct access_log *l, unsigned number)
{
    char target[16];
    struct access_entry e = { .status = 200,
                              .request_id = "",
                              .client = "192.0.2.1",
                              .protocol = "HTTP/1.1",
                              .tls = "",
                              .agent = "",
                              .domain = "",
                              .method = STR("GET") };

    snprintf(target, sizeof target, "/%u", number);
    e.target = str_of(target);
    access_log_add(l, &e);
}

struct form {
    const char *before, *behind; /* the number */
};
static const struct form combined = { "192.0.2.1 - - [01/Jan/1970:00:00:00 +0000] \"GET /",
                                      " HTTP/1.1\" 200 0 \"-\" \"-\"\n" };
static const struct form json = {
    "{\"time\":\"1970-01-01T00:00:00.000Z\",\"request_id\":null,\"client\":\"192.0.2.1\",\"host\":null,"
    "\"method\":\"GET\",\"path\":\"/",
    "\",\"protocol\":\"HTTP/1.1\",\"tls\":null,\"status\":200,\"bytes_in\":0,\"bytes_out\":0,\"duration_ms\":0,"
    "\"service_ms\":0,\"lane\":null,\"agent\":null,\"domain\":null,\"referer\":null,\"user_agent\":null,"
    "\"complete\":false}\n"
};

static unsigned long number_of(const char *path, const char *line, const struct form *form)
{
    size_t before = strlen(form->before);
    unsigned long number = 0;
    char *end = NULL;

    if (strncmp(line, form->before, before) == 0)
        number = strtoul(line + before, &end, 10);
    if (!end || strcmp(end, form->behind) != 0)
        fail_msg("%s: a line that is not whole: %s", path, line);
    return number;
}

/* How many lines a file has, all of which are whole, and marks their numbers. */
static unsigned read_lines(const char *path, unsigned char *seen, const struct form *form)
{
    FILE *f = fopen(path, "r");
    char line[512];
    unsigned n = 0;

    if (!f)
        return 0;
    for (; fgets(line, sizeof line, f); n++) {
        unsigned long number = number_of(path, line, form);

        if (seen)
            seen[number]++;
    }
    fclose(f);
    return n;
}

struct adder {
    struct access_log *log;
    unsigned first;
};

static void *add_many(void *user)
{
    const struct adder *a = user;

    for (unsigned i = 0; i < LINES; i++) {
        add(a->log, a->first + i);
        if (i % 100 == 0)
            usleep(1000); /* slower than any disk, so that nothing is left out */
    }
    return NULL;
}

static void test_off_writes_nothing(void **state)
{
    struct access_log *l = started("off", ACCESS_COMBINED);

    assert_false(access_log_on(l));
    add(l, 1);
    access_log_release(access_log_hold(l));
    access_log_release(l);
    assert_int_equal(temp_count(*state), 0);
}

/* Also with a file that somebody else has made, as logrotate's `create` does. */
static void test_no_line_is_lost_or_torn_over_rotations(void **state)
{
    static unsigned char seen[THREADS * LINES];
    const char *path = temp_path(*state, "access.log");
    struct access_log *l = started(path, ACCESS_COMBINED);
    struct adder adders[THREADS];
    pthread_t threads[THREADS];
    struct err e = { 0 };
    unsigned n = 0;

    memset(seen, 0, sizeof seen);
    for (unsigned i = 0; i < THREADS; i++) {
        adders[i] = (struct adder){ access_log_hold(l), i * LINES };
        assert_int_equal(pthread_create(&threads[i], NULL, add_many, &adders[i]), 0);
    }
    for (int i = 0; i < ROTATIONS; i++) {
        char to[160];

        snprintf(to, sizeof to, "%s.%d", path, i);
        assert_int_equal(rename(path, to), 0);
        if (i % 2)
            close(open(path, O_WRONLY | O_CREAT, 0640));
        assert_int_equal(commit(l, path, ACCESS_COMBINED, &e), 0);
        usleep(5000);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        access_log_release(l);
    }
    access_log_release(l);
    n = read_lines(path, seen, &combined);
    for (int i = 0; i < ROTATIONS; i++) {
        char to[160];

        snprintf(to, sizeof to, "%s.%d", path, i);
        n += read_lines(to, seen, &combined);
    }
    assert_int_equal(n, THREADS * LINES);
    for (size_t i = 0; i < sizeof seen; i++)
        assert_int_equal(seen[i], 1);
}

/* Lines of one format never go to the file of the other. */
static void test_another_path_and_format(void **state)
{
    const char *a = temp_path(*state, "a.log"), *b = temp_path(*state, "b.log");
    struct access_log *l = started(a, ACCESS_COMBINED);
    struct err e = { 0 };

    for (unsigned i = 0; i < 100; i++)
        add(l, i);
    assert_int_equal(commit(l, b, ACCESS_JSON, &e), 0);
    assert_int_equal(temp_mode(b), 0640);
    for (unsigned i = 0; i < 50; i++)
        add(l, i);
    assert_int_equal(commit(l, "off", ACCESS_JSON, &e), 0);
    add(l, 1);
    assert_int_equal(commit(l, a, ACCESS_COMBINED, &e), 0);
    add(l, 100);
    access_log_release(l);
    assert_int_equal(read_lines(a, NULL, &combined), 101);
    assert_int_equal(read_lines(b, NULL, &json), 50);
}

static void test_what_cannot_be_opened(void **state)
{
    struct access_log *l = started("off", ACCESS_COMBINED);
    const char *fifo = temp_path(*state, "fifo"), *folder = ((struct temp *)*state)->folder;
    struct err e = { 0 };

    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(commit(l, fifo, ACCESS_COMBINED, &e), -1);
    assert_non_null(strstr(e.text, "if it is a FIFO, start the program that reads it first"));
    assert_int_equal(commit(l, folder, ACCESS_COMBINED, &e), -1);
    assert_non_null(strstr(e.text, folder));
    assert_int_equal(commit(l, temp_path(*state, "no/access.log"), ACCESS_COMBINED, &e), -1);
    assert_false(access_log_on(l));
    access_log_release(l);
}

/* Far more than is kept: the adder never waits, memory is bounded, and each line is written or counted. */
static void test_a_disk_that_is_full(void **state)
{
    struct access_log *l = started("/dev/full", ACCESS_COMBINED);
    struct capture c;
    unsigned lost = 0, n;

    (void)state;
    capture_begin(&c, STDERR_FILENO);
    for (unsigned i = 0; i < THREADS * LINES; i++)
        add(l, i);
    access_log_release(l);
    capture_end(&c);
    for (const char *at = buf_text(&c.text); (at = strstr(at, " lost=")); at++)
        if (sscanf(at, " lost=%u", &n) == 1)
            lost += n;
    assert_int_equal(lost, THREADS * LINES);
    assert_non_null(strstr(buf_text(&c.text), "/dev/full: No space left on device"));
    buf_free(&c.text);
}

/* The limit takes a part of a write: what it leaves are whole lines, and the rest follows when there is room again. */
static void test_a_disk_that_is_full_for_a_while(void **state)
{
    static unsigned char seen[1000];
    const char *path = temp_path(*state, "access.log");
    struct rlimit before, small;
    struct access_log *l;
    struct capture c;
    struct stat st;

    memset(seen, 0, sizeof seen);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    capture_begin(&c, STDERR_FILENO);
    l = started(path, ACCESS_COMBINED);
    small = (struct rlimit){ 1000, before.rlim_max };
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    for (unsigned i = 0; i < sizeof seen; i++)
        add(l, i);
    st.st_size =
        0; /* lines are not looked at yet: the last one is torn until its writer has taken it off again */
    for (int i = 0; i < 2000 && (stat(path, &st) != 0 || st.st_size == 0); i++)
        usleep(10000);
    usleep(50000);
    assert_int_equal(stat(path, &st), 0);
    assert_in_range(st.st_size, 1, 1000);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    access_log_release(l);
    buf_free((capture_end(&c), &c.text));
    assert_int_equal(read_lines(path, seen, &combined), sizeof seen);
    for (size_t i = 0; i < sizeof seen; i++)
        assert_int_equal(seen[i], 1);
}

/* A FIFO that nobody reads on blocks nobody; what its reader gets are whole lines. */
static void test_a_fifo_that_is_full(void **state)
{
    const char *fifo = temp_path(*state, "fifo"), *copy = temp_path(*state, "copy");
    struct access_log *l;
    struct capture c;
    char bytes[4096];
    ssize_t n;
    FILE *f;
    int fd;

    assert_int_equal(mkfifo(fifo, 0600), 0);
    fd = open(fifo, O_RDONLY | O_NONBLOCK);
    capture_begin(&c, STDERR_FILENO);
    l = started(fifo, ACCESS_COMBINED);
    for (unsigned i = 0; i < LINES; i++)
        add(l, i);
    access_log_release(l);
    capture_end(&c);
    assert_non_null(strstr(buf_text(&c.text), " lost="));
    assert_non_null(strstr(buf_text(&c.text), "it is read too slowly"));
    buf_free(&c.text);
    f = fopen(copy, "w");
    assert_non_null(f);
    while ((n = read(fd, bytes, sizeof bytes)) > 0)
        assert_int_equal(fwrite(bytes, 1, (size_t)n, f), n);
    fclose(f);
    close(fd);
    assert_in_range(read_lines(copy, NULL, &combined), 100, LINES - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_off_writes_nothing, temp_make, temp_remove),
        cmocka_unit_test_setup_teardown(test_no_line_is_lost_or_torn_over_rotations, temp_make, temp_remove),
        cmocka_unit_test_setup_teardown(test_another_path_and_format, temp_make, temp_remove),
        cmocka_unit_test_setup_teardown(test_what_cannot_be_opened, temp_make, temp_remove),
        cmocka_unit_test(test_a_disk_that_is_full),
        cmocka_unit_test_setup_teardown(test_a_disk_that_is_full_for_a_while, temp_make, temp_remove),
        cmocka_unit_test_setup_teardown(test_a_fifo_that_is_full, temp_make, temp_remove),
    };

    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
