#include "shared/unix_socket.h"

#include "shared/file.h"
#include "shared/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int unix_check_path(const char *path, struct err *e)
{
    const size_t most = sizeof((struct sockaddr_un *)NULL)->sun_path - 1;

    if (strlen(path) > most)
        return err_set(e, ERR_INPUT, "%s is longer than the %zu bytes a socket's path may have", path, most);
    return 0;
}

static int address_of(const char *path, struct sockaddr_un *addr, struct err *e)
{
    *addr = (struct sockaddr_un){ .sun_family = AF_UNIX };
    if (unix_check_path(path, e) != 0)
        return -1;
    strcpy(addr->sun_path, path);
    return 0;
}

int unix_connect(const char *path, struct err *e)
{
    const struct timeval patience = { .tv_sec =
                                          5 }; /* connect waits where the queue of a hung process is full */
    struct sockaddr_un addr;
    int fd, number;

    if (address_of(path, &addr, e) != 0)
        return -1;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0)
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&addr, sizeof addr) == 0)
        return fd;
    number = errno;
    err_errno(e, number, "cannot connect to %s", path);
    if (number == ECONNREFUSED && e)
        e->code = ERR_MISSING; /* the file of a process that is gone */
    if (fd >= 0)
        close(fd);
    return -1;
}

/* The process that called listen() on the other end. */
static int refuse_taken(int peer, const char *path, struct err *e)
{
    struct ucred who = { .pid = 0 };
    socklen_t size = sizeof who;
    char process[64] = "another process";

    if (getsockopt(peer, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0 && who.pid > 0)
        file_describe_process(who.pid, process, sizeof process);
    return err_set(e, ERR_TAKEN,
                   "%s is held by %s; end that one first, or name another socket in this one's configuration",
                   path, process);
}

/* Two that start at once must not both find a dead socket and take it over: whoever holds the folder's lock looks. */
static int lock_folder_of(const char *path, int *lock, struct err *e)
{
    char *copy = mem_copy(path), *folder = dirname(copy);
    int rc = file_make_folder(folder, 0755, e);

    if (rc == 0) {
        *lock = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (*lock < 0)
            rc = err_errno(e, errno, "cannot open the folder %s", folder);
        for (int tries = 0; rc == 0 && flock(*lock, LOCK_EX | LOCK_NB) != 0 && tries < 100; tries++)
            usleep(10000); /* held for microseconds only; a stranger who keeps it locked must not stop us */
    }
    free(copy);
    return rc;
}

static int clear_path(const char *path, struct err *e)
{
    struct err why = { 0 };
    struct stat st;
    int peer;

    if (lstat(path, &st) != 0)
        return errno == ENOENT ? 0 : err_errno(e, errno, "cannot look at %s", path);
    if (!S_ISSOCK(st.st_mode))
        return err_set(e, ERR_TAKEN, "%s exists and is not a socket; move it away, or choose another path",
                       path);
    peer = unix_connect(path, &why);
    if (peer >= 0) {
        refuse_taken(peer, path, e);
        close(peer);
        return -1;
    }
    if (why.code != ERR_MISSING)
        return err_set(e, why.code, "%s", why.text);
    return unlink(path) == 0 || errno == ENOENT
               ? 0
               : err_errno(e, errno, "cannot remove the stale socket %s", path);
}

/* Access is decided before the first connection is possible: listen() comes after this. */
static int admit(const char *path, const char *group, mode_t mode, struct err *e)
{
    const struct group *g = group ? getgrnam(group) : NULL;

    if (group && !(g && chown(path, (uid_t)-1, g->gr_gid) == 0))
        mode = 0600;
    return chmod(path, mode) == 0 ? 0 : err_errno(e, errno, "cannot set the mode of %s", path);
}

static int bind_and_listen(struct unix_listener *l, const struct sockaddr_un *addr, const char *group,
                           mode_t mode, struct err *e)
{
    struct stat st;

    l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (l->fd < 0)
        return err_errno(e, errno, "cannot make a socket");
    if (bind(l->fd, (const struct sockaddr *)addr, sizeof *addr) != 0)
        return err_errno(e, errno, "cannot make the socket %s as user %d; chown its folder to that user",
                         addr->sun_path, (int)geteuid());
    if (lstat(addr->sun_path, &st) == 0) {
        l->device = st.st_dev;
        l->inode = st.st_ino;
    }
    if (admit(addr->sun_path, group, mode, e) != 0)
        return -1;
    return listen(l->fd, 128) == 0 ? 0 : err_errno(e, errno, "cannot listen on %s", addr->sun_path);
}

int unix_listen(struct unix_listener *l, const char *path, const char *group, mode_t mode, struct err *e)
{
    struct sockaddr_un addr;
    int lock = -1;

    *l = (struct unix_listener){ .fd = -1 };
    if (address_of(path, &addr, e) != 0)
        return -1;
    memcpy(l->path, addr.sun_path, sizeof l->path);
    if (lock_folder_of(path, &lock, e) != 0)
        return -1;
    if (clear_path(path, e) != 0 || bind_and_listen(l, &addr, group, mode, e) != 0) {
        if (l->fd >= 0)
            close(l->fd);
        unix_listener_remove(l);
        l->fd = -1;
    }
    close(lock);
    return l->fd >= 0 ? 0 : -1;
}

void unix_listener_remove(struct unix_listener *l)
{
    struct stat st;

    if (l->inode != 0 && lstat(l->path, &st) == 0 && st.st_dev == l->device && st.st_ino == l->inode)
        unlink(l->path);
    l->inode = 0;
}
