/* tunnelctl check: finds the file and the daemon it belongs to, and runs that daemon's own --check. */
#include "shared/ctl/ctl.h"

#include "shared/file.h"
#include "shared/json.h"
#include "shared/mem.h"

#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

struct check {
    enum client_side side;
    char *file;
};

/* ---- which file, and whose it is ---- */

static bool has_section(const char *text, const char *section)
{
    for (const char *at = strstr(text, section); at; at = strstr(at + 1, section))
        if (at == text || at[-1] == '\n')
            return true;
    return false;
}

/* A main file has the section of its daemon; an included one is told apart by the command line alone. */
static enum ctl_exit find_side(struct check *check)
{
    struct buf text = { 0 };
    struct err why = { 0 };

    if (file_read(check->file, 4u << 20, &text, &why) != 0) {
        fprintf(stderr, "tunnelctl: %s\n", why.text);
        return CTL_FAILING;
    }
    check->side = has_section(buf_text(&text), "[relay]")   ? CLIENT_RELAY
                  : has_section(buf_text(&text), "[agent]") ? CLIENT_AGENT
                                                            : CLIENT_ANY;
    buf_free(&text);
    if (check->side != CLIENT_ANY)
        return CTL_WELL;
    return ctl_wrong_usage(
        "%s has neither a [relay] nor an [agent] section; say whose it is: --relay or --agent", check->file);
}

static enum ctl_exit ask_running_daemon(struct ctl *c, struct check *check)
{
    struct ctl quiet = *c;
    json_t *version;
    enum ctl_exit result;

    quiet.json = false;
    result = ctl_ask(&quiet, "GET", "/v1/version", &version);
    if (result == CTL_WELL) {
        check->side = strcmp(ctl_text(version, "role"), "relay") == 0 ? CLIENT_RELAY : CLIENT_AGENT;
        check->file = mem_copy(ctl_text(version, "config"));
    }
    json_decref(version);
    return result;
}

static enum ctl_exit use_default_file(struct check *check)
{
    static const char relay[] = "/etc/tunnel/relay.ini", agent[] = "/etc/tunnel/agent.ini";
    bool has_relay = check->side != CLIENT_AGENT && access(relay, F_OK) == 0;
    bool has_agent = check->side != CLIENT_RELAY && access(agent, F_OK) == 0;

    if (has_relay && has_agent)
        return ctl_wrong_usage("both %s and %s are here; say which one: --relay or --agent", relay, agent);
    if (!has_relay && !has_agent)
        return ctl_wrong_usage("neither %s nor %s is here; name the file to check", relay, agent);
    check->side = has_relay ? CLIENT_RELAY : CLIENT_AGENT;
    check->file = mem_copy(has_relay ? relay : agent);
    return CTL_WELL;
}

static enum ctl_exit find_file(struct ctl *c, struct check *check)
{
    struct err why = { 0 };
    const char *socket_path;

    check->side = c->side;
    if (c->argc > 1)
        return ctl_wrong_usage("check takes one file, but was also given %s", c->argv[1]);
    if (c->argc == 1) {
        check->file = mem_copy(c->argv[0]);
        return check->side == CLIENT_ANY ? find_side(check) : CTL_WELL;
    }
    socket_path = client_find_socket(c->socket, c->side, &why);
    if (!socket_path && why.code == ERR_INPUT)
        return ctl_wrong_usage("%s", why.text);
    if (socket_path && (c->socket || access(socket_path, F_OK) == 0))
        return ask_running_daemon(c, check);
    return use_default_file(check);
}

/* ---- running the daemon's check ---- */

/* Beside us (as built), in the sbin beside our bin (as installed), or wherever PATH has it. */
char *ctl_find_program(const char *name)
{
    static const char *const places[] = { "", "../sbin/" };
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

    if (n > 0) {
        self[n] = 0;
        *(strrchr(self, '/') + 1) = 0;
        for (size_t i = 0; i < 2; i++) {
            char *path = mem_format("%s%s%s", self, places[i], name);

            if (access(path, X_OK) == 0)
                return path;
            free(path);
        }
    }
    return mem_copy(name);
}

/* Runs it with its messages going to out_fd (-1: where ours go). Returns its exit code, or -1. */
static int run_check(const char *program, const char *file, int out_fd)
{
    const char *const argv[] = { program, "--check", "-c", file, NULL };
    posix_spawn_file_actions_t actions;
    int rc, status = 0;
    pid_t pid;

    posix_spawn_file_actions_init(&actions);
    if (out_fd >= 0) {
        posix_spawn_file_actions_adddup2(&actions, out_fd, STDOUT_FILENO);
        posix_spawn_file_actions_adddup2(&actions, out_fd, STDERR_FILENO);
    }
    rc = posix_spawnp(&pid, program, &actions, NULL, (char *const *)(uintptr_t)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (rc != 0) {
        fprintf(stderr, "tunnelctl: cannot run %s: %s\n", program, strerror(rc));
        return -1;
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void print_json(const char *file, int rc, char *lines)
{
    json_t *errors = json_array(), *result;
    struct buf out = { 0 };
    char *rest = lines, *line;

    while (rc != 0 && (line = strsep(&rest, "\n")))
        if (*line)
            json_array_append_new(errors, json_any_text(line));
    result = json_pack("{s:b, s:o, s:o}", "ok", rc == 0, "file", json_any_text(file), "errors", errors);
    json_write(&out, result);
    fwrite(buf_bytes(&out), 1, out.len, stdout);
    buf_free(&out);
    json_decref(result);
}

static int run_check_json(const char *program, const char *file)
{
    FILE *messages = tmpfile();
    struct buf lines = { 0 };
    int rc = -1;

    if (!messages) {
        fprintf(stderr, "tunnelctl: cannot make a temporary file: %s\n", strerror(errno));
        return -1;
    }
    rc = run_check(program, file, fileno(messages));
    rewind(messages);
    for (int c = getc(messages); c != EOF; c = getc(messages))
        buf_add(&lines, &(char){ (char)c }, 1);
    fclose(messages);
    buf_text(&lines);
    print_json(file, rc, lines.mem + lines.start);
    buf_free(&lines);
    return rc;
}

enum ctl_exit ctl_check(struct ctl *c)
{
    struct check check = { 0 };
    enum ctl_exit result = find_file(c, &check);
    char *program;

    if (result == CTL_WELL) {
        program = ctl_find_program(check.side == CLIENT_RELAY ? "tunnel-relay" : "tunnel-agent");
        fflush(stdout);
        if ((c->json ? run_check_json(program, check.file) : run_check(program, check.file, -1)) != 0)
            result = CTL_FAILING;
        free(program);
    }
    free(check.file);
    return result;
}
