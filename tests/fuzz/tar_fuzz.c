/* Any bytes as an archive: members lie within it, have harmless paths, and are written as they were read. */
#include "shared/tar.h"
#include "tests/fuzz/must.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_again(const struct tar_member *m)
{
    struct buf out = { 0 };
    struct tar_member again;
    struct err why = { 0 };
    struct str rest;

    if (tar_add(&out, m, &why) == 0) { /* a path may be too long for the fields it was not read from */
        tar_end(&out);
        rest = (struct str){ buf_bytes(&out), out.len };
        must(tar_next(&rest, &again, &why) == 1);
        must(strcmp(again.path, m->path) == 0 && again.mode == m->mode && again.content.n == m->content.n);
        must(again.content.n == 0 || memcmp(again.content.p, m->content.p, m->content.n) == 0);
        must(tar_next(&rest, &again, &why) == 0);
    }
    buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *whole = malloc(size + 1);
    struct str rest = { whole, size };
    struct tar_member m;
    struct err why = { 0 };
    int rc;

    if (!whole)
        return 0;
    memcpy(whole, data, size);
    while ((rc = tar_next(&rest, &m, &why)) == 1) {
        must(m.content.p >= whole && m.content.p + m.content.n <= whole + size);
        must(tar_check_path(m.path, &why) == 0 && m.mode <= 0777);
        check_again(&m);
    }
    must(rc == 0 || why.text[0]);
    free(whole);
    return 0;
}
