#include "shared/ctl/manifest.h"

#include "shared/json.h"
#include "shared/mem.h"
#include "shared/tar.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_BYTES = 64, PATH_BYTES = TAR_PATH_BYTES, WORLD_WRITES = 0002 };

void manifest_sum(struct str content, char out[MANIFEST_SUM_BYTES])
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned n = 0;

    if (EVP_Digest(content.p, content.n, sum, &n, EVP_sha256(), NULL) != 1)
        abort(); /* SHA-256 is always there */
    for (size_t i = 0; i < n && 2 * i + 2 < MANIFEST_SUM_BYTES; i++)
        snprintf(out + 2 * i, 3, "%02x", sum[i]);
}

bool manifest_is_in(const char *path, const char *folder)
{
    size_t n = strlen(folder);

    return strncmp(path, folder, n) == 0 && (path[n] == '/' || path[n] == 0);
}

/* ---- one entry ---- */

static int read_mode(const json_t *entry, uint32_t *mode, struct err *e)
{
    const char *text;
    char *end;

    if (json_get_text(entry, "mode", 8, &text, e) != 0)
        return -1;
    *mode = (uint32_t)strtoul(text, &end, 8);
    if (*end || end == text || *mode > 0777 || *mode & WORLD_WRITES)
        return err_set(e, ERR_INPUT, "the mode %s; nothing of ours has such a mode", text);
    return 0;
}

static int read_entry(const json_t *entry, bool file, struct manifest_entry *out, struct err *e)
{
    *out = (struct manifest_entry){ .sum = "" };
    if (json_get_text(entry, "path", PATH_BYTES, &out->path, e) != 0 ||
        json_get_text(entry, "owner", NAME_BYTES, &out->owner, e) != 0 ||
        json_get_text(entry, "group", NAME_BYTES, &out->group, e) != 0)
        return -1;
    if (out->path[0] != '/')
        return err_set(e, ERR_INPUT, "the path \"%s\", which is not absolute", out->path);
    if (tar_check_path(out->path + 1, e) != 0)
        return -1;
    if (read_mode(entry, &out->mode, e) != 0)
        return err_wrap(e, "%s", out->path);
    if (!file)
        return 0;
    if (json_get_int(entry, "size", 0, INT64_MAX, &out->size, e) != 0)
        return -1;
    return json_get_text(entry, "sha256", MANIFEST_SUM_BYTES, &out->sum, e);
}

static bool entry_at(const json_t *manifest, const char *list, size_t i, struct manifest_entry *entry)
{
    const json_t *one = json_array_get(json_object_get(manifest, list), i);

    return one && read_entry(one, strcmp(list, "files") == 0, entry, NULL) == 0;
}

bool manifest_file(const json_t *manifest, size_t i, struct manifest_entry *entry)
{
    return entry_at(manifest, "files", i, entry);
}

bool manifest_folder(const json_t *manifest, size_t i, struct manifest_entry *entry)
{
    return entry_at(manifest, "folders", i, entry);
}

/* ---- the whole ---- */

/* Where a daemon's files can be: its state folder, and the folder of its configuration. */
static bool is_at_home(const char *path, const char *config, const char *state_dir)
{
    size_t n = (size_t)(strrchr(config, '/') - config);

    return manifest_is_in(path, state_dir) || (n > 0 && strncmp(path, config, n) == 0 && path[n] == '/');
}

static int check_list(const json_t *manifest, const char *key, struct err *e)
{
    const char *config = json_string_value(json_object_get(manifest, "config"));
    const char *state_dir = json_string_value(json_object_get(manifest, "state_dir"));
    const char *owner = json_string_value(json_object_get(manifest, "owner"));
    struct manifest_entry entry;
    const json_t *list;

    if (json_get_list(manifest, key, MANIFEST_FILES, &list, e) != 0)
        return -1;
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (read_entry(json_array_get(list, i), strcmp(key, "files") == 0, &entry, e) != 0)
            return err_wrap(e, "it holds");
        if (!is_at_home(entry.path, config, state_dir))
            return err_set(e, ERR_INPUT, "it holds %s, which is neither state nor configuration", entry.path);
        if (strcmp(entry.owner, "root") != 0 && strcmp(entry.owner, owner) != 0)
            return err_set(e, ERR_INPUT, "it holds %s, whose owner is %s, neither root nor %s", entry.path,
                           entry.owner, owner);
    }
    return 0;
}

static int check_place(const json_t *manifest, const char *key, struct err *e)
{
    const char *path;

    if (json_get_text(manifest, key, PATH_BYTES, &path, e) != 0)
        return -1;
    if (path[0] != '/')
        return err_set(e, ERR_INPUT, "its \"%s\" is not absolute: %s", key, path);
    return tar_check_path(path + 1, e);
}

int manifest_check(const json_t *manifest, struct err *e)
{
    const char *text;
    int64_t version;

    if (json_get_int(manifest, "v", 1, INT64_MAX, &version, e) != 0)
        return -1;
    if (version != MANIFEST_VERSION)
        return err_set(e, ERR_INPUT, "it was made by a newer version; update this machine first");
    if (json_get_text(manifest, "role", NAME_BYTES, &text, e) != 0)
        return -1;
    if (strcmp(text, "relay") != 0 && strcmp(text, "agent") != 0)
        return err_set(e, ERR_INPUT, "it is of a \"%s\", neither relay nor agent", text);
    if (check_place(manifest, "config", e) != 0 || check_place(manifest, "state_dir", e) != 0 ||
        json_get_text(manifest, "owner", NAME_BYTES, &text, e) != 0)
        return -1;
    return check_list(manifest, "folders", e) != 0 ? -1 : check_list(manifest, "files", e);
}
