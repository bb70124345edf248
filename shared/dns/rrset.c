#include "shared/dns/rrset.h"

#include "shared/mem.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TXT_PIECE_BYTES = 255, TXT_BYTES = 4000 };

const char *dns_type_text(enum dns_type type)
{
    static const char *const texts[] = { "A", "AAAA", "TXT", "CNAME", "ALIAS" };

    return texts[type];
}

void dns_rrset_init(struct dns_rrset *set, const char *name, enum dns_type type)
{
    *set = (struct dns_rrset){ .type = type, .ttl_s = -1, .proxied = -1 };
    snprintf(set->name, sizeof set->name, "%s", name);
}

void dns_rrset_free(struct dns_rrset *set)
{
    for (size_t i = 0; i < set->n; i++)
        free(set->values[i].text);
    free(set->values);
    set->values = NULL;
    set->n = 0;
}

void dns_rrset_copy(struct dns_rrset *to, const struct dns_rrset *from)
{
    *to = *from;
    to->values = from->n > 0 ? mem_new(from->n * sizeof *to->values) : NULL;
    for (size_t i = 0; i < from->n; i++) {
        to->values[i] = from->values[i];
        to->values[i].text = mem_copy(from->values[i].text);
    }
}

/* ---- values ---- */

/* Without quotes: "a" "b" is ab, and \" and \\ and \DDD are what they stand for. False when a quote is left open. */
static bool unquote(struct str text, struct buf *out)
{
    size_t i = 0;

    if (text.n == 0 || text.p[0] != '"') {
        buf_add(out, text.p, text.n);
        return true;
    }
    while (i < text.n) {
        if (text.p[i] == ' ' || text.p[i] == '\t') {
            i++;
            continue;
        }
        if (text.p[i++] != '"')
            return false;
        for (; i < text.n && text.p[i] != '"'; i++) {
            unsigned code = 0;

            if (text.p[i] == '\\' && ++i == text.n)
                return false;
            if (text.p[i - 1] == '\\' && text.n - i >= 3 && text.p[i] >= '0' && text.p[i] <= '2') {
                code = (unsigned)(text.p[i] - '0') * 100 + (unsigned)(text.p[i + 1] - '0') * 10 +
                       (unsigned)(text.p[i + 2] - '0');
                i += 2;
                buf_add(out, &(char){ (char)code }, 1);
            } else {
                buf_add(out, text.p + i, 1);
            }
        }
        if (i++ == text.n)
            return false;
    }
    return true;
}

static char *canonical_txt(struct str text)
{
    struct buf out = { 0 };
    char *copy = NULL;

    if (text.n <= TXT_BYTES && unquote(text, &out) && !memchr(buf_bytes(&out), 0, out.len))
        copy = mem_copy(buf_text(&out));
    buf_free(&out);
    return copy;
}

static char *canonical_address(int family, struct str text)
{
    char copy[INET6_ADDRSTRLEN], canonical[INET6_ADDRSTRLEN];
    struct in6_addr bytes;

    if (text.n >= sizeof copy || (text.n > 0 && memchr(text.p, 0, text.n)))
        return NULL;
    snprintf(copy, sizeof copy, "%.*s", STR_ARG(text));
    if (inet_pton(family, copy, &bytes) != 1)
        return NULL;
    return mem_copy(inet_ntop(family, &bytes, canonical, sizeof canonical));
}

static char *canonical_name(struct str text)
{
    char name[DOMAIN_BYTES];

    return domain_normalize(text, name) ? mem_copy(name) : NULL;
}

static char *canonical(enum dns_type type, struct str text)
{
    switch (type) {
    case DNS_TYPE_A: return canonical_address(AF_INET, text);
    case DNS_TYPE_AAAA: return canonical_address(AF_INET6, text);
    case DNS_TYPE_TXT: return canonical_txt(text);
    default: return canonical_name(text);
    }
}

/* An id becomes part of a URL's path as it is. */
static bool id_fits(const char *id)
{
    return strlen(id) < DNS_ID_BYTES && strcmp(id, "..") != 0 && strcmp(id, ".") != 0 &&
           !id[strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-=")];
}

bool dns_rrset_add(struct dns_rrset *set, struct str text, const char *id)
{
    struct dns_value *value;
    char *copy;

    if (id && !id_fits(id))
        return false;
    copy = canonical(set->type, text);
    if (!copy)
        return false;
    if (!id && dns_rrset_has(set, copy)) {
        free(copy);
        return true;
    }
    if (set->n >= DNS_VALUES) {
        free(copy);
        return false;
    }
    set->values = mem_grow(set->values, (set->n + 1) * sizeof *set->values);
    value = &set->values[set->n++];
    *value = (struct dns_value){ .text = copy };
    snprintf(value->id, sizeof value->id, "%s", id ? id : "");
    return true;
}

bool dns_rrset_add_target(struct dns_rrset *set, const struct dns_zone *zone, const char *text,
                          const char *id)
{
    struct buf whole = { 0 };
    size_t n = strlen(text);
    bool fine;

    if (set->type != DNS_TYPE_CNAME && set->type != DNS_TYPE_ALIAS)
        return dns_rrset_add(set, str_of(text), id);
    if (strcmp(text, "@") == 0)
        return dns_rrset_add(set, str_of(zone->name), id);
    buf_add_text(&whole, text);
    if (n > 0 && text[n - 1] != '.')
        buf_printf(&whole, ".%s", zone->name);
    fine = dns_rrset_add(set, str_of(buf_text(&whole)), id);
    buf_free(&whole);
    return fine;
}

void dns_rrset_drop(struct dns_rrset *set, const char *text)
{
    size_t left = 0;

    for (size_t i = 0; i < set->n; i++) {
        if (strcmp(set->values[i].text, text) == 0)
            free(set->values[i].text);
        else
            set->values[left++] = set->values[i];
    }
    set->n = left;
}

void dns_rrset_prune(struct dns_rrset *set, const struct dns_rrset *to)
{
    size_t left = 0;

    for (size_t i = 0; i < set->n; i++) {
        if (dns_rrset_has(to, set->values[i].text))
            set->values[left++] = set->values[i];
        else
            free(set->values[i].text);
    }
    set->n = left;
}

bool dns_rrset_has(const struct dns_rrset *set, const char *text)
{
    for (size_t i = 0; i < set->n; i++)
        if (strcmp(set->values[i].text, text) == 0)
            return true;
    return false;
}

bool dns_rrset_same(const struct dns_rrset *a, const struct dns_rrset *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (!dns_rrset_has(b, a->values[i].text) || !dns_rrset_has(a, b->values[i].text))
            return false;
    return true;
}

void dns_txt_quote(struct buf *out, const char *text)
{
    size_t n = strlen(text), in_piece = 0;

    buf_add_text(out, "\"");
    for (size_t i = 0; i < n; i++) {
        if (in_piece++ == TXT_PIECE_BYTES) {
            buf_add_text(out, "\" \"");
            in_piece = 1;
        }
        if (text[i] == '"' || text[i] == '\\')
            buf_add_text(out, "\\");
        buf_add(out, text + i, 1);
    }
    buf_add_text(out, "\"");
}

/* ---- zones and names ---- */

bool dns_zone_set(struct dns_zone *zone, struct str name, const char *id)
{
    *zone = (struct dns_zone){ 0 };
    if (!domain_normalize(name, zone->name) || (id && !id_fits(id)))
        return false;
    snprintf(zone->id, sizeof zone->id, "%s", id ? id : "");
    return true;
}

bool dns_zone_has(const struct dns_zone *zone, const char *name)
{
    size_t n = strlen(name), z = strlen(zone->name);

    return n >= z && strcmp(name + n - z, zone->name) == 0 && (n == z || name[n - z - 1] == '.');
}

void dns_relative(const struct dns_zone *zone, const char *name, const char *apex, char out[DOMAIN_BYTES])
{
    size_t n = strlen(name), z = strlen(zone->name);

    if (n <= z)
        snprintf(out, DOMAIN_BYTES, "%s", apex);
    else
        snprintf(out, DOMAIN_BYTES, "%.*s", (int)(n - z - 1), name);
}

bool dns_same_name(const char *theirs, const char *name)
{
    size_t n;

    if (strncmp(theirs, "\\052", 4) == 0 && *name == '*') {
        theirs += 4;
        name++;
    }
    n = strlen(theirs);
    if (n > 0 && theirs[n - 1] == '.')
        n--;
    return str_eq_nocase((struct str){ theirs, n }, name);
}
