/* Notes of the program that is run for a certificate that came: it is to be run, it has begun, it did not end well. */
#include "relay/certs/store_parts.h"
#include "shared/buf.h"
#include "shared/file.h"
#include "shared/log.h"
#include "shared/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_NOTE = 8192 };

static char *note_path(const struct store *s, const char *name, const char *note)
{
    char *folder = store_path(s, name, NULL), *path = folder ? mem_format("%s/%s", folder, note) : NULL;

    free(folder);
    return path;
}

int store_note_deployment(const struct store *s, const char *name, bool *noted, struct err *e)
{
    char *folder = store_path(s, name, e), *path;
    int rc = folder ? file_make_folder(folder, 0700, e) : -1, fd;

    if (rc != 0) {
        free(folder);
        return -1;
    }
    path = mem_format("%s/" STORE_DEPLOY, folder);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    *noted = fd >= 0;
    rc = fd < 0
             ? (errno == EEXIST ? 0 : err_errno(e, errno, "cannot write %s", path))
             : (close(fd) != 0 ? err_errno(e, errno, "cannot write %s", path) : file_sync_folder(folder, e));
    free(path);
    free(folder);
    return rc;
}

bool store_deploys(const struct store *s, const char *name)
{
    char *due = note_path(s, name, STORE_DEPLOY), *begun = note_path(s, name, STORE_DEPLOY_BEGUN);
    bool any = due && (access(due, F_OK) == 0 || access(begun, F_OK) == 0);

    free(due);
    free(begun);
    return any;
}

void store_deploy_begins(const struct store *s, const char *name)
{
    char *due = note_path(s, name, STORE_DEPLOY), *begun = note_path(s, name, STORE_DEPLOY_BEGUN);

    if (due && rename(due, begun) != 0 && errno != ENOENT)
        log_warn("cannot note that a program was begun; it may be run twice", kv_str("path", due),
                 kv_str("error", strerror(errno)));
    free(due);
    free(begun);
}

void store_deployed(const struct store *s, const char *name, const char *why, int64_t now)
{
    char *begun = note_path(s, name, STORE_DEPLOY_BEGUN), *failed = note_path(s, name, STORE_DEPLOY_FAILED);
    int64_t since = now;
    struct err e = { 0 };
    char *text, *before;

    before = why ? store_undeployed(s, name, &since) : NULL;
    text = mem_format("%lld %s\n", (long long)since, why ? why : "");
    if (failed && !why)
        (void)unlink(failed); /* most often there is none */
    else if (failed && file_write(failed, text, strlen(text), 0600, &e) != 0)
        log_warn("cannot note that a program did not end well", kv_str("error", e.text));
    if (begun)
        (void)unlink(begun); /* one that stays is run again at the next start */
    free(before);
    free(text);
    free(begun);
    free(failed);
}

char *store_undeployed(const struct store *s, const char *name, int64_t *since)
{
    char *failed = note_path(s, name, STORE_DEPLOY_FAILED), *text = NULL, *end;
    struct buf note = { 0 };
    struct err e = { 0 };

    if (failed && access(failed, F_OK) == 0 && file_read(failed, MAX_NOTE, &note, &e) == 0) {
        long long began = strtoll(buf_text(&note), &end, 10);

        if (began > 0 && *end == ' ') {
            *since = began;
            text = mem_copy_n(end + 1, strcspn(end + 1, "\n"));
        }
    }
    buf_free(&note);
    free(failed);
    return text;
}

void store_forget_deployment(const struct store *s, const char *name)
{
    char *due = note_path(s, name, STORE_DEPLOY);

    if (due)
        (void)unlink(due);
    free(due);
}
