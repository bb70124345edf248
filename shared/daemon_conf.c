#include "shared/daemon_conf.h"

#include "shared/admin.h"
#include "shared/alerts/alerts.h"
#include "shared/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *const daemon_log_levels[] = { "error", "warn", "info", "debug", NULL };
const char *const daemon_log_words[] = { "stderr", NULL }; /* which log_prepare knows */

void daemon_default_name(char *text, size_t room)
{
    char host[256] = "";
    size_t n = 0;

    if (gethostname(host, sizeof host - 1) != 0)
        host[0] = 0;
    for (const char *p = host; *p && *p != '.' && n + 1 < room && n < 32; p++) {
        char c = *p >= 'A' && *p <= 'Z' ? (char)(*p + ('a' - 'A')) : *p;

        text[n++] = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ? c : '-';
    }
    text[n] = 0;
    if (n == 0)
        snprintf(text, room, "unnamed");
}

/* ---- where lines go ---- */

/* A folder that is there before the log is opened: its unit makes it, or what root does before this is another user's. */
static bool is_made_at_start(const char *folder, const char *kind, const struct daemon_conf *own)
{
    char *logs = mem_format("/var/log/tunnel-%s", kind), *socket = mem_copy(own->control_socket);
    bool made = strcmp(folder, logs) == 0 || strcmp(folder, own->state_dir) == 0 ||
                strcmp(folder, dirname(socket)) == 0;

    free(socket);
    free(logs);
    return made;
}

/* Root may ask for a daemon that is somebody else's, and somebody for another's: what they may write says nothing. */
static bool are_we_it(const struct daemon_conf *own)
{
    struct stat st;

    return stat(own->state_dir, &st) == 0 && st.st_uid == geteuid();
}

static int refuse_log(const char *path, const char *why, const char *remedy, struct err *e)
{
    return err_set(e, ERR_INPUT, "cannot open the log %.200s: %s; %s", path, why, remedy);
}

static int check_folder(const char *path, const char *kind, const struct daemon_conf *own, struct err *e)
{
    char *copy = mem_copy(path);
    const char *folder = dirname(copy);
    struct stat st;
    int rc = 0;

    if (stat(folder, &st) == 0 && !S_ISDIR(st.st_mode)) {
        rc = refuse_log(path, strerror(ENOTDIR), "name a file in a folder", e);
    } else if (access(folder, F_OK) == 0 || errno == EACCES) {
        if (are_we_it(own) && faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS) != 0)
            rc = refuse_log(path, strerror(errno), "let this user write in its folder, or name another", e);
    } else if (errno != ENOENT || !is_made_at_start(folder, kind, own)) {
        rc = refuse_log(path, strerror(errno), "name a file in a folder that is there", e);
    }
    free(copy);
    return rc;
}

static int check_log(const char *path, const char *kind, const struct daemon_conf *own, struct err *e)
{
    struct stat st;

    if (lstat(path, &st) != 0)
        return check_folder(path, kind, own, e);
    if (stat(path, &st) != 0)
        return 0; /* a link that leads to nothing yet */
    if (S_ISDIR(st.st_mode))
        return refuse_log(path, "it is a folder", "name a file in it", e);
    if (are_we_it(own) && faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) != 0)
        return refuse_log(path, strerror(errno), "let this user write it, or name another", e);
    return 0;
}

void daemon_conf_check_log(const struct opt_conf *conf, const char *kind, const char *key, const char *where,
                           struct opt_errors *errors)
{
    const struct daemon_conf *own = opt_values(conf, kind, NULL);
    struct err why = { 0 };

    if (where[0] == '/' && opt_touches_files(conf) && check_log(where, kind, own, &why) != 0)
        opt_errors_add_at(errors, conf, kind, NULL, key, "%s", why.text);
}

void daemon_conf_check(const struct opt_conf *conf, const char *kind, const struct daemon_conf *own,
                       struct opt_errors *errors)
{
    const struct admin_conf admin = { &own->admin_listen, own->admin_password_file };

    alerts_check(conf, kind, own, errors);
    admin_check(conf, kind, &admin, errors);
    daemon_conf_check_log(conf, kind, "log", own->log, errors);
}
