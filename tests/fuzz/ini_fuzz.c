/* Fuzzes ini files as the daemons read them, with a table that has every type of value. What is accepted is printed,
 * read back, and the same; what is refused is refused with errors that can be shown. */
#include <stdint.h>
#include <string.h>

#include "shared/opt_internal.h"
#include "shared/utf8.h"
#include "tests/fuzz/must.h"
#include "tests/unit/shared/opt_table.h"
#include "shared/opt_print.h"

#include <jansson.h>

enum { LOADS = 4 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_errors(const struct opt_errors *errors)
{
    must(errors->n > 0);
    for (size_t i = 0; i < errors->n; i++) {
        const char *line = errors->lines[i];
        size_t rest = strlen(line), n;

        must(strncmp(line, "fuzz.ini:", 9) == 0);
        for (; rest > 0; line += n, rest -= n) {
            n = utf8_printable(line, rest);
            must(n > 0);
        }
    }
}

/* Origins differ, and what was included is part of a dump; all else is the same. */
static void check_same(const struct opt_conf *a, const struct opt_conf *b)
{
    must(a->sections_n == b->sections_n);
    for (size_t i = 0; i < a->sections_n; i++) {
        const struct section *s = a->sections[i];
        const struct section *t = opt_section_find(b, s->kind->kind, str_of(s->name ? s->name : ""));

        must(t);
        for (size_t row = 0; row < s->rows_n; row++) {
            struct buf x = { 0 }, y = { 0 };

            opt_value_text(&x, &s->rows[row], s->values);
            opt_value_text(&y, &t->rows[row], t->values);
            must(s->rows[row].type == OPT_INCLUDE || strcmp(buf_text(&x), buf_text(&y)) == 0);
            must(opt_value_present(s, row) == opt_value_present(t, row));
            buf_free(&x);
            buf_free(&y);
        }
    }
}

static void check_json(const struct opt_conf *conf)
{
    json_t *json = opt_json(conf);
    char *text;

    must(json);
    text = json_dumps(json, 0);
    must(text);
    free(text);
    json_decref(json);
}

/* The first dump has lines of its own, and the second one the lines of the first; then they do not change. */
static void check_dumps(struct opt_conf *conf)
{
    struct opt_conf *loads[LOADS] = { conf };
    struct opt_errors errors = { 0 };
    struct buf dumps[LOADS] = { 0 };

    for (size_t i = 0; i < LOADS; i++) {
        if (i > 0)
            loads[i] =
                opt_load_text(&table_schema, "fuzz.ini", buf_bytes(&dumps[i - 1]), dumps[i - 1].len, &errors);
        must(loads[i]);
        check_same(conf, loads[i]);
        opt_check_reload(conf, loads[i], &errors);
        must(errors.n == 0);
        opt_print_dump(&dumps[i], loads[i]);
    }
    must(strcmp(buf_text(&dumps[LOADS - 2]), buf_text(&dumps[LOADS - 1])) == 0);
    for (size_t i = 0; i < LOADS; i++) {
        buf_free(&dumps[i]);
        if (i > 0)
            opt_conf_free(loads[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct opt_errors errors = { 0 };
    struct opt_conf *conf = opt_load_text(&table_schema, "fuzz.ini", (const char *)data, size, &errors);

    if (conf) {
        must(errors.n == 0);
        check_json(conf);
        check_dumps(conf);
    } else {
        check_errors(&errors);
    }
    opt_errors_free(&errors);
    opt_conf_free(conf);
    return 0;
}
