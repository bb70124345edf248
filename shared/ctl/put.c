#include "shared/ctl/put.h"

#include "shared/file.h"
#include "shared/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The folder of this name in the one that is open, which is closed. */
static int step(int above, const char *name, mode_t mode)
{
    int fd = -1, number;

    if (mkdirat(above, name, mode) == 0 || errno == EEXIST)
        fd = openat(above, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    number = errno;
    close(above);
    errno = number;
    return fd;
}

/* The folder in which path is; *name is what follows. -1 with the reason. */
static int open_above(const char *home, const char *path, const char **name, struct err *e)
{
    int fd = open(home, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const char *at = path + strlen(home), *slash;

    if (fd < 0)
        return err_errno(e, errno, "cannot open the folder %s", home);
    at += strspn(at, "/");
    for (; fd >= 0 && (slash = strchr(at, '/')); at = slash + 1) {
        char *folder = mem_copy_n(at, (size_t)(slash - at));

        fd = step(fd, folder, 0755);
        free(folder);
        if (fd < 0)
            return err_errno(e, errno, "cannot go into the folder %.*s", (int)(slash - path), path);
    }
    *name = at;
    return fd;
}

static int give(int fd, const char *path, const struct put_as *as, struct err *e)
{
    if (fchown(fd, as->uid, as->gid) != 0)
        return err_errno(e, errno, "cannot chown %s", path);
    return fchmod(fd, as->mode) == 0 ? 0 : err_errno(e, errno, "cannot chmod %s", path);
}

int put_folder(const char *home, const char *path, const struct put_as *as, struct err *e)
{
    const char *name;
    int fd = open_above(home, path, &name, e), rc;

    if (fd < 0)
        return -1;
    fd = step(fd, name, 0700);
    if (fd < 0)
        return err_errno(e, errno, "cannot make the folder %s", path);
    rc = give(fd, path, as, e);
    close(fd);
    return rc;
}

/* One that was killed has left this name; nobody else's is in the way. */
static const char passing[] = ".tunnelctl-restore";

static int put_into(int folder, const char *name, const char *path, struct str content,
                    const struct put_as *as, struct err *e)
{
    int fd, rc = -1;

    (void)unlinkat(folder, passing, 0);
    fd = openat(folder, passing, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_errno(e, errno, "cannot write %s", path);
    if (give(fd, path, as, e) == 0) {
        if (file_write_all(fd, content.p, content.n) != 0 || fsync(fd) != 0 ||
            renameat(folder, passing, folder, name) != 0 || fsync(folder) != 0)
            err_errno(e, errno, "cannot write %s", path);
        else
            rc = 0;
    }
    close(fd);
    if (rc != 0)
        (void)unlinkat(folder, passing, 0);
    return rc;
}

int put_file(const char *home, const char *path, struct str content, const struct put_as *as, struct err *e)
{
    const char *name;
    int folder = open_above(home, path, &name, e), rc;

    if (folder < 0)
        return -1;
    rc = put_into(folder, name, path, content, as, e);
    close(folder);
    return rc;
}
