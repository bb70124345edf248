#include "shared/file.h"

#include "shared/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

_Static_assert(sizeof(off_t) == 8 && sizeof(time_t) == 8,
               "build with the Makefile's flags: 64 bits, on 32-bit machines too");

static int read_all(int fd, const char *path, size_t max, struct buf *out, struct err *e)
{
    size_t before = out->len;

    for (;;) {
        ssize_t n = read(fd, buf_space(out, 16384), 16384);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(e, errno, "cannot read %s", path);
        if (n == 0)
            return 0;
        buf_added(out, (size_t)n);
        if (out->len - before > max)
            return err_set(e, ERR_LIMIT, "%s is larger than %zu bytes", path, max);
    }
}

/* A pipe that somebody has given us on purpose. */
static bool is_standard_input(const struct stat *st)
{
    struct stat in;

    return fstat(STDIN_FILENO, &in) == 0 && in.st_dev == st->st_dev && in.st_ino == st->st_ino;
}

int file_read(const char *path, size_t max, struct buf *out, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK); /* nobody may ever write to a FIFO */
    struct stat st;
    int rc;

    if (fd < 0)
        return err_errno(e, errno, "cannot open %s", path);
    if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
        rc = err_set(e, ERR_INPUT, "%s is a folder, not a file", path);
    else if (S_ISFIFO(st.st_mode) && !is_standard_input(&st))
        rc = err_set(e, ERR_INPUT, "%s is a FIFO, not a file", path);
    else if (fcntl(fd, F_SETFL, O_RDONLY) != 0)
        rc = err_errno(e, errno, "cannot read %s", path);
    else
        rc = read_all(fd, path, max, out, e);
    close(fd);
    return rc;
}

int file_write_all(int fd, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t done = write(fd, bytes, n);

        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return -1;
        bytes += done;
        n -= (size_t)done;
    }
    return 0;
}

int file_sync_folder(const char *folder, struct err *e)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = fd < 0 || fsync(fd) != 0 ? err_errno(e, errno, "cannot sync the folder %s", folder) : 0;

    if (fd >= 0)
        close(fd);
    return rc;
}

/* A rename is on disk only when the folder is. */
static int sync_folder_of(const char *path, struct err *e)
{
    char *copy = mem_copy(path);
    int rc = file_sync_folder(dirname(copy), e);

    free(copy);
    return rc;
}

int file_write(const char *path, const void *bytes, size_t n, mode_t mode, struct err *e)
{
    char *temp = mem_format("%s.XXXXXX", path);
    int fd = mkostemp(temp, O_CLOEXEC);
    int rc = -1;

    if (fd < 0) {
        err_errno(e, errno, "cannot write %s", path);
        goto out;
    }
    /* fchmod, because the umask must not decide who may read what we write. */
    if (fchmod(fd, mode) != 0 || file_write_all(fd, bytes, n) != 0 || fsync(fd) != 0 ||
        rename(temp, path) != 0) {
        err_errno(e, errno, "cannot write %s", path);
        unlink(temp);
    } else {
        rc = sync_folder_of(path, e);
    }
    close(fd);
out:
    free(temp);
    return rc;
}

static bool is_our_group(gid_t group)
{
    gid_t groups[256];
    int n = getgroups(256, groups);

    if (group == getegid())
        return true;
    for (int i = 0; i < n; i++)
        if (groups[i] == group)
            return true;
    return false;
}

int file_check_secret(const char *path, struct err *e)
{
    struct stat st;
    unsigned loose;

    if (stat(path, &st) != 0)
        return err_set(e, errno == ENOENT ? ERR_MISSING : ERR_SYSTEM,
                       "cannot look at %s: %s; is it there, and may this user reach it?", path,
                       strerror(errno));
    if (!S_ISREG(st.st_mode))
        return err_set(e, ERR_INPUT, "%s is not a regular file", path);
    loose = st.st_mode & (is_our_group(st.st_gid) ? 037u : 077u);
    if (loose)
        return err_set(e, ERR_INPUT,
                       "%s has mode %04o, so others can reach the secret in it; run: chmod 600 %s", path,
                       (unsigned)st.st_mode & 07777u, path);
    if (faccessat(AT_FDCWD, path, R_OK, AT_EACCESS) != 0)
        return err_errno(e, errno, "cannot read %s as user %d; chown it to that user", path, (int)geteuid());
    return 0;
}

int file_make_folder(const char *path, mode_t mode, struct err *e)
{
    struct stat st;

    if (mkdir(path, mode) == 0)
        return 0;
    if (errno != EEXIST)
        return err_errno(e, errno, "cannot make the folder %s", path);
    if (stat(path, &st) != 0)
        return err_errno(e, errno, "cannot look at %s", path);
    if (!S_ISDIR(st.st_mode))
        return err_set(e, ERR_INPUT, "%s is not a folder", path);
    return 0;
}

void file_describe_process(pid_t pid, char *out, size_t room)
{
    struct buf name = { 0 };
    char path[64];

    snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
    if (file_read(path, 256, &name, NULL) == 0 && name.len > 1)
        snprintf(out, room, "pid %d (%.*s)", (int)pid, (int)name.len - 1, buf_bytes(&name));
    else
        snprintf(out, room, "pid %d", (int)pid);
    for (char *p = out; *p; p++) /* a program chooses its name, and has any bytes in it */
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            *p = '?';
    buf_free(&name);
}

void file_hold_standard(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}
