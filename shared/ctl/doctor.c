/* tunnelctl doctor: what can be seen from here (configuration, sshd, who answers), then what the daemon finds from where it is. */
#include "shared/buf.h"
#include "shared/ctl/bare_look.h"
#include "shared/ctl/capture.h"
#include "shared/ctl/ctl.h"
#include "shared/ctl/place.h"
#include "shared/ctl/sshd_look.h"
#include "shared/doctor/bare.h"
#include "shared/doctor/configuration.h"
#include "shared/doctor/host.h"
#include "shared/doctor/records.h"
#include "shared/doctor/sshd.h"
#include "shared/doctor/steps.h"
#include "shared/doctor/visit.h"
#include "shared/file.h"
#include "shared/json.h"
#include "shared/mem.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SSH_PORT = 22 };

#define RELAY_INI       "/etc/tunnel/relay.ini"
#define AGENT_INI       "/etc/tunnel/agent.ini"
#define LANE_USER       "tunnel"
#define RELAY_STATE_DIR "/var/lib/tunnel-relay"

struct visit_here {
    struct ctl *ctl;
    struct steps steps;
    const char *socket; /* NULL: none is there */
    json_t *version;    /* NULL: no daemon answers */
    bool relay;
};

/* ---- the daemon, and its configuration ---- */

/* NULL with the reason. */
static json_t *ask(const struct visit_here *v, const char *path, int patience_s, int *status, struct err *e)
{
    const struct buf nothing = { 0 };
    struct buf reply = { 0 };
    json_t *json = NULL;

    *status = client_tell(v->socket, "GET", path, &nothing, patience_s, &reply, e);
    if (*status > 0)
        json = json_read(buf_bytes(&reply), reply.len, e);
    buf_free(&reply);
    return json;
}

static void say_no_daemon(struct visit_here *v, const char *why)
{
    const char *program = v->ctl->side == CLIENT_RELAY   ? "tunnel-relay"
                          : v->ctl->side == CLIENT_AGENT ? "tunnel-agent"
                                                         : "the daemon";

    steps_add(&v->steps, "daemon", STEP_FAIL, "%s does not run: %s", program, why);
    steps_remedy(
        &v->steps,
        "systemctl start %s; if it does not stay: journalctl -n 20 -u %s; systemctl is-active says who "
        "runs. A daemon with a socket of its own is named by --socket",
        v->ctl->side == CLIENT_AGENT ? "tunnel-agent" : "tunnel-relay",
        v->ctl->side == CLIENT_AGENT ? "tunnel-agent" : "tunnel-relay");
}

/* Whether it runs is not known then. */
static void say_not_allowed(struct visit_here *v)
{
    steps_add(&v->steps, "daemon", STEP_FAIL, "this user may not use %s", v->socket);
    steps_remedy(&v->steps, "run this with sudo, or as one of the group tunnel-admin");
}

/* One that runs with another socket than the one that was asked. */
static void say_who_runs(struct visit_here *v)
{
    DIR *proc = opendir("/proc");
    const struct dirent *entry;

    while (proc && (entry = readdir(proc))) {
        char *path = mem_format("/proc/%s/comm", entry->d_name);
        struct buf name = { 0 };

        if (isdigit((unsigned char)entry->d_name[0]) && file_read(path, 64, &name, NULL) == 0 &&
            (strcmp(buf_text(&name), "tunnel-relay\n") == 0 ||
             strcmp(buf_text(&name), "tunnel-agent\n") == 0)) {
            steps_add(&v->steps, "daemon", STEP_WARN, "%.12s runs as pid %s, but does not answer here",
                      buf_text(&name), entry->d_name);
            steps_remedy(&v->steps,
                         "name its control_socket: tunnelctl --socket PATH doctor (tr '\\0' ' ' < "
                         "/proc/%s/cmdline says which file it has read)",
                         entry->d_name);
        }
        buf_free(&name);
        free(path);
    }
    if (proc)
        closedir(proc);
}

/* CTL_USAGE: it has to be said which daemon is meant. */
static enum ctl_exit find_daemon(struct visit_here *v)
{
    struct err why = { 0 };
    int status;

    v->socket = client_find_socket(v->ctl->socket, v->ctl->side, &why);
    if (!v->socket && why.code == ERR_INPUT)
        return ctl_wrong_usage("%s", why.text);
    v->version = v->socket ? ask(v, "/v1/version", CLIENT_PATIENCE_S, &status, &why) : NULL;
    if (v->version) {
        v->relay = strcmp(ctl_text(v->version, "role"), "relay") == 0;
        steps_add(&v->steps, "daemon", STEP_PASS, "%s %s runs", ctl_text(v->version, "program"),
                  ctl_text(v->version, "version"));
    } else {
        v->relay =
            v->ctl->side == CLIENT_RELAY || (v->ctl->side == CLIENT_ANY && access(RELAY_INI, F_OK) == 0);
        if (v->socket && access(v->socket, W_OK) != 0 && errno == EACCES) {
            say_not_allowed(v);
        } else {
            say_no_daemon(v, why.text);
            say_who_runs(v);
        }
    }
    return CTL_WELL;
}

static void check_configuration(struct visit_here *v)
{
    const char *file = v->version ? ctl_text(v->version, "config") : v->relay ? RELAY_INI : AGENT_INI;
    char *program = ctl_find_program(v->relay ? "tunnel-relay" : "tunnel-agent");
    const char *const argv[] = { program, "--check", "-c", file, NULL };
    struct buf out = { 0 };
    int rc;

    if (!v->version && access(file, F_OK) != 0) {
        steps_add(&v->steps, "configuration", STEP_FAIL, "neither " RELAY_INI " nor " AGENT_INI " is here");
        steps_remedy(&v->steps,
                     "install the package, or tunnelctl doctor --before on a machine that is to become one");
        free(program);
        return;
    }
    rc = capture(argv, &out);
    if (rc == 0 || rc == 1)
        configuration_judge(&v->steps, file, rc == 0 ? "" : buf_text(&out), v->version != NULL);
    else
        steps_add(&v->steps, "configuration", STEP_WARN, "%s was not checked: %s cannot be run here", file,
                  program);
    buf_free(&out);
    free(program);
}

/* ---- sshd ---- */

/* As whom agents log in: without the usual user, it is the relay's own. */
static char *lane_user(const struct visit_here *v, const json_t *config)
{
    const char *named = config ? ctl_option(config, "relay", "", "lane_user") : LANE_USER;
    const struct passwd *own;
    struct stat st;

    if (getpwnam(named) || !v->socket || stat(v->socket, &st) != 0 || !(own = getpwuid(st.st_uid)))
        return mem_copy(named);
    return mem_copy(own->pw_name);
}

/* Each once: for these, sshd may have settings of their own. */
static json_t *agents_addresses(const struct visit_here *v)
{
    struct err why = { 0 };
    int status;
    json_t *all = ask(v, "/v1/status", CLIENT_PATIENCE_S, &status, &why), *list = json_array();
    const json_t *lane;
    size_t i;

    json_array_foreach(json_object_get(all, "lanes"), i, lane)
    {
        const char *from = ctl_text(lane, "seen_from");

        if (*from && !records_have(list, from))
            json_array_append_new(list, json_any_text(from));
    }
    json_decref(all);
    return list;
}

static void check_sshd(struct visit_here *v)
{
    struct err why = { 0 };
    int status;
    json_t *config = v->version ? ask(v, "/v1/config", CLIENT_PATIENCE_S, &status, &why) : NULL, *facts,
           *addresses;
    char *user = lane_user(v, config);
    long port = config ? strtol(ctl_option(config, "relay", "", "ssh_port"), NULL, 10) : SSH_PORT;

    addresses = v->version ? agents_addresses(v) : json_array();
    facts = sshd_look(user, port > 0 ? (unsigned)port : SSH_PORT,
                      config ? ctl_option(config, "relay", "", "state_dir") : RELAY_STATE_DIR, addresses);
    sshd_judge(&v->steps, facts);
    json_decref(addresses);
    json_decref(facts);
    json_decref(config);
    free(user);
}

/* ---- what the daemon finds ---- */

static enum ctl_exit ask_doctor(struct visit_here *v, const char *domain)
{
    char *path = mem_format("/v1/doctor%s%s", *domain ? "?domain=" : "", domain);
    enum ctl_exit result = CTL_WELL;
    struct err why = { 0 };
    int status;
    json_t *reply = ask(v, path, VISIT_ANSWER_S, &status, &why);

    if (reply && status == 200) {
        json_array_extend(v->steps.list, json_object_get(reply, "steps"));
    } else if (reply) {
        ctl_say(stderr, "tunnelctl: %s", ctl_text(reply, "error"));
        result = CTL_FAILING;
    } else {
        steps_add(&v->steps, "daemon", STEP_FAIL, "it does not say what it finds: %s", why.text);
        steps_remedy(&v->steps, "tunnelctl status; journalctl -n 20 -u tunnel-%s",
                     v->relay ? "relay" : "agent");
    }
    json_decref(reply);
    free(path);
    return result;
}

/* ---- printing ---- */

static const char *colour_of(const struct ctl *c, const char *state)
{
    if (!c->colour)
        return "";
    return strcmp(state, "fail") == 0 ? "\033[31m" : strcmp(state, "warn") == 0 ? "\033[33m" : "\033[32m";
}

static const char *state_of(const json_t *step)
{
    const char *state = ctl_text(step, "state");

    return strcmp(state, "pass") == 0 ? "pass" : strcmp(state, "warn") == 0 ? "warn" : "fail";
}

static void print_step(const struct ctl *c, const json_t *step, const char *about)
{
    const char *state = state_of(step), *remedy = ctl_text(step, "remedy");

    if (strcmp(ctl_text(step, "about"), about) != 0)
        ctl_say(stdout, "%s", *ctl_text(step, "about") ? ctl_text(step, "about") : "this machine");
    printf("  %s%s%s  ", colour_of(c, state), state, c->colour ? "\033[0m" : "");
    ctl_say(stdout, "%s: %s", ctl_text(step, "step"), ctl_text(step, "text"));
    if (*remedy)
        ctl_say(stdout, "        remedy: %s", remedy);
}

static void print_steps(const struct ctl *c, const json_t *list)
{
    const char *about = "\n"; /* nothing is about that */
    size_t i, failed = 0, warned = 0;
    const json_t *step;

    json_array_foreach(list, i, step)
    {
        print_step(c, step, about);
        about = ctl_text(step, "about");
        failed += strcmp(ctl_text(step, "state"), "fail") == 0;
        warned += strcmp(ctl_text(step, "state"), "warn") == 0;
    }
    if (failed + warned == 0)
        printf("all is well\n");
    else
        printf("%zu of %zu steps fail, %zu to be seen to\n", failed, json_array_size(list), warned);
}

static enum ctl_exit report(const struct visit_here *v)
{
    enum step_state worst = steps_worst(v->steps.list);
    struct buf out = { 0 };
    json_t *all;

    if (v->ctl->json) {
        all = json_pack("{s:s, s:s, s:s, s:O}", "role", v->relay ? "relay" : "agent", "version",
                        TUNNEL_VERSION, "state", step_state_text(worst), "steps", v->steps.list);
        json_write(&out, all);
        fwrite(buf_bytes(&out), 1, out.len, stdout);
        buf_free(&out);
        json_decref(all);
    } else {
        print_steps(v->ctl, v->steps.list);
    }
    return worst == STEP_FAIL ? CTL_FAILING : CTL_WELL;
}

/* ---- the command ---- */

/* "" when sshd's configuration names the usual one, among others or alone, or nothing is known of it. */
static const char *other_port(const char *ports)
{
    return strtol(ports, NULL, 10) == SSH_PORT || strchr(ports, ' ') ? "" : ports;
}

static enum ctl_exit before(struct visit_here *v)
{
    json_t *facts, *sshd = NULL;

    v->relay = v->ctl->side != CLIENT_AGENT;
    facts = bare_look(v->relay);
    if (v->relay) {
        sshd = sshd_look(LANE_USER, SSH_PORT, RELAY_STATE_DIR, NULL);
        json_object_set_new(sshd, "bare", json_true());
        json_object_set_new(facts, "other_ssh_port",
                            json_any_text(other_port(fact_text(json_object_get(sshd, "settings"), "port"))));
    }
    host_judge(&v->steps, facts);
    bare_judge(&v->steps, facts);
    if (sshd)
        sshd_judge(&v->steps, sshd);
    json_decref(facts);
    json_decref(sshd);
    return report(v);
}

static enum ctl_exit here(struct visit_here *v, const char *domain)
{
    enum ctl_exit result = find_daemon(v);

    if (result != CTL_WELL)
        return result;
    check_configuration(v);
    if (v->relay)
        check_sshd(v);
    if (v->version)
        result = ask_doctor(v, domain);
    if (result != CTL_WELL)
        return result;
    result = report(v);
    return v->version ? result : CTL_NO_DAEMON;
}

enum ctl_exit ctl_doctor(struct ctl *c)
{
    struct visit_here v = { .ctl = c, .steps = { json_array(), "" } };
    char domain[DOMAIN_BYTES] = "";
    enum ctl_exit result;

    if (c->argc > 1)
        result = ctl_wrong_usage("doctor takes one DOMAIN, but was also given %s", c->argv[1]);
    else if (c->before && c->argc > 0)
        result = ctl_wrong_usage("doctor --before takes no DOMAIN: nothing is set up then");
    else if (c->argc == 1 && !ctl_site_name(c->argv[0], domain))
        result =
            ctl_wrong_usage("doctor takes the name of a site, such as a.com, and %s is none", c->argv[0]);
    else
        result = c->before ? before(&v) : here(&v, domain);
    json_decref(v.steps.list);
    json_decref(v.version);
    return result;
}
