#include "shared/ctl/cert_folder.h"

#include "shared/buf.h"
#include "shared/file.h"
#include "shared/mem.h"

#include <dirent.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { FILE_BYTES = 256 * 1024, CHAIN = 16, DEPTH = 8 };

/* What one file holds. */
struct pem {
    char *path;
    X509 *certs[CHAIN];
    size_t n;
    EVP_PKEY *key;
    bool locked; /* a key with a passphrase */
};

/* One folder's files, and the folders in it. */
struct level {
    struct pem *files;
    size_t n;
    char **folders;
    size_t folders_n;
};

/* ---- one file ---- */

/* Or OpenSSL would ask for one on the terminal. */
static int no_passphrase(char *out, int room, int to_write, void *asked)
{
    (void)out, (void)room, (void)to_write;
    *(bool *)asked = true;
    return -1;
}

static void read_key(struct pem *file, const struct buf *text)
{
    BIO *bio = BIO_new_mem_buf(buf_bytes(text), (int)text->len);

    file->key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, &file->locked);
    ERR_clear_error();
    BIO_free(bio);
}

static void read_certs(struct pem *file, const struct buf *text)
{
    BIO *bio = BIO_new_mem_buf(buf_bytes(text), (int)text->len);

    while (file->n < CHAIN && (file->certs[file->n] = PEM_read_bio_X509(bio, NULL, NULL, NULL)))
        file->n++;
    ERR_clear_error();
    BIO_free(bio);
}

static void pem_free(struct pem *file)
{
    for (size_t i = 0; i < file->n; i++)
        X509_free(file->certs[i]);
    EVP_PKEY_free(file->key);
    free(file->path);
}

static void wipe(struct buf *text)
{
    if (text->mem)
        explicit_bzero(text->mem, text->room);
    buf_free(text);
}

static const char *remedy_of(int number)
{
    return number == EACCES    ? "private keys are most often root's alone"
           : number == ENOENT  ? "is its name right?"
           : number == ENOTDIR ? "give the folder that it is in"
                               : "give another folder, or mend this one";
}

static int refuse_file(const char *path, const struct err *why, struct err *e)
{
    bool closed = access(path, R_OK) != 0 && errno == EACCES;

    return err_set(e, why->code, "%s; %s", why->text,
                   closed ? remedy_of(EACCES) : "is the disk that it is on well?");
}

/* What cannot be read is told of, because it may be the very key; what is no PEM is nothing to us. */
static int add_file(struct level *level, const char *path, struct err *e)
{
    struct pem file = { 0 };
    struct buf text = { 0 };
    struct err why = { 0 };
    int rc = file_read(path, FILE_BYTES, &text, &why);

    if (rc != 0) {
        (void)refuse_file(path, &why, e);
    } else {
        read_certs(&file, &text);
        read_key(&file, &text);
    }
    wipe(&text);
    if (rc != 0 || (file.n == 0 && !file.key && !file.locked)) {
        pem_free(&file);
        return rc;
    }
    if (level->n % 16 == 0)
        level->files = mem_grow(level->files, (level->n + 16) * sizeof *level->files);
    file.path = mem_copy(path);
    level->files[level->n++] = file;
    return 0;
}

/* ---- one folder ---- */

static void add_folder(struct level *level, const char *path)
{
    if (level->folders_n % 16 == 0)
        level->folders = mem_grow(level->folders, (level->folders_n + 16) * sizeof *level->folders);
    level->folders[level->folders_n++] = mem_copy(path);
}

/* Links to files are followed, as certbot makes them; links to folders are not, or there might be no end. */
static int add_entry(struct level *level, const char *path, struct err *e)
{
    struct stat st, target;

    if (lstat(path, &st) != 0 || stat(path, &target) != 0)
        return 0; /* it has just gone, or is a link to nothing */
    if (S_ISDIR(st.st_mode))
        add_folder(level, path);
    else if (S_ISREG(target.st_mode) && target.st_size <= FILE_BYTES)
        return add_file(level, path, e);
    return 0;
}

static int read_level(const char *folder, struct level *level, struct err *e)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    int rc = 0, number = errno;

    if (!dir)
        return err_set(e, ERR_SYSTEM, "cannot open the folder %s: %s; %s", folder, strerror(number),
                       remedy_of(number));
    while (rc == 0 && (entry = readdir(dir))) {
        char *path = mem_format("%s/%s", folder, entry->d_name);

        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            rc = add_entry(level, path, e);
        free(path);
    }
    closedir(dir);
    return rc;
}

static void level_free(struct level *level)
{
    for (size_t i = 0; i < level->n; i++)
        pem_free(&level->files[i]);
    for (size_t i = 0; i < level->folders_n; i++)
        free(level->folders[i]);
    free(level->files);
    free(level->folders);
}

/* ---- what belongs together ---- */

static bool is_better(const struct pem *a, const struct pem *b)
{
    return a->n != b->n ? a->n > b->n : a < b;
}

/* cert.pem beside fullchain.pem: the same certificate, in a file that holds more. */
static bool is_told_elsewhere(const struct level *level, const struct pem *file)
{
    for (size_t i = 0; i < level->n; i++) {
        const struct pem *other = &level->files[i];

        if (other != file && other->n > 0 && X509_cmp(other->certs[0], file->certs[0]) == 0 &&
            is_better(other, file))
            return true;
    }
    return false;
}

static EVP_PKEY *key_of(const struct level *level, const X509 *leaf)
{
    for (size_t i = 0; i < level->n; i++)
        if (level->files[i].key && EVP_PKEY_eq(X509_get0_pubkey(leaf), level->files[i].key) == 1)
            return level->files[i].key;
    return NULL;
}

static bool is_self_issued(const X509 *cert)
{
    return X509_NAME_cmp(X509_get_subject_name(cert), X509_get_issuer_name(cert)) == 0;
}

/* An intermediate certificate that lies in a file of its own. A root is no part of a chain: visitors have it. */
static X509 *issuer_of(const struct level *level, X509 *cert)
{
    if (is_self_issued(cert))
        return NULL;
    for (size_t i = 0; i < level->n; i++)
        for (size_t j = 0; j < level->files[i].n; j++) {
            X509 *other = level->files[i].certs[j];

            if (!is_self_issued(other) && X509_check_issued(other, cert) == X509_V_OK)
                return other;
        }
    return NULL;
}

static char *text_of(BIO *takes)
{
    char *bytes;
    long n = BIO_get_mem_data(takes, &bytes);
    char *text = mem_copy_n(bytes, (size_t)n);

    BIO_free(takes);
    return text;
}

static char *chain_text(const struct level *level, const struct pem *file)
{
    BIO *bio = BIO_new(BIO_s_mem());
    X509 *last = NULL;
    size_t n = 0;

    for (; n < file->n; n++) {
        last = file->certs[n];
        PEM_write_bio_X509(bio, last);
    }
    while (n++ < CHAIN && (last = issuer_of(level, last)))
        PEM_write_bio_X509(bio, last);
    return text_of(bio);
}

static char *key_text(EVP_PKEY *key)
{
    BIO *bio = BIO_new(BIO_s_secmem());

    PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
    return text_of(bio);
}

static const char *why_without_key(const struct level *level)
{
    for (size_t i = 0; i < level->n; i++)
        if (level->files[i].locked)
            return "the key beside it has a passphrase; take that off with openssl pkey -in KEY -out NEW";
    return "its key is not in this folder";
}

static int64_t seconds_of(const ASN1_TIME *time)
{
    struct tm tm = { 0 };

    return ASN1_TIME_to_tm(time, &tm) == 1 ? timegm(&tm) : 0;
}

/* chain.pem, ca.cer, issuer.crt, and the authority that Caddy has of its own. One that has signed itself says that it is an
 * authority, too, but it names the site it is for. */
static bool is_of_an_authority(X509 *cert, const EVP_PKEY *key)
{
    return X509_check_ca(cert) != 0 && (!key || X509_get_ext_by_NID(cert, NID_subject_alt_name, -1) < 0);
}

static void add_found(struct cert_folder *out, const struct level *level, const struct pem *file)
{
    X509 *leaf = file->certs[0];
    EVP_PKEY *key = key_of(level, leaf);
    struct cert_found found = { .not_after = seconds_of(X509_get0_notAfter(leaf)) };

    if (is_of_an_authority(leaf, key))
        return;
    found.path = mem_copy(file->path);
    if (key) {
        found.chain_pem = chain_text(level, file);
        found.key_pem = key_text(key);
    } else {
        found.why = mem_copy(why_without_key(level));
    }
    if (out->n % 16 == 0)
        out->list = mem_grow(out->list, (out->n + 16) * sizeof *out->list);
    out->list[out->n++] = found;
}

/* ---- all ---- */

static int read_folder(const char *folder, unsigned depth, struct cert_folder *out, struct err *e)
{
    struct level level = { 0 };
    int rc = depth > DEPTH
                 ? err_set(e, ERR_LIMIT, "%s is too deep in it; give a folder that is nearer", folder)
                 : read_level(folder, &level, e);

    for (size_t i = 0; rc == 0 && i < level.n; i++)
        if (level.files[i].n > 0 && !is_told_elsewhere(&level, &level.files[i]))
            add_found(out, &level, &level.files[i]);
    for (size_t i = 0; rc == 0 && i < level.folders_n; i++)
        rc = read_folder(level.folders[i], depth + 1, out, e);
    level_free(&level);
    return rc;
}

static int compare(const void *a, const void *b)
{
    const struct cert_found *x = a, *y = b;

    if (x->not_after != y->not_after)
        return x->not_after > y->not_after ? -1 : 1;
    return strcmp(x->path, y->path);
}

int cert_folder_read(const char *folder, struct cert_folder *out, struct err *e)
{
    char *live = mem_format("%s/live", folder); /* beside it certbot keeps all that ever were */
    struct stat st;
    int rc;

    *out = (struct cert_folder){ 0 };
    rc = read_folder(stat(live, &st) == 0 && S_ISDIR(st.st_mode) ? live : folder, 1, out, e);
    free(live);
    if (out->n > 1)
        qsort(out->list, out->n, sizeof *out->list, compare);
    return rc;
}

void cert_folder_free(struct cert_folder *f)
{
    for (size_t i = 0; i < f->n; i++) {
        if (f->list[i].key_pem)
            explicit_bzero(f->list[i].key_pem, strlen(f->list[i].key_pem));
        free(f->list[i].path);
        free(f->list[i].chain_pem);
        free(f->list[i].key_pem);
        free(f->list[i].why);
    }
    free(f->list);
    *f = (struct cert_folder){ 0 };
}
