#include "shared/secret.h"

#include "shared/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static size_t whole_pages(size_t n)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    return (n / page + 1) * page;
}

void secret_init(struct secret *s, size_t n)
{
    s->n = n;
    s->room = whole_pages(n);
    s->bytes = mmap(NULL, s->room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (s->bytes == MAP_FAILED) {
        fprintf(stderr, "out of memory: cannot get %zu bytes\n", s->room);
        abort();
    }
    /* Both are a second line of defence: where RLIMIT_MEMLOCK forbids it, the secret still works. */
    if (mlock(s->bytes, s->room) != 0 || madvise(s->bytes, s->room, MADV_DONTDUMP) != 0)
        return;
}

void secret_free(struct secret *s)
{
    if (s->bytes) {
        explicit_bzero(s->bytes, s->room);
        munmap(s->bytes, s->room);
    }
    *s = (struct secret){ 0 };
}

static int read_secret(int fd, struct secret *s, const char *path, size_t max, struct err *e)
{
    size_t used = 0;
    ssize_t n;

    while ((n = read(fd, s->bytes + used, s->n - used)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(e, errno, "cannot read %s", path);
        used += (size_t)n;
        if (used > max)
            return err_set(e, ERR_LIMIT, "%s is larger than the %zu bytes such a secret may have", path, max);
    }
    while (used > 0 && (s->bytes[used - 1] == '\n' || s->bytes[used - 1] == '\r'))
        s->bytes[--used] = 0;
    if (used == 0)
        return err_set(e, ERR_INPUT, "%s is empty; put the secret in it", path);
    s->n = used;
    return 0;
}

static int load_file(struct secret *s, const char *path, size_t max, struct err *e)
{
    int fd, rc;

    *s = (struct secret){ 0 };
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return err_errno(e, errno, "cannot open %s", path);
    secret_init(s, max + 1);
    rc = read_secret(fd, s, path, max, e);
    close(fd);
    if (rc != 0)
        secret_free(s);
    return rc;
}

int secret_load(struct secret *s, const char *path, size_t max, struct err *e)
{
    *s = (struct secret){ 0 };
    return file_check_secret(path, e) == 0 ? load_file(s, path, max, e) : -1;
}

static const char env_word[] = "env:", credential_word[] = "credential:";

static int load_env(struct secret *s, const char *name, size_t max, struct err *e)
{
    const char *value = getenv(name);
    size_t n = value ? strlen(value) : 0;

    if (n == 0)
        return err_set(e, ERR_MISSING,
                       "the environment variable %s is not set, or empty; put the secret in it", name);
    if (n > max)
        return err_set(e, ERR_LIMIT, "the environment variable %s is larger than %zu bytes", name, max);
    secret_init(s, n);
    memcpy(s->bytes, value, n);
    return 0;
}

static int load_credential(struct secret *s, const char *name, size_t max, struct err *e)
{
    const char *folder = getenv("CREDENTIALS_DIRECTORY");
    char path[PATH_MAX];

    if (!folder)
        return err_set(e, ERR_MISSING,
                       "credential:%s is one of systemd's, and $CREDENTIALS_DIRECTORY is not set; add "
                       "LoadCredential=%s:/PATH to the unit",
                       name, name);
    if (!*name || strchr(name, '/') || snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path)
        return err_set(e, ERR_INPUT, "credential:%s is not the name of a credential", name);
    return load_file(s, path, max, e);
}

bool secret_is_elsewhere(const char *where)
{
    return strncmp(where, env_word, sizeof env_word - 1) == 0 ||
           strncmp(where, credential_word, sizeof credential_word - 1) == 0;
}

int secret_load_from(struct secret *s, const char *where, size_t max, struct err *e)
{
    *s = (struct secret){ 0 };
    if (strncmp(where, env_word, sizeof env_word - 1) == 0)
        return load_env(s, where + sizeof env_word - 1, max, e);
    if (strncmp(where, credential_word, sizeof credential_word - 1) == 0)
        return load_credential(s, where + sizeof credential_word - 1, max, e);
    return secret_load(s, where, max, e);
}

bool secret_eq(const void *a, const void *b, size_t n)
{
    const volatile unsigned char *x = a, *y = b;
    unsigned char differ = 0;

    for (size_t i = 0; i < n; i++)
        differ |= (unsigned char)(x[i] ^ y[i]);
    return differ == 0;
}
