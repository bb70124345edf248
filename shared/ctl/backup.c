/* tunnelctl backup: a daemon's configuration and state in one file, from which another machine carries on.
 *
 *   the daemon says where its files are ──▶ each is read whole ──▶ manifest.json, then the files ──▶ FILE, 0600
 *
 * The daemon goes on meanwhile: it replaces files whole, so each is as it was at some moment. */
#include "shared/ctl/ctl.h"
#include "shared/ctl/manifest.h"
#include "shared/ctl/plain_path.h"
#include "shared/file.h"
#include "shared/json.h"
#include "shared/mem.h"
#include "shared/tar.h"

#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { FILE_BYTES = 256 * 1024 * 1024, DEPTH = 16 };

struct backup {
    json_t *config; /* as /v1/config says */
    json_t *manifest, *files, *folders;
    char *config_path, *state_dir;
    struct buf members; /* all but the manifest, as in the archive */
    json_t *left_out;   /* what the configuration names, and is elsewhere */
    json_t *logs;       /* that it names, wherever they are: neither configuration nor state */
};

/* ---- what this user may not read ---- */

static bool is_denied(int number)
{
    return number == EACCES || number == EPERM;
}

static int wrap_denied(struct err *e)
{
    return err_wrap(e, "run this as root, or as who owns these files");
}

static int cannot(const char *what, const char *path, struct err *e)
{
    bool denied = is_denied(errno);

    err_errno(e, errno, "cannot %s %s", what, path);
    return denied ? wrap_denied(e) : -1;
}

/* ---- which files are logs ---- */

/* The daemon's own and that of visits; of a site it is only whether. */
static void find_logs(struct backup *b)
{
    const json_t *section, *option;
    size_t i, j;

    json_array_foreach(json_object_get(b->config, "sections"), i, section)
        json_array_foreach(json_object_get(section, "options"), j, option)
    {
        const char *key = ctl_text(option, "key"), *value = ctl_text(option, "value");

        if (value[0] == '/' && (strcmp(key, "log") == 0 || strcmp(key, "access_log") == 0)) {
            char *path = plain_path(value);

            json_array_append_new(b->logs, json_any_text(path));
            free(path);
        }
    }
}

static bool has_path(const json_t *list, const char *path)
{
    const json_t *one;
    size_t i;

    json_array_foreach(list, i, one)
    {
        if (strcmp(json_string_value(one), path) == 0)
            return true;
    }
    return false;
}

/* ---- one file ---- */

static const char *user_name(uid_t uid, char *room, size_t n)
{
    const struct passwd *user = getpwuid(uid);

    snprintf(room, n, "%s", user ? user->pw_name : "");
    return room;
}

static const char *group_name(gid_t gid, char *room, size_t n)
{
    const struct group *group = getgrgid(gid);

    snprintf(room, n, "%s", group ? group->gr_name : "");
    return room;
}

/* NULL with the reason: who is nobody here cannot be found on another machine. */
static json_t *describe(const char *path, const struct stat *st, struct err *e)
{
    char user[64], group[64], mode[16];

    if (!*user_name(st->st_uid, user, sizeof user) || !*group_name(st->st_gid, group, sizeof group)) {
        err_set(e, ERR_INPUT, "%s: its owner %d:%d has no name here; chown it to somebody", path,
                (int)st->st_uid, (int)st->st_gid);
        return NULL;
    }
    snprintf(mode, sizeof mode, "%04o", st->st_mode & 0777);
    return json_pack("{s:s, s:s, s:s, s:s}", "path", path, "mode", mode, "owner", user, "group", group);
}

static bool has_file(const struct backup *b, const char *path)
{
    const json_t *file;
    size_t i;

    json_array_foreach(b->files, i, file)
    {
        if (strcmp(ctl_text(file, "path"), path) == 0)
            return true;
    }
    return false;
}

static int add_file(struct backup *b, const char *path, const struct stat *st, struct err *e)
{
    struct buf content = { 0 };
    struct tar_member m = { .mode = st->st_mode & 0777, .changed_at = (int64_t)st->st_mtime };
    char sum[MANIFEST_SUM_BYTES];
    json_t *entry = describe(path, st, e);
    int rc = entry ? file_read(path, FILE_BYTES, &content, e) : -1;

    if (entry && rc != 0 && access(path, R_OK) != 0 && is_denied(errno))
        wrap_denied(e);
    if (rc == 0) {
        m.content = (struct str){ buf_bytes(&content), content.len };
        snprintf(m.path, sizeof m.path, "%s", path + 1);
        manifest_sum(m.content, sum);
        json_object_set_new(entry, "size", json_integer((json_int_t)content.len));
        json_object_set_new(entry, "sha256", json_string(sum));
        rc = strlen(path + 1) < sizeof m.path ? tar_add(&b->members, &m, e)
                                              : err_set(e, ERR_LIMIT, "%s: its path is too long", path);
    }
    if (rc == 0)
        json_array_append(b->files, entry);
    json_decref(entry);
    if (content.room > 0)
        explicit_bzero(content.mem, content.room); /* it may be a key */
    buf_free(&content);
    return rc;
}

/* ---- the state folder ---- */

static int add_folder(struct backup *b, const char *path, int depth, struct err *e);

/* A file that is gone again was a temporary one; a socket, a lock or a link says nothing to another machine. */
static int add_entry(struct backup *b, const char *folder, const char *name, int depth, struct err *e)
{
    char *path = mem_format("%s/%s", folder, name);
    struct stat st = { 0 };
    int rc = 0;

    if (lstat(path, &st) != 0)
        rc = errno == ENOENT ? 0 : cannot("look at", path, e);
    else if (S_ISDIR(st.st_mode))
        rc = add_folder(b, path, depth + 1, e);
    else if (S_ISREG(st.st_mode) && !(depth == 0 && strcmp(name, "lock") == 0) && !has_path(b->logs, path))
        rc = add_file(b, path, &st, e);
    if (rc != 0 && S_ISREG(st.st_mode) && lstat(path, &st) != 0 && errno == ENOENT)
        rc = 0;
    free(path);
    return rc;
}

static int add_folder(struct backup *b, const char *path, int depth, struct err *e)
{
    const struct dirent *entry;
    struct stat st;
    json_t *described;
    DIR *dir;
    int rc = 0;

    if (depth > DEPTH)
        return err_set(e, ERR_LIMIT, "%s: folders lie deeper than %d", path, DEPTH);
    if (stat(path, &st) != 0 || !(dir = opendir(path)))
        return cannot("read the folder", path, e);
    described = describe(path, &st, e);
    rc = described ? 0 : -1;
    if (described)
        json_array_append_new(b->folders, described);
    while (rc == 0 && (entry = readdir(dir)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            rc = add_entry(b, path, entry->d_name, depth, e);
    closedir(dir);
    return rc;
}

/* ---- the configuration ---- */

static bool is_beside_config(const struct backup *b, const char *path)
{
    size_t n = (size_t)(strrchr(b->config_path, '/') - b->config_path) + 1;

    return strncmp(path, b->config_path, n) == 0;
}

static int add_config_file(struct backup *b, const char *path, struct err *e)
{
    struct stat st;

    if (has_file(b, path) || has_path(b->logs, path))
        return 0;
    if (stat(path, &st) != 0)
        return cannot("look at", path, e);
    if (!S_ISREG(st.st_mode))
        return 0;
    if (is_beside_config(b, path) || manifest_is_in(path, b->state_dir))
        return add_file(b, path, &st, e);
    json_array_append_new(b->left_out, json_any_text(path));
    return 0;
}

/* All that the configuration was read from: one may hold nothing but [acme], or nothing yet. */
static int add_read_files(struct backup *b, struct err *e)
{
    const json_t *file;
    size_t i;
    int rc = 0;

    json_array_foreach(json_object_get(b->config, "files"), i, file)
    {
        char *path = plain_path(json_string_value(file));

        rc = add_config_file(b, path, e);
        free(path);
        if (rc != 0 && e->code == ERR_MISSING)
            return err_wrap(e, "the daemon has read what is not here any more; run: tunnelctl reload");
        if (rc != 0)
            break;
    }
    return rc;
}

/* Files that are named: credentials, pages, hooks. A credential: of systemd's is its own business. */
static int add_named(struct backup *b, const char *value, struct err *e)
{
    struct stat st;
    char *path;
    int rc = 0;

    if (value[0] != '/')
        return 0;
    path = plain_path(value);
    if (stat(path, &st) == 0)
        rc = S_ISREG(st.st_mode) ? add_config_file(b, path, e) : 0;
    else if (is_denied(errno))
        rc = cannot("look at", path, e);
    free(path);
    return rc;
}

static int add_config(struct backup *b, struct err *e)
{
    const json_t *section, *option;
    size_t i, j;

    if (add_read_files(b, e) != 0)
        return -1;
    json_array_foreach(json_object_get(b->config, "sections"), i, section)
        json_array_foreach(json_object_get(section, "options"), j, option)
    {
        if (add_named(b, ctl_text(option, "value"), e) != 0)
            return -1;
    }
    return 0;
}

static const char *option_of(const json_t *config, const char *kind, const char *key)
{
    const json_t *section, *option;
    size_t i, j;

    json_array_foreach(json_object_get(config, "sections"), i, section)
        json_array_foreach(json_object_get(section, "options"), j, option)
    {
        if (strcmp(ctl_text(section, "kind"), kind) == 0 && strcmp(ctl_text(option, "key"), key) == 0)
            return ctl_text(option, "value");
    }
    return "";
}

/* ---- the archive ---- */

/* What came through a descriptor is here another file, or none. */
static bool is_descriptor(const char *path)
{
    return strncmp(path, "/dev/std", 8) == 0 || strncmp(path, "/dev/fd/", 8) == 0 ||
           strncmp(path, "/proc/", 6) == 0;
}

static bool are_whole_paths(const json_t *files)
{
    const json_t *file;
    size_t i;

    json_array_foreach(files, i, file)
    {
        if (!json_is_string(file) || json_string_value(file)[0] != '/')
            return false;
    }
    return json_array_size(files) > 0;
}

/* The configuration is where the daemon was told to look, not where a link leads: includes are found beside it. */
static int find_places(struct backup *b, const char *role, struct err *e)
{
    const json_t *files = json_object_get(b->config, "files");
    const char *config = json_string_value(json_array_get(files, 0));
    const char *state_dir = option_of(b->config, role, "state_dir");

    if (!are_whole_paths(files) || state_dir[0] != '/')
        return err_set(e, ERR_INPUT,
                       "the daemon does not say which files it has read; restart it, so that it is of the "
                       "same version as tunnelctl");
    if (is_descriptor(config))
        return err_set(e, ERR_INPUT,
                       "the daemon has read its configuration from %.200s; start it with -c and a file's "
                       "own name",
                       config);
    b->config_path = plain_path(config);
    b->state_dir = plain_path(state_dir);
    find_logs(b);
    return 0;
}

static int gather(struct backup *b, struct err *e)
{
    struct stat st;
    char owner[64];

    if (stat(b->state_dir, &st) != 0)
        return cannot("look at", b->state_dir, e);
    json_object_set_new(b->manifest, "owner", json_string(user_name(st.st_uid, owner, sizeof owner)));
    return add_folder(b, b->state_dir, 0, e) != 0 ? -1 : add_config(b, e);
}

/* The archive takes the place of what is there: of an older one, never of a device or of a link such as /dev/stdout. */
static int check_place(const char *path, struct err *e)
{
    struct stat st;

    if (strcmp(path, "-") == 0)
        return err_set(e, ERR_INPUT,
                       "- is no file, and private keys are not written to standard output; name a file");
    if (lstat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
        return err_set(e, ERR_INPUT,
                       "%.300s is a %s, whose place the archive would take; name a file, old or new", path,
                       S_ISLNK(st.st_mode) ? "link" : "device or a pipe");
    return 0;
}

static int write_archive(struct backup *b, const char *path, struct err *e)
{
    struct tar_member m = { .path = MANIFEST_NAME, .mode = 0600, .changed_at = (int64_t)time(NULL) };
    struct buf text = { 0 }, archive = { 0 };
    int rc;

    json_object_set(b->manifest, "files", b->files);
    json_object_set(b->manifest, "folders", b->folders);
    json_write(&text, b->manifest);
    m.content = (struct str){ buf_bytes(&text), text.len };
    rc = manifest_check(b->manifest, e);
    if (rc == 0)
        rc = tar_add(&archive, &m, e);
    if (rc == 0) {
        buf_add(&archive, buf_bytes(&b->members), b->members.len);
        tar_end(&archive);
        rc = file_write(path, buf_bytes(&archive), archive.len, 0600, e);
    }
    if (archive.room > 0)
        explicit_bzero(archive.mem, archive.room);
    buf_free(&archive);
    buf_free(&text);
    return rc;
}

static void tell(const struct ctl *c, const struct backup *b)
{
    const json_t *path;
    size_t i;

    if (c->json) {
        json_array_extend(b->left_out, b->logs);
        json_object_set(b->manifest, "left_out", b->left_out);
        json_dumpf(b->manifest, stdout, JSON_COMPACT);
        puts("");
        return;
    }
    printf("%s: %zu files; it holds private keys, so keep it as you would keep these\n", c->argv[0],
           json_array_size(b->files));
    json_array_foreach(b->left_out, i, path)
        printf("  not in it, because it is not beside %s: %s\n", b->config_path, json_string_value(path));
    json_array_foreach(b->logs, i, path)
        printf("  not in it, because it is a log: %s\n", json_string_value(path));
}

static void begin_manifest(struct backup *b, const json_t *version)
{
    b->files = json_array();
    b->folders = json_array();
    b->left_out = json_array();
    b->manifest = json_pack("{s:i, s:s, s:s, s:o, s:s, s:s}", "v", MANIFEST_VERSION, "role",
                            ctl_text(version, "role"), "version", ctl_text(version, "version"), "made",
                            json_time(time(NULL)), "config", b->config_path, "state_dir", b->state_dir);
}

static int backup(struct backup *b, const json_t *version, const char *path, struct err *e)
{
    if (check_place(path, e) != 0 || find_places(b, ctl_text(version, "role"), e) != 0)
        return -1;
    begin_manifest(b, version);
    return gather(b, e) != 0 ? -1 : write_archive(b, path, e);
}

static enum ctl_exit make(struct ctl *c, struct backup *b, const json_t *version)
{
    struct err why = { 0 };

    if (backup(b, version, c->argv[0], &why) == 0) {
        tell(c, b);
        return CTL_WELL;
    }
    fprintf(stderr, "tunnelctl: nothing was backed up: %s\n", why.text);
    return CTL_FAILING;
}

enum ctl_exit ctl_backup(struct ctl *c)
{
    struct backup b = { .logs = json_array() };
    json_t *version = NULL;
    enum ctl_exit result;

    if (c->argc != 1)
        return ctl_wrong_usage("backup takes the FILE that is to be written");
    result = ctl_ask_aside(c, "GET", "/v1/version", &version);
    if (result == CTL_WELL)
        result = ctl_ask_aside(c, "GET", "/v1/config", &b.config);
    if (result == CTL_WELL)
        result = make(c, &b, version);
    if (b.members.room > 0)
        explicit_bzero(b.members.mem, b.members.room);
    buf_free(&b.members);
    free(b.config_path);
    free(b.state_dir);
    json_decref(b.manifest);
    json_decref(b.files);
    json_decref(b.folders);
    json_decref(b.left_out);
    json_decref(b.logs);
    json_decref(b.config);
    json_decref(version);
    return result;
}
