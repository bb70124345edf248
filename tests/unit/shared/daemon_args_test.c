#include "shared/daemon_args.h"

#include <string.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/capture.h"

struct values {
    int64_t n;
};

static const struct opt opts[] = {
    { .kind = "relay",
      .key = "park",
      .type = OPT_DURATION,
      .offset = offsetof(struct values, n),
      .def = "10s",
      .max = 1000000,
      .help = "How long a request waits." },
};
static const struct opt_kind kinds[] = {
    { .kind = "relay", .size = sizeof(struct values), .help = "The relay." }
};
static const struct opt_schema schema = { .program = "tunnel-relay",
                                          .file = "/etc/tunnel/relay.ini",
                                          .intro = "A file.",
                                          .kinds = kinds,
                                          .kinds_n = 1,
                                          .opts = opts,
                                          .opts_n = 1 };

enum { MAX_ARGUMENTS = 6 };

static enum daemon_task task_of(const char *const *arguments, struct daemon_args *args,
                                struct capture *printed)
{
    char *argv[MAX_ARGUMENTS + 2] = { (char *)(uintptr_t) "tunnel-relay" };
    int argc = 1;

    for (; argc <= MAX_ARGUMENTS && arguments[argc - 1]; argc++)
        argv[argc] = (char *)(uintptr_t)arguments[argc - 1];
    capture_begin(printed, STDERR_FILENO);
    daemon_args_read(args, argc, argv, &schema);
    capture_end(printed);
    return args->task;
}

static void test_tasks(void **state)
{
    static const struct {
        const char *arguments[MAX_ARGUMENTS];
        enum daemon_task task;
        const char *conf_path;
    } rows[] = {
        { { NULL }, TASK_RUN, "/etc/tunnel/relay.ini" },
        { { "-c", "x.ini" }, TASK_RUN, "x.ini" },
        { { "-cx.ini" }, TASK_RUN, "x.ini" },
        { { "--config", "x.ini" }, TASK_RUN, "x.ini" },
        { { "--config=x.ini" }, TASK_RUN, "x.ini" },
        { { "-c", "a.ini", "-c", "b.ini" }, TASK_RUN, "b.ini" },
        { { "--check" }, TASK_CHECK, "/etc/tunnel/relay.ini" },
        { { "--check", "-c", "x.ini" }, TASK_CHECK, "x.ini" },
        { { "-c", "x.ini", "--check" }, TASK_CHECK, "x.ini" },
        { { "--check", "--check" }, TASK_CHECK, "/etc/tunnel/relay.ini" },
        { { "--dump" }, TASK_DUMP, "/etc/tunnel/relay.ini" },
        { { "--version" }, TASK_VERSION, "/etc/tunnel/relay.ini" },
        { { "--help" }, TASK_HELP, "/etc/tunnel/relay.ini" },
        { { "-h" }, TASK_HELP, "/etc/tunnel/relay.ini" },
        { { "--help=sample" }, TASK_SAMPLE, "/etc/tunnel/relay.ini" },
        { { "--help=manual" }, TASK_MANUAL, "/etc/tunnel/relay.ini" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct daemon_args args;
        struct capture printed;

        assert_int_equal(task_of(rows[i].arguments, &args, &printed), rows[i].task);
        assert_string_equal(args.conf_path, rows[i].conf_path);
        assert_string_equal(buf_text(&printed.text), "");
        buf_free(&printed.text);
    }
}

static void test_wrong_usage(void **state)
{
    static const struct {
        const char *arguments[MAX_ARGUMENTS], *says, *says_not;
    } rows[] = {
        { { "x.ini" }, "tunnel-relay: does not know the argument x.ini; try: tunnel-relay --help\n", "see" },
        { { "--check", "x.ini" }, "does not know the argument x.ini", "see" },
        { { "--", "-h" }, "does not know the argument -h", "see" },
        { { "--check", "--dump" }, "only one of --check, --dump, --version, --help", "see" },
        { { "--help", "--help=sample" }, "only one of", "see" },
        { { "--help=html" }, "--help knows the forms sample and manual, not html", "see" },
        { { "-c" }, "option requires an argument -- 'c'", "only one of" },
        { { "--bogus" }, "unrecognized option '--bogus'", "only one of" },
        { { "-x" }, "invalid option -- 'x'", "only one of" },
        { { "--check=now" }, "option '--check' doesn't allow an argument", "only one of" },
        { { "--check", "--bogus" }, "unrecognized option '--bogus'", "only one of" },
        { { "--dump", "--help=html" }, "--help knows the forms sample and manual, not html", "only one of" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct daemon_args args;
        struct capture printed;
        const char *text;

        assert_int_equal(task_of(rows[i].arguments, &args, &printed), TASK_USAGE);
        text = buf_text(&printed.text);
        if (!strstr(text, rows[i].says) || strstr(text, rows[i].says_not))
            fail_msg("%s %s: %s", rows[i].arguments[0], rows[i].arguments[1] ? rows[i].arguments[1] : "",
                     text);
        assert_non_null(strstr(text, "; try: tunnel-relay --help\n"));
        buf_free(&printed.text);
    }
}

static void test_help_names_everything(void **state)
{
    static const char *const words[] = { "usage: tunnel-relay ",
                                         "--config FILE",
                                         "default /etc/tunnel/relay.ini",
                                         "--check",
                                         "--dump",
                                         "--version",
                                         "--help",
                                         "SIGHUP",
                                         "park",
                                         "How long a request waits." };
    struct buf out = { 0 };

    (void)state;
    daemon_args_help(&out, &schema);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (!strstr(buf_text(&out), words[i]))
            fail_msg("%s is not in: %s", words[i], buf_text(&out));
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tasks),
        cmocka_unit_test(test_help_names_everything),
        cmocka_unit_test(test_wrong_usage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
