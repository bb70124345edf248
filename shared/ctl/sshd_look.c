#include "shared/ctl/sshd_look.h"

#include "shared/buf.h"
#include "shared/ctl/capture.h"
#include "shared/doctor/sshd.h"
#include "shared/file.h"
#include "shared/json.h"
#include "shared/mem.h"
#include "shared/port_holder.h"

#include <grp.h>
#include <pwd.h>
#include <shadow.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { ARGS = 40, GROUPS = 64, TITLE_BYTES = 4096 };

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

static void look_at_settings(json_t *facts, const char *title, const char *user, unsigned port)
{
    char *who = mem_format("user=%s,host=localhost,addr=127.0.0.1,laddr=127.0.0.1,lport=%u", user, port);
    char *copy = mem_copy(title);
    const char *argv[ARGS] = { program(), "-T", "-C", who };
    struct buf out = { 0 };
    int rc;

    argv[add_arguments(copy, argv, 4)] = NULL;
    rc = capture(argv, &out);
    if (rc == 0)
        json_object_set_new(facts, "settings", sshd_settings(buf_text(&out)));
    else
        json_object_set_new(facts, "settings_why",
                            rc < 0 ? json_string("there is no sshd here") : json_any_text(buf_text(&out)));
    buf_free(&out);
    free(copy);
    free(who);
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

static json_t *look_at_account(const char *user)
{
    const struct passwd *p = getpwnam(user);
    const struct spwd *secret = p ? getspnam(user) : NULL; /* NULL: only root may read it */
    json_t *account = json_pack("{s:b}", "there", p != NULL);

    if (!p)
        return account;
    json_object_set_new(account, "shell", json_any_text(p->pw_shell));
    json_object_set_new(account, "shell_there", json_boolean(access(p->pw_shell, X_OK) == 0));
    json_object_set_new(account, "groups", groups_of(p));
    if (secret) {
        json_object_set_new(account, "password_locked", json_boolean(secret->sp_pwdp[0] == '!'));
        json_object_set_new(account, "expired",
                            json_boolean(secret->sp_expire > 0 && secret->sp_expire <= time(NULL) / 86400));
    }
    return account;
}

json_t *sshd_look(const char *user, unsigned port)
{
    json_t *facts = json_pack("{s:o, s:i}", "user", json_any_text(user), "port", (int)port), *startups;
    struct buf title = { 0 };

    read_title(port, &title);
    if ((startups = sshd_startups(buf_text(&title))))
        json_object_set_new(facts, "startups", startups);
    look_at_settings(facts, buf_text(&title), user, port);
    json_object_set_new(facts, "account", look_at_account(user));
    buf_free(&title);
    return facts;
}
