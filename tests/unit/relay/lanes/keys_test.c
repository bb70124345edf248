#include "relay/lanes/keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "shared/file.h"
#include "shared/ssh_key.h"
#include "tests/unit/relay/lanes/relay_conf.h"
#include "tests/unit/temp.h"

#define RESTRICT "restrict,port-forwarding,permitlisten=\"127.0.0.1:*\",command=\""

static int write_keys(const struct opt_conf *conf, struct err *e)
{
    struct roster roster;
    int rc;

    roster_init(&roster, conf, NULL);
    rc = keys_write(conf, &roster, NULL, time(NULL), e);
    roster_free(&roster);
    return rc;
}

static char *lines_of(const char *first, const char *const *agents)
{
    struct opt_conf *conf = relay_conf(first, agents);
    struct buf out = { 0 };
    struct roster roster;
    char *copy;

    roster_init(&roster, conf, NULL);
    keys_lines(&out, conf, &roster, NULL, time(NULL));
    roster_free(&roster);
    opt_conf_free(conf);
    copy = strdup(buf_text(&out));
    buf_free(&out);
    return copy;
}

static void test_lines(void **state)
{
    static const char *const none[] = { NULL };
    static const char *const two[] = { "pi", "a.test", "nas-2", "", NULL };
    char pi[96], nas[96], expected[1024], *lines;

    (void)state;
    lines = lines_of("[relay]\n", none);
    assert_string_equal(lines, "");
    free(lines);
    lines = lines_of("[relay]\n", two);
    snprintf(expected, sizeof expected,
             RESTRICT "exec " TUNNEL_LIBEXEC "/tunnel-lane pi\" %s\n" RESTRICT "exec " TUNNEL_LIBEXEC
                      "/tunnel-lane nas-2\" %s\n",
             key_of('a', pi), key_of('c', nas));
    assert_string_equal(lines, expected); /* without the comments behind the keys */
    free(lines);
}

/* As sshd reads command="…": \" is a quote, every other byte is itself. */
static char *command_of(const char *line)
{
    char *command = strdup(strstr(line, "command=\"") + strlen("command=\"")), *to = command;
    const char *from = command;

    for (; *from && *from != '"'; *to++ = *from++)
        if (from[0] == '\\' && from[1] == '"')
            from++;
    assert_int_equal(*from, '"');
    assert_memory_equal(from + 1, " ssh-ed25519 ", 13);
    *to = 0;
    return command;
}

/* sshd gives the command to a shell, and from there on each argument has to be what was meant. */
static void test_what_the_shell_makes_of_it(void **state)
{
    static const char *const agents[] = { "pi", "a.test", NULL };
    static const struct {
        const char *name, *conf, *output;
    } rows[] = {
        { "the usual socket", "lane_command = printf %s,\n", "pi," },
        { "the usual socket, given", "lane_command = printf %s,\nlane_socket = /run/tunnel-relay/lane.sock\n",
          "pi," },
        { "another socket", "lane_command = printf %s,\nlane_socket = /x/lane.sock\n",
          "pi,--socket,/x/lane.sock," },
        { "a command in quotes", "lane_command = \"printf '%s,' \\\"a  b\\\"\"\n", "a  b,pi," },
        { "backslashes and quotes", "lane_command = \"printf '%s,' '\\\\\\\"'\"\n", "\\\",pi," },
        { "a blank", "lane_command = printf %s,\nlane_socket = /x y/s\n", "pi,--socket,/x y/s," },
        { "a semicolon", "lane_command = printf %s,\nlane_socket = \"/x;id\"\n", "pi,--socket,/x;id," },
        { "what a shell expands", "lane_command = printf %s,\nlane_socket = \"/$HOME`id`~*\\\\\"\n",
          "pi,--socket,/$HOME`id`~*\\," },
        { "both quotes", "lane_command = printf %s,\nlane_socket = \"/a'b\\\"c'\"\n",
          "pi,--socket,/a'b\"c'," },
        { "beyond ASCII", "lane_command = printf %s,\nlane_socket = /\303\244\n", "pi,--socket,/\303\244," },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char first[256], output[256] = "", *lines, *command;
        FILE *shell;

        snprintf(first, sizeof first, "[relay]\n%s", rows[i].conf);
        lines = lines_of(first, agents);
        assert_int_equal(strcspn(lines, "\n"), strlen(lines) - 1);
        command = command_of(lines);
        assert_memory_equal(command, "exec ", 5);
        shell = popen(command, "r");
        assert_non_null(shell);
        output[fread(output, 1, sizeof output - 1, shell)] = 0;
        if (pclose(shell) != 0 || strcmp(output, rows[i].output) != 0)
            fail_msg("%s: %s\n%s", rows[i].name, command, output);
        free(command);
        free(lines);
    }
}

/* ssh-keygen reads the file as sshd does. */
static void test_openssh_reads_the_keys(void **state)
{
    static const char *const agents[] = { "pi", "a.test", "nas", "b.test", NULL };
    char text[256], output[512] = "", expected[256], pi[96], nas[96];
    char pi_print[SSH_KEY_FINGERPRINT_BYTES], nas_print[SSH_KEY_FINGERPRINT_BYTES];
    struct opt_conf *conf;
    struct temp *t = *state;
    FILE *shell;

    if (access("/usr/bin/ssh-keygen", X_OK) != 0)
        skip();
    snprintf(text, sizeof text, "[relay]\nstate_dir = %s\nlane_socket = \"/a \\\"b\"\n", t->folder);
    conf = relay_conf(text, agents);
    assert_int_equal(write_keys(conf, NULL), 0);
    opt_conf_free(conf);
    snprintf(text, sizeof text, "ssh-keygen -lf %s | cut -d' ' -f2", temp_path(t, "authorized_keys"));
    shell = popen(text, "r");
    assert_non_null(shell);
    output[fread(output, 1, sizeof output - 1, shell)] = 0;
    assert_int_equal(pclose(shell), 0);
    ssh_key_fingerprint(key_of('a', pi), pi_print);
    ssh_key_fingerprint(key_of('c', nas), nas_print);
    snprintf(expected, sizeof expected, "%s\n%s\n", pi_print, nas_print);
    assert_string_equal(output, expected);
}

static ino_t inode_of(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 ? st.st_ino : 0;
}

static void assert_lines(const char *path, size_t expected)
{
    struct buf text = { 0 };
    size_t n = 0;

    assert_int_equal(file_read(path, 10000, &text, NULL), 0);
    for (const char *p = buf_text(&text); (p = strchr(p, '\n')); p++)
        n++;
    assert_int_equal(n, expected);
    buf_free(&text);
}

static void test_the_file(void **state)
{
    static const char *const one[] = { "pi", "a.test", NULL };
    static const char *const two[] = { "pi", "b.test", "nas", "", NULL };
    static const char *const none[] = { NULL };
    static const struct {
        const char *name;
        const char *const *agents;
        size_t lines;
        bool written;
    } rows[] = {
        { "an agent", one, 1, true }, { "the same again", one, 1, false }, { "another agent", two, 2, true },
        { "none", none, 0, true },    { "still none", none, 0, false },
    };
    struct temp *t = *state;
    const char *path = temp_path(t, "authorized_keys");
    char first[128];
    ino_t before = 0;

    snprintf(first, sizeof first, "[relay]\nstate_dir = %s\n", t->folder);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct opt_conf *conf = relay_conf(first, rows[i].agents);

        assert_int_equal(write_keys(conf, NULL), 0);
        opt_conf_free(conf);
        assert_int_equal(temp_mode(path), 0600);
        assert_lines(path, rows[i].lines);
        if ((inode_of(path) != before) != rows[i].written)
            fail_msg("%s: was%s written", rows[i].name, rows[i].written ? " not" : "");
        before = inode_of(path);
        assert_int_equal(temp_count(t), 1);
    }
}

static void test_a_file_that_cannot_be_written(void **state)
{
    static const char *const one[] = { "pi", "a.test", NULL };
    struct temp *t = *state;
    struct opt_conf *conf;
    struct err e = { 0 };
    char first[128];

    snprintf(first, sizeof first, "[relay]\nstate_dir = %s/none\n", t->folder);
    conf = relay_conf(first, one);
    assert_int_equal(write_keys(conf, &e), -1);
    assert_non_null(strstr(e.text, "/none"));
    opt_conf_free(conf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_what_the_shell_makes_of_it),
        cmocka_unit_test_setup_teardown(test_openssh_reads_the_keys, temp_make, temp_remove),
        cmocka_unit_test_setup_teardown(test_the_file, temp_make, temp_remove),
        cmocka_unit_test_setup_teardown(test_a_file_that_cannot_be_written, temp_make, temp_remove),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
