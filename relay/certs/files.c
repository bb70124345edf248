#include "relay/certs/files.h"

#include "relay/certs/cert_file.h"
#include "shared/json.h"
#include "shared/log.h"
#include "shared/mem.h"

#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Which file it is, and in which state. All zero: it cannot be looked at. */
struct stamp {
    dev_t dev;
    ino_t ino;
    off_t size;
    struct timespec written, changed;
};

struct entry {
    char *site; /* "": for unknown names */
    char *cert, *key;
    struct stamp cert_stamp, key_stamp; /* of what was tried last */
    SSL_CTX *tls;                       /* the last that was well; NULL: there was none yet */
    struct err why;                     /* why what was tried last is not used */
    char *doubts;                       /* that were logged */
    time_t wrong_since;                 /* 0: nothing is */
};

struct files {
    struct entry *list;
    size_t n;
};

/* ---- one pair of files ---- */

static struct stamp look_at(const char *path)
{
    struct stat st;

    if (stat(path, &st) != 0)
        return (struct stamp){ 0 };
    return (struct stamp){ st.st_dev, st.st_ino, st.st_size, st.st_mtim, st.st_ctim };
}

static bool same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool same(const struct stamp *a, const struct stamp *b)
{
    return a->dev == b->dev && a->ino == b->ino && a->size == b->size && same_time(a->written, b->written) &&
           same_time(a->changed, b->changed);
}

static const char *title(const struct entry *it)
{
    return it->site[0] ? it->site : "default_cert";
}

static const char *wrong_with(const struct entry *it)
{
    return it->why.text[0] ? it->why.text : it->doubts && it->doubts[0] ? it->doubts : NULL;
}

static void note_time(struct entry *it, time_t now)
{
    if (!wrong_with(it))
        it->wrong_since = 0;
    else if (it->wrong_since == 0)
        it->wrong_since = now;
}

/* A failure is told once, and again only when it is another. */
static void note_failure(struct entry *it, const struct err *why)
{
    if (strcmp(it->why.text, why->text) != 0 && it->tls)
        log_error("certificate files not taken, the one before stays", kv_str("domain", title(it)),
                  kv_str("error", why->text));
    else if (strcmp(it->why.text, why->text) != 0)
        log_error("certificate files not taken", kv_str("domain", title(it)), kv_str("error", why->text));
    it->why = *why;
    note_time(it, time(NULL));
}

/* True when another certificate is to be shown. What was looked at before it was read is looked at again next time
 * if it has changed in between. */
static bool entry_look(struct entry *it)
{
    struct stamp cert = look_at(it->cert), key = look_at(it->key);
    struct err why = { 0 };
    SSL_CTX *tls;

    if ((it->tls || it->why.text[0]) && same(&cert, &it->cert_stamp) && same(&key, &it->key_stamp))
        return false;
    it->cert_stamp = cert;
    it->key_stamp = key;
    tls = cert_file_load(it->cert, it->key, &why);
    if (!tls) {
        note_failure(it, &why);
        return false;
    }
    log_info("certificate files taken", kv_str("domain", title(it)));
    SSL_CTX_free(it->tls);
    it->tls = tls;
    it->why = (struct err){ 0 };
    free(it->doubts);
    it->doubts = NULL;
    return true;
}

static void tell_doubts(struct entry *it, const char *const *names, size_t n, time_t now)
{
    struct buf text = { 0 };

    cert_file_doubts(it->tls, names, n, now, &text);
    if (text.len > 0 && (!it->doubts || strcmp(it->doubts, buf_text(&text)) != 0))
        log_warn("certificate is doubtful", kv_str("domain", title(it)), kv_str("error", buf_text(&text)));
    free(it->doubts);
    it->doubts = mem_copy(buf_text(&text));
    note_time(it, now);
    buf_free(&text);
}

static void entry_free(struct entry *it)
{
    free(it->site);
    free(it->cert);
    free(it->key);
    free(it->doubts);
    SSL_CTX_free(it->tls);
}

/* ---- all of them ---- */

static struct entry *find(const struct files *f, const char *site)
{
    for (size_t i = 0; i < f->n; i++)
        if (strcmp(f->list[i].site, site) == 0)
            return &f->list[i];
    return NULL;
}

static void add(struct files *f, const char *site, const char *cert, const char *key)
{
    f->list = mem_grow(f->list, (f->n + 1) * sizeof *f->list);
    f->list[f->n++] = (struct entry){ .site = mem_copy(site), .cert = mem_copy(cert), .key = mem_copy(key) };
}

/* The same files for the same site: what was read of them stays. */
static void keep(struct entry *it, struct entry *old)
{
    if (!old || strcmp(it->cert, old->cert) != 0 || strcmp(it->key, old->key) != 0)
        return;
    it->cert_stamp = old->cert_stamp;
    it->key_stamp = old->key_stamp;
    it->why = old->why;
    it->tls = old->tls;
    it->doubts = old->doubts;
    it->wrong_since = old->wrong_since;
    old->tls = NULL;
    old->doubts = NULL;
}

void files_reload(struct files *f, const struct opt_conf *conf)
{
    struct files old = *f;
    const struct relay_conf *relay = relay_conf_of(conf);
    const struct relay_domain_conf *d;
    const char *name;

    *f = (struct files){ 0 };
    if (relay->default_cert[0])
        add(f, "", relay->default_cert, relay->default_cert);
    for (size_t i = 0; (d = opt_section(conf, "domain", i, &name)); i++)
        if (d->cert_file[0])
            add(f, name, d->cert_file, d->key_file);
    for (size_t i = 0; i < f->n; i++)
        keep(&f->list[i], find(&old, f->list[i].site));
    for (size_t i = 0; i < old.n; i++)
        entry_free(&old.list[i]);
    free(old.list);
    files_look(f);
}

struct files *files_new(const struct opt_conf *conf)
{
    struct files *f = mem_new(sizeof *f);

    files_reload(f, conf);
    return f;
}

void files_free(struct files *f)
{
    if (!f)
        return;
    for (size_t i = 0; i < f->n; i++)
        entry_free(&f->list[i]);
    free(f->list);
    free(f);
}

bool files_look(struct files *f)
{
    bool others = false;

    for (size_t i = 0; i < f->n; i++)
        others = entry_look(&f->list[i]) || others;
    return others;
}

bool files_has(const struct files *f, const char *site)
{
    return find(f, site) != NULL;
}

SSL_CTX *files_context(struct files *f, const char *const *names, size_t n, time_t now, struct err *e)
{
    struct entry *it = find(f, names[0]);

    if (!it->tls) {
        err_set(e, it->why.code, "%s", it->why.text);
        return NULL;
    }
    tell_doubts(it, names, n, now);
    SSL_CTX_up_ref(it->tls);
    return it->tls;
}

SSL_CTX *files_default(struct files *f, time_t now)
{
    struct entry *it = find(f, "");

    if (!it || !it->tls)
        return NULL;
    tell_doubts(it, NULL, 0, now);
    return it->tls;
}

/* ---- status ---- */

static json_t *names_of(SSL_CTX *tls)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(SSL_CTX_get0_certificate(tls), NID_subject_alt_name, NULL, NULL);
    json_t *list = json_array();

    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        char text[256];

        if (name->type != GEN_DNS || ASN1_STRING_length(name->d.dNSName) >= (int)sizeof text)
            continue;
        memcpy(text, ASN1_STRING_get0_data(name->d.dNSName), (size_t)ASN1_STRING_length(name->d.dNSName));
        text[ASN1_STRING_length(name->d.dNSName)] = 0;
        json_array_append_new(list, json_any_text(text));
    }
    GENERAL_NAMES_free(names);
    return list;
}

json_t *files_status(const struct files *f, const char *site, time_t now)
{
    static const char late_why[] =
        "it ends soon, and no renewed one was put in its place; does the program that "
        "renews it run, and does it write this file?";
    const struct entry *it = find(f, site);
    const char *wrong = wrong_with(it);
    time_t ends = it->tls ? cert_file_ends(it->tls) : 0, since = it->wrong_since;
    bool expired = ends < now, late = it->tls && !expired && cert_file_late(it->tls) < now;
    const char *state = it->why.text[0] ? "failing" : expired ? "expired" : late ? "failing" : "valid";

    if (!wrong && late) {
        wrong = late_why;
        since = cert_file_late(it->tls);
    }
    return json_pack("{s:s, s:s, s:o, s:o, s:n, s:o, s:o}", "state", state, "issuer", "files", "not_after",
                     it->tls ? json_time(ends) : json_null(), "names",
                     it->tls ? names_of(it->tls) : json_array(), "next_attempt", "last_error",
                     wrong ? json_any_text(wrong) : json_null(), "failing_since",
                     since ? json_time(since) : json_null());
}
