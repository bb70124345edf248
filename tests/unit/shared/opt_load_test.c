#include "shared/opt.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "shared/opt_print.h"
#include "tests/unit/shared/opt_table.h"
#include "tests/unit/temp.h"

/* Each test runs in a folder of its own, so that files are given by relative paths. */
static int enter(void **state)
{
    if (temp_make(state) != 0)
        return -1;
    return chdir(((struct temp *)*state)->folder);
}

static int leave(void **state)
{
    return chdir("/") != 0 ? -1 : temp_remove(state);
}

/* A folder when the name ends with a slash, a symbolic link when the content begins with "-> ". */
static void put(struct temp *t, const char *name, const char *content)
{
    if (name[strlen(name) - 1] == '/')
        assert_int_equal(mkdir(name, 0700), 0);
    else if (strncmp(content, "-> ", 3) == 0)
        assert_int_equal(symlink(content + 3, name), 0);
    else
        temp_file(t, name, content, 0600);
}

static void add_hiding(struct buf *out, const char *text, const char *folder)
{
    for (const char *at; (at = strstr(text, folder)); text = at + strlen(folder)) {
        buf_add(out, text, (size_t)(at - text));
        buf_add_text(out, "@");
    }
    buf_add_text(out, text);
}

/* All that is wrong with a file, one error a line, with @ for the test's folder; empty when it loads. */
static struct buf errors_of(const struct temp *t, const char *path)
{
    struct opt_errors errors = { 0 };
    struct opt_conf *conf = opt_load(&table_schema, path, &errors);
    struct buf out = { 0 };

    assert_int_equal(conf == NULL, errors.n > 0);
    for (size_t i = 0; i < errors.n; i++) {
        buf_add_text(&out, i > 0 ? "\n" : "");
        add_hiding(&out, errors.lines[i], t->folder);
    }
    opt_errors_free(&errors);
    opt_conf_free(conf);
    return out;
}

static void check(const struct temp *t, const char *path, const char *expected)
{
    struct buf errors = errors_of(t, path);

    assert_string_equal(buf_text(&errors), expected);
    buf_free(&errors);
}

static struct opt_conf *load(const char *path)
{
    struct opt_errors errors = { 0 };
    struct opt_conf *conf = opt_load(&table_schema, path, &errors);

    for (size_t i = 0; i < errors.n; i++)
        print_error("%s\n", errors.lines[i]);
    assert_non_null(conf);
    return conf;
}

/* ---- files that cannot be loaded ---- */

enum { FILES_MAX = 5 };

struct row {
    const char *files[FILES_MAX][2]; /* name and content */
    const char *errors;
};

#define TAKE_OUT "; make it a file that this user can read, or take it out of include"
#define HINT     "; name the file with -c FILE (a sample is in share/doc/tunnel/examples)"
#define LOOP     "files include each other: "
#define OUT      "; take one of these includes out"

static const struct row rows[] = {
    { { { "other.ini", "" } }, "cannot open all.ini: No such file or directory" HINT },
    { { { "all.ini/", "" } }, "all.ini is a folder, not a file" HINT },
    { { { "all.ini", "-> all.ini" } }, "cannot open all.ini: Too many levels of symbolic links" HINT },
    { { { "all.ini", "" } }, "" },
    { { { "real.ini", "[all]\nnumber = x\n" }, { "all.ini", "-> real.ini" } },
      "all.ini:2: all.number = x: not a whole number from -3 to 64; the default is 4" },

    /* includes */
    { { { "all.ini", "[all]\ninclude = none.ini\n" } },
      "all.ini:2: all.include = none.ini: cannot open none.ini: No such file or directory" TAKE_OUT },
    { { { "all.ini", "[all]\ninclude = none/*.ini *.none\n" } }, "" },
    { { { "all.ini", "[all]\ninclude = all.ini/*.ini\n" } }, "" },
    { { { "all.ini", "[all]\ninclude = b.d\n" }, { "b.d/", "" } },
      "all.ini:2: all.include = b.d: b.d is a folder, not a file" TAKE_OUT },
    { { { "all.ini", "[all]\ninclude = ./b.ini, ././c.ini\n" },
        { "b.ini", "[maker b]\nemail\n" },
        { "c.ini", "\n[maker c]\nmail = x\n" } },
      "b.ini:2: email: has no = after the key; write KEY = VALUE, or start a comment with ;\n"
      "c.ini:3: maker c.mail = x: unknown key here; did you mean email?" },
    { { { "all.ini", "[all]\ninclude = s/b.ini\n" },
        { "s/", "" },
        { "s/b.ini", "[more b]\ninclude = c.ini d.ini\n" },
        { "s/c.ini", "[all]\n" } },
      "s/c.ini:1: [all]: there is one already; put all its keys into the one at all.ini:1\n"
      "s/b.ini:2: more b.include = c.ini d.ini: cannot open s/d.ini: No such file or directory" TAKE_OUT },
    { { { "all.ini", "[all]\ninclude = b.ini\nnumber = x\n" }, { "b.ini", "number = 5\n[maker]\n" } },
      "b.ini:1: number = 5: stands before the first section; write [KIND] or [KIND NAME] above it\n"
      "all.ini:3: all.number = x: not a whole number from -3 to 64; the default is 4" },
    { { { "all.ini", "[maker a]\r\n[maker a]\r\n[more m]\ninclude = b.ini\n" },
        { "b.ini", "\n[maker a]\r\n" } },
      "all.ini:1: the line ends with CR LF, as on Windows; run: sed -i 's/\\r$//' all.ini\n"
      "all.ini:2: [maker a]: there is one already; put all its keys into the one at all.ini:1\n"
      "b.ini:2: the line ends with CR LF, as on Windows; run: sed -i 's/\\r$//' b.ini\n"
      "b.ini:2: [maker a]: there is one already; put all its keys into the one at all.ini:1" },
    { { { "all.ini", "[site a.b]\n[more M]\ninclude = none.ini\n[more n]\n[more n]\ninclude = none.ini\n" } },
      "all.ini:2: [more M]: not a name of 1 to 32 characters a-z, 0-9 and - (such as pi-2)\n"
      "all.ini:5: [more n]: there is one already; put all its keys into the one at all.ini:4\n"
      "all.ini:1: [site a.b] has no service; write service = http://127.0.0.1:80" },
    { { { "all.ini", "[all]\ninclude = *.txt\n" }, { "b\x1b[2J.txt", "x" } },
      "b\\x1b[2J.txt:1: x: has no = after the key; write KEY = VALUE, or start a comment with ;" },

    /* what is included by default */
    { { { "all.ini", "" }, { "all.d/", "" }, { "all.d/b.ini", "[maker b]\nx\n" }, { "all.d/a.ini", "x" } },
      "all.d/a.ini:1: x: has no = after the key; write KEY = VALUE, or start a comment with ;\n"
      "all.d/b.ini:2: x: has no = after the key; write KEY = VALUE, or start a comment with ;" },
    { { { "all.ini", "" }, { "all.d/", "" }, { "all.d/.a.ini", "x" }, { "all.d/a.txt", "x" } }, "" },
    { { { "all.ini", "[all]\ninclude =\n" }, { "all.d/", "" }, { "all.d/a.ini", "x" } }, "" },
    { { { "all.ini", "" }, { "all.d/", "" }, { "all.d/a.ini", "-> ../all.ini" } },
      "all.ini: all.include = all.d/*.ini (the default): " LOOP "all.ini -> all.d/a.ini" OUT },
    { { { "all.ini", "\n[all]\n" }, { "all.d/", "" }, { "all.d/a.ini/", "" } },
      "all.ini:2: all.include = all.d/*.ini (the default): all.d/a.ini is a folder, not a file" TAKE_OUT },
    { { { "all.ini", "[more m]\ninclude = all.d/a.ini\n" }, { "all.d/", "" }, { "all.d/a.ini", "" } },
      "all.ini: all.include = all.d/*.ini (the default): "
      "all.d/a.ini was included before, at all.ini:2; include it once" },

    /* loops, and files that are met twice */
    { { { "all.ini", "[all]\ninclude = all.ini\n" } },
      "all.ini:2: all.include = all.ini: " LOOP "all.ini -> all.ini" OUT },
    { { { "all.ini", "[all]\ninclude = b.ini\n" },
        { "b.ini", "[more b]\ninclude = c.ini\n" },
        { "c.ini", "[more c]\ninclude = b.ini\n" } },
      "c.ini:2: more c.include = b.ini: " LOOP "all.ini -> b.ini -> c.ini -> b.ini" OUT },
    { { { "all.ini", "[all]\ninclude = s/b.ini\n" },
        { "s/", "" },
        { "s/b.ini", "[more b]\ninclude = ../all.ini\n" } },
      "s/b.ini:2: more b.include = ../all.ini: " LOOP "all.ini -> s/b.ini -> s/../all.ini" OUT },
    { { { "all.ini", "[all]\ninclude = b.ini\n" }, { "b.ini", "-> all.ini" } },
      "all.ini:2: all.include = b.ini: " LOOP "all.ini -> b.ini" OUT },
    { { { "all.ini", "[all]\ninclude = b.ini b.ini\n" }, { "b.ini", "[maker]\n" } },
      "all.ini:2: all.include = b.ini b.ini: b.ini was included before, at all.ini:2; include it once" },
    { { { "all.ini", "[all]\ninclude = b.ini c.ini\n" },
        { "b.ini", "\n[more b]\ninclude = s/d.ini\n" },
        { "c.ini", "[more c]\ninclude = e.ini\n" },
        { "s/", "" },
        { "e.ini", "-> s/d.ini" } },
      "b.ini:3: more b.include = s/d.ini: cannot open s/d.ini: No such file or directory" TAKE_OUT "\n"
      "c.ini:2: more c.include = e.ini: cannot open e.ini: No such file or directory" TAKE_OUT },
    { { { "all.ini", "[all]\ninclude = b.ini c.ini\n" },
        { "b.ini", "\n[more b]\ninclude = d.ini\n" },
        { "c.ini", "[more c]\ninclude = e.ini\n" },
        { "d.ini", "" },
        { "e.ini", "-> d.ini" } },
      "c.ini:2: more c.include = e.ini: e.ini was included before, at b.ini:3; include it once" },
    { { { "all.ini", "[all]\ninclude = *.txt b.txt\n" }, { "b.txt", "" } },
      "all.ini:2: all.include = *.txt b.txt: b.txt was included before, at all.ini:2; include it once" },
};

static void test_files_that_are_wrong(void **state)
{
    int wrong = 0;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct temp *t = *state;
        struct buf errors;

        for (size_t f = 0; f < FILES_MAX && rows[i].files[f][0]; f++)
            put(t, rows[i].files[f][0], rows[i].files[f][1]);
        errors = errors_of(t, "all.ini");
        if (strcmp(buf_text(&errors), rows[i].errors) != 0) {
            print_error("row %zu is not: %s\n  but: %s\n", i, rows[i].errors, buf_text(&errors));
            wrong++;
        }
        buf_free(&errors);
        assert_int_equal(leave(state), 0); /* the next row has a folder of its own */
        assert_int_equal(enter(state), 0);
    }
    assert_int_equal(wrong, 0);
}

static void test_depth(void **state)
{
    struct temp *t = *state;
    struct buf chain = { 0 };
    struct opt_conf *conf;
    char name[32], text[64];

    put(t, "all.ini", "[all]\ninclude = 1.ini\n");
    for (int i = 1; i < 16; i++) {
        snprintf(name, sizeof name, "%d.ini", i);
        snprintf(text, sizeof text, "[more m%d]\ninclude = %d.ini\n", i, i + 1);
        put(t, name, text);
    }
    put(t, "16.ini", "[maker deep]\n");
    conf = load("all.ini");
    assert_non_null(opt_values(conf, "maker", "deep"));
    opt_conf_free(conf);

    put(t, "16.ini", "[more m16]\ninclude = 17.ini\n");
    put(t, "17.ini", "");
    buf_add_text(&chain,
                 "16.ini:2: more m16.include = 17.ini: includes are nested deeper than 16 files: all.ini");
    for (int i = 1; i <= 17; i++)
        buf_printf(&chain, " -> %d.ini", i);
    buf_add_text(&chain, "; include it from one of the first");
    check(t, "all.ini", buf_text(&chain));
    buf_free(&chain);
}

/* The folder that holds a file may be called anything: nothing in its name is taken for a pattern. */
static void test_folders_that_look_like_patterns(void **state)
{
    static const char *const folders[] = { "a*", "a?b", "[a]", "a\\b", "a b", "\xc3\xa4" };
    struct temp *t = *state;
    char name[64], makers[64];

    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        struct opt_conf *conf;

        assert_int_equal(mkdir(folders[i], 0700), 0);
        snprintf(name, sizeof name, "%s/all.ini", folders[i]);
        put(t, name, "[all]\ninclude = plain.ini *.txt\n");
        snprintf(makers, sizeof makers, "%s/plain.ini", folders[i]);
        put(t, makers, "[maker plain]\n");
        snprintf(makers, sizeof makers, "%s/x.txt", folders[i]);
        put(t, makers, "[maker pattern]\n");
        conf = load(name);
        assert_non_null(opt_values(conf, "maker", "plain"));
        assert_non_null(opt_values(conf, "maker", "pattern"));
        opt_conf_free(conf);
    }
}

static void test_what_this_user_cannot_read(void **state)
{
    struct temp *t = *state;

    if (geteuid() == 0)
        skip(); /* root can read everything */
    put(t, "all.ini", "[all]\ninclude = s/*.ini b.ini\n");
    put(t, "b.ini", "");
    put(t, "s/", "");
    assert_int_equal(chmod("s", 0) | chmod("b.ini", 0), 0);
    check(
        t, "all.ini",
        "all.ini:2: all.include = s/*.ini b.ini: a folder of this pattern cannot be read; let this user read it\n"
        "all.ini:2: all.include = s/*.ini b.ini: cannot open b.ini: Permission denied" TAKE_OUT);
    assert_int_equal(chmod("all.ini", 0), 0);
    check(t, "all.ini", "cannot open all.ini: Permission denied" HINT);
}

/* ---- sizes ---- */

static void test_long_lines_and_files(void **state)
{
    enum { LINE_MAX_BYTES = 65536, FILE_MAX_BYTES = 4 << 20 };
    struct temp *t = *state;
    char *text = malloc(FILE_MAX_BYTES + 2);

    assert_non_null(text);
    memset(text, 'x', FILE_MAX_BYTES + 2);
    text[0] = ';';
    text[LINE_MAX_BYTES] = 0;
    put(t, "all.ini", text);
    check(t, "all.ini", "");
    text[LINE_MAX_BYTES] = 'x';
    text[LINE_MAX_BYTES + 1] = 0;
    put(t, "all.ini", text);
    check(t, "all.ini",
          "all.ini:1: ;xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…: "
          "the line has more than 65536 bytes; shorten it");
    for (size_t i = 0; i <= FILE_MAX_BYTES; i++)
        text[i] = i % 64 == 63 ? '\n' : i % 64 == 0 ? '#' : 'x';
    text[FILE_MAX_BYTES] = 0;
    put(t, "all.ini", text);
    check(t, "all.ini", "");
    text[FILE_MAX_BYTES] = '\n';
    text[FILE_MAX_BYTES + 1] = 0;
    put(t, "all.ini", text);
    check(t, "all.ini", "all.ini is larger than 4194304 bytes" HINT);
    put(t, "other.ini", "[all]\ninclude = all.ini\n");
    check(t, "other.ini",
          "other.ini:2: all.include = all.ini: all.ini is larger than 4194304 bytes" TAKE_OUT);
    free(text);
}

/* ---- relative paths ---- */

static void check_path(const struct temp *t, const char *file, const char *path, const char *log)
{
    struct opt_conf *conf = load(file);
    const struct all_values *all = opt_values(conf, "all", NULL);
    struct buf hidden = { 0 };

    add_hiding(&hidden, all->path, t->folder);
    assert_string_equal(buf_text(&hidden), path);
    buf_take(&hidden, hidden.len);
    add_hiding(&hidden, all->log, t->folder);
    assert_string_equal(buf_text(&hidden), log);
    buf_free(&hidden);
    opt_conf_free(conf);
}

/* They start in the folder of the file they stand in, however that file was reached. */
static void test_relative_paths(void **state)
{
    struct temp *t = *state;

    put(t, "s/", "");
    put(t, "s/all.ini", "[all]\npath = x\nlog = ./l\n");
    put(t, "dots.ini", "[all]\npath = ././x\nlog = ../l\n");
    put(t, "top.ini", "[more m]\ninclude = s/all.ini\n");
    put(t, "far.ini", "[all]\npath = /x\nlog = stderr\n");
    check_path(t, "s/all.ini", "@/s/x", "@/s/l");
    check_path(t, "./s/all.ini", "@/s/x", "@/s/l");
    check_path(t, "././s/all.ini", "@/s/x", "@/s/l");
    check_path(t, "s/../s/all.ini", "@/s/../s/x", "@/s/../s/l");
    check_path(t, temp_path(t, "s/all.ini"), "@/s/x", "@/s/l");
    check_path(t, "top.ini", "@/s/x", "@/s/l");
    check_path(t, "./top.ini", "@/s/x", "@/s/l");
    check_path(t, temp_path(t, "top.ini"), "@/s/x", "@/s/l");
    check_path(t, "dots.ini", "@/x", "@/../l");
    check_path(t, "far.ini", "/x", "stderr");
    assert_int_equal(chdir("s"), 0);
    check_path(t, "all.ini", "@/s/x", "@/s/l");
    check_path(t, "../top.ini", "@/s/../s/x", "@/s/../s/l");
    assert_int_equal(chdir("/"), 0);
    check_path(t, temp_path(t, "top.ini") + 1, "@/s/x", "@/s/l");
}

static void test_a_path_that_is_too_long(void **state)
{
    struct temp *t = *state;
    struct buf text = { 0 };

    buf_add_text(&text, "[all]\ncert = ");
    for (size_t n = strlen(t->folder) + 1; n < 4095; n++)
        buf_add_text(&text, "x");
    put(t, "all.ini", buf_text(&text));
    check(t, "all.ini", "");
    buf_add_text(&text, "x");
    put(t, "all.ini", buf_text(&text));
    check(t, "all.ini",
          "all.ini:2: all.cert = xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…: "
          "a path has at most 4095 bytes");
    buf_free(&text);
}

/* ---- secret files ---- */

#define REACHED(mode)                                   \
    "all.ini:2: all.secret = key: @/key has mode " mode \
    ", so others can reach the secret in it; run: chmod 600 @/key"

static void test_secret_files(void **state)
{
    static const struct {
        mode_t mode;
        const char *errors;
    } modes[] = {
        { 0600, "" },
        { 0400, "" },
        { 0640, "" },
        { 0440, "" },
        { 0644, REACHED("0644") },
        { 0604, REACHED("0604") },
        { 0660, REACHED("0660") },
        { 0650, REACHED("0650") },
        { 0601, REACHED("0601") },
        { 0777, REACHED("0777") },
    };
    struct temp *t = *state;

    put(t, "all.ini", "[all]\nsecret = key\n");
    check(
        t, "all.ini",
        "all.ini:2: all.secret = key: cannot look at @/key: No such file or directory; is it there, and may this user reach it?");
    put(t, "key", "");
    assert_int_equal(chown("key", (uid_t)-1, getegid()), 0); /* the folder may give files its own group */
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        assert_int_equal(chmod("key", modes[i].mode), 0);
        check(t, "all.ini", modes[i].errors);
    }
    put(t, "all.ini", "[all]\nsecret = s\n");
    put(t, "s/", "");
    check(t, "all.ini", "all.ini:2: all.secret = s: @/s is not a regular file");
    put(t, "link", "-> key");
    put(t, "all.ini", "[all]\nsecret = ./link\n");
    check(t, "all.ini",
          "all.ini:2: all.secret = ./link: @/link has mode 0777, "
          "so others can reach the secret in it; run: chmod 600 @/link");
}

static void test_a_secret_of_another_group(void **state)
{
    struct temp *t = *state;

    if (geteuid() != 0)
        skip(); /* only root can give a file away */
    put(t, "all.ini", "[all]\nsecret = key\n");
    put(t, "key", "");
    assert_int_equal(chown("key", (uid_t)-1, 54321), 0);
    check(t, "all.ini", "");
    assert_int_equal(chmod("key", 0640), 0);
    check(t, "all.ini", REACHED("0640"));
}

/* ---- what does not come from a named file ---- */

static struct buf errors_of_pipe(const struct temp *t, const char *text)
{
    int before = dup(STDIN_FILENO), ends[2];
    struct buf errors;

    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], text, strlen(text)), (ssize_t)strlen(text));
    close(ends[1]);
    if (ends[0] != STDIN_FILENO) { /* it is when standard input was closed */
        assert_int_equal(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
        close(ends[0]);
    }
    errors = errors_of(t, "/dev/stdin");
    if (before >= 0)
        dup2(before, STDIN_FILENO);
    close(before >= 0 ? before : STDIN_FILENO);
    return errors;
}

/* Relative paths start in the current folder then, and what is included is found there. */
static void test_standard_input(void **state)
{
    static const struct {
        const char *text, *errors;
    } texts[] = {
        { "", "" },
        { "[all]\nnumber = 5\ninclude = b.ini\nsecret = key\n", "" },
        { "[all]\nnumber = x\n",
          "/dev/stdin:2: all.number = x: not a whole number from -3 to 64; the default is 4" },
        { "[all]\nsecret = none\n",
          "/dev/stdin:2: all.secret = none: cannot look at @/none: No such file or directory; is it there, and may this user reach it?" },
        { "[all]\ninclude = none.ini\n",
          "/dev/stdin:2: all.include = none.ini: cannot open none.ini: No such file or directory" TAKE_OUT },
        { "[all]\ninclude = /dev/stdin\n",
          "/dev/stdin:2: all.include = /dev/stdin: " LOOP "/dev/stdin -> /dev/stdin" OUT },
    };
    struct temp *t = *state;

    put(t, "b.ini", "[maker b]\n");
    put(t, "key", "");
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct buf errors = errors_of_pipe(t, texts[i].text);

        assert_string_equal(buf_text(&errors), texts[i].errors);
        buf_free(&errors);
    }
}

/* A dash is a name like any other. */
static void test_a_file_called_dash(void **state)
{
    struct temp *t = *state;

    check(t, "-", "cannot open -: No such file or directory" HINT);
    put(t, "-", "[all]\nnumber = 5\n");
    check(t, "-", "");
}

/* ---- what a configuration knows of its files ---- */

static void test_origins(void **state)
{
    struct temp *t = *state;
    struct opt_conf *conf;

    put(t, "all.ini", "[maker a]\nemail = a\n[site a.b]\nservice = s\n");
    put(t, "all.d/", "");
    put(t, "all.d/1.ini", "\n[all]\nnumber = 5\n[site b.c]\nroute /a = x\nservice = t\n");
    put(t, "all.d/2.ini", "[maker b]\nemail = b\n");
    conf = load("./all.ini");
    assert_string_equal(opt_origin(conf, "maker", "a", "email"), "./all.ini:2");
    assert_string_equal(opt_origin(conf, "all", NULL, "number"), "all.d/1.ini:3");
    assert_string_equal(opt_origin(conf, "all", NULL, "flag"), "default");
    assert_string_equal(opt_origin(conf, "all", NULL, "include"), "default");
    assert_string_equal(opt_origin(conf, "site", "b.c", "route"), "all.d/1.ini:5");
    assert_string_equal(opt_origin(conf, "maker", "b", "email"), "all.d/2.ini:2");
    assert_false(opt_given(conf, "all", NULL, "include"));
    assert_null(opt_values(conf, "maker", NULL)); /* there are some with names */
    opt_conf_free(conf);
    conf = load(temp_path(t, "all.ini"));
    assert_string_equal(opt_origin(conf, "all", NULL, "number") + strlen(t->folder), "/all.d/1.ini:3");
    opt_conf_free(conf);
}

/* What a file that is included says wins over defaults, and stands where the include stands. */
static void test_the_order_of_sections(void **state)
{
    static const char *const names[] = { "a", "b", "c", "d" };
    struct temp *t = *state;
    struct opt_conf *conf;
    const char *name;

    put(t, "all.ini", "[maker a]\n[all]\ninclude = b.ini\nnumber = 5\n[maker d]\n");
    put(t, "b.ini", "[maker b]\n[more m]\ninclude = c.ini\n");
    put(t, "c.ini", "[maker c]\n");
    conf = load("all.ini");
    for (size_t i = 0; i < 4; i++) {
        assert_non_null(opt_section(conf, "maker", i, &name));
        assert_string_equal(name, names[i]);
    }
    assert_true(((const struct all_values *)opt_values(conf, "all", NULL))->number == 5);
    opt_conf_free(conf);
}

/* /proc/self/fd lists the descriptor too that glob reads it by, and that is closed once it has the names. */
static void test_a_file_that_vanishes_between_glob_and_open(void **state)
{
    int next = dup(STDOUT_FILENO);
    struct buf dump = { 0 };
    struct opt_conf *conf;
    char number[16], text[96];

    close(next);
    snprintf(number, sizeof number, "%d", next);
    snprintf(text, sizeof text, "[all]\ninclude = /proc/self/fd/[%c]%s b.ini\n", number[0], number + 1);
    put(*state, "all.ini", text);
    put(*state, "b.ini", "[maker b]\n");
    conf = load("all.ini");
    assert_non_null(opt_values(conf, "maker", "b"));
    opt_print_dump(&dump, conf);
    assert_non_null(strstr(buf_text(&dump), "\n;   b.ini\n"));
    assert_null(strstr(buf_text(&dump), "\n;   /proc/"));
    buf_free(&dump);
    opt_conf_free(conf);
    put(*state, "all.ini", "[all]\ninclude = *.txt\n");
    put(*state, "b.txt", "-> none"); /* a link to nothing is there */
    check(*state, "all.ini",
          "all.ini:2: all.include = *.txt: cannot open b.txt: No such file or directory" TAKE_OUT);
}

#define IN_A_FOLDER(f) cmocka_unit_test_setup_teardown(f, enter, leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_FOLDER(test_files_that_are_wrong),
        IN_A_FOLDER(test_depth),
        IN_A_FOLDER(test_folders_that_look_like_patterns),
        IN_A_FOLDER(test_what_this_user_cannot_read),
        IN_A_FOLDER(test_long_lines_and_files),
        IN_A_FOLDER(test_relative_paths),
        IN_A_FOLDER(test_a_path_that_is_too_long),
        IN_A_FOLDER(test_secret_files),
        IN_A_FOLDER(test_a_secret_of_another_group),
        IN_A_FOLDER(test_standard_input),
        IN_A_FOLDER(test_a_file_called_dash),
        IN_A_FOLDER(test_origins),
        IN_A_FOLDER(test_the_order_of_sections),
        IN_A_FOLDER(test_a_file_that_vanishes_between_glob_and_open),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
