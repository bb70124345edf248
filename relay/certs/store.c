#include "relay/certs/store_parts.h"

#include "relay/edge/tls.h"
#include "shared/domain.h"
#include "shared/file.h"
#include "shared/json.h"
#include "shared/log.h"
#include "shared/mem.h"
#include "shared/state_dir.h"

#include <dirent.h>
#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { META_BYTES = 1024 * 1024, KEY_BYTES = 64 * 1024 };

#define WILDCARD_FOLDER "_wildcard."
#define GONE            ".gone."

/* ---- names ---- */

int store_folder(const char *name, char out[STORE_NAME_BYTES], struct err *e)
{
    bool wildcard = strncmp(name, "*.", 2) == 0;

    if (domain_check(name, DOMAIN_SITE, e) != 0)
        return -1;
    if (strcmp(name, "lock") == 0)
        return err_set(e, ERR_INPUT,
                       "%s: in the folder of certificates the lock is called so; give the site another name",
                       name);
    snprintf(out, STORE_NAME_BYTES, "%s%s", wildcard ? WILDCARD_FOLDER : "", wildcard ? name + 2 : name);
    return 0;
}

/* The other way round. False for what is no folder of a name's. */
static bool name_of(const char *folder, char name[STORE_NAME_BYTES])
{
    size_t prefix = strlen(WILDCARD_FOLDER);
    bool wildcard = strncmp(folder, WILDCARD_FOLDER, prefix) == 0;
    char again[STORE_NAME_BYTES];

    snprintf(name, STORE_NAME_BYTES, "%s%s", wildcard ? "*." : "", wildcard ? folder + prefix : folder);
    return store_folder(name, again, NULL) == 0 && strcmp(again, folder) == 0;
}

char *store_path(const struct store *s, const char *name, struct err *e)
{
    char folder[STORE_NAME_BYTES];

    return store_folder(name, folder, e) == 0 ? mem_format("%s/%s", s->folder, folder) : NULL;
}

/* ---- open ---- */

static void each_folder(const struct store *s, void (*each)(void *user, const char *folder), void *user)
{
    DIR *dir = opendir(s->folder);
    struct dirent *found;

    while (dir && (found = readdir(dir)))
        each(user, found->d_name);
    if (dir)
        closedir(dir);
}

/* Told of, and no more: what could not be removed is in nobody's way. */
static void clear_away(const char *path)
{
    struct err why;

    if (store_remove(path, &why) != 0)
        log_warn("what is left of a certificate cannot be removed", kv_str("error", why.text));
}

static void on_found_at_start(void *user, const char *folder)
{
    const struct store *s = user;
    char *path = mem_format("%s/%s", s->folder, folder), name[STORE_NAME_BYTES];

    if (strncmp(folder, GONE, strlen(GONE)) == 0)
        clear_away(path);
    else if (name_of(folder, name))
        store_tidy(path);
    free(path);
}

struct store *store_open(const char *state_dir, struct err *e)
{
    struct store *s = mem_new(sizeof *s);

    s->folder = mem_format("%s/certs", state_dir);
    s->lock = state_dir_take(s->folder, e);
    if (s->lock < 0) {
        store_free(s);
        return NULL;
    }
    each_folder(s, on_found_at_start, s);
    return s;
}

void store_free(struct store *s)
{
    if (!s)
        return;
    if (s->lock >= 0)
        close(s->lock);
    free(s->folder);
    free(s);
}

struct visit {
    void (*each)(void *user, const char *name);
    void *user;
};

static void on_found(void *user, const char *folder)
{
    const struct visit *v = user;
    char name[STORE_NAME_BYTES];

    if (name_of(folder, name))
        v->each(v->user, name);
}

void store_each(const struct store *s, void (*each)(void *user, const char *name), void *user)
{
    each_folder(s, on_found, &(struct visit){ each, user });
}

/* ---- load ---- */

static char *current_path(const struct store *s, const char *name, const char *file, struct err *e)
{
    char *folder = store_path(s, name, e), *path = folder ? mem_format("%s/current/%s", folder, file) : NULL;

    free(folder);
    return path;
}

/* What is damaged is kept for a person to look at. */
static void put_aside(const char *path, const struct err *why)
{
    char *aside = mem_format("%s.damaged", path);

    log_warn("what was noted of a certificate cannot be read; begun anew", kv_str("path", path),
             kv_str("error", why->text));
    if (rename(path, aside) != 0)
        log_warn("a damaged file cannot be put aside", kv_str("path", path),
                 kv_str("error", strerror(errno)));
    free(aside);
}

static int load_meta(const struct store *s, struct meta *m, struct err *e)
{
    char *path = current_path(s, m->name, STORE_META, e);
    struct buf text = { 0 };
    struct err why = { 0 };
    json_t *doc = NULL;
    int rc = file_read(path, META_BYTES, &text, &why);

    if (rc != 0 && why.code != ERR_MISSING)
        err_set(e, why.code, "%s", why.text);
    if (rc == 0 && !((doc = json_read(buf_bytes(&text), text.len, &why)) && meta_read(m, doc, &why) == 0)) {
        char *name = mem_copy(m->name);

        put_aside(path, &why);
        meta_free(m);
        meta_init(m, name);
        free(name);
    }
    json_decref(doc);
    buf_free(&text);
    free(path);
    return rc == 0 || why.code == ERR_MISSING ? 0 : -1;
}

/* A moment that was chosen for another certificate says nothing about this one. */
static void take_facts(struct meta_cert *cert, struct facts *takes)
{
    if (cert->renewal.not_before != takes->not_before || cert->renewal.not_after != takes->not_after) {
        meta_cert_free(cert);
        meta_set(&cert->origin, "put there by hand");
        renewal_begin(&cert->renewal, takes->not_before, takes->not_after, 0);
    }
    cert->facts = *takes;
    cert->there = true;
}

struct signer *store_load_key(const char *path, struct err *e)
{
    struct buf pem = { 0 };
    struct err why = { 0 };
    struct signer *key = NULL;

    if (file_check_secret(path, &why) != 0 && why.code != ERR_MISSING)
        log_warn_limited(path, "the key of a certificate is no secret", kv_str("error", why.text));
    if (file_read(path, KEY_BYTES, &pem, e) == 0) {
        key = signer_read(buf_bytes(&pem), pem.len, e);
        if (!key)
            err_wrap(e, "%s", path);
    }
    if (pem.mem)
        explicit_bzero(pem.mem, pem.room);
    buf_free(&pem);
    return key;
}

/* Both are whole, and belong together. */
static int check_pair(const char *chain_path, const char *key_path, struct facts *f, struct err *e)
{
    struct buf pem = { 0 };
    struct signer *key = NULL;
    int rc = file_read(chain_path, CHAIN_MAX_BYTES, &pem, e);

    if (rc == 0 && (rc = facts_read(buf_bytes(&pem), pem.len, f, e)) != 0)
        err_wrap(e, "%s", chain_path);
    if (rc == 0) {
        key = store_load_key(key_path, e);
        rc = key ? signer_matches(key, f->chain.certs[0], e) : -1;
    }
    signer_free(key);
    buf_free(&pem);
    return rc;
}

/* -1: the disk cannot be read, so that nobody knows whether there is one. */
static int load_pair(const struct store *s, struct meta *m, const char *suffix, struct err *e)
{
    char *folder = current_path(s, m->name, "", NULL);
    char *chain = mem_format("%sfullchain%s.pem", folder, suffix);
    char *key = mem_format("%sprivkey%s.pem", folder, suffix);
    struct facts f = { 0 };
    struct err why = { 0 };

    if (check_pair(chain, key, &f, &why) == 0 && !m->certs[f.rsa ? META_RSA : META_ECDSA].there) {
        take_facts(&m->certs[f.rsa ? META_RSA : META_ECDSA], &f);
    } else {
        facts_free(&f);
        if (why.code != ERR_MISSING && why.code != ERR_NONE && why.code != ERR_SYSTEM)
            log_error("a certificate cannot be used; another one is needed", kv_str("domain", m->name),
                      kv_str("error", why.text));
    }
    free(chain);
    free(key);
    free(folder);
    return why.code == ERR_SYSTEM ? err_set(e, ERR_SYSTEM, "%s", why.text) : 0;
}

int store_load(const struct store *s, const char *name, struct meta *m, struct err *e)
{
    char folder[STORE_NAME_BYTES];

    meta_init(m, name);
    if (store_folder(name, folder, e) != 0 || load_meta(s, m, e) != 0 ||
        load_pair(s, m, "-rsa", e) != 0 || /* first: an RSA pair that is alone has the plain name */
        load_pair(s, m, "", e) != 0) {
        meta_free(m);
        return -1;
    }
    for (size_t i = 0; i < META_SLOTS; i++)
        if (!m->certs[i].there)
            meta_cert_free(&m->certs[i]);
    return 0;
}

/* ---- save ---- */

static bool is_as(const char *path, const char *text)
{
    struct buf before = { 0 };
    bool same = file_read(path, META_BYTES, &before, NULL) == 0 && before.len == strlen(text) &&
                memcmp(buf_bytes(&before), text, before.len) == 0;

    buf_free(&before);
    return same;
}

int store_save(const struct store *s, const struct meta *m, struct err *e)
{
    char *path = current_path(s, m->name, STORE_META, e), *version = current_path(s, m->name, "", NULL),
         *text;
    json_t *doc;
    int rc;

    if (!path)
        return -1;
    doc = meta_write(m);
    text = json_dumps(doc, JSON_INDENT(2));
    if (access(version, F_OK) != 0)
        rc = store_write_version(s, m, m, META_ECDSA, NULL, e);
    else
        rc = is_as(path, text) ? 0 : file_write(path, text, strlen(text), 0600, e);
    free(text);
    json_decref(doc);
    free(version);
    free(path);
    return rc;
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* A folder in which nothing is noted is as old as it was changed last. */
static int64_t last_use(const struct store *s, const struct meta *m)
{
    int64_t last = later(m->retry.last_try, later(m->order.at, m->held_since));
    char *folder = store_path(s, m->name, NULL);
    struct stat st;

    for (unsigned i = 0; i < META_SLOTS; i++)
        last = later(last, m->certs[i].there ? m->certs[i].facts.not_after : 0);
    if (last == 0 && stat(folder, &st) == 0)
        last = st.st_mtime;
    free(folder);
    return last;
}

bool store_is_old(const struct store *s, const char *name, int64_t now)
{
    struct meta m;
    int64_t last;

    if (store_load(s, name, &m, NULL) != 0)
        return false;
    last = last_use(s, &m);
    meta_free(&m);
    return last != 0 && now - last >= STORE_OLD_S;
}

int store_forget(const struct store *s, const char *name, struct err *e)
{
    char folder[STORE_NAME_BYTES], *path, *gone;
    int rc;

    if (store_folder(name, folder, e) != 0)
        return -1;
    path = mem_format("%s/%s", s->folder, folder);
    gone = mem_format("%s/" GONE "%s", s->folder, folder);
    rc = store_remove(gone, e);
    if (rc == 0 && rename(path, gone) != 0 && errno != ENOENT)
        rc = err_errno(e, errno, "cannot remove %s", path);
    if (rc == 0)
        rc = store_remove(gone, e);
    free(path);
    free(gone);
    return rc;
}

/* ---- use ---- */

int store_order_key(const struct store *s, const char *name, char **path, struct err *e)
{
    char *folder = store_path(s, name, e);
    int rc = folder ? file_make_folder(folder, 0700, e) : -1;

    *path = rc == 0 ? mem_format("%s/" STORE_ORDER_KEY, folder) : NULL;
    free(folder);
    return rc;
}

bool store_pair(const struct store *s, const struct meta *m, enum meta_slot slot, char **chain, char **key)
{
    char base[32];

    *chain = *key = NULL;
    if (!m->certs[slot].there)
        return false;
    store_file(m, slot, "fullchain", base);
    *chain = current_path(s, m->name, base, NULL);
    store_file(m, slot, "privkey", base);
    *key = current_path(s, m->name, base, NULL);
    return true;
}

static int refuse_use(const char *path, struct err *e)
{
    const char *reason = ERR_reason_error_string(ERR_peek_error());

    ERR_clear_error();
    return err_set(e, ERR_INPUT, "%s: cannot be used for TLS (%s); tunnelctl certs renew orders another one",
                   path, reason ? reason : "no reason given");
}

static int use_pair(const struct store *s, const struct meta *m, enum meta_slot slot, SSL_CTX *ctx,
                    struct err *e)
{
    const struct chain *chain = &m->certs[slot].facts.chain;
    char *chain_path, *key_path;
    struct signer *key;
    int rc = 0;

    if (!store_pair(s, m, slot, &chain_path, &key_path))
        return 0;
    key = store_load_key(key_path, e);
    for (size_t i = 0; key && rc == 0 && i < chain->n; i++)
        if ((i == 0 ? SSL_CTX_use_certificate(ctx, chain->certs[0])
                    : SSL_CTX_add1_chain_cert(ctx, chain->certs[i])) != 1)
            rc = refuse_use(chain_path, e);
    if (!key || (rc == 0 && signer_use(key, ctx, e) != 0))
        rc = -1;
    signer_free(key);
    free(chain_path);
    free(key_path);
    return rc;
}

/* Whoever offers both kinds would get the one that has ended otherwise. */
unsigned store_shown(const struct meta *m, int64_t now)
{
    unsigned good = 0, all = 0;

    for (unsigned i = 0; i < META_SLOTS; i++) {
        all |= m->certs[i].there ? 1U << i : 0;
        good |= meta_is_good(m, (enum meta_slot)i, now) ? 1U << i : 0;
    }
    return good ? good : all;
}

SSL_CTX *store_context(const struct store *s, const struct meta *m, int64_t now, struct err *e)
{
    unsigned shown = store_shown(m, now);
    SSL_CTX *ctx;

    if (!shown) {
        err_set(e, ERR_MISSING, "there is no certificate of %s yet", m->name);
        return NULL;
    }
    ctx = tls_site_context();
    for (unsigned i = 0; i < META_SLOTS; i++)
        if ((shown & 1U << i) && use_pair(s, m, (enum meta_slot)i, ctx, e) != 0) {
            SSL_CTX_free(ctx);
            return NULL;
        }
    return ctx;
}
