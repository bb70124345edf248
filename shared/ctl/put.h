/* shared/ctl/put.h - files and folders put below a folder that may be somebody else's, by a person who may write everywhere.
 *
 * Each step is by the descriptor of the folder above, and no link is followed: whoever owns a folder on the way could put one
 * in its place at any moment, and lead what is written, and given to him, to where only root may write. */
#ifndef SHARED_CTL_PUT_H
#define SHARED_CTL_PUT_H
#include "shared/err.h"
#include "shared/str.h"

#include <stdint.h>
#include <sys/types.h>

struct put_as {
    uid_t uid;
    gid_t gid;
    uint32_t mode;
};

/* home: a folder that is there, and may be a link; path: below it. Folders that are missing on the way are made, 0755. A folder
 * that is there already is given this owner and mode; a file is replaced as a whole. */
must_check int put_folder(const char *home, const char *path, const struct put_as *as, struct err *e);
must_check int put_file(const char *home, const char *path, struct str content, const struct put_as *as,
                        struct err *e);
#endif
