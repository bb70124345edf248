/* shared/tar.h - archives of plain files, as tar(1) reads and writes them (POSIX ustar), strict. Pure.
 *
 * Only what a backup is made of: regular files with relative paths. Whatever else an archive may hold (links, devices,
 * absolute paths, "..") is refused, and never guessed at. */
#ifndef SHARED_TAR_H
#define SHARED_TAR_H
#include "shared/buf.h"
#include "shared/err.h"
#include "shared/str.h"

#include <stdint.h>

enum { TAR_PATH_BYTES = 256 };

struct tar_member {
    char path[TAR_PATH_BYTES]; /* relative, without ".", ".." and empty parts */
    uint32_t mode;             /* at most 0777 */
    int64_t changed_at;        /* Unix time */
    struct str content;        /* borrowed from the archive */
};

must_check int tar_add(struct buf *out, const struct tar_member *m, struct err *e);
void tar_end(struct buf *out);
/* The next one: 1, and rest is what follows; 0 at the end of the archive; -1 with the reason. */
must_check int tar_next(struct str *rest, struct tar_member *m, struct err *e);
must_check int tar_check_path(const char *path, struct err *e);
#endif
