#include "shared/ctl/section.h"

#include <string.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define NEW     "[relay fra1]\nhost     = new\nport     = 2\n"
#define MARK    "; written by us; "
#define MARKED  MARK "pi\n"
#define SITE    "[domain a.b]\nservice = unix:/x\n"
#define SPARE   "[relay fra2]\nhost = old2 ; theirs\nport = 9\n"
#define CHANGED "host     = new\nport     = 2\n"

static const struct section_keys want = {
    "relay", "fra1", MARK, "pi", { { "host", "new" }, { "port", "2" } },
};

static void test_write(void **state)
{
    static const struct {
        const char *name, *text, *becomes; /* "! " and the error */
    } rows[] = {
        { "no file", "", MARKED NEW },
        { "as we wrote it", MARK "shed\n[relay fra1]\nhost     = old\nport     = 1\n", MARKED NEW },
        { "without a newline at the end", "[relay fra1]\nport=1\nhost=old",
          "[relay fra1]\nport     = 2\nhost     = new\n" },
        { "further keys", "[relay fra1]\nhost = old\nlanes = 1\nport = 1\n",
          "[relay fra1]\nhost     = new\nlanes = 1\nport     = 2\n" },
        { "a key that is missing, a comment and a section below",
          "# mine\n[relay fra1]\nhost = old\nlanes = 1 ; slow\n\n; the cats\n" SITE,
          "# mine\n[relay fra1]\nhost     = new\nlanes = 1 ; slow\nport     = 2\n\n; the cats\n" SITE },
        { "comments behind values", "[relay fra1] ; VM\nhost = old ; Oslo\nport = \"1\"\t# \"why\"  \n",
          "[relay fra1] ; VM\nhost     = new ; Oslo\nport     = 2 # \"why\"\n" },
        { "a value that was empty", "[relay fra1]\nhost = ; none\nport =\n",
          "[relay fra1]\nhost     = new ; none\nport     = 2\n" },
        { "no keys at all", "[relay fra1]\n" SITE, NEW SITE },
        { "the same keys elsewhere", SPARE "[relay fra1]\nhost = old\n" SPARE,
          SPARE "[relay fra1]\n" CHANGED SPARE },
        { "other sections alone", SITE, SITE "\n" MARKED NEW },
        { "comments alone", "; mine\n", "; mine\n\n" MARKED NEW },
        { "our comment alone", MARK "shed\n", MARKED "\n" NEW },
        { "a key that is commented out", "[relay fra1]\n;host = old\nport = 1\n",
          "[relay fra1]\n;host = old\nport     = 2\nhost     = new\n" },
        { "no ini line", "[relay fra1]\nhost = old\nlanes\n",
          "! line 3 has no = after the key; write KEY = VALUE, or start a comment with ;" },
        { "of Windows", "[relay fra1]\r\n",
          "! line 1 byte 13 is a carriage return; lines end with a line feed alone" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf out = { 0 }, again = { 0 };
        struct err e = { 0 };

        if (section_write(&want, str_of(rows[i].text), &out, &e) != 0) {
            assert_int_equal(out.len, 0);
            buf_printf(&out, "! %s", e.text);
        } else {
            assert_int_equal(section_write(&want, str_of(buf_text(&out)), &again, &e), 0);
            assert_string_equal(buf_text(&again), buf_text(&out)); /* a second time changes nothing */
        }
        if (strcmp(buf_text(&out), rows[i].becomes) != 0)
            fail_msg("%s: is not\n%s\nbut\n%s", rows[i].name, rows[i].becomes, buf_text(&out));
        buf_free(&out);
        buf_free(&again);
    }
}

static void test_find_other(void **state)
{
    static const struct {
        const char *text;
        size_t line_no;
        const char *line;
    } rows[] = {
        { "", 0, "" },
        { "; x\n[domain xn--bcher-kva.a]\nservice = x\nttl = 60s\n", 0, "" },
        { "[domain b\xc3\xbc"
          "cher.a] ; mine\nservice = x",
          0, "" },
        { "[domain xn--bcher-kva.a]\n; [domain f.a]\nnonsense\n", 0, "" },
        { "[domain xn--bcher-kva.a]\n\n[domain f.a] ; too\n[tcp]\n", 3, "[domain f.a] ; too" },
        { "[provider xn--bcher-kva.a]\n", 1, "[provider xn--bcher-kva.a]" },
        { "[domain xn--bcher-kva.a]\n [domain f.a\r\n", 2, "[domain f.a\r" },
        { "[domain xn--bcher-kva.a]\n[tcp]", 2, "[tcp]" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct str line = STR("");

        assert_int_equal(section_find_other(str_of(rows[i].text), "domain", "xn--bcher-kva.a", &line),
                         rows[i].line_no);
        if (!str_eq(line, rows[i].line))
            fail_msg("row %zu: %.*s", i, STR_ARG(line));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write),
        cmocka_unit_test(test_find_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
