#include "shared/privs.h"

#include "shared/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <libgen.h>
#include <limits.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

bool privs_owner(const char *state_dir, struct privs_user *user)
{
    const struct passwd *known;
    struct stat st;

    if (geteuid() != 0 || stat(state_dir, &st) != 0 || !S_ISDIR(st.st_mode) || st.st_uid == 0)
        return false;
    known = getpwuid(st.st_uid);
    *user = (struct privs_user){ .uid = st.st_uid, .gid = known ? known->pw_gid : st.st_gid };
    if (known)
        snprintf(user->name, sizeof user->name, "%s", known->pw_name);
    else
        snprintf(user->name, sizeof user->name, "user %u", (unsigned)st.st_uid);
    return true;
}

/* ---- what has to be there before ---- */

static bool is_roots(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0 && st.st_uid == 0 && (S_ISLNK(st.st_mode) || !(st.st_mode & 022));
}

/* Every folder on the way is root's, and every link, so that nobody can lead us elsewhere while we look. */
static bool is_roots_way(const char *folder)
{
    char *way = mem_copy(folder);
    bool roots = way[0] == '/';

    for (char *end = way + strlen(way); roots && end; end = strrchr(way, '/')) {
        *end = 0;
        roots = is_roots(*way ? way : "/");
    }
    free(way);
    return roots;
}

static bool is_roots_folder(const char *folder)
{
    char real[PATH_MAX];

    return is_roots_way(folder) && realpath(folder, real) && is_roots_way(real);
}

int privs_give_folder(const char *path_in_it, const struct privs_user *user, struct err *e)
{
    char *copy = mem_copy(path_in_it), *folder = mem_copy(dirname(copy)), *above = mem_copy(folder);
    int rc = 0;

    if (access(folder, F_OK) != 0 && is_roots_folder(dirname(above)) &&
        (mkdir(folder, 0755) != 0 || lchown(folder, user->uid, user->gid) != 0))
        rc = err_errno(e, errno, "cannot make the folder %s for %s", folder, user->name);
    free(above);
    free(folder);
    free(copy);
    return rc;
}

int privs_give_file(const char *path, mode_t mode, const struct privs_user *user, struct err *e)
{
    char *copy = mem_copy(path);
    int rc = 0;

    if (is_roots_folder(dirname(copy))) {
        int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);

        if (fd >= 0 && fchown(fd, user->uid, user->gid) != 0)
            rc = err_errno(e, errno, "cannot give %s to %s", path, user->name);
        if (fd >= 0)
            close(fd);
    }
    free(copy);
    return rc;
}

/* ---- the change ---- */

/* The C library has no function for this one. */
static int keep_only(unsigned capability)
{
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct data[2] = { { 0 } };

    data[0].permitted = data[0].effective = 1u << capability;
    return (int)syscall(SYS_capset, &header, data);
}

static int set_groups(const struct privs_user *user, const struct passwd *known)
{
    return known ? initgroups(known->pw_name, user->gid) : setgroups(1, &user->gid);
}

static void set_environment(const struct passwd *known)
{
    setenv("HOME", known ? known->pw_dir : "/", 1);
    if (known) {
        setenv("USER", known->pw_name, 1);
        setenv("LOGNAME", known->pw_name, 1);
    } else {
        unsetenv("USER");
        unsetenv("LOGNAME");
    }
}

int privs_become(const struct privs_user *user, bool ports, struct err *e)
{
    const struct passwd *known = getpwuid(user->uid);

    if ((ports && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0) || set_groups(user, known) != 0 ||
        setresgid(user->gid, user->gid, user->gid) != 0 || setresuid(user->uid, user->uid, user->uid) != 0)
        return err_errno(e, errno, "cannot become %s; start it as that user", user->name);
    if (ports && keep_only(CAP_NET_BIND_SERVICE) != 0)
        return err_errno(e, errno, "cannot give up root's capabilities");
    (void)prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0);
    if (setresuid(0, 0, 0) == 0)
        return err_set(e, ERR_SYSTEM, "this system lets %s become root again", user->name);
    set_environment(known);
    return 0;
}

void privs_keep_from_children(void)
{
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); /* kernels before 4.3 have none */
}
