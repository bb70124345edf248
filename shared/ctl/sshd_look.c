#include "shared/ctl/sshd_look.h"

#include "shared/buf.h"
#include "shared/ctl/capture.h"
#include "shared/doctor/sshd.h"
#include "shared/file.h"
#include "shared/json.h"
#include "shared/mem.h"
#include "shared/port_holder.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <shadow.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { ARGS = 40, GROUPS = 64, TITLE_BYTES = 4096, KEYS_BYTES = 1 << 20, ELSEWHERE = 4 };

#define LOOPBACK "127.0.0.1"
#define NOBODYS  "192.0.2.1"

/* ---- the process ---- */

/* "sshd: /usr/sbin/sshd -D -f FILE [listener] 0 of 10-100 startups": what it was started with, and how busy it is. "": it
 * cannot be seen. */
static void read_title(unsigned port, struct buf *title)
{
    pid_t pid = port_holder_pid(port);
    char path[64];

    snprintf(path, sizeof path, "/proc/%d/cmdline", (int)pid);
    if (pid > 0 && file_read(path, TITLE_BYTES, title, NULL) == 0)
        for (size_t i = 0; i < title->len; i++)
            if (title->mem[title->start + i] == 0)
                title->mem[title->start + i] = ' ';
    buf_text(title);
}

/* ---- its settings ---- */

/* Adds what decides on its settings: -f FILE, -o OPTION. Cuts the title up. */
static size_t add_arguments(char *title, const char **argv, size_t n)
{
    char *rest = title, *word;

    while ((word = strsep(&rest, " ")) && n + 4 < ARGS) {
        if (strcmp(word, "[listener]") == 0)
            break;
        if ((strcmp(word, "-f") == 0 || strcmp(word, "-o") == 0) && rest) {
            argv[n++] = word;
            argv[n++] = strsep(&rest, " ");
        }
    }
    return n;
}

static const char *program(void)
{
    return access("/usr/sbin/sshd", X_OK) == 0 ? "/usr/sbin/sshd" : "sshd";
}

/* NULL with the reason: what this sshd does with who comes from there. */
static json_t *settings_for(const char *title, const char *user, const char *address, unsigned port,
                            json_t **why)
{
    char *who = mem_format("user=%s,host=%s,addr=%s,laddr=127.0.0.1,lport=%u", user,
                           strcmp(address, LOOPBACK) == 0 ? "localhost" : address, address, port);
    char *copy = mem_copy(title);
    const char *argv[ARGS] = { program(), "-T", "-C", who };
    struct buf out = { 0 };
    json_t *settings = NULL;
    int rc;

    argv[add_arguments(copy, argv, 4)] = NULL;
    rc = capture(argv, &out);
    if (rc == 0)
        settings = sshd_settings(buf_text(&out));
    else
        *why = rc < 0 ? json_string("there is no sshd here") : json_any_text(buf_text(&out));
    buf_free(&out);
    free(copy);
    free(who);
    return settings;
}

static void look_at_settings(json_t *facts, const char *title, const char *user, unsigned port)
{
    json_t *why = NULL, *settings = settings_for(title, user, LOOPBACK, port, &why);

    if (settings)
        json_object_set_new(facts, "settings", settings);
    else
        json_object_set_new(facts, "settings_why", why);
}

/* Where agents come from; of none that is known an address that is nobody's. */
static void look_elsewhere(json_t *facts, const char *title, const char *user, unsigned port,
                           const json_t *addresses)
{
    json_t *list = json_array();

    for (size_t i = 0; i == 0 || (i < json_array_size(addresses) && i < ELSEWHERE); i++) {
        const char *known = json_string_value(json_array_get(addresses, i)),
                   *address = known ? known : NOBODYS;
        json_t *why = NULL, *settings = settings_for(title, user, address, port, &why);

        json_decref(why);
        json_array_append_new(
            list, json_pack("{s:o, s:o?}", "address", json_any_text(address), "settings", settings));
    }
    json_object_set_new(facts, "elsewhere", list);
}

/* ---- which keys it reads ---- */

/* "": sshd runs it. It wants root's program in root's folders (AuthorizedKeysCommand in sshd_config(5)). */
static const char *command_wrong(const char *command)
{
    char *path = mem_copy_n(command, strcspn(command, " "));
    const char *wrong = "";
    struct stat st;

    if (access(path, X_OK) != 0)
        wrong = errno == EACCES ? "" : "it is not there";
    while (!*wrong && *path) {
        if (stat(path, &st) == 0 && (st.st_uid != 0 || (st.st_mode & (S_IWGRP | S_IWOTH))))
            wrong = "it, or a folder above it, can be written by others than root";
        *strrchr(path, '/') = 0;
    }
    free(path);
    return wrong;
}

/* As sshd does: %h, %u, %%; what is relative is so to the home. */
static char *key_path(const char *word, const struct passwd *p)
{
    struct buf path = { 0 };
    char *made;

    if (*word != '/' && strncmp(word, "%h", 2) != 0)
        buf_printf(&path, "%s/", p->pw_dir);
    for (; *word; word++) {
        bool escaped = *word == '%' && word[1];

        word += escaped;
        if (escaped && *word == 'h')
            buf_add_text(&path, p->pw_dir);
        else if (escaped && *word == 'u')
            buf_add_text(&path, p->pw_name);
        else
            buf_add(&path, word, 1);
    }
    made = mem_copy(buf_text(&path));
    buf_free(&path);
    return made;
}

/* Of one that may not be read nothing is known. The relay's own list may be empty. */
static bool may_have_agents(const char *path, const char *state_dir)
{
    char *own = mem_format("%s/authorized_keys", state_dir);
    struct buf text = { 0 };
    bool may = strcmp(own, path) == 0;

    if (!may && file_read(path, KEYS_BYTES, &text, NULL) == 0)
        may = strstr(buf_text(&text), "tunnel-lane") != NULL;
    else if (!may)
        may = access(path, F_OK) == 0 || errno == EACCES;
    buf_free(&text);
    free(own);
    return may;
}

static void look_at_keys(json_t *facts, const char *user, const char *state_dir)
{
    const json_t *settings = json_object_get(facts, "settings");
    char *copy = mem_copy(fact_text(settings, "authorizedkeysfile")), *rest = copy, *word;
    const char *command = fact_text(settings, "authorizedkeyscommand");
    const struct passwd *p = getpwnam(user);
    bool found = false;

    while (p && !found && (word = strsep(&rest, " "))) {
        char *path = key_path(word, p);

        found = *word && may_have_agents(path, state_dir);
        free(path);
    }
    json_object_set_new(facts, "keys_file", json_boolean(found || !p));
    json_object_set_new(facts, "keys_command_wrong",
                        json_string(*command == '/' ? command_wrong(command) : ""));
    free(copy);
}

/* ---- the account ---- */

static json_t *groups_of(const struct passwd *p)
{
    gid_t list[GROUPS];
    int n = GROUPS;
    json_t *names = json_array();

    if (getgrouplist(p->pw_name, p->pw_gid, list, &n) < 0)
        n = GROUPS;
    for (int i = 0; i < n; i++) {
        const struct group *g = getgrgid(list[i]);

        if (g)
            json_array_append_new(names, json_any_text(g->gr_name));
    }
    return names;
}

/* As pam_unix judges it; 0: it is to be changed at the next login. */
static bool is_password_old(const struct spwd *secret, long today)
{
    return secret->sp_lstchg == 0 ||
           (secret->sp_lstchg > 0 && secret->sp_max >= 0 && today > secret->sp_lstchg + secret->sp_max);
}

static json_t *look_at_account(const char *user)
{
    const struct passwd *p = getpwnam(user);
    const struct spwd *secret = p ? getspnam(user) : NULL; /* NULL: only root may read it */
    json_t *account = json_pack("{s:b}", "there", p != NULL);
    const long today = (long)(time(NULL) / 86400);

    if (!p)
        return account;
    json_object_set_new(account, "shell", json_any_text(p->pw_shell));
    json_object_set_new(account, "shell_there", json_boolean(access(p->pw_shell, X_OK) == 0));
    json_object_set_new(account, "groups", groups_of(p));
    if (secret) {
        json_object_set_new(account, "password_locked", json_boolean(secret->sp_pwdp[0] == '!'));
        json_object_set_new(account, "expired",
                            json_boolean(secret->sp_expire >= 0 && secret->sp_expire <= today));
        json_object_set_new(account, "password_expired", json_boolean(is_password_old(secret, today)));
    }
    json_object_set_new(account, "nologin",
                        json_string(access("/etc/nologin", F_OK) == 0   ? "/etc/nologin"
                                    : access("/run/nologin", F_OK) == 0 ? "/run/nologin"
                                                                        : ""));
    return account;
}

json_t *sshd_look(const char *user, unsigned port, const char *state_dir, const json_t *addresses)
{
    json_t *facts = json_pack("{s:o, s:i}", "user", json_any_text(user), "port", (int)port), *startups;
    struct buf title = { 0 };

    read_title(port, &title);
    if ((startups = sshd_startups(buf_text(&title))))
        json_object_set_new(facts, "startups", startups);
    look_at_settings(facts, buf_text(&title), user, port);
    look_elsewhere(facts, buf_text(&title), user, port, addresses);
    look_at_keys(facts, user, state_dir);
    json_object_set_new(facts, "account", look_at_account(user));
    buf_free(&title);
    return facts;
}
