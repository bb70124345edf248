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
    const char *from; /* whose sessions these settings are for: "" those of anybody */
};

static bool is_set(const struct view *v, const char *key, const char *value)
{
    return strcasecmp(fact_text(v->settings, key), value) == 0;
}

static void fail_setting(struct steps *s, const struct view *v, const char *what, const char *remedy)
{
    steps_add(s, "sshd settings", STEP_FAIL, "%s%s, so agents, who log in as %s, cannot have their tunnel",
              what, v->from, v->user);
    steps_remedy(s,
                 "put into the Match User %s of sshd_config.d/tunnel.conf: %s; then sshd -t && systemctl "
                 "reload ssh",
                 v->user, remedy);
}

/* OpenSSH 9.2 and later; by default channels may be idle for ever. */
static void judge_channels(struct steps *s, const struct view *v)
{
    const char *timeout = fact_text(v->settings, "channeltimeout");

    if (!strstr(timeout, "session") && !strstr(timeout, "forwarded-tcpip") && !strchr(timeout, '*'))
        return;
    steps_add(s, "sshd settings", STEP_WARN,
              "ChannelTimeout is %s%s, so sshd ends lanes and connections that are idle so long", timeout,
              v->from);
    steps_remedy(
        s,
        "put into the Match User %s of sshd_config.d/tunnel.conf: ChannelTimeout none; then sshd -t && "
        "systemctl reload ssh",
        v->user);
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
    if (is_set(v, "gatewayports", "yes")) {
        steps_add(
            s, "sshd settings", STEP_WARN,
            "GatewayPorts is yes%s, so the tunnels' ports are open to the network, not on loopback alone",
            v->from);
        steps_remedy(
            s,
            "put into the Match User %s of sshd_config.d/tunnel.conf: GatewayPorts no; then sshd -t && "
            "systemctl reload ssh",
            v->user);
    }
}

/* Patterns as sshd has them. */
static bool has_word(const char *list, const char *separators, const char *name)
{
    char *copy = mem_copy(list), *rest = copy, *word;
    bool found = false;

    while (!found && (word = strsep(&rest, separators)))
        found = *word && fnmatch(word, name, 0) == 0;
    free(copy);
    return found;
}

/* The files of AuthorizedKeysFile are somebody's own, and may be well; without one that has agents' keys nobody gets in. */
static void judge_key_source(struct steps *s, const struct view *v)
{
    const char *command = fact_text(v->settings, "authorizedkeyscommand"),
               *wrong = fact_text(v->facts, "keys_command_wrong");

    if (strstr(command, "tunnel-lane") && *wrong) {
        steps_add(s, "sshd settings", STEP_FAIL, "sshd does not run its AuthorizedKeysCommand (%s): %s",
                  command, wrong);
        steps_remedy(
            s, "install tunnel-relay again; the program and the folders above it have to be root's, and "
               "to be written by root alone");
    } else if (strstr(command, "tunnel-lane")) {
        return;
    } else if (is_set(v, "authorizedkeysfile", "none")) {
        fail_setting(s, v,
                     "nobody says which keys may log in (AuthorizedKeysFile none, no AuthorizedKeysCommand)",
                     "the lines that sshd-drop-in prints");
    } else if (json_is_false(json_object_get(v->facts, "keys_file"))) {
        steps_add(
            s, "sshd settings", STEP_FAIL,
            "sshd does not ask tunnel-lane which keys may log in%s, and no file that it reads instead (%s) has "
            "the key of an agent",
            v->from, fact_text(v->settings, "authorizedkeysfile"));
        steps_remedy(
            s, "does /etc/ssh/sshd_config have the line Include /etc/ssh/sshd_config.d/*.conf, before any "
               "Match, and is tunnel.conf in that folder (sshd-drop-in prints it)? then sshd -t && "
               "systemctl reload ssh");
    }
}

static void judge_keys(struct steps *s, const struct view *v)
{
    const char *methods = fact_text(v->settings, "authenticationmethods");

    if (is_set(v, "pubkeyauthentication", "no"))
        fail_setting(s, v, "PubkeyAuthentication is no", "PubkeyAuthentication yes");
    if (*methods && strcmp(methods, "any") != 0 && !has_word(methods, " ", "publickey"))
        fail_setting(s, v, "AuthenticationMethods asks for more than a key",
                     "AuthenticationMethods publickey");
    judge_key_source(s, v);
}

/* ---- what both ends have to speak ---- */

/* libssh2's: what that of Debian 12 speaks, and what newer ones do besides. */
static const struct {
    const char *key, *option;
    const char *any[9], *newer[5];
    const char *add;
} algorithms[] = {
    { "kexalgorithms",
      "KexAlgorithms",
      { "curve25519-sha256", "curve25519-sha256@libssh.org", "ecdh-sha2-nistp256", "ecdh-sha2-nistp384",
        "ecdh-sha2-nistp521", "diffie-hellman-group16-sha512", "diffie-hellman-group18-sha512",
        "diffie-hellman-group-exchange-sha256" },
      { 0 },
      "curve25519-sha256" },
    { "ciphers",
      "Ciphers",
      { "aes128-ctr", "aes192-ctr", "aes256-ctr" },
      { "aes128-gcm@openssh.com", "aes256-gcm@openssh.com" },
      "aes256-ctr" },
    { "macs",
      "MACs",
      { "hmac-sha2-256", "hmac-sha2-512" },
      { "hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com" },
      "hmac-sha2-256" },
    { "hostkeyalgorithms", "HostKeyAlgorithms", { "ssh-ed25519" }, { 0 }, "ssh-ed25519" },
};

static bool has_one(const char *list, const char *const *names)
{
    for (; *names; names++)
        if (has_word(list, ",", *names))
            return true;
    return false;
}

static void judge_algorithms(struct steps *s, const struct view *v)
{
    for (size_t i = 0; i < sizeof algorithms / sizeof algorithms[0]; i++) {
        const char *list = fact_text(v->settings, algorithms[i].key), *option = algorithms[i].option;
        bool newer = has_one(list, algorithms[i].newer);

        if (!*list || has_one(list, algorithms[i].any))
            continue;
        steps_add(s, "sshd settings", newer ? STEP_WARN : STEP_FAIL,
                  "%s (%s) has nothing that agents%s speak", option, list, newer ? " of Debian 12" : "");
        steps_remedy(
            s, "add %s to %s in sshd_config, outside of any Match; then sshd -t && systemctl reload ssh",
            algorithms[i].add, option);
    }
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
    bool pam = is_set(v, "usepam", "yes"), root = strcmp(v->user, "root") == 0;

    if (!json_is_true(json_object_get(account, "there"))) {
        steps_add(s, "account", STEP_FAIL, "there is no user %s, as whom agents log in", v->user);
        steps_remedy(s, "systemd-sysusers tunnel-relay.conf makes it; or: useradd -r -s /bin/sh %s", v->user);
    } else if (json_is_true(json_object_get(account, "password_locked")) && !pam) {
        steps_add(s, "account", STEP_FAIL,
                  "the account %s is locked (its password begins with !), and sshd "
                  "without UsePAM lets no such one in",
                  v->user);
        steps_remedy(s, "usermod -p '*' %s: no password fits, and keys do", v->user);
    } else if (json_is_true(json_object_get(account, "expired"))) {
        steps_add(s, "account", STEP_FAIL, "the account %s is locked: it has expired", v->user);
        steps_remedy(s, "chage -E -1 %s", v->user);
    } else if (json_is_true(json_object_get(account, "password_expired")) && pam) {
        steps_add(s, "account", STEP_FAIL,
                  "the password of %s has expired, and PAM lets nobody in before there is another one",
                  v->user);
        steps_remedy(s, "chage -M -1 -d $(date +%%F) %s: agents come by their keys, and need no password",
                     v->user);
    } else if (*fact_text(account, "nologin") && !root) {
        steps_add(s, "account", STEP_FAIL, "%s is there, so sshd lets nobody but root in",
                  fact_text(account, "nologin"));
        steps_remedy(s, "is this machine being started, or shut down? if it is not: rm %s",
                     fact_text(account, "nologin"));
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
    judge_channels(s, v);
    judge_keys(s, v);
    judge_alive(s, v);
}

/* What it leaves to the rest of the configuration. */
static void judge_whole(struct steps *s, const struct view *v)
{
    const char *forced = fact_text(v->settings, "forcecommand"),
               *chroot = fact_text(v->settings, "chrootdirectory"),
               *accepted = fact_text(v->settings, "pubkeyacceptedalgorithms");

    if (is_set(v, "disableforwarding", "yes"))
        fail_setting(s, v, "DisableForwarding is yes", "DisableForwarding no");
    if (*forced && strcmp(forced, "none") != 0 && !strstr(forced, "tunnel-lane"))
        fail_setting(s, v, "ForceCommand runs something else than tunnel-lane", "ForceCommand none");
    if (*chroot && strcmp(chroot, "none") != 0)
        fail_setting(s, v, "ChrootDirectory is set, and tunnel-lane is not in there", "ChrootDirectory none");
    if (*accepted && !has_word(accepted, ",", "ssh-ed25519"))
        fail_setting(s, v, "PubkeyAcceptedAlgorithms is without ssh-ed25519, which agents' keys are",
                     "PubkeyAcceptedAlgorithms +ssh-ed25519");
    if (strcmp(v->user, "root") == 0 && is_set(v, "permitrootlogin", "no"))
        fail_setting(s, v, "PermitRootLogin is no", "PermitRootLogin prohibit-password");
}

static bool has_failed(const json_t *list, size_t from)
{
    for (size_t i = from; i < json_array_size(list); i++)
        if (fact_is(json_array_get(list, i), "state", "fail"))
            return true;
    return false;
}

/* What Match blocks set for some addresses alone: of the first address that has something to fail by. */
static void judge_elsewhere(struct steps *s, const struct view *v, bool bare)
{
    const json_t *one;
    bool failed = false;
    size_t i;

    json_array_foreach(json_object_get(v->facts, "elsewhere"), i, one)
    {
        char *from = mem_format(" for who comes from %s (a Match block)", fact_text(one, "address"));
        const struct view there = { v->facts, json_object_get(one, "settings"), v->user, from };
        struct steps own = { json_array(), s->about };

        if (json_is_object(there.settings)) {
            judge_whole(&own, &there);
            if (!bare)
                judge_dropped_in(&own, &there);
        }
        if (!failed && has_failed(own.list, 0))
            json_array_extend(s->list, own.list);
        failed = failed || has_failed(own.list, 0);
        json_decref(own.list);
        free(from);
    }
}

/* sshd -T says of a file that it refuses which line that is. */
static void say_no_settings(struct steps *s, const char *why)
{
    bool broken = strstr(why, ": line ") || strstr(why, "bad configuration");

    steps_add(s, "sshd settings", broken ? STEP_FAIL : STEP_WARN, "%s: %s",
              broken ? "sshd refuses its configuration, and does not start again"
                     : "cannot tell what sshd would do",
              why);
    if (broken)
        steps_remedy(s, "mend that line; then sshd -t && systemctl restart ssh");
    else
        steps_remedy(s,
                     "run this as root; is openssh-server installed, and its configuration well (sshd -t)?");
}

void sshd_judge(struct steps *s, const json_t *facts)
{
    const struct view v = { facts, json_object_get(facts, "settings"), fact_text(facts, "user"), "" };
    bool bare = json_is_true(json_object_get(facts, "bare"));
    size_t before = json_array_size(s->list);

    if (!json_is_object(v.settings)) {
        say_no_settings(s, fact_text(facts, "settings_why"));
    } else {
        judge_whole(s, &v);
        if (!bare)
            judge_dropped_in(s, &v);
        judge_algorithms(s, &v);
        judge_lists(s, &v);
        if (!has_failed(s->list, before))
            judge_elsewhere(s, &v, bare);
        judge_startups(s, &v);
        if (json_array_size(s->list) == before)
            steps_add(s, "sshd settings", STEP_PASS, "agents get what they need as %s", v.user);
    }
    if (!bare)
        judge_account(s, &v);
}
