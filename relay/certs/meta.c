/* {"v": 1, "name": …, "certificates": [{…}], "failures": …, "next_try": …, …}, as CONTRIBUTING.md lists it. Times are
 * RFC 3339; what there is not is null. */
#include "relay/certs/meta.h"

#include "shared/json.h"
#include "shared/mem.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* What is written can be read again: what others say is cut when it is set, and the rest is far shorter than what is read. */
enum { FILE_VERSION = 1, TEXT_BYTES = 64 * 1024, SAID_BYTES = 1000 };

/* ---- rows ---- */

enum kind { TEXT, TIME, LATER_TIME, LATER_TEXT /* which older files lack */, COUNT };

/* One member of an object, and the field that it is. */
struct row {
    const char *key;
    enum kind kind; /* char *, int64_t or uint32_t */
    size_t at;
};

#define CERT(field)   offsetof(struct meta_cert, field)
#define META(field)   offsetof(struct meta, field)
#define LEFT(field)   offsetof(struct meta_left_out, field)
#define ISSUER(field) offsetof(struct meta_issuer, field)
#define N(rows)       (sizeof(rows) / sizeof(rows)[0])

static const struct row cert_rows[] = {
    { "issuer", TEXT, CERT(issuer) },
    { "directory", TEXT, CERT(directory) },
    { "profile", TEXT, CERT(profile) },
    { "origin", TEXT, CERT(origin) },
    { "installed_at", TIME, CERT(installed_at) },
    { "revoked_at", TIME, CERT(revoked_at) },
    { "not_before", TIME, CERT(renewal.not_before) },
    { "not_after", TIME, CERT(renewal.not_after) },
    { "chosen_moment", TIME, CERT(renewal.moment) },
    { "ari_start", TIME, CERT(renewal.window.start) },
    { "ari_end", TIME, CERT(renewal.window.end) },
    { "ari_next_look", TIME, CERT(ari_next_look) },
    { "ari_url", TEXT, CERT(ari_url) },
};

static const struct row meta_rows[] = {
    { "failures", COUNT, META(retry.failures) },
    { "last_try", TIME, META(retry.last_try) },
    { "next_try", TIME, META(retry.next_try) },
    { "last_error", TEXT, META(last_error) },
    { "order_url", TEXT, META(order.url) },
    { "order_issuer", TEXT, META(order.issuer) },
    { "order_key_type", TEXT, META(order.key_type) },
    { "order_began", TIME, META(order.at) },
    { "asked_until", LATER_TIME, META(retry.asked_until) },
    { "dns", LATER_TEXT, META(dns) },
    { "held_since", LATER_TIME, META(held_since) },
    { "failing_since", LATER_TIME, META(failing_since) },
    { "configured", TEXT, META(configured) },
    { "staging_passed", TEXT, META(staging_passed) },
};

static const struct row left_rows[] = {
    { "name", TEXT, LEFT(name) },
    { "why", TEXT, LEFT(why) },
    { "since", TIME, LEFT(since) },
};

static const struct row issuer_rows[] = {
    { "issuer", TEXT, ISSUER(issuer) },
    { "failures", COUNT, ISSUER(failures) },
    { "last_try", TIME, ISSUER(last_try) },
    { "last_error", TEXT, ISSUER(last_error) },
};

/* ---- values ---- */

void meta_set(char **text, const char *value)
{
    char *copy = mem_copy(value); /* first: it may be the text itself */

    free(*text);
    *text = copy;
}

void meta_failed(struct meta *m, const char *why, int64_t now)
{
    meta_set(&m->last_error, why);
    if (m->failing_since == 0 || m->failing_since > now)
        m->failing_since = now;
}

void meta_went_well(struct meta *m)
{
    meta_set(&m->last_error, NULL);
    m->failing_since = 0;
}

/* Not in the middle of a character. */
static void set_said(char **text, const char *value)
{
    size_t n = strlen(value);

    if (n > SAID_BYTES)
        for (n = SAID_BYTES; n > 0 && ((unsigned char)value[n] & 0xc0) == 0x80;)
            n--;
    free(*text);
    *text = mem_copy_n(value, n);
}

bool meta_is_good(const struct meta *m, enum meta_slot slot, int64_t now)
{
    const struct meta_cert *cert = &m->certs[slot];

    return cert->there && cert->revoked_at == 0 && now < cert->facts.not_after;
}

void meta_init(struct meta *m, const char *name)
{
    *m = (struct meta){ .name = mem_copy(name) };
}

static void free_texts(void *object, const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (rows[i].kind == TEXT || rows[i].kind == LATER_TEXT) {
            char **text = (char **)(void *)((char *)object + rows[i].at);

            free(*text);
            *text = NULL;
        }
}

void meta_cert_free(struct meta_cert *cert)
{
    free_texts(cert, cert_rows, N(cert_rows));
    facts_free(&cert->facts);
    *cert = (struct meta_cert){ 0 };
}

void meta_free(struct meta *m)
{
    free_texts(m, meta_rows, N(meta_rows));
    for (size_t i = 0; i < META_SLOTS; i++)
        meta_cert_free(&m->certs[i]);
    for (size_t i = 0; i < m->issuers_n; i++)
        free_texts(&m->issuers[i], issuer_rows, N(issuer_rows));
    meta_take_back(m, NULL);
    free(m->name);
    *m = (struct meta){ 0 };
}

/* ---- write ---- */

static json_t *time_or_null(int64_t at)
{
    return at == 0 ? json_null() : json_time((time_t)at);
}

static json_t *text_or_null(const char *text)
{
    return text ? json_any_text(text) : json_null();
}

static void write_rows(json_t *out, const void *object, const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const void *field = (const char *)object + rows[i].at;

        switch (rows[i].kind) {
        case LATER_TEXT:
        case TEXT: json_object_set_new(out, rows[i].key, text_or_null(*(char *const *)field)); break;
        case LATER_TIME:
        case TIME: json_object_set_new(out, rows[i].key, time_or_null(*(const int64_t *)field)); break;
        case COUNT: json_object_set_new(out, rows[i].key, json_integer(*(const uint32_t *)field)); break;
        }
    }
}

static json_t *write_names(const struct facts *f)
{
    json_t *names = json_array();

    for (size_t i = 0; i < f->names_n; i++)
        json_array_append_new(names, json_any_text(f->names[i]));
    return names;
}

/* key is which of the two it is; key_type, names and what follows are the certificate's own words. */
static json_t *write_cert(const struct meta_cert *cert, enum meta_slot slot)
{
    json_t *out = json_object();

    json_object_set_new(out, "key", json_string(slot == META_RSA ? "rsa" : "ecdsa"));
    json_object_set_new(out, "key_type", text_or_null(cert->facts.key_type));
    json_object_set_new(out, "names", write_names(&cert->facts));
    json_object_set_new(out, "ca", text_or_null(cert->facts.ca));
    json_object_set_new(out, "serial", text_or_null(cert->facts.serial));
    json_object_set_new(out, "ari_id", text_or_null(cert->facts.ari_id));
    write_rows(out, cert, cert_rows, N(cert_rows));
    json_object_set_new(out, "renew_at", time_or_null(renewal_at(&cert->renewal)));
    json_object_set_new(out, "renew_why", json_string(renewal_why(&cert->renewal)));
    return out;
}

json_t *meta_write(const struct meta *m)
{
    json_t *out = json_object(), *certs = json_array(), *left = json_array(), *issuers = json_array();

    json_object_set_new(out, "v", json_integer(FILE_VERSION));
    json_object_set_new(out, "name", json_any_text(m->name));
    json_object_set_new(out, "certificates", certs);
    for (size_t i = 0; i < META_SLOTS; i++)
        if (m->certs[i].there)
            json_array_append_new(certs, write_cert(&m->certs[i], (enum meta_slot)i));
    write_rows(out, m, meta_rows, N(meta_rows));
    json_object_set_new(out, "left_out", left);
    for (size_t i = 0; i < m->left_out_n; i++) {
        json_array_append_new(left, json_object());
        write_rows(json_array_get(left, i), &m->left_out[i], left_rows, N(left_rows));
    }
    json_object_set_new(out, "issuers", issuers);
    for (size_t i = 0; i < m->issuers_n; i++) {
        json_array_append_new(issuers, json_object());
        write_rows(json_array_get(issuers, i), &m->issuers[i], issuer_rows, N(issuer_rows));
    }
    return out;
}

/* ---- read ---- */

static int read_row(void *object, const struct row *row, const json_t *doc, struct err *e)
{
    char *field = (char *)object + row->at;
    const char *text;
    int64_t n;

    const json_t *value = json_object_get(doc, row->key);

    if ((row->kind != COUNT && json_is_null(value)) ||
        ((row->kind == LATER_TIME || row->kind == LATER_TEXT) && !value))
        return 0;
    switch (row->kind) {
    case LATER_TEXT:
    case TEXT:
        if (json_get_text(doc, row->key, TEXT_BYTES, &text, e) != 0)
            return -1;
        meta_set((char **)(void *)field, text);
        return 0;
    case LATER_TIME:
    case TIME: return json_get_time(doc, row->key, (int64_t *)(void *)field, e);
    case COUNT: break;
    }
    if (json_get_int(doc, row->key, 0, UINT32_MAX, &n, e) != 0)
        return -1;
    *(uint32_t *)(void *)field = (uint32_t)n;
    return 0;
}

static int read_rows(void *object, const struct row *rows, size_t n, const json_t *doc, struct err *e)
{
    for (size_t i = 0; i < n; i++)
        if (read_row(object, &rows[i], doc, e) != 0)
            return -1;
    return 0;
}

static int read_certs(struct meta *m, const json_t *doc, struct err *e)
{
    const json_t *list;
    size_t n;

    if (json_get_list(doc, "certificates", META_SLOTS, &list, e) != 0)
        return -1;
    n = json_array_size(list);
    for (size_t i = 0; i < n; i++) {
        const json_t *one = json_array_get(list, i);
        const char *key;
        enum meta_slot slot;

        if (json_get_text(one, "key", TEXT_BYTES, &key, e) != 0)
            return -1;
        slot = strcmp(key, "rsa") == 0 ? META_RSA : META_ECDSA;
        if (read_rows(&m->certs[slot], cert_rows, N(cert_rows), one, e) != 0)
            return err_wrap(e, "certificates, %s", key);
    }
    return 0;
}

static int read_left_out(struct meta *m, const json_t *doc, struct err *e)
{
    const json_t *list;
    size_t n;

    if (json_get_list(doc, "left_out", META_LEFT_OUT, &list, e) != 0)
        return -1;
    n = json_array_size(list);
    for (size_t i = 0; i < n; i++) {
        m->left_out_n = i + 1; /* so that meta_free finds what was read of it */
        if (read_rows(&m->left_out[i], left_rows, N(left_rows), json_array_get(list, i), e) != 0)
            return err_wrap(e, "left_out");
    }
    return 0;
}

static int read_issuers(struct meta *m, const json_t *doc, struct err *e)
{
    const json_t *list;
    size_t n;

    if (json_get_list(doc, "issuers", META_ISSUERS, &list, e) != 0)
        return -1;
    n = json_array_size(list);
    for (size_t i = 0; i < n; i++) {
        m->issuers_n = i + 1;
        if (read_rows(&m->issuers[i], issuer_rows, N(issuer_rows), json_array_get(list, i), e) != 0)
            return err_wrap(e, "issuers");
    }
    return 0;
}

int meta_read(struct meta *m, const json_t *doc, struct err *e)
{
    int64_t version;

    if (json_get_int(doc, "v", 1, INT64_MAX, &version, e) != 0)
        return -1;
    if (version != FILE_VERSION)
        return err_set(e, ERR_INPUT, "it is of version %d; only %d is known here", (int)version,
                       FILE_VERSION);
    if (read_certs(m, doc, e) != 0 || read_rows(m, meta_rows, N(meta_rows), doc, e) != 0 ||
        read_left_out(m, doc, e) != 0)
        return -1;
    return read_issuers(m, doc, e);
}

/* ---- what happens to it ---- */

void meta_order_began(struct meta *m, const char *url, const char *issuer, const char *key_type, int64_t now)
{
    meta_set(&m->order.url, url);
    meta_set(&m->order.issuer, issuer);
    meta_set(&m->order.key_type, key_type);
    m->order.at = now;
}

void meta_order_ended(struct meta *m)
{
    meta_order_began(m, NULL, NULL, NULL, 0);
}

static size_t place_left_out(const struct meta *m, const char *name)
{
    size_t i = 0;

    while (i < m->left_out_n && strcmp(m->left_out[i].name ? m->left_out[i].name : "", name) != 0)
        i++;
    return i;
}

bool meta_leave_out(struct meta *m, const char *name, const char *why, int64_t now)
{
    size_t at = place_left_out(m, name);

    if (at == META_LEFT_OUT)
        return false;
    if (at == m->left_out_n) {
        m->left_out[at] = (struct meta_left_out){ .name = mem_copy(name), .since = now };
        m->left_out_n++;
    }
    set_said(&m->left_out[at].why, why);
    return true;
}

void meta_take_back(struct meta *m, const char *name)
{
    size_t kept = 0;

    for (size_t i = 0; i < m->left_out_n; i++) {
        if (name && (!m->left_out[i].name || strcmp(m->left_out[i].name, name) != 0))
            m->left_out[kept++] = m->left_out[i];
        else
            free_texts(&m->left_out[i], left_rows, N(left_rows));
    }
    m->left_out_n = kept;
}

/* When all places are taken, the authority that was tried longest ago gives way: it is configured no more. */
struct meta_issuer *meta_issuer_of(struct meta *m, const char *issuer)
{
    size_t oldest = 0;

    for (size_t i = 0; i < m->issuers_n; i++) {
        if (m->issuers[i].issuer && strcmp(m->issuers[i].issuer, issuer) == 0)
            return &m->issuers[i];
        if (m->issuers[i].last_try < m->issuers[oldest].last_try)
            oldest = i;
    }
    if (m->issuers_n < META_ISSUERS)
        oldest = m->issuers_n++;
    free_texts(&m->issuers[oldest], issuer_rows, N(issuer_rows));
    m->issuers[oldest] = (struct meta_issuer){ .issuer = mem_copy(issuer) };
    return &m->issuers[oldest];
}
