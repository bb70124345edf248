#include "shared/opt.h"

#include <string.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/opt_walk.h"
#include "tests/unit/shared/opt_broken.h"
#include "tests/unit/shared/opt_table.h"
#include "shared/opt_print.h"

/* ---- values ---- */

#define NAME   "not a name of 1 to 32 characters a-z, 0-9 and - (such as pi-2)"
#define TILDE  "~ is not expanded; write the whole path (or ./~… for such a name)"
#define LISTEN "; the default is :443 127.0.0.1:80 [::1]:80"
#define PEERS  "; the default is 192.0.2.0/24"

static void test_broken_values(void **state)
{
    static const struct broken rows[] = {
        { LINE("[all]\nname = Fra\n"), "all.ini:2: all.name = Fra: " NAME "; the default is fra1" },
        { LINE("[all]\ntext =\n"),
          "all.ini:2: all.text =: is empty; give a value; the default is hello; \"you\"" },
        { LINE("[all]\nname =\n"), "all.ini:2: all.name =: is empty; give a value; the default is fra1" },
        { LINE("[all]\nhost =\n"),
          "all.ini:2: all.host =: is empty; give a value, such as fra2; the default is this-host" },
        { LINE("[all]\nhost = a b\n"), "all.ini:2: all.host = a b: " NAME "; the default is this-host" },
        { LINE("[all]\npath =\n"),
          "all.ini:2: all.path =: is empty; give a value; the default is /var/lib/all" },
        { LINE("[all]\npath = ~/x\n"), "all.ini:2: all.path = ~/x: " TILDE "; the default is /var/lib/all" },
        { LINE("[all]\ncert = ~root/x\n"), "all.ini:2: all.cert = ~root/x: " TILDE },
        { LINE("[all]\nlog =\n"), "all.ini:2: all.log =: is empty; give a value; the default is stderr" },
        { LINE("[all]\nnumber =\n"),
          "all.ini:2: all.number =: not a whole number from -3 to 64; the default is 4" },
        { LINE("[all]\nnumber = -4\n"),
          "all.ini:2: all.number = -4: not a whole number from -3 to 64; the default is 4" },
        { LINE("[all]\nnumber = 65\n"),
          "all.ini:2: all.number = 65: not a whole number from -3 to 64; the default is 4" },
        { LINE("[all]\nduration = 10\n"),
          "all.ini:2: all.duration = 10: has no unit (ms, s, m, h or d): not a duration from 0s to 5m "
          "(such as 10s); the default is 10s" },
        { LINE("[all]\nduration = soon\n"),
          "all.ini:2: all.duration = soon: not a duration from 0s to 5m (such as 10s); the default is 10s" },
        { LINE("[all]\nduration = 300001ms\n"),
          "all.ini:2: all.duration = 300001ms: not a duration from 0s to 5m (such as 10s); the default is 10s" },
        { LINE("[site a.b]\nservice = s\npark = 0s\n"),
          "all.ini:3: site a.b.park = 0s: not a duration from 1ms to 1d (such as 10s); the default is 1m" },
        { LINE("[all]\nsize = 1023\n"),
          "all.ini:2: all.size = 1023: not a size from 1k to 1m "
          "(bytes, or with k, m or g behind, such as 64k); the default is 64k" },
        { LINE("[all]\nsize = 1g\n"), "all.ini:2: all.size = 1g: not a size from 1k to 1m "
                                      "(bytes, or with k, m or g behind, such as 64k); the default is 64k" },
        { LINE("[all]\nlimit = 8589934592g\n"),
          "all.ini:2: all.limit = 8589934592g: not a size from 0 to 9223372036854775807 "
          "(bytes, or with k, m or g behind, such as 64k)" },
        { LINE("[all]\nflag = yes\n"), "all.ini:2: all.flag = yes: not on or off; the default is on" },
        { LINE("[all]\nflag =\n"), "all.ini:2: all.flag =: not on or off; the default is on" },
        { LINE("[all]\nchoice = Acme\n"),
          "all.ini:2: all.choice = Acme: not acme, internal or files; the default is acme" },
        { LINE("[all]\nmode = acm\n"), "all.ini:2: all.mode = acm: not acme, internal or files" },
        { LINE("[all]\nlisten = 443\n"),
          "all.ini:2: all.listen = 443: a port is written with a colon in front "
          "(such as :443)" LISTEN },
        { LINE("[all]\nlisten = :443, localhost:80\n"),
          "all.ini:2: all.listen = :443, localhost:80: localhost:80: not an IP address in front of the port "
          "(host names are not looked up here); write :80, 127.0.0.1:80 or [::1]:80" LISTEN },
        { LINE("[all]\nlisten = x:0 :1\n"),
          "all.ini:2: all.listen = x:0 :1: x:0: the port is not a number from 1 to 65535" LISTEN },
        { LINE("[all]\nlisten = :443 \xe2\x80\xaetsoh:1\n"),
          "all.ini:2: all.listen = :443 \\xe2\\x80\\xaetsoh:1: \\xe2\\x80\\xaetsoh:1: not an IP address in "
          "front of the port (host names are not looked up here); write :1, 127.0.0.1:1 or [::1]:1" LISTEN },
        { LINE("[all]\nlisten = :443 :443\n"),
          "all.ini:2: all.listen = :443 :443: :443 stands there twice; write it once" LISTEN },
        { LINE("[all]\nlisten = [::1]:1 [0:0::1]:01\n"),
          "all.ini:2: all.listen = [::1]:1 [0:0::1]:01: [0:0::1]:01 stands there twice; write it once" LISTEN },
        { LINE("[all]\nlisten = [fe80::1%eth0]:1\n"),
          "all.ini:2: all.listen = [fe80::1%eth0]:1: an address with a zone (%) is not supported; "
          "write an address without a zone, or :PORT for all addresses" LISTEN },
        { LINE("[all]\nports = 80 70000\n"),
          "all.ini:2: all.ports = 80 70000: 70000: the port is not a number from 1 to 65535" },
        { LINE("[all]\nports = 80 :80\n"),
          "all.ini:2: all.ports = 80 :80: :80 stands there twice; write it once" },
        { LINE("[all]\npeers = nas\n"),
          "all.ini:2: all.peers = nas: not an address or a network (such as 192.0.2.7, 192.0.2.0/24 or "
          "2001:db8::/32)" PEERS },
        { LINE("[all]\npeers = 10.0.0.0/8 10.1.2.3/16\n"),
          "all.ini:2: all.peers = 10.0.0.0/8 10.1.2.3/16: 10.1.2.3/16: the address has bits behind the /; "
          "write 10.1.0.0/16 for the network, or the address alone" PEERS },
        { LINE("[all]\npeers = ::1 0::1/128\n"),
          "all.ini:2: all.peers = ::1 0::1/128: 0::1/128 stands there twice; write it once" PEERS },
        { LINE("[all]\ninclude = more.ini\n"),
          "all.ini:2: all.include = more.ini: nothing can be included into a text; put the sections into it" },
    };

    (void)state;
    CHECK_BROKEN(rows);
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

/* A value in canonical text, or "(none)". */
static void check_value(const struct opt_conf *conf, const char *kind, const char *name, const char *key,
                        const char *value)
{
    const struct section *s = opt_section_find(conf, kind, str_of(name ? name : ""));
    const struct opt *row = opt_row_find(s->rows, s->rows_n, str_of(key));
    struct buf text = { 0 };

    if (opt_value_present(s, (size_t)(row - s->rows)))
        opt_value_text(&text, row, s->values);
    else
        buf_add_text(&text, "(none)");
    assert_string_equal(buf_text(&text), value);
    buf_free(&text);
}

static void test_values_that_are_well(void **state)
{
    static const struct {
        const char *line, *key, *value;
    } rows[] = {
        { "text = any text, \"quoted\" too", "text", "any text, \"quoted\" too" },
        { "note =", "note", "" },
        { "text = \" ; \\\" \"", "text", " ; \" " },
        { "name = pi-2", "name", "pi-2" },
        { "host = 0", "host", "0" },
        { "path = /x y/../z/", "path", "/x y/../z/" },
        { "secret = /no/such/file", "secret", "/no/such/file" },
        { "secret =", "secret", "" },
        { "cert =", "cert", "" },
        { "log = stderr", "log", "stderr" },
        { "log = /stderr", "log", "/stderr" },
        { "number = -3", "number", "-3" },
        { "number = 64", "number", "64" },
        { "duration = 0ms", "duration", "0s" },
        { "duration = 300000ms", "duration", "5m" },
        { "size = 1024", "size", "1k" },
        { "size = 1m", "size", "1m" },
        { "limit = 0", "limit", "0" },
        { "limit = 9223372036854775807", "limit", "9223372036854775807" },
        { "flag = off", "flag", "off" },
        { "choice = acme", "choice", "acme" },
        { "choice = files", "choice", "files" },
        { "mode = internal", "mode", "internal" },
        { "words = a, b\tc,,d", "words", "a b c d" },
        { "words =", "words", "" },
        { "tags = one one", "tags", "one one" },
        { "listen =", "listen", "" },
        { "listen = :80,[::]:80,0.0.0.0:80", "listen", ":80 [::]:80 0.0.0.0:80" },
        { "ports = 80 [0::1]:80", "ports", ":80 [::1]:80" },
        { "peers =", "peers", "" },
        { "peers = 10.0.0.0/8, 2001:DB8::/32\t::ffff:192.0.2.7 0.0.0.0/0", "peers",
          "10.0.0.0/8 2001:db8::/32 192.0.2.7 0.0.0.0/0" },
        { "include =", "include", "" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf text = { 0 };
        struct opt_conf *conf;

        buf_printf(&text, "[all]\n%s ; comment\n", rows[i].line);
        conf = walk_load(&table_schema, &text);
        check_value(conf, "all", NULL, rows[i].key, rows[i].value);
        assert_true(opt_given(conf, "all", NULL, rows[i].key));
        walk_dump(&table_schema, conf);
        opt_conf_free(conf);
        buf_free(&text);
    }
}

/* What the tables of programs all have: something to show in the sample file. */
static void test_the_table(void **state)
{
    struct opt rows[sizeof table_opts / sizeof *table_opts];
    struct opt_schema shown = table_schema;

    (void)state;
    memcpy(rows, table_opts, sizeof rows);
    for (size_t i = 0; i < shown.opts_n; i++)
        if (!rows[i].def && !rows[i].sample)
            rows[i].sample = rows[i].type == OPT_CHOICE ? "files" : "1g";
    shown.opts = rows;
    walk_schema(&shown);
}

/* What is in the struct when the file says nothing: the default, or what stands for none. */
static void test_defaults(void **state)
{
    struct opt_conf *conf = load("");
    const struct all_values *all = opt_values(conf, "all", NULL);

    (void)state;
    assert_string_equal(all->text, "hello; \"you\"");
    assert_string_equal(all->host, "this-host");
    assert_string_equal(all->secret, "");
    assert_string_equal(all->note, "");
    assert_string_equal(all->cert, "");
    assert_true(all->number == 4 && all->duration == 10000 && all->size == 65536 && all->limit == -1);
    assert_true(all->flag && all->choice == 0 && all->mode == -1);
    assert_true(all->words.n == 2 && all->tags.n == 0 && all->listen.n == 3 && all->ports.n == 0);
    assert_string_equal(all->words.words[1], "two");
    assert_true(all->listen.list[0].any && !all->listen.list[1].any);
    assert_int_equal(all->listen.list[2].addr.ss_family, AF_INET6);
    assert_string_equal(all->include.words[0], "all.d/*.ini"); /* a text includes nothing by itself */
    assert_string_equal(opt_origin(conf, "all", NULL, "text"), "default");
    assert_false(opt_given(conf, "all", NULL, "text"));
    opt_conf_free(conf);
}

/* ---- sections ---- */

static void test_sections(void **state)
{
    struct opt_conf *conf = load("[site b.c]\nservice = one\n[maker x]\n[all]\n[site a.b]\nroute /b = 1\n"
                                 "service = two\nroute /a = 2\n\nroute /c =\n");
    const struct site_values *site;
    const char *name = "";

    (void)state;
    site = opt_section(conf, "site", 0, &name);
    assert_string_equal(name, "b.c");
    assert_string_equal(site->service, "one");
    assert_int_equal(site->routes.n, 0);
    site = opt_section(conf, "site", 1, &name);
    assert_string_equal(name, "a.b");
    assert_ptr_equal(site, opt_values(conf, "site", "a.b"));
    assert_null(opt_section(conf, "site", 2, &name));
    assert_int_equal(site->routes.n, 3); /* in the order of the file */
    assert_string_equal(site->routes.list[0].name, "/b");
    assert_string_equal(site->routes.list[1].value, "2");
    assert_string_equal(site->routes.list[2].value, "");
    assert_string_equal(site->routes.list[2].origin, "walk.ini:10");
    assert_null(opt_values(conf, "site", "c.d"));
    assert_null(opt_values(conf, "site", NULL));
    assert_non_null(opt_section(conf, "all", 0, &name));
    assert_null(name);
    opt_conf_free(conf);
}

/* One of defaults is there for a kind that may be named, unless there is one with a name. */
static void test_implied_sections(void **state)
{
    struct opt_conf *conf = load("");

    (void)state;
    assert_non_null(opt_values(conf, "all", NULL));
    assert_null(opt_values(conf, "maker", NULL)); /* it may be named, and is there when it is written */
    assert_null(opt_values(conf, "maker", "x"));
    assert_null(opt_section(conf, "site", 0, NULL));
    opt_conf_free(conf);
    conf = load("[maker x]\nemail = a@b.c\n");
    assert_null(opt_values(conf, "maker", NULL));
    assert_string_equal(((const struct maker_values *)opt_values(conf, "maker", "x"))->email, "a@b.c");
    opt_conf_free(conf);
    conf = load("[maker x]\n[maker]\n");
    assert_non_null(opt_values(conf, "maker", NULL));
    opt_conf_free(conf);
}

/* Room for sections and pairs grows several times. */
static void test_many_sections_and_pairs(void **state)
{
    struct buf text = { 0 };
    struct opt_conf *conf;
    char name[32];

    (void)state;
    for (int i = 0; i < 300; i++)
        buf_printf(&text, "[site %d.net]\nservice = s%d\n", i, i);
    for (int i = 0; i < 300; i++)
        buf_printf(&text, "route /%d = r%d\n", i, i);
    conf = walk_load(&table_schema, &text);
    for (int i = 0; i < 300; i++) {
        const struct site_values *site, *last = opt_values(conf, "site", "299.net");

        snprintf(name, sizeof name, "%d.net", i);
        site = opt_values(conf, "site", name);
        snprintf(name, sizeof name, "s%d", i);
        assert_string_equal(site->service, name);
        assert_int_equal(last->routes.n, 300);
        snprintf(name, sizeof name, "/%d", i);
        assert_string_equal(last->routes.list[i].name, name);
    }
    walk_dump(&table_schema, conf);
    opt_conf_free(conf);
    buf_free(&text);
}

static void test_origins(void **state)
{
    struct opt_conf *conf = load("\n[all]\n; comment\nnumber = 5\n[site a.b]\nservice = s\nroute /a = x\n"
                                 "route /b = y\n");

    (void)state;
    assert_string_equal(opt_origin(conf, "all", NULL, "number"), "walk.ini:4");
    assert_true(opt_given(conf, "all", NULL, "number"));
    assert_string_equal(opt_origin(conf, "all", NULL, "flag"), "default");
    assert_string_equal(opt_origin(conf, "site", "a.b", "service"), "walk.ini:6");
    assert_string_equal(opt_origin(conf, "site", "a.b", "route"), "walk.ini:7");
    assert_string_equal(opt_origin(conf, "site", "b.c", "service"), "default");
    assert_string_equal(opt_origin(conf, "all", NULL, "unheard_of"), "default");
    assert_false(opt_given(conf, "site", "b.c", "service"));
    assert_false(opt_given(conf, "all", NULL, "unheard_of"));
    opt_conf_free(conf);
}

/* ---- errors ---- */

static void check_errors(struct opt_errors *errors, const char *lines)
{
    struct buf all = { 0 };

    for (size_t i = 0; i < errors->n; i++)
        buf_printf(&all, "%s\n", errors->lines[i]);
    assert_string_equal(buf_text(&all), lines);
    opt_errors_free(errors);
    buf_free(&all);
}

static void add_some(struct opt_conf *conf, struct opt_errors *errors)
{
    opt_errors_add_at(errors, conf, "all", NULL, "number", "%d is %s", 5, "odd");
    opt_errors_add_at(errors, conf, "all", NULL, "size", "is too small");
    opt_errors_add_at(errors, conf, "all", NULL, "note", "is missing");
    opt_errors_add_at(errors, conf, "all", NULL, "text", "is too long");
    opt_errors_add_at(errors, conf, "site", "a.b", NULL, "is far away");
    opt_errors_add_at(errors, conf, "site", "a.b", "park", "is a default");
    opt_errors_add_at(errors, conf, "maker", NULL, "email", "is missing");
    opt_errors_add_at(errors, conf, "more", "x", NULL, "is missing");
}

/* Checks across options run only when each one is well, and fail the load. */
static void test_checks_across_options(void **state)
{
    static const char text[] =
        "[all]\nnumber = 5\ntext = \"a text that is shown up to its sixtieth character, "
        "and no longer than that\"\n[site a.b]\nservice = s\n";
    struct opt_schema checked = table_schema;
    struct opt_errors errors = { 0 };

    (void)state;
    checked.check = add_some;
    assert_null(opt_load_text(&checked, "all.ini", LINE(text), &errors));
    check_errors(&errors,
                 "all.ini:2: all.number = 5: 5 is odd\n"
                 "all.ini:1: all.size = 64k (the default): is too small\n"
                 "all.ini:1: all.note: is missing\n"
                 "all.ini:3: all.text = a text that is shown up to its sixtieth character, and no lo…: "
                 "is too long\n"
                 "all.ini:4: site a.b: is far away\n"
                 "all.ini:4: site a.b.park = 1m (the default): is a default\n"
                 "all.ini: maker: is missing\n"
                 "all.ini: more: is missing\n");
    assert_null(opt_load_text(&checked, "all.ini", LINE("[all]\nnumber = x\n"), &errors));
    check_errors(&errors, "all.ini:2: all.number = x: not a whole number from -3 to 64; the default is 4\n");
}

static void add_of_routes(struct opt_conf *conf, struct opt_errors *errors)
{
    const struct site_values *site = opt_values(conf, "site", "a.b");

    opt_errors_add_pair(errors, conf, "site", "a.b", "route", &site->routes.list[1], "leads %s", "nowhere");
    opt_errors_add_pair(errors, conf, "site", "a.b", "route", &site->routes.list[2], "is empty");
    opt_errors_add_at(errors, conf, "site", "a.b", "route", "has to go");
    opt_errors_add_at(errors, conf, "site", "b.c", "route", "is missing");
}

/* Of a key that may be repeated each has its own line. */
static void test_checks_of_repeated_keys(void **state)
{
    static const char text[] = "[site a.b]\nservice = s\nroute /a = x\nroute /b = y\n\nroute /c =\n"
                               "[site b.c]\nservice = s\n";
    struct opt_schema checked = table_schema;
    struct opt_errors errors = { 0 };

    (void)state;
    checked.check = add_of_routes;
    assert_null(opt_load_text(&checked, "all.ini", LINE(text), &errors));
    check_errors(&errors, "all.ini:4: site a.b.route /b = y: leads nowhere\n"
                          "all.ini:6: site a.b.route /c =: is empty\n"
                          "all.ini:3: site a.b.route /a = x: has to go\n"
                          "all.ini:4: site a.b.route /b = y: has to go\n"
                          "all.ini:6: site a.b.route /c =: has to go\n"
                          "all.ini:7: site b.c.route: is missing\n");
}

/* ---- reload ---- */

#define RESTART(value) \
    ": cannot change while the daemon runs (it has " value "); change it back, or restart\n"

static void test_reload(void **state)
{
    static const struct {
        const char *running, *next, *errors;
    } rows[] = {
        { "", "", "" },
        { "", "[all]\nnumber = 4\nname = fra1\nlisten = :443,127.0.0.1:80 [::1]:80\n", "" },
        { "", "[all]\ntext = x\nduration = 1s\nflag = off\nports = 80\nwords = x\nnote = x\n", "" },
        { "", "[all]\ninclude =\n", "" },
        { "", "[all]\nnumber = 5\n", "walk.ini:2: all.number = 5" RESTART("4") },
        { "[all]\nnumber = 5\n", "", "walk.ini: all.number = 4 (the default)" RESTART("5") },
        { "[all]\nnumber = 5\n", "[all]\n", "walk.ini:1: all.number = 4 (the default)" RESTART("5") },
        { "", "[all]\nname = x\nlisten = :1\n",
          "walk.ini:2: all.name = x" RESTART("fra1") "walk.ini:3: all.listen = :1" RESTART(
              ":443 127.0.0.1:80 [::1]:80") },
        { "[maker]\nemail = a\n", "[maker]\nemail = b\n", "walk.ini:2: maker.email = b" RESTART("a") },
        { "[site a.b]\nservice = s\n", "[site b.c]\nservice = s\n", "" },
        { "[site a.b]\nservice = s\nroute /a = x\n", "[site a.b]\nservice = t\nroute /a = y\n", "" },
        { "[maker x]\n", "[maker x]\n[maker y]\n",
          "walk.ini:2: [maker y]: cannot be added while the daemon runs; restart it\n" },
        { "[maker x]\n[maker y]\n", "[maker x]\n",
          "walk.ini: [maker y]: cannot be removed while the daemon runs; put it back, or restart\n" },
        { "", "[maker x]\n", "walk.ini:1: [maker x]: cannot be added while the daemon runs; restart it\n" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct opt_conf *running = load(rows[i].running), *next = load(rows[i].next);
        struct opt_errors errors = { 0 };

        opt_check_reload(running, next, &errors);
        check_errors(&errors, rows[i].errors);
        opt_conf_free(running);
        opt_conf_free(next);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_broken_values),
        cmocka_unit_test(test_values_that_are_well),
        cmocka_unit_test(test_the_table),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_sections),
        cmocka_unit_test(test_implied_sections),
        cmocka_unit_test(test_many_sections_and_pairs),
        cmocka_unit_test(test_origins),
        cmocka_unit_test(test_checks_across_options),
        cmocka_unit_test(test_checks_of_repeated_keys),
        cmocka_unit_test(test_reload),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
