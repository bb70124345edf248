#include "shared/idn.h"
#include "shared/file.h"
#include "shared/opt_internal.h"
#include "shared/utf8.h"
#include "shared/value.h"
#include "shared/opt_print.h"
#include "shared/secret.h"

#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

/* ---- where a value is stored ---- */

union field {
    void *any;
    const char **text;
    int64_t *number;
    bool *flag;
    int *choice;
    struct opt_words *words;
    struct opt_addresses *addresses;
    struct cidrs *networks;
    struct opt_pairs *pairs;
};

static union field field_of(const struct opt *o, const void *values)
{
    return (union field){ .any = (char *)(uintptr_t)values + o->offset };
}

const char *opt_default(const struct opt *o, char made[static 256])
{
    if (o->def || !o->def_of)
        return o->def;
    made[0] = 0;
    o->def_of(made, 256);
    return made;
}

void opt_value_clear(const struct opt *o, void *values)
{
    union field f = field_of(o, values);

    switch (o->type) {
    case OPT_TEXT:
    case OPT_NAME:
    case OPT_PATH:
    case OPT_SECRET_FILE:
    case OPT_LOG: *f.text = ""; break;
    case OPT_NUMBER:
    case OPT_DURATION:
    case OPT_SIZE: *f.number = -1; break;
    case OPT_FLAG: *f.flag = false; break;
    case OPT_CHOICE: *f.choice = -1; break;
    case OPT_WORDS:
    case OPT_DOMAINS:
    case OPT_INCLUDE: *f.words = (struct opt_words){ 0 }; break;
    case OPT_LISTEN: *f.addresses = (struct opt_addresses){ 0 }; break;
    case OPT_NETWORKS: *f.networks = (struct cidrs){ 0 }; break;
    case OPT_PAIRS: *f.pairs = (struct opt_pairs){ 0 }; break;
    }
}

bool opt_value_present(const struct section *s, size_t row)
{
    return s->origins[row] || s->rows[row].def || s->rows[row].def_of;
}

/* ---- text into field ---- */

/* What a dump can hold: the same bytes that ini_line accepts. */
static bool is_text(struct str text)
{
    for (size_t n; text.n > 0; text.p += n, text.n -= n) {
        n = utf8_printable(text.p, text.n);
        if (n == 0)
            return false;
    }
    return true;
}

static int set_path(const struct opt_place *place, struct str text, const char **path, struct err *e)
{
    char whole[PATH_MAX];
    int n;

    if (text.p[0] == '~')
        return err_set(e, ERR_INPUT, "~ is not expanded; write the whole path (or ./~… for such a name)");
    while (text.n >= 2 && text.p[0] == '.' && text.p[1] == '/')
        text = (struct str){ text.p + 2, text.n - 2 };
    if ((text.n == 0 || text.p[0] != '/') && !is_text(str_of(place->folder)))
        return err_set(e, ERR_INPUT,
                       "the folder of this file has a name that is no text; write the whole path");
    if (text.n > 0 && text.p[0] == '/')
        n = snprintf(whole, sizeof whole, "%.*s", STR_ARG(text));
    else
        n = snprintf(whole, sizeof whole, "%s/%.*s", place->folder, STR_ARG(text));
    if (n < 0 || (size_t)n >= sizeof whole)
        return err_set(e, ERR_LIMIT, "a path has at most %zu bytes", sizeof whole - 1);
    *path = arena_copy(place->arena, whole);
    return 0;
}

/* A secret in the environment or from systemd has to be there as well. */
static int set_secret_elsewhere(const struct opt_place *place, const char *where, struct err *e)
{
    enum { MOST_BYTES = 1 << 20 };
    struct secret secret;

    if (!place->touch_files)
        return 0;
    if (secret_load_from(&secret, where, MOST_BYTES, e) != 0)
        return -1;
    secret_free(&secret);
    return 0;
}

static int set_secret_file(const struct opt *o, const struct opt_place *place, struct str text,
                           const char **path, struct err *e)
{
    if (o->flags & OPT_SECRET_ELSEWHERE) {
        *path = arena_copy_str(place->arena, text);
        if (secret_is_elsewhere(*path))
            return set_secret_elsewhere(place, *path, e);
    }
    if (set_path(place, text, path, e) != 0)
        return -1;
    return place->touch_files && !(o->flags & OPT_SECRET_LATER) ? file_check_secret(*path, e) : 0;
}

static int set_choice(const struct opt *o, struct str text, int *choice, struct err *e)
{
    struct buf known = { 0 };

    for (int i = 0; o->choices[i]; i++) {
        if (str_eq(text, o->choices[i])) {
            *choice = i;
            buf_free(&known);
            return 0;
        }
        buf_printf(&known, "%s%s", i == 0 ? "" : o->choices[i + 1] ? ", " : " or ", o->choices[i]);
    }
    err_set(e, ERR_INPUT, "not %s", buf_text(&known));
    buf_free(&known);
    return -1;
}

static size_t count_words(struct str text)
{
    struct str word;
    size_t n = 0;

    while (value_next(&text, &word))
        n++;
    return n;
}

static int set_words(const struct opt_place *place, struct str text, struct opt_words *out)
{
    const char **words = arena_get(place->arena, count_words(text) * sizeof *words);
    struct str word;

    *out = (struct opt_words){ .words = words };
    while (value_next(&text, &word))
        words[out->n++] = arena_copy_str(place->arena, word);
    return 0;
}

/* The name in the form that the DNS has; NULL with the reason. */
static const char *read_domain(const struct opt_place *place, struct str word, struct err *e)
{
    const char *name = arena_copy_str(place->arena, word);
    char ascii[DOMAIN_BYTES];

    if (idn_is_needed(word)) {
        if (idn_to_ascii(word, ascii, e) != 0) {
            err_wrap(e, "%.80s", name);
            return NULL;
        }
        name = arena_copy(place->arena, ascii);
    }
    return domain_check(name, DOMAIN_SITE, e) == 0 ? name : NULL;
}

/* All that are wrong are told of at once. */
static int set_domains(const struct opt_place *place, struct str text, struct opt_words *out, struct err *e)
{
    const char **words = arena_get(place->arena, count_words(text) * sizeof *words);
    struct buf wrong = { 0 };
    struct str word;
    int rc = 0;

    *out = (struct opt_words){ .words = words };
    while (value_next(&text, &word)) {
        struct err why = { 0 };

        words[out->n] = read_domain(place, word, &why);
        if (words[out->n])
            out->n++;
        else
            buf_printf(&wrong, "%s%s", wrong.len > 0 ? "; " : "", why.text);
    }
    if (wrong.len > 0)
        rc = err_set(e, ERR_INPUT, "%s", buf_text(&wrong));
    buf_free(&wrong);
    return rc;
}

bool opt_addresses_have(const struct opt_addresses *list, const struct opt_address *address)
{
    for (size_t i = 0; i < list->n; i++)
        if (list->list[i].any == address->any &&
            memcmp(&list->list[i].addr, &address->addr, sizeof address->addr) == 0)
            return true;
    return false;
}

static int refuse_twice(struct str word, struct err *e)
{
    return err_set(e, ERR_INPUT, "%.*s stands there twice; write it once", STR_ARG(word));
}

/* Tells which one of a list is wrong. */
static int name_word(struct str word, struct err *e)
{
    struct buf text = { 0 };

    value_show(&text, word, VALUE_SHOWN_CHARS);
    err_wrap(e, "%s", buf_text(&text));
    buf_free(&text);
    return -1;
}

static int set_addresses(const struct opt *o, const struct opt_place *place, struct str text,
                         struct opt_addresses *out, struct err *e)
{
    size_t n = count_words(text);
    struct opt_address *list = arena_get(place->arena, n * sizeof *list);
    struct str word;

    *out = (struct opt_addresses){ .list = list };
    while (value_next(&text, &word)) {
        if (value_address(word, o->flags & OPT_BARE_PORT, &list[out->n], e) != 0)
            return n > 1 ? name_word(word, e) : -1;
        if (opt_addresses_have(out, &list[out->n]))
            return refuse_twice(word, e);
        out->n++;
    }
    return 0;
}

static int set_networks(const struct opt_place *place, struct str text, struct cidrs *out, struct err *e)
{
    size_t n = count_words(text);
    struct cidr *list = arena_get(place->arena, n * sizeof *list);
    struct str word;

    *out = (struct cidrs){ .list = list };
    while (value_next(&text, &word)) {
        if (cidr_read(word, &list[out->n], e) != 0)
            return n > 1 ? name_word(word, e) : -1;
        for (size_t i = 0; i < out->n; i++)
            if (cidr_same(&list[i], &list[out->n]))
                return refuse_twice(word, e);
        out->n++;
    }
    return 0;
}

static int set_pair(const struct opt_place *place, struct str name, struct str value, struct opt_pairs *pairs,
                    struct err *e)
{
    struct opt_pair *list = (struct opt_pair *)(uintptr_t)pairs->list;

    for (size_t i = 0; i < pairs->n; i++)
        if (str_eq(name, list[i].name))
            return err_set(e, ERR_INPUT, "was given before, at %s; keep one of them", list[i].origin);
    /* An arena cannot grow a piece, so the list moves to one of twice the size whenever it is full. */
    if ((pairs->n & (pairs->n - 1)) == 0) {
        list = arena_get(place->arena, (pairs->n * 2 + 1) * sizeof *list);
        if (pairs->n > 0)
            memcpy(list, pairs->list, pairs->n * sizeof *list);
        pairs->list = list;
    }
    list[pairs->n++] = (struct opt_pair){
        .name = arena_copy_str(place->arena, name),
        .value = arena_copy_str(place->arena, value),
        .origin = place->origin,
    };
    return 0;
}

static bool may_be_empty(const struct opt *o)
{
    if (o->flags & OPT_REQUIRED)
        return false;
    switch (o->type) {
    case OPT_TEXT:
    case OPT_NAME:
    case OPT_PATH:
    case OPT_SECRET_FILE:
    case OPT_LOG: return !o->def_of && (!o->def || !o->def[0]);
    default: return true; /* the type's reader decides */
    }
}

static int set_name(const struct opt_place *place, struct str text, const char **name, struct err *e)
{
    if (value_name(text, e) != 0)
        return -1;
    *name = arena_copy_str(place->arena, text);
    return 0;
}

static int set_log(const struct opt *o, const struct opt_place *place, struct str text, const char **log,
                   struct err *e)
{
    for (size_t i = 0; o->choices[i]; i++)
        if (str_eq(text, o->choices[i])) {
            *log = o->choices[i];
            return 0;
        }
    return set_path(place, text, log, e);
}

static int set_text(const struct opt *o, void *values, const struct opt_place *place, struct str text,
                    struct err *e)
{
    const char **field = field_of(o, values).text;

    *field = "";
    if (text.n == 0)
        return 0;
    switch (o->type) {
    case OPT_NAME: return set_name(place, text, field, e);
    case OPT_SECRET_FILE: return set_secret_file(o, place, text, field, e);
    case OPT_LOG: return set_log(o, place, text, field, e);
    case OPT_PATH:
        if (set_path(place, text, field, e) != 0)
            return -1;
        break;
    default: *field = arena_copy_str(place->arena, text); break;
    }
    return o->check ? o->check(*field, e) : 0;
}

int opt_value_set(const struct opt *o, void *values, const struct opt_place *place, struct str arg,
                  struct str text, struct err *e)
{
    union field f = field_of(o, values);

    if (text.n == 0 && !may_be_empty(o))
        return err_set(e, ERR_INPUT, "is empty; give a value%s%s", o->sample ? ", such as " : "",
                       o->sample ? o->sample : "");
    switch (o->type) {
    case OPT_TEXT:
    case OPT_NAME:
    case OPT_PATH:
    case OPT_SECRET_FILE:
    case OPT_LOG: return set_text(o, values, place, text, e);
    case OPT_NUMBER: return value_number(text, o->min, o->max, f.number, e);
    case OPT_DURATION: return value_duration(text, o->min, o->max, f.number, e);
    case OPT_SIZE: return value_size(text, o->min, o->max, f.number, e);
    case OPT_FLAG: return value_flag(text, f.flag, e);
    case OPT_CHOICE: return set_choice(o, text, f.choice, e);
    case OPT_WORDS:
    case OPT_INCLUDE: return set_words(place, text, f.words);
    case OPT_DOMAINS: return set_domains(place, text, f.words, e);
    case OPT_LISTEN: return set_addresses(o, place, text, f.addresses, e);
    case OPT_NETWORKS: return set_networks(place, text, f.networks, e);
    case OPT_PAIRS: return set_pair(place, arg, text, f.pairs, e);
    }
    assert(false && "a type without a reader");
    return -1;
}

/* ---- field into text ---- */

static void print_words(struct buf *out, const struct opt_words *words)
{
    for (size_t i = 0; i < words->n; i++)
        buf_printf(out, "%s%s", i == 0 ? "" : " ", words->words[i]);
}

static void print_addresses(struct buf *out, const struct opt_addresses *addresses)
{
    for (size_t i = 0; i < addresses->n; i++) {
        buf_add_text(out, i == 0 ? "" : " ");
        value_print_address(out, &addresses->list[i]);
    }
}

static void print_networks(struct buf *out, const struct cidrs *networks)
{
    for (size_t i = 0; i < networks->n; i++) {
        buf_add_text(out, i == 0 ? "" : " ");
        cidr_print(out, &networks->list[i]);
    }
}

static void print_pairs(struct buf *out, const struct opt_pairs *pairs)
{
    for (size_t i = 0; i < pairs->n; i++)
        buf_printf(out, "%s%s = %s", i == 0 ? "" : ", ", pairs->list[i].name, pairs->list[i].value);
}

void opt_value_text(struct buf *out, const struct opt *o, const void *values)
{
    union field f = field_of(o, values);

    switch (o->type) {
    case OPT_TEXT:
    case OPT_NAME:
    case OPT_PATH:
    case OPT_SECRET_FILE:
    case OPT_LOG: buf_add_text(out, *f.text); break;
    case OPT_NUMBER: value_print_number(out, *f.number); break;
    case OPT_DURATION: value_print_duration(out, *f.number); break;
    case OPT_SIZE: value_print_size(out, *f.number); break;
    case OPT_FLAG: buf_add_text(out, *f.flag ? "on" : "off"); break;
    case OPT_CHOICE: buf_add_text(out, *f.choice < 0 ? "" : o->choices[*f.choice]); break;
    case OPT_WORDS:
    case OPT_DOMAINS:
    case OPT_INCLUDE: print_words(out, f.words); break;
    case OPT_LISTEN: print_addresses(out, f.addresses); break;
    case OPT_NETWORKS: print_networks(out, f.networks); break;
    case OPT_PAIRS: print_pairs(out, f.pairs); break;
    }
}

void opt_value_disguise(struct buf *out, const struct opt *o, struct str text)
{
    const char *host = text.n > 3 ? memmem(text.p, text.n, "://", 3) : NULL, *end = text.p + text.n, *at;
    size_t n = 0;

    if (!(o->flags & OPT_SECRET_URL) || text.n == 0) {
        buf_add(out, text.p, text.n);
        return;
    }
    if (host) {
        host += 3;
        while (host + n < end && !strchr("/?#", host[n]))
            n++;
        buf_add(out, text.p, (size_t)(host - text.p));
        if ((at = memrchr(host, '@', n))) {
            n -= (size_t)(at + 1 - host);
            host = at + 1;
        }
        buf_add(out, host, n);
    }
    if (!host || host + n < end)
        buf_add_text(out, host ? "/…" : "…");
}
