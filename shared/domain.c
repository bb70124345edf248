#include "shared/domain.h"

#include "shared/idn.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static int wrong(const char *text, const char *why, struct err *e)
{
    return err_set(e, ERR_INPUT, "%.80s is not a host name: %s (such as sassy-cat-pics.com)", text, why);
}

static const char *why_label(const char *label, size_t n)
{
    if (n == 0)
        return "it has an empty label";
    if (n > 63)
        return "a label is longer than 63 characters";
    if (label[0] == '-' || label[n - 1] == '-')
        return "a label begins or ends with -";
    if (memchr(label, '*', n))
        return "a wildcard is *. and a name";
    for (size_t i = 0; i < n; i++)
        if (!((label[i] >= 'a' && label[i] <= 'z') || (label[i] >= '0' && label[i] <= '9') ||
              label[i] == '-'))
            return "only a-z, 0-9, - and . may stand in it; write other letters in their xn-- form";
    if (label[n] == 0 && strspn(label, "0123456789") == n)
        return "it ends with a number, as an address does";
    return NULL;
}

/* ---- addresses ---- */

/* As inet_ntop prints it. False: it is none. */
static bool print_address(const char *text, char out[INET6_ADDRSTRLEN])
{
    struct in6_addr v6;
    struct in_addr v4;

    if (inet_pton(AF_INET, text, &v4) == 1)
        return inet_ntop(AF_INET, &v4, out, INET6_ADDRSTRLEN) != NULL;
    return inet_pton(AF_INET6, text, &v6) == 1 && inet_ntop(AF_INET6, &v6, out, INET6_ADDRSTRLEN) != NULL;
}

bool domain_is_address(const char *name)
{
    char printed[INET6_ADDRSTRLEN];

    return print_address(name, printed);
}

/* Whoever visits a v4-mapped address comes by IPv4. */
static int check_address(const char *text, const char *printed, struct err *e)
{
    static const char mapped[] = "::ffff:";

    if (strcmp(text, printed) != 0)
        return err_set(e, ERR_INPUT, "%.80s is not how this address is written here; write %s", text,
                       printed);
    if (strncmp(text, mapped, sizeof mapped - 1) == 0 && strchr(text, '.'))
        return err_set(e, ERR_INPUT, "%.80s is an IPv4 address in other clothes; write %s", text,
                       text + sizeof mapped - 1);
    return 0;
}

/* ---- names ---- */

static bool is_bare(const char *label)
{
    return !strchr(label, '.') && strcmp(label, "localhost") != 0;
}

int domain_check(const char *text, enum domain_form form, struct err *e)
{
    char printed[INET6_ADDRSTRLEN];
    const char *label = text;

    if (strlen(text) >= DOMAIN_BYTES)
        return wrong(text, "it is longer than 253 characters", e);
    if (form == DOMAIN_SITE && print_address(text, printed))
        return check_address(text, printed, e);
    if (form != DOMAIN_EXACT && strncmp(text, "*.", 2) == 0)
        label += 2;
    else if (text[0] == '*')
        return wrong(
            text, form != DOMAIN_EXACT ? "a wildcard is *. and a name" : "a wildcard cannot stand here", e);
    if (is_bare(label) && (form != DOMAIN_SITE || label != text))
        return wrong(text, "it has no dot", e);
    for (;;) {
        size_t n = strcspn(label, ".");
        const char *why = why_label(label, n);

        if (why)
            return wrong(text, why, e);
        if (label[n] == 0)
            return 0;
        label += n + 1;
    }
}

/* host: with its brackets. */
static bool normalize_v6(struct str host, char out[DOMAIN_BYTES])
{
    char text[INET6_ADDRSTRLEN];
    size_t n = host.n - 2;

    if (host.p[host.n - 1] != ']' || n >= sizeof text || memchr(host.p, 0, host.n))
        return false;
    memcpy(text, host.p + 1, n);
    text[n] = 0;
    return strchr(text, ':') && print_address(text, out);
}

bool domain_normalize(struct str host, char out[DOMAIN_BYTES])
{
    if (host.n > 2 && host.p[0] == '[')
        return normalize_v6(host, out);
    if (host.n > 0 && host.p[host.n - 1] == '.')
        host.n--;
    if (host.n == 0 || host.n >= DOMAIN_BYTES || memchr(host.p, 0, host.n))
        return false;
    if (idn_is_needed(host))
        return idn_to_ascii(host, out, NULL) == 0;
    for (size_t i = 0; i < host.n; i++)
        out[i] = host.p[i] >= 'A' && host.p[i] <= 'Z' ? (char)(host.p[i] + ('a' - 'A')) : host.p[i];
    out[host.n] = 0;
    return true;
}

bool domain_matches(const char *pattern, const char *name)
{
    const char *dot;

    if (strncmp(pattern, "*.", 2) != 0)
        return strcmp(pattern, name) == 0;
    dot = strchr(name, '.');
    return dot && dot != name && strcmp(pattern + 1, dot) == 0;
}

bool domain_other_www(const char *name, char other[DOMAIN_BYTES + 4])
{
    bool has_www = strncmp(name, "www.", 4) == 0;

    snprintf(other, DOMAIN_BYTES + 4, "%s%s", has_www ? "" : "www.", has_www ? name + 4 : name);
    return strncmp(name, "*.", 2) != 0;
}
