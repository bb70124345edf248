#include "shared/state_dir.h"

#include "shared/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* The kernel lists who holds which lock: "1: FLOCK ADVISORY WRITE 4711 fe:00:12345 0 EOF". */
static bool find_holder(const struct stat *st, int *pid)
{
    FILE *locks = fopen("/proc/locks", "re");
    unsigned major_no, minor_no;
    unsigned long inode;
    char line[256];
    bool found = false;

    while (locks && !found && fgets(line, sizeof line, locks))
        found = sscanf(line, "%*d: FLOCK %*s %*s %d %x:%x:%lu", pid, &major_no, &minor_no, &inode) == 4 &&
                inode == st->st_ino && major_no == major(st->st_dev) && minor_no == minor(st->st_dev) &&
                *pid > 0;
    if (locks)
        fclose(locks);
    return found;
}

static int refuse_taken(const char *path, const struct stat *st, struct err *e)
{
    char holder[64] = "another process";
    int pid;

    if (find_holder(st, &pid))
        file_describe_process(pid, holder, sizeof holder);
    return err_set(e, ERR_TAKEN,
                   "the state folder %s is held by %s; end that one first, or use another state_dir", path,
                   holder);
}

int state_dir_take(const char *path, struct err *e)
{
    struct stat st;
    int fd, rc = 0;

    if (file_make_folder(path, 0700, e) != 0)
        return err_wrap(e, "state_dir");
    if (access(path, R_OK | W_OK | X_OK) != 0)
        return err_errno(e, errno, "cannot write the state folder %s as user %d; chown it to that user", path,
                         (int)geteuid());
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0)
        rc = err_errno(e, errno, "cannot open the state folder %s", path);
    else if (st.st_mode & S_IWOTH)
        rc = err_set(e, ERR_INPUT, "everybody can write the state folder %s; run: chmod o-w %s", path, path);
    else if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        rc = errno == EWOULDBLOCK ? refuse_taken(path, &st, e) : err_errno(e, errno, "cannot lock %s", path);
    if (rc == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}
