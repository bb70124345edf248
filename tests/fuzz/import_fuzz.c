/* Fuzzes the configuration files of other programs: whatever is in one, it is refused with the number of a line that it has, or
 * what is made of it is an ini file that is read line by line, without any of its passwords. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "shared/dns/import.h"
#include "shared/ini_line.h"
#include "tests/fuzz/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned lines_of(struct str text)
{
    unsigned n = 1;

    for (size_t i = 0; i < text.n; i++)
        n += text.p[i] == '\n';
    return n;
}

static void check_ini(struct str ini)
{
    while (ini.n > 0) {
        const char *end = memchr(ini.p, '\n', ini.n);
        struct str line = { ini.p, end ? (size_t)(end - ini.p) : ini.n };
        char room[INI_VALUE_MAX];
        struct ini_line out;
        struct err e;

        must(end != NULL);
        if (line.n < INI_VALUE_MAX)
            must(ini_line_parse(line, room, &out, &e) == 0);
        ini.p += line.n + 1;
        ini.n -= line.n + 1;
    }
}

static void check_plan(struct import_file *file, unsigned lines)
{
    struct import_plan plan;

    import_plan(file, "/etc/tunnel", &plan);
    check_ini((struct str){ buf_text(&plan.ini), plan.ini.len });
    for (size_t i = 0; i < plan.left.n; i++)
        must(plan.left.list[i].line >= 1 && plan.left.list[i].line <= lines);
    for (size_t i = 0; i < plan.secrets_n; i++)
        must(*plan.secrets[i].bytes && !strchr(plan.secrets[i].base, '/'));
    import_plan_free(&plan);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = { size > 0 ? (const char *)data : "", size };
    unsigned lines = lines_of(text);

    if (size > 20000)
        return 0;
    (void)import_program_of(text);
    for (int i = 0; i < 2; i++) {
        struct import_file file;
        struct err e = { 0 };
        int rc = i == 0 ? import_inadyn(text, &file, &e) : import_ddclient(text, &file, &e);

        if (rc == 0)
            check_plan(&file, lines);
        else
            must(atol(e.text) >= 1 && atol(e.text) <= (long)lines);
        import_file_free(&file);
    }
    return 0;
}
