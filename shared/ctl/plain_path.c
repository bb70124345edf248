#include "shared/ctl/plain_path.h"

#include "shared/mem.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static char *drop_dots(const char *path)
{
    char *plain = mem_new(strlen(path) + 2);
    size_t n = 0, length;

    for (const char *part = path + strspn(path, "/"); *part; part += strspn(part, "/")) {
        length = strcspn(part, "/");
        if (length == 2 && part[0] == '.' && part[1] == '.') {
            while (n > 0 && plain[--n] != '/')
                ; /* the part before it goes, with its slash */
        } else if (length > 1 || part[0] != '.') {
            plain[n++] = '/';
            memcpy(plain + n, part, length);
            n += length;
        }
        part += length;
    }
    if (n == 0)
        plain[n++] = '/';
    plain[n] = 0;
    return plain;
}

static bool is_another(const char *path, const char *plain)
{
    struct stat meant, found;

    return stat(path, &meant) == 0 &&
           (stat(plain, &found) != 0 || meant.st_dev != found.st_dev || meant.st_ino != found.st_ino);
}

char *plain_path(const char *path)
{
    char *plain = drop_dots(path), *real;

    if (!is_another(path, plain) || !(real = realpath(path, NULL)))
        return plain;
    free(plain);
    return real;
}
