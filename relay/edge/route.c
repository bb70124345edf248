#include "relay/edge/route.h"

#include "shared/mem.h"

#include <stdlib.h>
#include <string.h>

enum { SEEN_BYTES = 1024 }; /* longer paths are rare, and take memory of their own */

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The next character of the path, decoded; what is no %XX stands for itself. */
static char next_char(struct str *path)
{
    char c = path->p[0];
    size_t n = 1;

    if (c == '%' && path->n >= 3 && hex(path->p[1]) >= 0 && hex(path->p[2]) >= 0) {
        c = (char)(hex(path->p[1]) << 4 | hex(path->p[2]));
        n = 3;
    }
    path->p += n;
    path->n -= n;
    return c;
}

/* Where the path ends without the segment that ends at n, if that is . or .. */
static size_t resolve(const char *seen, size_t n)
{
    if (n >= 2 && memcmp(seen + n - 2, "/.", 2) == 0)
        return n - 1;
    if (n < 3 || memcmp(seen + n - 3, "/..", 3) != 0)
        return n;
    for (n -= 3; n > 0 && seen[n - 1] != '/'; n--)
        continue;
    return n > 0 ? n : 1;
}

/* Decoded and resolved, which makes it no longer. */
static void simplify(struct str path, char *seen)
{
    size_t n = 0;

    while (path.n > 0 && path.p[0] != '?' && path.p[0] != '#') {
        char c = next_char(&path);

        if (c == '/') {
            size_t end = resolve(seen, n);

            n = end;
            if (n > 0 && seen[n - 1] == '/')
                continue; /* // counts as /, which is how most services read it */
        }
        seen[n++] = c;
    }
    seen[resolve(seen, n)] = 0;
}

static bool covers(const char *route, const char *path)
{
    size_t n = strlen(route);

    return strncmp(route, path, n) == 0 && (path[n] == 0 || path[n] == '/' || route[n - 1] == '/');
}

const struct snap_target *route_find(const struct snap_site *site, struct str path)
{
    char few[SEEN_BYTES];
    char *seen = path.n < sizeof few ? few : mem_new(path.n + 1);
    const struct snap_target *found = &site->own;

    if (site->routes_n > 0)
        simplify(path.n > 0 ? path : STR("/"), seen); /* an absolute-form may have none */
    for (size_t i = 0; i < site->routes_n && found == &site->own; i++)
        if (covers(site->routes[i].route, seen))
            found = &site->routes[i];
    if (seen != few)
        free(seen);
    return found;
}
