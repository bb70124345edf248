#include "shared/opt.h"

#include <jansson.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/opt_walk.h"
#include "tests/unit/shared/opt_table.h"
#include "tests/unit/temp.h"
#include "shared/opt_print.h"

/* Each test runs in a folder of its own, so that files are given by relative paths. */
static int enter(void **state)
{
    return temp_make(state) != 0 ? -1 : chdir(((struct temp *)*state)->folder);
}

static int leave(void **state)
{
    return chdir("/") != 0 ? -1 : temp_remove(state);
}

static struct opt_conf *load_file(const char *path)
{
    struct opt_errors errors = { 0 };
    struct opt_conf *conf = opt_load(&table_schema, path, &errors);

    for (size_t i = 0; i < errors.n; i++)
        print_error("%s\n", errors.lines[i]);
    assert_non_null(conf);
    return conf;
}

static struct opt_conf *load(const char *text)
{
    struct buf copy = { 0 };
    struct opt_conf *conf;

    buf_add_text(&copy, text);
    conf = walk_load(&table_schema, &copy);
    buf_free(&copy);
    return conf;
}

/* ---- the dump ---- */

static void test_a_dump_of_defaults(void **state)
{
    struct opt_conf *conf = load("");
    struct buf dump = { 0 };

    (void)state;
    opt_print_dump(&dump, conf);
    assert_string_equal(
        buf_text(&dump),
        "; effective configuration of all-daemon, read from walk.ini\n"
        "\n"
        "[all]\n"
        "text     = \"hello; \\\"you\\\"\"           ; default\n"
        "name     = fra1                       ; default\n"
        "path     = /var/lib/all               ; default\n"
        "secret   =                            ; default\n"
        "log      = stderr                     ; default\n"
        "; note   =                            ; not given\n"
        "; cert   =                            ; not given\n"
        "host     = this-host                  ; default\n"
        "number   = 4                          ; default\n"
        "duration = 10s                        ; default\n"
        "size     = 64k                        ; default\n"
        "; limit  =                            ; not given\n"
        "flag     = on                         ; default\n"
        "choice   = acme                       ; default\n"
        "; mode   =                            ; not given\n"
        "words    = one two                    ; default\n"
        "tags     =                            ; default\n"
        "listen   = :443 127.0.0.1:80 [::1]:80 ; default\n"
        "ports    =                            ; default\n"
        "peers    = 192.0.2.0/24               ; default\n"
        "; default: include = all.d/*.ini: the sections of these files are part of this text\n"
        "include  =                            ; default\n");
    opt_conf_free(conf);
    buf_free(&dump);
}

/* Sections stand in the order of the kinds, one of a kind in the order of the file; a long value is not waited for. */
static void test_a_dump_of_sections(void **state)
{
    struct opt_conf *conf =
        load("[maker x]\n[site b.c]\nservice = http://a-service-with-a-very-long-name.example/\n"
             "route /b =\nroute /long/path = \" x\"\npark = 2000ms\n[site a.b]\nservice = \xc3\xa4\n");
    struct buf dump = { 0 };
    const char *sites;

    (void)state;
    opt_print_dump(&dump, conf);
    sites = strstr(buf_text(&dump), "[site ");
    assert_non_null(sites);
    assert_string_equal(sites,
                        "[site b.c] ; walk.ini:2\n"
                        "service          = http://a-service-with-a-very-long-name.example/ ; walk.ini:3\n"
                        "park             = 2s   ; walk.ini:6\n"
                        "route /b         =      ; walk.ini:4\n"
                        "route /long/path = \" x\" ; walk.ini:5\n"
                        "\n"
                        "[site a.b] ; walk.ini:7\n"
                        "service = \xc3\xa4  ; walk.ini:8\n"
                        "park    = 1m ; default\n"
                        "; route =    ; not given\n"
                        "\n"
                        "[maker x] ; walk.ini:1\n"
                        "email = ; default\n");
    opt_conf_free(conf);
    buf_free(&dump);
}

/* Texts that could be taken for something else, for comments or quotes above all. */
static void test_texts_survive_a_dump(void **state)
{
    static const char *const texts[] = {
        "",         " ",           " x ",
        "\t",       ";",           "#",
        "a;b",      "a ;b",        "a #",
        "\"",       "\"a\"",       "a \"b\" c",
        "\\",       "\\\\",        "a\\",
        "\"\\",     "[all]",       "=",
        "= a",      "key = value", "\xc3\xa4 ; \"",
        "a \"b",    "a \"b ;",     "\\ ; x",
        "\\\" ;",   "'",           "%s %n",
        "\xc2\xa0", "a\t;b",       "a\t\"",
        "stderr",   "/dev/null",   "\xf0\x9f\x98\x80",
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct buf text = { 0 };
        struct opt row = { .key = "note" };
        struct opt_conf *conf;

        buf_add_text(&text, "[all]\n");
        walk_add_value(&text, &row, texts[i]);
        buf_add_text(&text, "[site a.b]\n");
        row.key = "service";
        walk_add_value(&text, &row, *texts[i] ? texts[i] : "x");
        row.key = "route /a=b\"#;";
        walk_add_value(&text, &row, texts[i]);
        conf = walk_load(&table_schema, &text);
        assert_string_equal(((const struct all_values *)opt_values(conf, "all", NULL))->note, texts[i]);
        walk_dump(&table_schema, conf);
        opt_conf_free(conf);
        buf_free(&text);
    }
}

/* The longest value, in which each byte has to be escaped, still fits into a line of the dump. */
static void test_a_long_value_survives_a_dump(void **state)
{
    struct buf text = { 0 };
    struct opt_conf *conf;

    (void)state;
    buf_add_text(&text, "[all]\ntext = x");
    for (int i = 1; i < INI_VALUE_MAX; i++)
        buf_add_text(&text, "\"");
    conf = walk_load(&table_schema, &text);
    walk_dump(&table_schema, conf);
    opt_conf_free(conf);
    buf_free(&text);
}

/* What was included is part of the dump, which says where it was, and includes nothing when it is loaded. */
static void test_a_dump_of_included_files(void **state)
{
    struct temp *t = *state;
    struct opt_conf *conf, *again;
    struct buf dump = { 0 };

    temp_file(t, "all.ini", "[site a.b]\nservice = s\n[more m]\ninclude = m.txt none.*\n", 0600);
    temp_file(t, "m.txt", "[maker m]\nemail = m\n", 0600);
    assert_int_equal(mkdir("all.d", 0700), 0);
    temp_file(t, "all.d/1.ini", "[all]\nsecret = key\ncert = c\nlog = l\n", 0600);
    temp_file(t, "all.d/2\n[x].ini", "[maker n]\n", 0600);
    temp_file(t, "all.d/key", "", 0600);
    conf = load_file("all.ini");
    opt_print_dump(&dump, conf);
    assert_non_null(strstr(buf_text(&dump), "\n[all] ; all.d/1.ini:1\n"));
    assert_non_null(strstr(buf_text(&dump),
                           "; default: include = all.d/*.ini: the sections of these files are part "
                           "of this text\n;   all.d/1.ini\n;   all.d/2\\x0a[x].ini\ninclude  = "));
    assert_non_null(strstr(buf_text(&dump),
                           "; all.ini:4: include = m.txt none.*: the sections of these files are "
                           "part of this text\n;   m.txt\ninclude = ; all.ini:4\n"));
    assert_non_null(strstr(buf_text(&dump), "\n[maker m] ; m.txt:1\nemail = m ; m.txt:2\n"));
    walk_dump(&table_schema, conf);

    /* From another folder, where there is something else that the default would include. */
    assert_int_equal(mkdir("other", 0700) | chdir("other") | mkdir("all.d", 0700), 0);
    temp_file(t, "other/all.d/x.ini", "[maker x]\n", 0600);
    temp_file(t, "other/dump.ini", buf_text(&dump), 0600);
    again = load_file("dump.ini");
    walk_same(conf, again);
    assert_null(opt_values(again, "maker", "x"));
    opt_conf_free(conf);
    opt_conf_free(again);
    buf_free(&dump);
}

/* ---- JSON ---- */

static json_t *json_of(const struct opt_conf *conf)
{
    json_t *json = opt_json(conf);
    char *text;

    assert_non_null(json);
    text = json_dumps(json, JSON_COMPACT);
    assert_non_null(text);
    free(text);
    return json;
}

/* "VALUE @ ORIGIN" of an option: of the first section with this title that has it. */
static void check_json(json_t *json, const char *title, const char *key, const char *expected)
{
    size_t i, j;
    json_t *section, *option;

    json_array_foreach(json_object_get(json, "sections"), i, section)
    {
        const char *kind = json_string_value(json_object_get(section, "kind"));
        const char *name = json_string_value(json_object_get(section, "name"));
        char whole[64];

        snprintf(whole, sizeof whole, "%s%s%s", kind, name ? " " : "", name ? name : "");
        assert_true(name || json_is_null(json_object_get(section, "name")));
        if (strcmp(whole, title) != 0)
            continue;
        json_array_foreach(json_object_get(section, "options"), j, option)
        {
            const char *value = json_string_value(json_object_get(option, "value"));
            char found[128];

            assert_int_equal(json_object_size(option), 3);
            if (strcmp(json_string_value(json_object_get(option, "key")), key) != 0)
                continue;
            assert_true(value || json_is_null(json_object_get(option, "value")));
            snprintf(found, sizeof found, "%s @ %s", value ? value : "(null)",
                     json_string_value(json_object_get(option, "origin")));
            assert_string_equal(found, expected);
            return;
        }
    }
    fail_msg("%s.%s: is not there", title, key);
}

static void test_json(void **state)
{
    struct opt_conf *conf =
        load("[all]\ntext = \"a \\\"b\\\" \xc3\xa4\"\nnote =\nwords = a,b\n[site a.b]\nservice = s\n"
             "route /a = x\nroute /b =\n[maker x]\nemail = e\n");
    json_t *json = json_of(conf), *sections = json_object_get(json, "sections");
    json_t *site = json_array_get(sections, 1);

    (void)state;
    assert_string_equal(json_string_value(json_object_get(json, "file")), "walk.ini");
    assert_int_equal(json_object_size(json), 3);
    assert_int_equal(json_array_size(json_object_get(json, "files")), 0); /* it is a text */
    assert_int_equal(json_array_size(sections), 3);
    assert_int_equal(json_object_size(site), 3);
    assert_int_equal(json_array_size(json_object_get(site, "options")), 4);
    check_json(json, "all", "text", "a \"b\" \xc3\xa4 @ walk.ini:2");
    check_json(json, "all", "note", " @ walk.ini:3");
    check_json(json, "all", "words", "a b @ walk.ini:4");
    check_json(json, "all", "cert", "(null) @ default");
    check_json(json, "all", "limit", "(null) @ default");
    check_json(json, "all", "mode", "(null) @ default");
    check_json(json, "all", "flag", "on @ default");
    check_json(json, "all", "listen", ":443 127.0.0.1:80 [::1]:80 @ default");
    check_json(json, "all", "include", "all.d/*.ini @ default");
    check_json(json, "site a.b", "service", "s @ walk.ini:6");
    check_json(json, "site a.b", "park", "1m @ default");
    check_json(json, "site a.b", "route /a", "x @ walk.ini:7");
    check_json(json, "site a.b", "route /b", " @ walk.ini:8");
    check_json(json, "maker x", "email", "e @ walk.ini:10");
    json_decref(json);
    opt_conf_free(conf);
}

static void test_json_without_pairs(void **state)
{
    struct opt_conf *conf = load("[site a.b]\nservice = s\n");
    json_t *json = json_of(conf), *site = json_array_get(json_object_get(json, "sections"), 1);

    (void)state;
    assert_int_equal(json_array_size(json_object_get(site, "options")), 2);
    json_decref(json);
    opt_conf_free(conf);
}

/* Whole, whichever way they were named, and those without a key as well. */
static void test_json_of_files(void **state)
{
    static const char *const read[] = { "all.ini", "s/b.ini", "s/../c.ini" };
    struct temp *t = *state;
    char whole[sizeof t->folder + 16];
    const char *ways[] = { "all.ini", "./all.ini", whole, whole + 1 };

    snprintf(whole, sizeof whole, "%s/all.ini", t->folder);
    assert_int_equal(mkdir("s", 0700), 0);
    temp_file(t, "all.ini", "[all]\ninclude = ./s/*.ini\n", 0600);
    temp_file(t, "s/b.ini", "[more b]\ninclude = ../c.ini\n", 0600);
    temp_file(t, "c.ini", "; nothing yet\n", 0600);
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        struct opt_conf *conf;
        json_t *json, *files;

        assert_int_equal(chdir(ways[i] == whole + 1 ? "/" : t->folder), 0);
        conf = load_file(ways[i]);
        json = json_of(conf);
        files = json_object_get(json, "files");
        assert_int_equal(json_array_size(files), sizeof read / sizeof read[0]);
        for (size_t j = 0; j < sizeof read / sizeof read[0]; j++)
            assert_string_equal(json_string_value(json_array_get(files, j)), temp_path(t, read[j]));
        json_decref(json);
        opt_conf_free(conf);
    }
}

/* The folder of a file may have a name that no ini file and no JSON can hold. Such a file may be refused; but what is
 * loaded is printed as text that is read back. */
static void test_folders_that_are_no_text(void **state)
{
    static const char *const folders[] = { "\xff",     "a\nb",         "a\x1b[2J", "a\r",
                                           "\xc2\x9b", "\xe2\x80\xae", "a ; \"b" };
    struct temp *t = *state;

    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        struct opt_errors errors = { 0 };
        struct opt_conf *conf;
        char name[32];

        assert_int_equal(mkdir(folders[i], 0700), 0);
        snprintf(name, sizeof name, "%s/all.ini", folders[i]);
        temp_file(t, name, "[all]\ncert = c\n", 0600);
        conf = opt_load(&table_schema, name, &errors);
        if (conf) {
            json_decref(json_of(conf));
            walk_dump(&table_schema, conf);
        }
        opt_conf_free(conf);
        opt_errors_free(&errors);
    }
}

#define IN_A_FOLDER(f) cmocka_unit_test_setup_teardown(f, enter, leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_dump_of_defaults),   cmocka_unit_test(test_a_dump_of_sections),
        cmocka_unit_test(test_texts_survive_a_dump), cmocka_unit_test(test_a_long_value_survives_a_dump),
        IN_A_FOLDER(test_a_dump_of_included_files),  cmocka_unit_test(test_json),
        cmocka_unit_test(test_json_without_pairs),   IN_A_FOLDER(test_json_of_files),
        IN_A_FOLDER(test_folders_that_are_no_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
