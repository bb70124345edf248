#include "shared/doctor/sshd.h"

#include "shared/json.h"
#include "shared/mem.h"

#include <ctype.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- reading ---- */

static void add_setting(json_t *settings, const char *key, const char *value)
{
    const char *before = fact_text(settings, key);
    char *both = mem_format("%s%s%s", before, *before ? " " : "", value);

    json_object_set_new(settings, key, json_any_text(both));
    free(both);
}

json_t *sshd_settings(const char *text)
{
    json_t *settings = json_object();
    char *copy = mem_copy(text), *rest = copy, *line;

    while ((line = strsep(&rest, "\n"))) {
        char *value = line + strcspn(line, " ");

        if (*value)
            *value++ = 0;
        for (char *p = line; *p; p++)
            *p = (char)tolower((unsigned char)*p);
        if (*line)
            add_setting(settings, line, value);
    }
    free(copy);
    return settings;
}

json_t *sshd_startups(const char *title)
{
    const char *at = strstr(title, " [listener] ");
    unsigned now, begin, full;

    if (!at || sscanf(at, " [listener] %u of %u-%u startups", &now, &begin, &full) != 3)
        return NULL;
    return json_pack("{s:i, s:i, s:i}", "now", (int)now, "begin", (int)begin, "full", (int)full);
}

/* ---- judging ---- */

struct view {
    const json_t *facts, *settings;
    const char *user;
};

static bool is_set(const struct view *v, const char *key, const char *value)
{
    return strcasecmp(fact_text(v->settings, key), value) == 0;
}

static void fail_setting(struct steps *s, const struct view *v, const char *what, const char *remedy)
{
    steps_add(s, "sshd settings", STEP_FAIL, "%s, so agents, who log in as %s, cannot have their tunnel",
              what, v->user);
    steps_remedy(s,
                 "put into the Match User %s of sshd_config.d/tunnel.conf: %s; then sshd -t && systemctl "
                 "reload ssh",
                 v->user, remedy);
}

static void judge_forwarding(struct steps *s, const struct view *v)
{
    const char *listen = fact_text(v->settings, "permitlisten");

    if (is_set(v, "allowtcpforwarding", "no") || is_set(v, "allowtcpforwarding", "local"))
        fail_setting(s, v,
                     is_set(v, "allowtcpforwarding", "no") ? "AllowTcpForwarding is no"
                                                           : "AllowTcpForwarding is local",
                     "AllowTcpForwarding remote");
    if (*listen && strcmp(listen, "any") != 0 && !strstr(listen, "127.0.0.1:*") && !strstr(listen, "*:*") &&
        !strstr(listen, "localhost:*"))
        fail_setting(s, v, "PermitListen does not have 127.0.0.1:*", "PermitListen 127.0.0.1:*");
    if (is_set(v, "maxsessions", "0"))
        fail_setting(s, v, "MaxSessions is 0", "MaxSessions 1");
}

static void judge_keys(struct steps *s, const struct view *v)
{
    const char *methods = fact_text(v->settings, "authenticationmethods");

    if (is_set(v, "pubkeyauthentication", "no"))
        fail_setting(s, v, "PubkeyAuthentication is no", "PubkeyAuthentication yes");
    if (*methods && strcmp(methods, "any") != 0 && strcmp(methods, "publickey") != 0)
        fail_setting(s, v, "AuthenticationMethods asks for more than a key",
                     "AuthenticationMethods publickey");
    if (is_set(v, "authorizedkeysfile", "none") &&
        !strstr(fact_text(v->settings, "authorizedkeyscommand"), "tunnel-lane"))
        fail_setting(s, v,
                     "nobody says which keys may log in (AuthorizedKeysFile none, no AuthorizedKeysCommand)",
                     "the lines that sshd-drop-in prints");
}

/* ---- who may log in ---- */

/* Patterns as in AllowUsers: * and ?; of USER@HOST the host is not known here, so it may be the agent's. */
static bool has_pattern(const char *list, const char *name)
{
    char *copy = mem_copy(list), *rest = copy, *word;
    bool found = false;

    while (!found && (word = strsep(&rest, " "))) {
        char *at = strrchr(word, '@');

        if (at)
            *at = 0;
        found = *word && fnmatch(word, name, 0) == 0;
    }
    free(copy);
    return found;
}

static bool has_group(const char *list, const json_t *groups)
{
    const json_t *group;
    size_t i;

    json_array_foreach(groups, i, group)
    {
        if (has_pattern(list, json_string_value(group)))
            return true;
    }
    return false;
}

static void judge_lists(struct steps *s, const struct view *v)
{
    const json_t *groups = json_object_get(json_object_get(v->facts, "account"), "groups");
    const char *users = fact_text(v->settings, "allowusers"), *in = fact_text(v->settings, "allowgroups");
    const char *not_users = fact_text(v->settings, "denyusers"), *out = fact_text(v->settings, "denygroups");

    if (*users && !has_pattern(users, v->user)) {
        steps_add(s, "sshd settings", STEP_FAIL, "AllowUsers (%s) is without %s, so no agent can log in",
                  users, v->user);
        steps_remedy(s, "add %s to AllowUsers in /etc/ssh/sshd_config; then sshd -t && systemctl reload ssh",
                     v->user);
    }
    if (*in && !has_group(in, groups)) {
        steps_add(s, "sshd settings", STEP_FAIL,
                  "AllowGroups (%s) has no group of %s, so no agent can log in", in, v->user);
        steps_remedy(s,
                     "add the group %s to AllowGroups in /etc/ssh/sshd_config; then sshd -t && systemctl "
                     "reload ssh",
                     v->user);
    }
    if (has_pattern(not_users, v->user) || (*out && has_group(out, groups))) {
        steps_add(s, "sshd settings", STEP_FAIL, "DenyUsers or DenyGroups has %s, so no agent can log in",
                  v->user);
        steps_remedy(s, "take it out there in /etc/ssh/sshd_config; then sshd -t && systemctl reload ssh");
    }
}

static void judge_account(struct steps *s, const struct view *v)
{
    const json_t *account = json_object_get(v->facts, "account");
    const char *shell = fact_text(account, "shell");

    if (!json_is_true(json_object_get(account, "there"))) {
        steps_add(s, "account", STEP_FAIL, "there is no user %s, as whom agents log in", v->user);
        steps_remedy(s, "systemd-sysusers tunnel-relay.conf makes it; or: useradd -r -s /bin/sh %s", v->user);
    } else if (json_is_true(json_object_get(account, "password_locked")) && !is_set(v, "usepam", "yes")) {
        steps_add(s, "account", STEP_FAIL,
                  "the account %s is locked (its password begins with !), and sshd "
                  "without UsePAM lets no such one in",
                  v->user);
        steps_remedy(s, "usermod -p '*' %s: no password fits, and keys do", v->user);
    } else if (json_is_true(json_object_get(account, "expired"))) {
        steps_add(s, "account", STEP_FAIL, "the account %s is locked: it has expired", v->user);
        steps_remedy(s, "chage -E -1 %s", v->user);
    } else if (strstr(shell, "nologin") || strstr(shell, "/false") ||
               json_is_false(json_object_get(account, "shell_there"))) {
        steps_add(s, "account", STEP_FAIL, "the shell of %s is %s, so its key's command cannot run", v->user,
                  shell);
        steps_remedy(s, "usermod -s /bin/sh %s", v->user);
    } else {
        steps_add(s, "account", STEP_PASS, "%s can log in", v->user);
    }
}

/* ---- how many, how long ---- */

static void judge_startups(struct steps *s, const struct view *v)
{
    const json_t *startups = json_object_get(v->facts, "startups");
    long long now = (long long)fact_number(startups, "now", 0),
              begin = (long long)fact_number(startups, "begin", 0);

    if (!startups || now < begin || begin == 0)
        return;
    steps_add(
        s, "sshd settings", STEP_FAIL,
        "MaxStartups is reached: %lld callers have not logged in yet, and from %lld on sshd turns others "
        "away",
        now, begin);
    steps_remedy(s, "raise it (MaxStartups 100:30:200 in sshd_config, outside of any Match), and see who is "
                    "knocking: ss -tn sport = :22");
}

static void judge_alive(struct steps *s, const struct view *v)
{
    if (!is_set(v, "clientaliveinterval", "0"))
        return;
    steps_add(
        s, "sshd settings", STEP_WARN,
        "ClientAliveInterval is unset, so sshd keeps sessions of a house that is gone, with their ports");
    steps_remedy(s,
                 "put into the Match User %s of sshd_config.d/tunnel.conf: ClientAliveInterval 15 and "
                 "ClientAliveCountMax 3",
                 v->user);
}

/* What the drop-in sets for its user. */
static void judge_dropped_in(struct steps *s, const struct view *v)
{
    judge_forwarding(s, v);
    judge_keys(s, v);
    judge_alive(s, v);
}

/* What it leaves to the rest of the configuration. */
static void judge_whole(struct steps *s, const struct view *v)
{
    const char *forced = fact_text(v->settings, "forcecommand");

    if (is_set(v, "disableforwarding", "yes"))
        fail_setting(s, v, "DisableForwarding is yes", "DisableForwarding no");
    if (*forced && strcmp(forced, "none") != 0 && !strstr(forced, "tunnel-lane"))
        fail_setting(s, v, "ForceCommand runs something else than tunnel-lane", "ForceCommand none");
}

void sshd_judge(struct steps *s, const json_t *facts)
{
    const struct view v = { facts, json_object_get(facts, "settings"), fact_text(facts, "user") };
    bool bare = json_is_true(json_object_get(facts, "bare"));
    size_t before = json_array_size(s->list);

    if (!json_is_object(v.settings)) {
        steps_add(s, "sshd settings", STEP_WARN, "cannot tell what sshd would do: %s",
                  fact_text(facts, "settings_why"));
        steps_remedy(s,
                     "run this as root; is openssh-server installed, and its configuration well (sshd -t)?");
    } else {
        judge_whole(s, &v);
        if (!bare)
            judge_dropped_in(s, &v);
        judge_lists(s, &v);
        judge_startups(s, &v);
        if (json_array_size(s->list) == before)
            steps_add(s, "sshd settings", STEP_PASS, "agents get what they need as %s", v.user);
    }
    if (!bare)
        judge_account(s, &v);
}
