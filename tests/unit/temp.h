/* tests/unit/temp.h - a temporary folder for one test, removed afterwards with all that is in it.
 *
 *   cmocka_unit_test_setup_teardown(test_that, temp_make, temp_remove)   state holds the struct temp */
#ifndef TESTS_UNIT_TEMP_H
#define TESTS_UNIT_TEMP_H
#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct temp {
    char folder[32];
    char paths[8][128]; /* what temp_path gave last */
    unsigned given;
};

static inline int temp_make(void **state)
{
    struct temp *t = calloc(1, sizeof *t);

    if (!t)
        return -1;
    strcpy(t->folder, "/tmp/tunnel-unit-XXXXXX");
    *state = t;
    return mkdtemp(t->folder) ? 0 : -1;
}

static inline int temp_remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
    (void)st;
    (void)kind;
    (void)where;
    return remove(path);
}

static inline int temp_remove(void **state)
{
    struct temp *t = *state;
    int rc = nftw(t->folder, temp_remove_one, 8, FTW_DEPTH | FTW_PHYS);

    free(t);
    return rc;
}

/* A path in the folder; valid until eight more were asked for. */
static inline const char *temp_path(struct temp *t, const char *name)
{
    char path[sizeof t->paths[0]];

    if (snprintf(path, sizeof path, "%s/%s", t->folder, name) >= (int)sizeof path)
        abort();
    return memcpy(t->paths[t->given++ % 8], path, sizeof path);
}

/* The same, with a file of this content and exactly this mode. */
static inline const char *temp_file(struct temp *t, const char *name, const char *content, mode_t mode)
{
    const char *path = temp_path(t, name);
    FILE *f = fopen(path, "w");

    if (!f || fputs(content, f) < 0 || fchmod(fileno(f), mode) != 0 || fclose(f) != 0)
        abort();
    return path;
}

static inline mode_t temp_mode(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0 ? st.st_mode & 07777 : (mode_t)-1;
}

/* How many files and folders are in it. */
static inline int temp_count(const struct temp *t)
{
    DIR *folder = opendir(t->folder);
    int n = -2; /* "." and ".." */

    while (folder && readdir(folder))
        n++;
    closedir(folder);
    return n;
}
#endif
