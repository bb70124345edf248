/* Versions of what is known of a name, and how one takes the place of another:
 *
 *   mkdir 8 -> its files, each synced -> the link `current` is renamed from 7 to 8 -> old ones are removed
 *
 * Everything is read through `current`, so that certificate, key and meta.json change at one moment. */
#include "relay/certs/store_parts.h"

#include "shared/file.h"
#include "shared/log.h"
#include "shared/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_ROOM = 4096, MAX_VERSION = 1000000000, TEMP_SUFFIX = 7 /* .XXXXXX */ };

#define CURRENT     "current"
#define CURRENT_NEW ".current.new"

/* What other programs read: each is a link into `current`. */
static const char *const files[] = { "fullchain.pem", "privkey.pem", "fullchain-rsa.pem", "privkey-rsa.pem",
                                     STORE_META };

/* ---- which there are ---- */

/* 0: it is none of ours. */
static unsigned number_of(const char *text)
{
    unsigned n = 0;

    if (*text < '1' || *text > '9')
        return 0;
    for (; *text >= '0' && *text <= '9'; text++) {
        n = n * 10 + (unsigned)(*text - '0');
        if (n > MAX_VERSION)
            return 0;
    }
    return *text ? 0 : n;
}

/* 0: there is none, or it points to nothing. */
static unsigned current_of(const char *folder)
{
    char link[PATH_ROOM], target[32] = "";
    struct stat st;

    if (snprintf(link, sizeof link, "%s/" CURRENT, folder) >= (int)sizeof link || stat(link, &st) != 0 ||
        readlink(link, target, sizeof target - 1) < 0)
        return 0;
    return number_of(target);
}

/* False with errno when the folder cannot be read. */
static bool each_entry(const char *folder, void (*entry)(void *user, const char *name), void *user)
{
    DIR *dir = opendir(folder);
    struct dirent *found;

    if (!dir)
        return false;
    while ((found = readdir(dir)))
        if (strcmp(found->d_name, ".") != 0 && strcmp(found->d_name, "..") != 0)
            entry(user, found->d_name);
    closedir(dir);
    return true;
}

static void note_highest(void *user, const char *name)
{
    unsigned *highest = user, n = number_of(name);

    if (n > *highest)
        *highest = n;
}

/* ---- removing ---- */

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
    (void)st, (void)kind, (void)where;
    return remove(path);
}

int store_remove(const char *folder, struct err *e)
{
    if (nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS) == 0 || errno == ENOENT)
        return 0;
    return err_errno(e, errno, "cannot remove %s", folder);
}

/* A file that was being written when we were killed: one of ours, with the suffix that file_write gives it. */
static bool is_left_over(const char *name)
{
    size_t n = strlen(name), base = n > TEMP_SUFFIX ? n - TEMP_SUFFIX : 0;

    if (strcmp(name, CURRENT_NEW) == 0)
        return true;
    if (base == 0 || name[base] != '.')
        return false;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        if (strlen(files[i]) == base && strncmp(files[i], name, base) == 0)
            return true;
    return strlen(STORE_ORDER_KEY) == base && strncmp(STORE_ORDER_KEY, name, base) == 0;
}

struct tidying {
    const char *folder;
    unsigned current;
    unsigned kept[STORE_KEPT]; /* the highest below the current one, descending */
};

static void drop(const struct tidying *t, const char *name)
{
    char *path = mem_format("%s/%s", t->folder, name);

    if (store_remove(path, NULL) != 0)
        errno = 0; /* it is in nobody's way, and is tried again at the next start */
    free(path);
}

static void note_kept(void *user, const char *name)
{
    struct tidying *t = user;
    unsigned n = number_of(name);

    if (n >= t->current)
        return;
    for (size_t i = 0; i < STORE_KEPT; i++)
        if (n > t->kept[i]) {
            unsigned pushed_out = t->kept[i];

            t->kept[i] = n;
            n = pushed_out;
        }
}

static void drop_old(void *user, const char *name)
{
    const struct tidying *t = user;
    unsigned n = number_of(name);
    bool kept = n == t->current;

    for (size_t i = 0; i < STORE_KEPT; i++)
        kept = kept || n == t->kept[i];
    if (is_left_over(name) || (n > 0 && !kept))
        drop(t, name);
}

static void drop_left_over(void *user, const char *name)
{
    if (is_left_over(name))
        drop(user, name);
}

/* ---- writing ---- */

void store_file(const struct meta *m, enum meta_slot slot, const char *what, char out[32])
{
    bool second = slot == META_RSA && m->certs[META_ECDSA].there;

    snprintf(out, 32, "%s%s.pem", what, second ? "-rsa" : "");
}

static int write_chain(const struct meta *m, enum meta_slot slot, const char *version, struct err *e)
{
    struct buf pem = { 0 };
    char base[32];
    char *path;
    int rc;

    store_file(m, slot, "fullchain", base);
    path = mem_format("%s/%s", version, base);
    chain_write(&m->certs[slot].facts.chain, &pem);
    rc = file_write(path, buf_bytes(&pem), pem.len, 0600, e);
    buf_free(&pem);
    free(path);
    return rc;
}

static int write_key(const struct meta *m, enum meta_slot slot, const struct signer *key, const char *version,
                     struct err *e)
{
    char base[32];
    char *path;
    int rc;

    store_file(m, slot, "privkey", base);
    path = mem_format("%s/%s", version, base);
    rc = signer_save(key, path, e);
    free(path);
    return rc;
}

static int write_pair(const struct meta *m, enum meta_slot slot, const struct signer *key,
                      const char *version, struct err *e)
{
    return write_chain(m, slot, version, e) == 0 ? write_key(m, slot, key, version, e) : -1;
}

static int carry_pair(const struct store *s, const struct meta *m, const struct meta *before,
                      enum meta_slot slot, const char *version, struct err *e)
{
    char *chain_path, *key_path;
    struct signer *key;
    int rc = -1;

    if (!store_pair(s, before, slot, &chain_path, &key_path))
        return err_set(e, ERR_MISSING, "the other certificate of %s is gone", m->name);
    key = store_load_key(key_path, e);
    if (key)
        rc = write_pair(m, slot, key, version, e);
    signer_free(key);
    free(chain_path);
    free(key_path);
    return rc;
}

static int write_meta(const struct meta *m, const char *version, struct err *e)
{
    char *path = mem_format("%s/" STORE_META, version);
    json_t *doc = meta_write(m);
    char *text = json_dumps(doc, JSON_INDENT(2));
    int rc = file_write(path, text, strlen(text), 0600, e);

    free(text);
    json_decref(doc);
    free(path);
    return rc;
}

/* A link is made under another name and renamed, so that it is never missing once it was there. */
static int put_link(const char *folder, const char *target, const char *name, struct err *e)
{
    char *made = mem_format("%s/" CURRENT_NEW, folder), *path = mem_format("%s/%s", folder, name);
    int rc = 0;

    if ((unlink(made) != 0 && errno != ENOENT) || symlink(target, made) != 0 || rename(made, path) != 0)
        rc = err_errno(e, errno, "cannot make the link %s", path);
    free(made);
    free(path);
    return rc;
}

static bool is_in(const char *version, const char *file)
{
    char *path = mem_format("%s/%s", version, file);
    bool there = access(path, F_OK) == 0;

    free(path);
    return there;
}

/* Those that the version has, before the switch: for a moment they point to nothing, as for who comes earlier. */
static int put_links(const char *folder, const char *version, struct err *e)
{
    char target[64];

    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        snprintf(target, sizeof target, CURRENT "/%s", files[i]);
        if (is_in(version, files[i]) && !is_in(folder, files[i]) &&
            put_link(folder, target, files[i], e) != 0)
            return -1;
    }
    return 0;
}

/* Those that it lacks, after it. */
static void drop_links(const char *folder)
{
    struct tidying t = { .folder = folder };

    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        if (!is_in(folder, files[i]))
            drop(&t, files[i]);
}

/* Once the link is renamed the new version counts, also when the disk fails to say that it has it. */
static int switch_to(const char *folder, const char *version, unsigned number, struct err *e)
{
    struct err why = { 0 };
    char target[16];

    snprintf(target, sizeof target, "%u", number);
    if (put_links(folder, version, e) != 0 || file_sync_folder(folder, e) != 0 ||
        put_link(folder, target, CURRENT, e) != 0)
        return -1;
    drop_links(folder);
    if (file_sync_folder(folder, &why) != 0)
        log_warn("a certificate might not survive a power failure", kv_str("error", why.text));
    return 0;
}

static int fill(const struct store *s, const struct meta *m, const struct meta *before, enum meta_slot slot,
                const struct signer *key, const char *version, struct err *e)
{
    for (unsigned i = 0; i < META_SLOTS; i++) {
        enum meta_slot other = (enum meta_slot)i;
        int rc = 0;

        if (m->certs[i].there)
            rc = key && other == slot ? write_pair(m, other, key, version, e)
                                      : carry_pair(s, m, before, other, version, e);
        if (rc != 0)
            return -1;
    }
    return write_meta(m, version, e);
}

int store_write_version(const struct store *s, const struct meta *m, const struct meta *before,
                        enum meta_slot slot, const struct signer *key, struct err *e)
{
    char *folder = store_path(s, m->name, e), *version;
    unsigned number = 0;
    int rc;

    if (!folder)
        return -1;
    if (!each_entry(folder, note_highest, &number) && errno != ENOENT) {
        err_errno(e, errno, "cannot read %s", folder);
        free(folder);
        return -1;
    }
    version = mem_format("%s/%u", folder, ++number);
    rc = file_make_folder(folder, 0700, e);
    if (rc == 0 && number == 1)
        rc = file_sync_folder(s->folder, e);
    if (rc == 0)
        rc = file_make_folder(version, 0700, e);
    if (rc == 0)
        rc = fill(s, m, before, slot, key, version, e);
    if (rc == 0)
        rc = switch_to(folder, version, number, e);
    if (rc == 0)
        store_tidy(folder);
    else if (store_remove(version, NULL) != 0) /* it is not current: the next start clears it away */
        err_wrap(e, "%s", version);
    free(version);
    free(folder);
    return rc;
}

/* ---- clearing away ---- */

struct adopting {
    const char *folder;
    unsigned number; /* the highest of those that were completed: meta.json is written last */
};

static void note_complete(void *user, const char *name)
{
    struct adopting *a = user;
    unsigned n = number_of(name);
    char *version = mem_format("%s/%s", a->folder, name);

    if (n > a->number && is_in(version, STORE_META))
        a->number = n;
    free(version);
}

/* A kill came before the first switch; or somebody has removed the link. False when nobody knows what there is, or it cannot
 * be switched to; *number 0: there is none that is complete. */
static bool adopt(const char *folder, unsigned *number)
{
    struct adopting a = { .folder = folder };
    struct err why;
    char *version;
    bool switched;

    if (!each_entry(folder, note_complete, &a))
        return false;
    *number = a.number;
    if (a.number == 0)
        return true;
    version = mem_format("%s/%u", folder, a.number);
    switched = switch_to(folder, version, a.number, &why) == 0;
    if (!switched)
        log_warn("a certificate is there, but cannot be used", kv_str("error", why.text));
    free(version);
    return switched;
}

/* Where there is no version to go by, all that are there are incomplete. One that is there and cannot be switched to now stays
 * with all the others, for the next start. */
void store_tidy(const char *folder)
{
    struct tidying t = { .folder = folder, .current = current_of(folder) };
    char *version;

    if (t.current == 0 && !adopt(folder, &t.current))
        return;
    each_entry(folder, note_kept, &t);
    each_entry(folder, drop_old, &t);
    if (t.current == 0)
        return;
    version = mem_format("%s/%u", folder, t.current);
    t.folder = version;
    each_entry(version, drop_left_over, &t);
    free(version);
}
