/* shared/ctl/ctl.h - what the commands of tunnelctl share: the arguments, exit codes, and how text looks. */
#ifndef SHARED_CTL_CTL_H
#define SHARED_CTL_CTL_H
#include "shared/ctl/client.h"
#include "shared/domain.h"
#include "shared/status/text.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

enum ctl_exit { CTL_WELL = 0, CTL_FAILING = 1, CTL_USAGE = 2, CTL_NO_DAEMON = 3 };

struct ctl {
    const char *socket; /* --socket */
    enum client_side side;
    const char *command;
    enum client_side asks; /* whose command it is; CLIENT_ANY: of either */
    bool json, colour;
    bool dry_run;                       /* --dry-run: of dns sync */
    bool follow, watch;                 /* -f: of log; --watch: of status */
    bool before;                        /* --before: of doctor */
    const char *domains, *lasts, *host; /* --domains, --for, --host: of invite; --for: of ban, too */
    const char *out;                    /* --out: of dns import */
    const char *dns;                    /* --dns: of add */
    const char *reason;                 /* --reason: of certs revoke */
    const char *config, *state_dir;     /* --config, --state-dir, --force: of restore */
    bool force;
    size_t rows;  /* of the table that is printed next, at most: of status */
    size_t spare; /* lines that no table needs, for rows that are wider than the terminal */
    int argc;     /* what follows the command's name */
    char **argv;
};

/* One command: prints, and returns its exit code. */
enum ctl_exit ctl_status(struct ctl *c);
enum ctl_exit ctl_status_domain(struct ctl *c, const char *given); /* behind status */
enum ctl_exit ctl_check(struct ctl *c);
enum ctl_exit ctl_reload(struct ctl *c);
enum ctl_exit ctl_version(struct ctl *c);
enum ctl_exit ctl_invite(struct ctl *c);
enum ctl_exit ctl_join(struct ctl *c);
enum ctl_exit ctl_agents(struct ctl *c);
enum ctl_exit ctl_revoke(struct ctl *c);
enum ctl_exit ctl_add(struct ctl *c);
enum ctl_exit ctl_remove(struct ctl *c);
enum ctl_exit ctl_certs(struct ctl *c);
enum ctl_exit ctl_ban(struct ctl *c);
enum ctl_exit ctl_unban(struct ctl *c);
enum ctl_exit ctl_backup(struct ctl *c);
enum ctl_exit ctl_restore(struct ctl *c);
enum ctl_exit ctl_log(struct ctl *c);
enum ctl_exit ctl_top(struct ctl *c);
enum ctl_exit ctl_certs_import(struct ctl *c); /* behind certs import */
enum ctl_exit ctl_dns(struct ctl *c);
enum ctl_exit ctl_dns_providers(struct ctl *c); /* behind dns providers */
enum ctl_exit ctl_dns_import(struct ctl *c);    /* behind dns import */
enum ctl_exit ctl_doctor(struct ctl *c);

/* Asks the daemon. CTL_WELL: *reply is what it said (a new reference), and with --json it has been printed already.
 * Otherwise the reason has been printed. */
enum ctl_exit ctl_ask(struct ctl *c, const char *method, const char *path, json_t **reply);
/* The same with content, which it takes, and with so many seconds for the answer. */
enum ctl_exit ctl_tell(struct ctl *c, const char *method, const char *path, json_t *content, int patience_s,
                       json_t **reply);
/* The same as ctl_ask, but --json prints nothing: one of several questions. */
enum ctl_exit ctl_ask_aside(struct ctl *c, const char *method, const char *path, json_t **reply);
/* An answer that is no JSON, added to text. */
enum ctl_exit ctl_ask_text(struct ctl *c, const char *path, struct buf *text);
/* One line of what a daemon, or a peer of its, has written: what is not printable is shown as \\xNN. */
void ctl_say(FILE *to, const char *fmt, ...) printf_like(2, 3);
enum ctl_exit ctl_wrong_usage(const char *fmt, ...) printf_like(1, 2);

/* A command in parts: the one that the first argument names, without that argument, or the whole when it names none. */
struct ctl_part {
    const char *word;
    enum ctl_exit (*run)(struct ctl *c);
};
enum ctl_exit ctl_run_part(struct ctl *c, const struct ctl_part *parts, size_t n,
                           enum ctl_exit (*whole)(struct ctl *c));

/* Where a daemon's program is: beside us, or as it is installed, or wherever PATH has it. A copy. */
char *ctl_find_program(const char *name);
/* A site's name as the daemon writes it; false when it is none. */
bool ctl_site_name(const char *given, char name[DOMAIN_BYTES]);
const char *ctl_text(const json_t *object, const char *key); /* as status_text */
#endif
