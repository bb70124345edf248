/* tests/unit/shared/opt_table.h - a table with every type and every naming, for the tests of the option table. */
#ifndef TESTS_OPT_TABLE_H
#define TESTS_OPT_TABLE_H
#include "shared/opt.h"

#include <stdio.h>
#include <string.h>

struct all_values { /* [all] */
    const char *text, *name, *path, *secret, *log, *note, *cert, *host;
    int64_t number, duration, size, limit;
    bool flag;
    int choice, mode;
    struct opt_words words, include, tags;
    struct opt_addresses listen, ports;
    struct cidrs peers;
};

struct site_values { /* [site NAME] */
    const char *service;
    int64_t park;
    struct opt_pairs routes;
};

struct maker_values { /* [maker] or [maker NAME] */
    const char *email;
};

struct more_values { /* [more NAME] */
    struct opt_words include;
};

static const char *const choices[] = { "acme", "internal", "files", NULL };
static const char *const log_words[] = { "stderr", NULL };

static void make_host(char *text, size_t room)
{
    snprintf(text, room, "this-host");
}

static const char *site_name_wrong(const char *name)
{
    return strchr(name, '.') ? NULL : "write a domain name, such as example.net";
}

#define ALL(field)   offsetof(struct all_values, field)
#define SITE(field)  offsetof(struct site_values, field)
#define MAKER(field) offsetof(struct maker_values, field)

static const struct opt table_opts[] = {
    { "all", "text", OPT_TEXT, ALL(text), .def = "hello; \"you\"", .flags = OPT_RELOAD, .help = "Any text." },
    { "all", "name", OPT_NAME, ALL(name), .def = "fra1", .help = "A name." },
    { "all", "path", OPT_PATH, ALL(path), .def = "/var/lib/all", .help = "A folder." },
    { "all", "secret", OPT_SECRET_FILE, ALL(secret), .def = "", .flags = OPT_RELOAD, .help = "A secret." },
    { "all", "log", OPT_LOG, ALL(log), .def = "stderr", .choices = log_words, .flags = OPT_RELOAD,
      .help = "Where the log goes." },
    { "all", "note", OPT_TEXT, ALL(note), .sample = "a note", .flags = OPT_RELOAD,
      .help = "Text without a default. It may be left out." },
    { "all", "cert", OPT_PATH, ALL(cert), .sample = "cert.pem", .flags = OPT_RELOAD,
      .help = "A path without a default." },
    { "all", "host", OPT_NAME, ALL(host), .def_of = make_host, .sample = "fra2",
      .help = "Made from this machine." },
    { "all", "number", OPT_NUMBER, ALL(number), .def = "4", .min = -3, .max = 64, .help = "A number." },
    { "all", "duration", OPT_DURATION, ALL(duration), .def = "10s", .min = 0, .max = 300000,
      .flags = OPT_RELOAD,
      .help = "How long a request waits for a house that is away, before it is answered with 503." },
    { "all", "size", OPT_SIZE, ALL(size), .def = "64k", .min = 1024, .max = 1 << 20, .flags = OPT_RELOAD,
      .help = "A size." },
    { "all", "limit", OPT_SIZE, ALL(limit), .min = 0, .max = INT64_MAX, .flags = OPT_RELOAD,
      .help = "A size without a default." },
    { "all", "flag", OPT_FLAG, ALL(flag), .def = "on", .flags = OPT_RELOAD, .help = "Whether." },
    { "all", "choice", OPT_CHOICE, ALL(choice), .def = "acme", .choices = choices, .flags = OPT_RELOAD,
      .help = "Which one." },
    { "all", "mode", OPT_CHOICE, ALL(mode), .choices = choices, .flags = OPT_RELOAD,
      .help = "One without a default." },
    { "all", "words", OPT_WORDS, ALL(words), .def = "one two", .flags = OPT_RELOAD, .help = "Some words." },
    { "all", "tags", OPT_WORDS, ALL(tags), .def = "", .flags = OPT_RELOAD, .help = "No words." },
    { "all", "listen", OPT_LISTEN, ALL(listen), .def = ":443 127.0.0.1:80 [::1]:80",
      .help = "Where to listen." },
    { "all", "ports", OPT_LISTEN, ALL(ports), .def = "", .flags = OPT_BARE_PORT | OPT_RELOAD,
      .help = "Where else to listen." },
    { "all", "peers", OPT_NETWORKS, ALL(peers), .def = "192.0.2.0/24", .flags = OPT_RELOAD, .help = "Who." },
    { "all", "include", OPT_INCLUDE, ALL(include), .def = "all.d/*.ini", .help = "More files." },
    { "site", "service", OPT_TEXT, SITE(service), .sample = "http://127.0.0.1:80",
      .flags = OPT_REQUIRED | OPT_RELOAD, .help = "What is reached." },
    { "site", "park", OPT_DURATION, SITE(park), .def = "1m", .min = 1, .max = 86400000, .flags = OPT_RELOAD,
      .help = "How long." },
    { "site", "route", OPT_PAIRS, SITE(routes), .sample = "/api = http://127.0.0.1:3000", .flags = OPT_RELOAD,
      .help = "Where a path goes." },
    { "maker", "email", OPT_TEXT, MAKER(email), .def = "", .sample = "you@example.com", .help = "Whose." },
    { "more", "include", OPT_INCLUDE, 0, .def = "", .help = "More files." },
};

static const struct opt_kind table_kinds[] = {
    { "all", OPT_UNNAMED, sizeof(struct all_values), NULL, false, "Everything." },
    { "site", OPT_NAMED, sizeof(struct site_values), site_name_wrong, false, "One site." },
    { "maker", OPT_MAYBE_NAMED, sizeof(struct maker_values), NULL, false, "Makers." },
    { "more", OPT_NAMED, sizeof(struct more_values), NULL, false, "More of all that." },
};

static const struct opt_schema table_schema = {
    .program = "all-daemon",
    .file = "/etc/tunnel/all.ini",
    .intro = "all.ini - everything there is.\nSee all.ini(5).",
    .kinds = table_kinds,
    .kinds_n = sizeof table_kinds / sizeof *table_kinds,
    .opts = table_opts,
    .opts_n = sizeof table_opts / sizeof *table_opts,
};
#endif
