/* shared/opt.h - the option table: one row per key, from which everything about that key is made.
 *
 * Parsing, defaults, bounds, --help, --check, --dump, /v1/config, the sample file and the manual walk the table.
 * A program describes its ini file by a struct opt_schema of constant tables; opt_load reads a file (and what it
 * includes) into a struct opt_conf, which owns all values and knows where each one came from.
 *
 * Errors are collected: one run tells all that is wrong, each as in relay.ini:2: relay.park = soon: not a duration … */
#ifndef SHARED_OPT_H
#define SHARED_OPT_H
#include "shared/arena.h"
#include "shared/buf.h"
#include "shared/cidr.h"
#include "shared/err.h"
#include "shared/opt_errors.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* What a value is, and what the field at `offset` must be declared as. */
enum opt_type {
    OPT_TEXT, /* const char *          any text */
    OPT_NAME, /* const char *          [a-z0-9-]{1,32}, as agents and relays are called */
    OPT_PATH, /* const char *          a file or folder; made absolute, from the folder of the ini file it is in */
    OPT_SECRET_FILE, /* const char *       the same; the file is there, with mode 0600, or 0640 with our own group */
    OPT_LOG,         /* const char *               one of choices, or a path as above */
    OPT_NUMBER,   /* int64_t               a whole number from min to max */
    OPT_DURATION, /* int64_t               milliseconds from min to max: 500ms 10s 5m 1h 7d */
    OPT_SIZE,     /* int64_t               bytes from min to max: 64k 10m 1g (powers of 1024) */
    OPT_FLAG,     /* bool                  on | off */
    OPT_CHOICE,   /* int                   index into choices */
    OPT_WORDS,    /* struct opt_words      a list, separated by blanks or commas */
    OPT_DOMAINS,  /* struct opt_words      names of sites, each as domain_check has it, also from ü */
    OPT_LISTEN,   /* struct opt_addresses  a list of :PORT, ADDRESS:PORT, [V6]:PORT; empty is an empty list */
    OPT_NETWORKS, /* struct cidrs          a list of addresses and networks: 192.0.2.7 2001:db8::/32 */
    OPT_INCLUDE, /* struct opt_words      further files; patterns may match nothing, plain paths must exist */
    OPT_PAIRS, /* struct opt_pairs      KEY NAME = VALUE, once for each NAME, such as route /PATH = SERVICE */
};

struct opt_words {
    size_t n;
    const char *const *words;
};

struct opt_pair {
    const char *name, *value, *origin;
};
struct opt_pairs {
    size_t n;
    const struct opt_pair *list;
};

struct opt_address {
    bool any; /* written as :PORT: all IPv4 and IPv6 addresses, IPv4 alone where the kernel has no IPv6 */
    struct sockaddr_storage addr; /* [::]:PORT when any */
};
struct opt_addresses {
    size_t n;
    const struct opt_address *list;
};
/* True when one of them is written like this one. */
bool opt_addresses_have(const struct opt_addresses *list, const struct opt_address *address);

enum opt_flags {
    OPT_RELOAD = 1,           /* may change while the daemon runs */
    OPT_REQUIRED = 2,         /* has no default and must be given, and not empty */
    OPT_BARE_PORT = 4,        /* OPT_LISTEN: PORT alone means :PORT */
    OPT_SECRET_ELSEWHERE = 8, /* OPT_SECRET_FILE: or env:NAME or credential:NAME, see shared/secret.h */
    OPT_SECRET_LATER = 32,    /* OPT_SECRET_FILE: it need not be there yet; whoever reads it looks at it */
    OPT_SECRET_URL = 16,      /* OPT_TEXT: of a URL in it nothing is shown behind the host, but by --dump */
};

/* A row with neither default nor OPT_REQUIRED may be left out of the file: its field is then "" (a text is never NULL),
 * -1 (number, duration, size, choice), false, or an empty list. An empty value is one for lists, and for texts, names
 * and paths where the default is empty or there is none. */
struct opt {
    const char *kind, *key; /* [kind] or [kind name], key = … */
    enum opt_type type;
    size_t offset;                           /* of the field in the section's struct */
    const char *def;                         /* default, as text; goes through the same parser */
    void (*def_of)(char *text, size_t room); /* or made from this machine, when def is NULL */
    int64_t min, max;                        /* OPT_NUMBER, OPT_DURATION, OPT_SIZE */
    const char *const *choices;              /* OPT_CHOICE, OPT_LOG, NULL at the end */
    int (*check)(const char *text,
                 struct err *e); /* OPT_TEXT, OPT_PATH: what else it has to be; may be NULL */
    unsigned flags;
    const char *sample; /* a value to show in the sample file and manual where there is no default */
    const char *help;   /* one or two whole sentences */
};

enum opt_naming { OPT_UNNAMED, OPT_NAMED, OPT_MAYBE_NAMED }; /* [kind], [kind NAME], either */

struct opt_kind {
    const char *kind;
    enum opt_naming naming;
    size_t size; /* of the struct that holds one section's values */
    /* Checks a section's name ([kind name]): NULL when well, else what would be right. NULL: [a-z0-9-]{1,32}. */
    const char *(*name_wrong)(const char *name);
    bool is_domain;   /* the name is a host name: letters beyond a-z become what the DNS has for them */
    const char *help; /* one sentence about the section */
};

struct opt_conf;

struct opt_schema {
    const char *program, *file; /* "tunnel-relay", "/etc/tunnel/relay.ini" */
    const char *intro;          /* first lines of sample file and manual: what this file is for */
    const struct opt_kind *kinds;
    size_t kinds_n;
    const struct opt *opts; /* rows of one kind stand together */
    size_t opts_n;
    /* Checks across options, run when each option is well by itself; adds to the errors. May be NULL. */
    void (*check)(struct opt_conf *conf, struct opt_errors *errors);
};

/* ---- a loaded configuration ---- */

/* Reads path and all it includes. NULL when anything is wrong; errors then says all of it. "-" is a path like others. */
struct opt_conf *opt_load(const struct opt_schema *schema, const char *path, struct opt_errors *errors);
/* The same from memory, touching no file: includes are refused, secret files are not looked at. `name` stands for the
 * path in errors. */
struct opt_conf *opt_load_text(const struct opt_schema *schema, const char *name, const char *text, size_t n,
                               struct opt_errors *errors);
void opt_conf_free(struct opt_conf *conf);

/* The values of section [kind] (name NULL) or [kind name]: a pointer to the kind's struct, owned by conf. An unnamed
 * kind always has one, of defaults when the file has no such section. Otherwise NULL when there is none. */
const void *opt_values(const struct opt_conf *conf, const char *kind, const char *name);
/* Walks sections of one kind in file order: i from 0; NULL at the end. *name is NULL for an unnamed one. */
const void *opt_section(const struct opt_conf *conf, const char *kind, size_t i, const char **name);
/* Where a value came from: "relay.ini:2" or "default". */
const char *opt_origin(const struct opt_conf *conf, const char *kind, const char *name, const char *key);
bool opt_touches_files(const struct opt_conf *conf); /* false when it was read from memory alone */
/* True when the key stands in a file, false when its value is the default or there is none. */
bool opt_given(const struct opt_conf *conf, const char *kind, const char *name, const char *key);
/* For checks across options: adds "ORIGIN: section.key = VALUE: " and the text, for a key that may be repeated once for
 * each time that it is there; without a key "ORIGIN: section: ". */
void opt_errors_add_at(struct opt_errors *errors, const struct opt_conf *conf, const char *kind,
                       const char *name, const char *key, const char *fmt, ...) printf_like(6, 7);
/* The same for one of those: "ORIGIN: section.key NAME = VALUE: " and the text. */
void opt_errors_add_pair(struct opt_errors *errors, const struct opt_conf *conf, const char *kind,
                         const char *name, const char *key, const struct opt_pair *pair, const char *fmt, ...)
    printf_like(7, 8);
/* For checks across options, where others of the section decide a default: its value, as text, unless one is given. */
void opt_settle(struct opt_conf *conf, const char *kind, const char *name, const char *key, const char *text);
/* Adds an error for each value that differs and has no OPT_RELOAD. Sections may come and go, except those of a kind
 * in which no key at all has OPT_RELOAD. */
void opt_check_reload(const struct opt_conf *running, const struct opt_conf *next, struct opt_errors *errors);
#endif
