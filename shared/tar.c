#include "shared/tar.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { BLOCK = 512, NAME = 100, PREFIX = 155, PREFIX_AT = 345 };

/* Where each field of a header stands. */
static const struct field {
    size_t at, n;
} mode_field = { 100, 8 }, uid_field = { 108, 8 }, gid_field = { 116, 8 }, size_field = { 124, 12 },
  time_field = { 136, 12 }, sum_field = { 148, 8 };
enum { TYPE_AT = 156, LINK_AT = 157, LINK = 100, MAGIC_AT = 257 };

/* ---- paths ---- */

int tar_check_path(const char *path, struct err *e)
{
    const char *part = path;

    if (strlen(path) >= TAR_PATH_BYTES)
        return err_set(e, ERR_LIMIT, "a path of more than %d bytes: %.80s...", TAR_PATH_BYTES - 1, path);
    for (const char *p = path; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            return err_set(e, ERR_INPUT, "a path with a control character in it");
    for (;;) {
        size_t n = strcspn(part, "/");

        if (n == 0 || (n == 1 && part[0] == '.') || (n == 2 && part[0] == '.' && part[1] == '.'))
            return err_set(e, ERR_INPUT, "the path \"%.200s\", which may lead elsewhere", path);
        if (!part[n])
            return 0;
        part += n + 1;
    }
}

/* A path that is too long for its field is split at a /. */
static int put_path(char block[BLOCK], const char *path, struct err *e)
{
    size_t n = strlen(path);
    const char *cut = path;

    if (n > NAME) {
        cut = strchr(path + n - NAME - 1, '/');
        if (!cut || cut - path > PREFIX || !cut[1])
            return err_set(e, ERR_LIMIT, "%s: no archive holds a path that long", path);
        memcpy(block + PREFIX_AT, path, (size_t)(cut - path));
        cut++;
    }
    for (size_t i = 0; cut[i]; i++) /* without a NUL where it fills the field */
        block[i] = cut[i];
    return 0;
}

static int get_path(const char *block, char out[TAR_PATH_BYTES], struct err *e)
{
    int prefix = (int)strnlen(block + PREFIX_AT, PREFIX);

    if (snprintf(out, TAR_PATH_BYTES, "%.*s%s%.*s", prefix, block + PREFIX_AT, prefix > 0 ? "/" : "", NAME,
                 block) < TAR_PATH_BYTES)
        return 0;
    return err_set(e, ERR_LIMIT, "a path of more than %d bytes: %.80s...", TAR_PATH_BYTES - 1, out);
}

/* ---- numbers ---- */

static void put_number(char block[BLOCK], struct field f, uint64_t n)
{
    char text[24];

    snprintf(text, sizeof text, "%0*llo", (int)f.n - 1, (unsigned long long)n);
    memcpy(block + f.at, text, f.n); /* with its NUL */
}

/* Octal digits, then only blanks and NULs. */
static int get_number(const char *block, struct field f, uint64_t *n)
{
    size_t i = 0;

    *n = 0;
    while (i < f.n && block[f.at + i] == ' ')
        i++;
    for (; i < f.n && block[f.at + i] >= '0' && block[f.at + i] <= '7'; i++)
        *n = *n * 8 + (uint64_t)(block[f.at + i] - '0');
    for (; i < f.n; i++)
        if (block[f.at + i] != ' ' && block[f.at + i] != 0)
            return -1;
    return 0;
}

/* Of the header, its own field taken for blanks. */
static uint64_t sum_of(const char *block)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < BLOCK; i++)
        sum += i >= sum_field.at && i < sum_field.at + sum_field.n ? ' ' : (unsigned char)block[i];
    return sum;
}

static size_t padding(size_t n)
{
    return (BLOCK - n % BLOCK) % BLOCK;
}

/* ---- writing ---- */

int tar_add(struct buf *out, const struct tar_member *m, struct err *e)
{
    static const char nothing[BLOCK];
    char block[BLOCK] = { 0 };

    if (tar_check_path(m->path, e) != 0 || put_path(block, m->path, e) != 0)
        return -1;
    put_number(block, mode_field, m->mode & 0777);
    put_number(block, uid_field, 0);
    put_number(block, gid_field, 0);
    put_number(block, size_field, m->content.n);
    put_number(block, time_field, m->changed_at > 0 ? (uint64_t)m->changed_at : 0);
    block[TYPE_AT] = '0';
    memcpy(block + MAGIC_AT, "ustar\00000", 8);
    snprintf(block + sum_field.at, sum_field.n, "%06llo", (unsigned long long)sum_of(block));
    block[sum_field.at + 7] = ' ';
    buf_add(out, block, sizeof block);
    buf_add(out, m->content.p, m->content.n);
    buf_add(out, nothing, padding(m->content.n));
    return 0;
}

void tar_end(struct buf *out)
{
    static const char nothing[2 * BLOCK];

    buf_add(out, nothing, sizeof nothing);
}

/* ---- reading ---- */

static bool is_zero(const char *block)
{
    for (size_t i = 0; i < BLOCK; i++)
        if (block[i])
            return false;
    return true;
}

static int check_kind(const char *block, const char *path, struct err *e)
{
    if (block[TYPE_AT] != '0' && block[TYPE_AT] != 0)
        return err_set(e, ERR_INPUT, "%s is no regular file (type %d); only such are in a backup", path,
                       (unsigned char)block[TYPE_AT]);
    if (strnlen(block + LINK_AT, LINK) > 0)
        return err_set(e, ERR_INPUT, "%s is a link; only regular files are in a backup", path);
    return 0;
}

static int read_header(const char *block, struct tar_member *m, uint64_t *size, struct err *e)
{
    uint64_t sum, mode, changed_at;

    if (memcmp(block + MAGIC_AT, "ustar", 5) != 0 || get_number(block, sum_field, &sum) != 0 ||
        sum != sum_of(block))
        return err_set(e, ERR_INPUT, "it is not an archive as tar writes it, or it is damaged");
    if (get_path(block, m->path, e) != 0 || tar_check_path(m->path, e) != 0)
        return err_wrap(e, "it holds");
    if (check_kind(block, m->path, e) != 0)
        return -1;
    if (get_number(block, size_field, size) != 0 || get_number(block, mode_field, &mode) != 0 ||
        get_number(block, time_field, &changed_at) != 0)
        return err_set(e, ERR_INPUT, "%s: its header is damaged", m->path);
    if (mode > 0777)
        return err_set(e, ERR_INPUT, "%s has the mode %llo; nothing of ours has such a mode", m->path,
                       (unsigned long long)mode);
    m->mode = (uint32_t)mode;
    m->changed_at = (int64_t)changed_at;
    return 0;
}

int tar_next(struct str *rest, struct tar_member *m, struct err *e)
{
    uint64_t size;
    size_t whole;

    *m = (struct tar_member){ 0 };
    if (rest->n < BLOCK)
        return err_set(e, ERR_INPUT, "it is cut short");
    if (is_zero(rest->p))
        return 0;
    if (read_header(rest->p, m, &size, e) != 0)
        return -1;
    rest->p += BLOCK;
    rest->n -= BLOCK;
    if (size > rest->n || padding((size_t)size) > rest->n - size)
        return err_set(e, ERR_INPUT, "%s: it is cut short", m->path);
    m->content = (struct str){ rest->p, (size_t)size };
    whole = (size_t)size + padding((size_t)size);
    rest->p += whole;
    rest->n -= whole;
    return 1;
}
