/* tunnelctl restore: what tunnelctl backup has written, put where it was.
 *
 *   FILE read whole ──▶ every member judged ──▶ is it for here? ──▶ is the state folder free? ──▶ what would be
 *   overwritten? ──▶ folders ──▶ files
 *
 * Nothing is written before all of it has been judged. */
#include "shared/ctl/ctl.h"
#include "shared/ctl/manifest.h"
#include "shared/ctl/put.h"
#include "shared/file.h"
#include "shared/json.h"
#include "shared/mem.h"
#include "shared/state_dir.h"
#include "shared/tar.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ARCHIVE_BYTES = 1024 * 1024 * 1024, TOLD = 10 };

struct restore {
    const struct ctl *c;
    struct buf archive;
    json_t *manifest;
    struct str *contents; /* of each file of the manifest */
    size_t n;
    const char *role, *config, *state_dir;
    uid_t owner; /* of the state folder */
    gid_t group;
    int lock;
};

/* ---- the archive ---- */

static int read_manifest(struct restore *r, struct str *rest, struct err *e)
{
    struct tar_member m;
    int rc = tar_next(rest, &m, e);

    if (rc < 0)
        return -1;
    if (rc == 0 || strcmp(m.path, MANIFEST_NAME) != 0 || m.content.n > MANIFEST_BYTES)
        return err_set(e, ERR_INPUT,
                       "its first file is not " MANIFEST_NAME ", so tunnelctl backup did not write it");
    r->manifest = json_read(m.content.p, m.content.n, e);
    if (!r->manifest || manifest_check(r->manifest, e) != 0)
        return err_wrap(e, MANIFEST_NAME);
    return 0;
}

static int read_member(const struct manifest_entry *entry, struct str *rest, struct str *content,
                       struct err *e)
{
    char sum[MANIFEST_SUM_BYTES];
    struct tar_member m;
    int rc = tar_next(rest, &m, e);

    if (rc < 0)
        return -1;
    if (rc == 0 || strcmp(m.path, entry->path + 1) != 0)
        return err_set(e, ERR_INPUT, "%s is missing, or not at its place", entry->path);
    manifest_sum(m.content, sum);
    if ((int64_t)m.content.n != entry->size || strcmp(sum, entry->sum) != 0)
        return err_set(e, ERR_INPUT, "%s is damaged: it is not what " MANIFEST_NAME " says", entry->path);
    *content = m.content;
    return 0;
}

static int read_archive(struct restore *r, const char *path, struct err *e)
{
    struct manifest_entry entry;
    struct tar_member more;
    struct str rest;
    int rc;

    if (file_read(path, ARCHIVE_BYTES, &r->archive, e) != 0)
        return -1;
    rest = (struct str){ buf_bytes(&r->archive), r->archive.len };
    if (read_manifest(r, &rest, e) != 0)
        return -1;
    for (; manifest_file(r->manifest, r->n, &entry); r->n++) {
        r->contents = mem_grow(r->contents, (r->n + 1) * sizeof *r->contents);
        if (read_member(&entry, &rest, &r->contents[r->n], e) != 0)
            return -1;
    }
    rc = tar_next(&rest, &more, e);
    return rc > 0 ? err_set(e, ERR_INPUT, "%s is in it, but not in " MANIFEST_NAME, more.path) : rc;
}

/* ---- is it for here? ---- */

/* Whoever made it says where its files go; only whoever restores it says where they may go. */
static int check_place(const struct restore *r, struct err *e)
{
    char *config = r->c->config ? mem_copy(r->c->config) : mem_format("/etc/tunnel/%s.ini", r->role);
    char *state_dir = r->c->state_dir ? mem_copy(r->c->state_dir) : mem_format("/var/lib/tunnel-%s", r->role);
    int rc = 0;

    if (strcmp(config, r->config) != 0 || strcmp(state_dir, r->state_dir) != 0)
        rc = err_set(e, ERR_INPUT,
                     "it belongs to %s and %s, not to %s and %s; if it is to go there, give: --config %s "
                     "--state-dir %s",
                     r->config, r->state_dir, config, state_dir, r->config, r->state_dir);
    free(config);
    free(state_dir);
    return rc;
}

/* Who that is here. */
static int find_owner(const char *user, const char *group, uid_t *uid, gid_t *gid, struct err *e)
{
    const struct passwd *pw = getpwnam(user);
    const struct group *gr = getgrnam(group);

    if (!pw)
        return err_set(e, ERR_MISSING,
                       "there is no user %s here; install the package first, or add that user", user);
    if (!gr)
        return err_set(e, ERR_MISSING,
                       "there is no group %s here; install the package first, or add that group", group);
    *uid = pw->pw_uid;
    *gid = gr->gr_gid;
    if (geteuid() != 0 && *uid != geteuid())
        return err_set(e, ERR_INPUT, "it holds files of the user %s; run this as root", user);
    return 0;
}

static int check_owners(struct restore *r, struct err *e)
{
    struct manifest_entry entry;
    uid_t uid;
    gid_t gid;

    for (size_t i = 0; manifest_folder(r->manifest, i, &entry); i++) {
        if (find_owner(entry.owner, entry.group, &uid, &gid, e) != 0)
            return -1;
        if (strcmp(entry.path, r->state_dir) == 0) {
            r->owner = uid;
            r->group = gid;
        }
    }
    for (size_t i = 0; manifest_file(r->manifest, i, &entry); i++)
        if (find_owner(entry.owner, entry.group, &uid, &gid, e) != 0)
            return -1;
    return 0;
}

/* ---- what is here already ---- */

static const char *home_of(const struct restore *r, const char *path)
{
    return manifest_is_in(path, r->state_dir) ? r->state_dir : r->config;
}

/* No folder between the daemon's own folder and the file may be a link to elsewhere. */
static int check_way(const struct restore *r, const char *path, struct err *e)
{
    const char *home = home_of(r, path);
    size_t n = home == r->config ? (size_t)(strrchr(home, '/') - home) : strlen(home);
    struct stat st;
    int rc = 0;

    for (const char *slash = path + n; rc == 0 && *slash && (slash = strchr(slash + 1, '/'));) {
        char *folder = mem_copy_n(path, (size_t)(slash - path));

        if (lstat(folder, &st) == 0 && !S_ISDIR(st.st_mode))
            rc = err_set(e, ERR_INPUT, "%s is here and no folder; move it away", folder);
        free(folder);
    }
    return rc;
}

/* Nor may a folder itself: its mode and its owner are about to be changed. */
static int check_folders(const struct restore *r, struct err *e)
{
    struct manifest_entry entry;
    int rc = 0;

    for (size_t i = 0; rc == 0 && manifest_folder(r->manifest, i, &entry); i++) {
        char *inside = mem_format("%s/", entry.path);

        rc = check_way(r, inside, e);
        free(inside);
    }
    return rc;
}

/* 1: something else is there. */
static int compare(const struct restore *r, size_t i, const struct manifest_entry *entry, struct err *e)
{
    struct buf there = { 0 };
    struct stat st;
    int rc = 0;

    if (check_way(r, entry->path, e) != 0)
        return -1;
    if (lstat(entry->path, &st) != 0)
        return errno == ENOENT ? 0 : err_errno(e, errno, "cannot look at %s", entry->path);
    if (!S_ISREG(st.st_mode))
        return err_set(e, ERR_INPUT, "%s is here and no regular file; move it away", entry->path);
    rc = st.st_size != entry->size || file_read(entry->path, (size_t)st.st_size + 1, &there, e) != 0 ||
         there.len != r->contents[i].n || memcmp(buf_bytes(&there), r->contents[i].p, there.len) != 0;
    buf_free(&there);
    return rc;
}

static int check_overwriting(const struct restore *r, struct err *e)
{
    struct manifest_entry entry;
    size_t others = 0;

    if (check_folders(r, e) != 0)
        return -1;
    for (size_t i = 0; manifest_file(r->manifest, i, &entry); i++) {
        int rc = compare(r, i, &entry, e);

        if (rc < 0)
            return -1;
        if (rc > 0 && !r->c->force && others++ < TOLD)
            fprintf(stderr, "  other than in the backup: %s\n", entry.path);
    }
    if (others == 0)
        return 0;
    return err_set(e, ERR_TAKEN,
                   "%zu files here are others than in the backup; with --force they are overwritten", others);
}

/* ---- putting it there ---- */

/* Those above it, as an installation has them. */
static int make_parents(const char *path, struct err *e)
{
    int rc = 0;

    for (const char *slash = path; rc == 0 && (slash = strchr(slash + 1, '/'));) {
        char *folder = mem_copy_n(path, (size_t)(slash - path));

        if (mkdir(folder, 0755) != 0 && errno != EEXIST)
            rc = err_errno(e, errno, "cannot make the folder %s", folder);
        free(folder);
    }
    return rc;
}

/* Held, so that no daemon begins in the middle of it. */
static int take_state_dir(struct restore *r, struct err *e)
{
    if (make_parents(r->state_dir, e) != 0)
        return -1;
    r->lock = state_dir_take(r->state_dir, e);
    if (r->lock < 0 && e->code == ERR_TAKEN)
        return err_wrap(e, "stop the daemon first (systemctl stop tunnel-%s), and start it afterwards",
                        r->role);
    if (r->lock < 0)
        return -1;
    return fchown(r->lock, r->owner, r->group) == 0 ? 0 : err_errno(e, errno, "cannot chown its lock");
}

/* The state folder, or the one of the configuration. */
static char *home_folder(const struct restore *r, const char *path)
{
    const char *home = home_of(r, path);
    size_t n = home == r->config ? (size_t)(strrchr(home, '/') - home) : strlen(home);

    return mem_copy_n(home, n > 0 ? n : 1);
}

static int make_home(const char *home, struct err *e)
{
    char *inside = mem_format("%s/", home);
    int rc = make_parents(inside, e);

    free(inside);
    return rc;
}

static int find_as(const struct manifest_entry *entry, struct put_as *as, struct err *e)
{
    as->mode = entry->mode;
    return find_owner(entry->owner, entry->group, &as->uid, &as->gid, e);
}

/* The state folder alone may be a link, which is of the person who has put it on another disk. */
static int put_state_dir(const struct restore *r, const struct put_as *as, struct err *e)
{
    int fd = open(r->state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;

    if (fd < 0 || fchown(fd, as->uid, as->gid) != 0 || fchmod(fd, as->mode) != 0)
        rc = err_errno(e, errno, "cannot chown or chmod %s", r->state_dir);
    if (fd >= 0)
        close(fd);
    return rc;
}

static int put_folders(const struct restore *r, struct err *e)
{
    struct manifest_entry entry;
    struct put_as as;
    int rc = 0;

    for (size_t i = 0; rc == 0 && manifest_folder(r->manifest, i, &entry); i++) {
        char *home = home_folder(r, entry.path);

        if (make_home(home, e) != 0 || find_as(&entry, &as, e) != 0)
            rc = -1;
        else if (strcmp(entry.path, r->state_dir) == 0)
            rc = put_state_dir(r, &as, e);
        else
            rc = put_folder(home, entry.path, &as, e);
        free(home);
    }
    return rc;
}

static int put_files(const struct restore *r, struct err *e)
{
    struct manifest_entry entry;
    struct put_as as;
    int rc = 0;

    for (size_t i = 0; rc == 0 && manifest_file(r->manifest, i, &entry); i++) {
        char *home = home_folder(r, entry.path);

        if (make_home(home, e) != 0 || find_as(&entry, &as, e) != 0)
            rc = -1;
        else
            rc = put_file(home, entry.path, r->contents[i], &as, e);
        free(home);
    }
    return rc;
}

/* ---- the command ---- */

static int restore(struct restore *r, const char *path, struct err *e)
{
    if (read_archive(r, path, e) != 0)
        return err_wrap(e, "%s was not restored", path);
    r->role = ctl_text(r->manifest, "role");
    r->config = ctl_text(r->manifest, "config");
    r->state_dir = ctl_text(r->manifest, "state_dir");
    if (check_place(r, e) != 0 || check_owners(r, e) != 0 || check_overwriting(r, e) != 0 ||
        take_state_dir(r, e) != 0)
        return err_wrap(e, "nothing was restored");
    if (put_folders(r, e) != 0 || put_files(r, e) != 0)
        return err_wrap(e, "a part of it was restored; mend this, and run it again with --force");
    return 0;
}

static void tell(const struct restore *r)
{
    printf("restored %zu files of the %s, as they were at %s\n", r->n, r->role,
           ctl_text(r->manifest, "made"));
    printf("  start it: systemctl start tunnel-%s\n", r->role);
    if (strcmp(r->role, "relay") == 0)
        printf(
            "  agents know this machine's sshd by its host key; where that is another one now, run here\n"
            "  tunnelctl revoke NAME and tunnelctl invite NAME --domains LIST, and what that prints on the\n"
            "  agent's machine\n");
}

enum ctl_exit ctl_restore(struct ctl *c)
{
    struct restore r = { .c = c, .lock = -1 };
    struct err why = { 0 };
    enum ctl_exit result = CTL_WELL;

    if (c->argc != 1)
        return ctl_wrong_usage("restore takes the FILE that tunnelctl backup has written");
    if (restore(&r, c->argv[0], &why) == 0) {
        tell(&r);
    } else {
        fprintf(stderr, "tunnelctl: %s\n", why.text);
        result = CTL_FAILING;
    }
    if (r.lock >= 0)
        close(r.lock);
    if (r.archive.room > 0)
        explicit_bzero(r.archive.mem, r.archive.room);
    buf_free(&r.archive);
    free(r.contents);
    json_decref(r.manifest);
    return result;
}
