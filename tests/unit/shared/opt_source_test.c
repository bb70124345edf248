#include "shared/opt_source.h"

#include <string.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdlib.h>

#include "shared/mem.h"
#include "shared/opt_print.h"
#include "tests/unit/shared/opt_broken.h"

/* ---- lines and files ---- */

static void test_broken_lines(void **state)
{
    static const struct broken rows[] = {
        { LINE("[all]\nnumber\n"),
          "all.ini:2: number: has no = after the key; write KEY = VALUE, or start a comment with ;" },
        { LINE("[all]\n\n; comment\nthis is no line"),
          "all.ini:4: this is no line: has no = after the key; write KEY = VALUE, or start a comment with ;" },
        { LINE("[all]\n number = 4\n"),
          "all.ini:2: number = 4: the line is indented, and lines do not continue "
          "others; start it in the first column" },
        { LINE("[all]\ntext = one\n  two\n"),
          "all.ini:3: two: the line is indented, and lines do not continue "
          "others; start it in the first column" },
        { LINE("[all]\ntext = \"one\n"),
          "all.ini:2: text = \"one: the quote is not closed; end the value with \"" },
        { LINE("[all]\ntext = \"one\" two\n"),
          "all.ini:2: text = \"one\" two: has text behind the closing quote; "
          "write \\\" for a quote inside, or a blank and ; before a comment" },
        { LINE("[all]\ntext = \"C:\\new\"\n"),
          "all.ini:2: text = \"C:\\new\": has a \\ in quotes that is not \\\" or \\\\; write \\\\ for one \\" },
        { LINE("[all]\ntext =#one\n"),
          "all.ini:2: text =#one: the value begins with #; put it in double quotes, "
          "or a blank before a comment" },
        { LINE("[all]\ntext = say \"a ; b\"\n"),
          "all.ini:2: text = say \"a ; b\": a comment begins inside quotes; put the whole value in double quotes, "
          "and write \\\" for the ones in it" },
        { LINE("number = 4\n"),
          "all.ini:1: number = 4: stands before the first section; write [KIND] or [KIND NAME] above it" },
        { LINE("number = 4\nflag = on\n[all]\n"),
          "all.ini:1: number = 4: stands before the first section; write [KIND] or [KIND NAME] above it\n"
          "all.ini:2: flag = on: stands before the first section; write [KIND] or [KIND NAME] above it" },
        { LINE("[all]\nNumber = 4\n"),
          "all.ini:2: Number = 4: not a key: keys are made of a-z, 0-9 and _; write number" },
        { LINE("[all]\nmy.number = 4\n"),
          "all.ini:2: my.number = 4: does not begin with a key (a-z, 0-9 and _); "
          "write KEY = VALUE, or start a comment with ;" },
        { LINE("[all]\n= 4\n"), "all.ini:2: = 4: has no key before the =; write KEY = VALUE" },
        { LINE("[all]\na_key_of_more_than_the_forty_bytes_allowed = 4\n"),
          "all.ini:2: a_key_of_more_than_the_forty_bytes_allowed = 4: "
          "the key has more than 40 bytes; write KEY = VALUE" },
        { LINE("[all]\nnumber = 4\0\n"),
          "all.ini:2: number = 4\\x00: byte 11 is NUL; this is not a text file" },
        { LINE("[all]\nnote = \x1b[2J\n"),
          "all.ini:2: note = \\x1b[2J: byte 8 is a control character; remove it" },
        { LINE("[all]\nnote = Stra\xdf\x65\n"),
          "all.ini:2: note = Stra\\xdfe: byte 12 is not UTF-8; save the file as UTF-8" },
        { LINE("[all]\nnote = a line that is much longer than what is shown of it in an error\x01\n"),
          "all.ini:2: note = a line that is much longer than what is shown of it i…: "
          "byte 71 is a control character; remove it" },
    };

    (void)state;
    CHECK_BROKEN(rows);
}

#define CR_LF(line) \
    "all.ini:" line ": the line ends with CR LF, as on Windows; run: sed -i 's/\\r$//' all.ini"
#define UTF16   "all.ini:1: the file is UTF-16; save it as UTF-8"
#define BOM     "all.ini:1: the file begins with a byte order mark; save it without BOM"
#define NO_TEXT "all.ini: further errors in this file left out; is it a text file?"

static void test_files_of_another_kind(void **state)
{
    static const struct broken rows[] = {
        { LINE("[all]\r\nnumber = 4\r\n"), CR_LF("1") },
        { LINE("[all]\nnumber = 4\r\nflag = on\r\n"), CR_LF("2") },
        { LINE("[all]\r\nnumber = x\r\n"),
          CR_LF("1") "\nall.ini:2: all.number = x: not a whole number from -3 to 64; the default is 4" },
        { LINE("[all]\rnumber = 4"), "all.ini:1: [all]\\x0dnumber = 4: byte 6 is a carriage return; "
                                     "lines end with a line feed alone" },
        { LINE("\xef\xbb\xbf[all]\nnumber = 4\n"), BOM },
        { LINE("\xef\xbb\xbf"), BOM },
        { LINE("\xef\xbb\xbf\xef\xbb\xbf[all]\n"),
          BOM "\nall.ini:1: \\xef\\xbb\\xbf[all]: has no = after the key; "
              "write KEY = VALUE, or start a comment with ;" },
        { LINE("\xff\xfe[\0a\0l\0l\0]\0\n\0"), UTF16 },
        { LINE("\xfe\xff\0[\0a\0l\0l\0]\0\n"), UTF16 },
        { LINE("\xff\xfe"), UTF16 },
        { LINE("\x01\n\x02\n[all]\n\x03\n\x04\n\x05\n\x06\nnumber = x\n"),
          "all.ini:1: \\x01: byte 1 is a control character; remove it\n"
          "all.ini:2: \\x02: byte 1 is a control character; remove it\n"
          "all.ini:4: \\x03: byte 1 is a control character; remove it\n"
          "all.ini:5: \\x04: byte 1 is a control character; remove it\n"
          "all.ini:6: \\x05: byte 1 is a control character; remove it\n" NO_TEXT },
        { LINE(""), "" },
        { LINE("\n\n"), "" },
        { LINE("; nothing"), "" },
        { LINE("[all]"), "" },
    };

    (void)state;
    CHECK_BROKEN(rows);
}

/* ---- sections and keys ---- */

static void test_broken_sections(void **state)
{
    static const struct broken rows[] = {
        { LINE("[all\nnumber = 4\n"), "all.ini:1: [all: has no closing ]; write [KIND] or [KIND NAME]" },
        { LINE("[all]x\nnumber = x\n"), "all.ini:1: [all]x: has text behind the ]; start a new line, "
                                        "or put a blank and ; in front of a comment" },
        { LINE("[]\n"), "all.ini:1: []: has nothing between the brackets; write [KIND] or [KIND NAME]" },
        { LINE("[ all ]\n"),
          "all.ini:1: [ all ]: has blanks next to the brackets; write [KIND] or [KIND NAME]" },
        { LINE("[site  a.b]\n"),
          "all.ini:1: [site  a.b]: has more blanks than the one between kind and name; "
          "write [KIND NAME]" },
        { LINE("[all]\n[all\nunknown = 1\n[all2\nnumber = x\n"),
          "all.ini:2: [all: has no closing ]; write [KIND] or [KIND NAME]\n"
          "all.ini:4: [all2: has no closing ]; write [KIND] or [KIND NAME]" },
        { LINE("[al]\nunknown = 1\n"), "all.ini:1: [al]: unknown section; did you mean all?" },
        { LINE("[All]\n"), "all.ini:1: [All]: unknown section; did you mean all?" },
        { LINE("[stie a.b]\n"), "all.ini:1: [stie a.b]: unknown section; did you mean site?" },
        { LINE("[relay]\n"), "all.ini:1: [relay]: unknown section; known are all, site, maker, more" },
        { LINE("[\xe2\x80\xae]\n"),
          "all.ini:1: [\\xe2\\x80\\xae]: unknown section; known are all, site, maker, more" },
        { LINE("[all x]\nnumber = 4\n"), "all.ini:1: [all x]: cannot have a name; write it without one" },
        { LINE("[site]\n"), "all.ini:1: [site]: needs a name; write [site NAME]" },
        { LINE("[site x]\n"),
          "all.ini:1: [site x]: the name is wrong; write a domain name, such as example.net" },
        { LINE("[maker Acme]\n"), "all.ini:1: [maker Acme]: not a name of 1 to 32 characters a-z, "
                                  "0-9 and - (such as pi-2)" },
        { LINE("[all]\n[maker]\n[all]\n"),
          "all.ini:3: [all]: there is one already; put all its keys into the one at all.ini:1" },
        { LINE("[maker a]\n[maker b]\n[maker a]\n"),
          "all.ini:3: [maker a]: there is one already; put all its keys into the one at all.ini:1" },
        { LINE("[site x]\nparc = 1m\n"),
          "all.ini:1: [site x]: the name is wrong; write a domain name, such as example.net\n"
          "all.ini:2: site x.parc = 1m: unknown key here; did you mean park?" },
        { LINE("[all]\nnumber = 4\n[all]\nnumber = x\n[all]\n"),
          "all.ini:3: [all]: there is one already; put all its keys into the one at all.ini:1\n"
          "all.ini:4: all.number = x: not a whole number from -3 to 64; the default is 4\n"
          "all.ini:5: [all]: there is one already; put all its keys into the one at all.ini:1" },
        { LINE("[all]\n[site a.b]\n; nothing in it\n"),
          "all.ini:2: [site a.b] has no service; write service = http://127.0.0.1:80" },
    };

    (void)state;
    CHECK_BROKEN(rows);
}

static void test_broken_keys(void **state)
{
    static const struct broken rows[] = {
        { LINE("[all]\nnumbr = 4\n"), "all.ini:2: all.numbr = 4: unknown key here; did you mean number?" },
        { LINE("[all]\nnubmer = 4\n"), "all.ini:2: all.nubmer = 4: unknown key here; did you mean number?" },
        { LINE("[maker]\nx =\n"), "all.ini:2: maker.x =: unknown key here; known are email" },
        { LINE("[site a.b]\nservice = s\ncolour = red\n"),
          "all.ini:3: site a.b.colour = red: unknown key here; known are service, park, route" },
        { LINE("[all]\nservice = s\n"),
          "all.ini:2: all.service = s: unknown key here; belongs in [site NAME]" },
        { LINE("[all]\nemail = a@b.c\n"),
          "all.ini:2: all.email = a@b.c: unknown key here; belongs in [maker]" },
        { LINE("[maker]\ninclude = x\n"),
          "all.ini:2: maker.include = x: unknown key here; belongs in [all] or [more NAME]" },
        { LINE("[all]\nnumber = 4\n\nnumber = 5\n"),
          "all.ini:4: all.number = 5: was given before; keep this one or the one at all.ini:2" },
        { LINE("[all]\nnumber = 4\nnumber = 4\nnumber = x\n"),
          "all.ini:3: all.number = 4: was given before; keep this one or the one at all.ini:2\n"
          "all.ini:4: all.number = x: was given before; keep this one or the one at all.ini:2" },
        { LINE("[all]\nnumber = x\nnumber = 4\n"),
          "all.ini:2: all.number = x: not a whole number from -3 to 64; the default is 4\n"
          "all.ini:3: all.number = 4: was given before; keep this one or the one at all.ini:2" },
        { LINE("[all]\nnumber of = 4\n"),
          "all.ini:2: all.number of = 4: takes no word before the =; write KEY = VALUE" },
        { LINE("[site a.b]\nservice = s\nroute = s\n"),
          "all.ini:3: site a.b.route = s: needs a word before the =, such as /api = http://127.0.0.1:3000" },
        { LINE("[site a.b]\nservice = s\nroute /a = s\nroute /b = s\nroute /a = t\n"),
          "all.ini:5: site a.b.route /a = t: was given before, at all.ini:3; keep one of them" },
        { LINE("[site a.b]\nservice =\n"),
          "all.ini:2: site a.b.service =: is empty; give a value, such as http://127.0.0.1:80" },
    };

    (void)state;
    CHECK_BROKEN(rows);
}

/* ---- errors ---- */

static void test_many_errors_are_capped(void **state)
{
    struct opt_errors errors = { 0 };
    struct buf text = { 0 };

    (void)state;
    buf_add_text(&text, "[all]\n");
    for (int i = 0; i < 300; i++)
        buf_add_text(&text, "number = x\n");
    assert_null(opt_load_text(&table_schema, "all.ini", buf_bytes(&text), text.len, &errors));
    assert_int_equal(errors.n, 200);
    assert_int_equal(errors.left_out, 100);
    assert_string_equal(
        errors.lines[199],
        "all.ini:201: all.number = x: was given before; keep this one or the one at all.ini:2");
    opt_errors_free(&errors);
    assert_int_equal(errors.n + errors.left_out, 0);
    buf_free(&text);
}

static void test_a_name_of_a_file_is_shown_as_text(void **state)
{
    struct opt_errors errors = { 0 };

    (void)state;
    assert_null(opt_load_text(&table_schema, "a\n\x1b.ini", LINE("x\n"), &errors));
    assert_int_equal(errors.n, 1);
    assert_string_equal(errors.lines[0], "a\\x0a\\x1b.ini:1: x: has no = after the key; "
                                         "write KEY = VALUE, or start a comment with ;");
    opt_errors_free(&errors);
}

/* Of a URL that may be a password nothing is shown behind its host, whatever is wrong with it. */
static void test_a_secret_url(void **state)
{
    static const struct opt opts[] = { { "it", "url", OPT_TEXT, 0, .flags = OPT_SECRET_URL,
                                         .help = "A URL." } };
    static const struct opt_kind kinds[] = { { "it", OPT_UNNAMED, sizeof(const char *), NULL, false,
                                               "It." } };
    static const struct opt_schema schema = { .program = "it",
                                              .file = "it.ini",
                                              .intro = "It.",
                                              .kinds = kinds,
                                              .kinds_n = 1,
                                              .opts = opts,
                                              .opts_n = 1 };
    static const struct {
        const char *value, *shown;
    } rows[] = {
        { "https://u:secret@a.test/secret", "https://a.test/…" },
        { "ntfy https://a.test/secret", "ntfy https://a.test/…" },
        { "https://a.test", "https://a.test" },
        { "https://a.test?secret", "https://a.test/…" },
        { "a.test/secret", "…" },
        { "", "" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *text = mem_format("[it]\nurl = %s\nurl = %s\n", rows[i].value, rows[i].value),
             *once = mem_format("[it]\nurl = %s\n", rows[i].value);
        struct opt_errors errors = { 0 };
        struct opt_conf *conf;
        json_t *json;

        assert_null(opt_load_text(&schema, "it.ini", text, strlen(text), &errors));
        assert_int_equal(errors.n, 1);
        assert_null(strstr(errors.lines[0], "secret"));
        assert_non_null(strstr(errors.lines[0], rows[i].shown));
        opt_errors_free(&errors);
        conf = opt_load_text(&schema, "it.ini", once, strlen(once), &errors);
        assert_non_null(conf);
        opt_errors_add_at(&errors, conf, "it", NULL, "url", "is wrong");
        assert_null(strstr(errors.lines[0], "secret"));
        json = opt_json(conf);
        free(text);
        text = json_dumps(json, 0);
        assert_null(strstr(text, "secret"));
        assert_string_equal(*(const char *const *)opt_values(conf, "it", NULL), rows[i].value);
        json_decref(json);
        opt_errors_free(&errors);
        opt_conf_free(conf);
        free(text);
        free(once);
    }
}

static void test_a_url_in_what_is_no_option(void **state)
{
    static const char *const lines[] = { " url = https://a.test/hidden", "url = \"https://a.test/hidden",
                                         "https://a.test/hidden", "ulr = https://u:hidden@a.test" };

    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        char *text = mem_format("[all]\n%s\n", lines[i]);
        struct opt_errors errors = { 0 };

        assert_null(opt_load_text(&table_schema, "all.ini", text, strlen(text), &errors));
        assert_int_equal(errors.n, 1);
        assert_non_null(strstr(errors.lines[0], "a.test"));
        assert_null(strstr(errors.lines[0], "hidden"));
        opt_errors_free(&errors);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_broken_lines),
        cmocka_unit_test(test_files_of_another_kind),
        cmocka_unit_test(test_broken_sections),
        cmocka_unit_test(test_broken_keys),
        cmocka_unit_test(test_many_errors_are_capped),
        cmocka_unit_test(test_a_name_of_a_file_is_shown_as_text),
        cmocka_unit_test(test_a_secret_url),
        cmocka_unit_test(test_a_url_in_what_is_no_option),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
