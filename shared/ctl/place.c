#include "shared/ctl/place.h"

#include "shared/file.h"
#include "shared/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { FILE_BYTES = 4 << 20 }; /* as much as the agent reads */
enum { HOLD_S = 10, HOLD_TRY_MS = 20 };

/* A reload reads what another tunnelctl has just written, too, and would judge it together with ours. The lock is on the
 * folder, so that nothing is left behind. */
static int hold(struct ctl_place *p, struct err *e)
{
    const char *folder = *p->folder ? p->folder : "/";
    const struct timespec pause = { .tv_nsec = HOLD_TRY_MS * 1000000L };

    p->lock = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (p->lock < 0)
        return err_errno(e, errno, "cannot open %s", folder);
    p->held = true;
    for (int tries = 0; flock(p->lock, LOCK_EX | LOCK_NB) != 0; tries++) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return err_errno(e, errno, "cannot lock %s", folder);
        if (tries == HOLD_S * 1000 / HOLD_TRY_MS)
            return err_set(
                e, ERR_TAKEN,
                "another tunnelctl is changing %s, and has not ended within %d s; nothing was done, "
                "try again when it has",
                folder, HOLD_S);
        nanosleep(&pause, NULL);
    }
    return 0;
}

/* As the daemon was told it, not where a link leads: it finds includes beside that. */
static enum ctl_exit ask_config(struct ctl *c, char **path)
{
    json_t *config;
    enum ctl_exit result = ctl_ask_aside(c, "GET", "/v1/config", &config);
    const char *first = json_string_value(json_array_get(json_object_get(config, "files"), 0));

    *path = mem_copy(first ? first : "");
    json_decref(config);
    return result;
}

enum ctl_exit ctl_place_find(struct ctl *c, const char *base, struct ctl_place *p)
{
    json_t *version;
    enum ctl_exit result = ctl_ask_aside(c, "GET", "/v1/version", &version);
    char *config = NULL;
    const char *slash;
    struct err why = { 0 };

    if (result == CTL_WELL)
        result = ask_config(c, &config);
    if (result != CTL_WELL) {
        json_decref(version);
        free(config);
        return result;
    }
    slash = strrchr(config, '/');
    p->folder = mem_copy_n(config, slash ? (size_t)(slash - config) : 0);
    p->base = mem_copy(base);
    p->path = mem_format("%s/agent.d/%s", p->folder, base);
    if (strcmp(ctl_text(version, "role"), "agent") != 0) {
        result = ctl_wrong_usage(
            "this is the relay's control socket, and it is the agent that is meant; give --agent, or "
            "the agent's --socket");
    } else if (config[0] != '/') {
        fprintf(stderr,
                "tunnelctl: the agent's configuration has no folder of its own; start it with -c FILE\n");
        result = CTL_FAILING;
    } else if (hold(p, &why) != 0) {
        fprintf(stderr, "tunnelctl: %s\n", why.text);
        result = CTL_FAILING;
    }
    json_decref(version);
    free(config);
    return result;
}

void ctl_place_release(struct ctl_place *p)
{
    if (p->held)
        close(p->lock);
    p->held = false;
}

void ctl_place_free(struct ctl_place *p)
{
    ctl_place_release(p);
    free(p->folder);
    free(p->base);
    free(p->path);
}

/* Patterns as they stand there: relative to the file's folder, or not. */
static bool is_included(const struct ctl_place *p, const char *patterns)
{
    char *copy = mem_copy(patterns), *rest = copy, *word;
    char *relative = mem_format("agent.d/%s", p->base);
    bool found = false;

    while (!found && (word = strsep(&rest, " ,\t")))
        found = fnmatch(word, *word == '/' ? p->path : relative, FNM_PATHNAME | FNM_PERIOD) == 0;
    free(copy);
    free(relative);
    return found;
}

static const json_t *section_of(const json_t *config, const char *kind, const char *name)
{
    const json_t *section;
    size_t i;

    json_array_foreach(json_object_get(config, "sections"), i, section)
    {
        if (strcmp(ctl_text(section, "kind"), kind) == 0 && strcmp(ctl_text(section, "name"), name) == 0)
            return section;
    }
    return NULL;
}

static const char *option_of(const json_t *section, const char *key, const char *member)
{
    const json_t *option;
    size_t i;

    json_array_foreach(json_object_get(section, "options"), i, option)
    {
        if (strcmp(ctl_text(option, "key"), key) == 0)
            return ctl_text(option, member);
    }
    return "";
}

const char *ctl_option(const json_t *config, const char *kind, const char *name, const char *key)
{
    return option_of(section_of(config, kind, name), key, "value");
}

const char *ctl_section_origin(const json_t *config, const char *kind, const char *name)
{
    const json_t *option;
    size_t i;

    json_array_foreach(json_object_get(section_of(config, kind, name), "options"), i, option)
    {
        if (strcmp(ctl_text(option, "origin"), "default") != 0)
            return ctl_text(option, "origin");
    }
    return "";
}

bool ctl_place_is(const struct ctl_place *p, const char *origin)
{
    char *file = mem_format("agent.d/%s", p->base);
    const char *colon = strrchr(origin, ':'), *begin = colon;
    size_t n = strlen(file);
    bool is_it = false;

    if (colon && (size_t)(colon - origin) >= n) {
        begin -= n;
        is_it = memcmp(begin, file, n) == 0 && (begin == origin || begin[-1] == '/');
    }
    free(file);
    return is_it;
}

int ctl_place_fits(const struct ctl_place *p, const json_t *config, const char *kind, const char *name,
                   struct err *e)
{
    const char *patterns = option_of(section_of(config, "agent", ""), "include", "value");
    const char *origin = ctl_section_origin(config, kind, name);

    if (!is_included(p, patterns))
        return err_set(e, ERR_INPUT,
                       "agent.include = %.100s does not cover agent.d/%s; add agent.d/*.ini to it, and run: "
                       "tunnelctl reload",
                       patterns, p->base);
    if (*origin && !ctl_place_is(p, origin))
        return err_set(e, ERR_TAKEN,
                       "[%s %s] stands at %.200s already; take it out of there, and run: tunnelctl reload",
                       kind, name, origin);
    return 0;
}

int ctl_place_open(const struct ctl_place *p, struct err *e)
{
    char *folder = mem_format("%s/agent.d", p->folder);
    int rc = file_make_folder(folder, 0755, e);

    if (rc == 0 && access(folder, W_OK) != 0)
        rc = err_errno(e, errno, "cannot write into %s", folder);
    free(folder);
    return rc;
}

int ctl_place_read(const struct ctl_place *p, struct buf *text, struct err *e)
{
    struct stat st;

    if (lstat(p->path, &st) != 0)
        return errno == ENOENT ? 0 : err_errno(e, errno, "cannot look at %s", p->path);
    if (S_ISLNK(st.st_mode))
        return err_set(e, ERR_INPUT, "%s is a link", p->path);
    return file_read(p->path, FILE_BYTES, text, e);
}

int ctl_place_write(const struct ctl_place *p, const struct buf *text, struct err *e)
{
    struct stat was;
    bool there = stat(p->path, &was) == 0;

    if (file_write(p->path, buf_bytes(text), text->len, there ? was.st_mode & 0777 : 0644, e) != 0)
        return -1;
    if (there && chown(p->path, was.st_uid, was.st_gid) != 0 &&
        errno != EPERM) /* only root can give files away */
        return err_errno(e, errno, "cannot give %s back to its owner", p->path);
    return 0;
}
