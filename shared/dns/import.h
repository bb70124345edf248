/* shared/dns/import.h - inadyn.conf and ddclient.conf, read, and said in our own words.
 *
 * Pure: text in, texts out. A file that its program would not take is refused, with the line; what the program takes and we
 * have nothing like is told, with its line, and never dropped in silence. */
#ifndef SHARED_DNS_IMPORT_H
#define SHARED_DNS_IMPORT_H
#include "shared/buf.h"
#include "shared/err.h"
#include "shared/str.h"

#include <stdbool.h>
#include <stddef.h>

enum { IMPORT_MAX_BYTES = 1 << 20, IMPORT_LIST = 1000 };

enum import_program { IMPORT_INADYN, IMPORT_DDCLIENT };

struct import_pair {
    char *key, *value; /* key is NULL in a list of names */
    unsigned line;
    bool used;
};

struct import_list {
    struct import_pair *list;
    size_t n;
};

/* One login at one service, and the names that it keeps. */
struct import_account {
    char *service; /* as the file calls it; "" for ddclient's default */
    bool custom;   /* inadyn: custom { } */
    bool left;     /* it is not carried over, as was told for its names */
    unsigned line;
    struct import_list settings, names;
};

struct import_file {
    enum import_program program;
    struct import_list globals;
    struct import_account *accounts;
    size_t n;
};

/* A file by what it looks like: inadyn's has sections in braces. */
enum import_program import_program_of(struct str text);
/* The file is to be freed in any case. An error begins with the line's number and a colon. */
must_check int import_inadyn(struct str text, struct import_file *out, struct err *e);
must_check int import_ddclient(struct str text, struct import_file *out, struct err *e);
void import_file_free(struct import_file *file); /* wipes it */

/* ---- in our words ---- */

struct import_secret {
    char *base;  /* name of its file */
    char *bytes; /* what is in it */
};

struct import_plan {
    struct buf ini;
    struct import_list left; /* what could not be carried over: value says what and why */
    struct import_secret *secrets;
    size_t secrets_n, providers, sites;
};

/* `folder`: where the secrets' files will be. */
void import_plan(struct import_file *file, const char *folder, struct import_plan *plan);
void import_plan_free(struct import_plan *plan); /* wipes it */

/* ---- for the parsers ---- */

void import_add(struct import_list *list, struct str key, struct str value, unsigned line);
struct import_account *import_add_account(struct import_file *file, struct str service, unsigned line);
struct import_pair *import_find(const struct import_list *list, const char *key); /* the last one; NULL */
must_check int import_check_text(struct str text,
                                 struct err *e); /* -1 unless it is printable UTF-8, in lines */
int import_wrong(struct err *e, unsigned line, const char *fmt, ...) printf_like(3, 4); /* -1 */
#endif
