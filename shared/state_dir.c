#include "shared/state_dir.h"

#include "shared/file.h"
#include "shared/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
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

/* A file of its own: the folder's own lock belongs to whoever makes a socket in it. */
static int take_lock(const char *folder, struct err *e)
{
    char *path = mem_format("%s/lock", folder);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW, 0600);
    struct stat st;

    if (fd < 0) {
        err_errno(e, errno, "cannot open %s as user %d; chown -R its folder to that user", path,
                  (int)geteuid());
    } else if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK && fstat(fd, &st) == 0)
            refuse_taken(folder, &st, e);
        else
            err_errno(e, errno, "cannot lock %s", path);
        close(fd);
        fd = -1;
    }
    free(path);
    return fd;
}

int state_dir_take(const char *path, struct err *e)
{
    struct stat st;

    if (file_make_folder(path, 0700, e) != 0)
        return err_wrap(e, "state_dir");
    if (access(path, R_OK | W_OK | X_OK) != 0)
        return err_errno(e, errno, "cannot write the state folder %s as user %d; chown it to that user", path,
                         (int)geteuid());
    if (stat(path, &st) == 0 && st.st_mode & S_IWOTH)
        return err_set(e, ERR_INPUT, "everybody can write the state folder %s; run: chmod o-w %s", path,
                       path);
    return take_lock(path, e);
}
