#include "relay/lanes/keys.h"

#include "shared/file.h"
#include "shared/mem.h"
#include "shared/ssh_key.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_SOCKET "/run/tunnel-relay/lane.sock"

/* Single quotes, unless the shell would take the text as one word anyway. */
static void add_word(struct buf *out, const char *text)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+,:@%";

    if (*text && strspn(text, plain) == strlen(text)) {
        buf_add_text(out, text);
        return;
    }
    buf_add(out, "'", 1);
    for (const char *p = text; *p; p++)
        if (*p == '\'')
            buf_add_text(out, "'\\''");
        else
            buf_add(out, p, 1);
    buf_add(out, "'", 1);
}

/* The tunnel-lane that was built or installed with this program. */
static void add_own_command(struct buf *out)
{
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    char *beside = NULL, *slash;

    if (n > 0) {
        self[n] = 0;
        slash = strrchr(self, '/');
        *slash = 0;
        beside = mem_format("%s/tunnel-lane", self);
    }
    add_word(out, beside && access(beside, X_OK) == 0 ? beside : TUNNEL_LIBEXEC "/tunnel-lane");
    free(beside);
}

static void add_command(struct buf *out, const struct relay_conf *relay, const char *agent)
{
    buf_add_text(out, "exec "); /* or a shell stays in between */
    if (*relay->lane_command)
        buf_add_text(out, relay->lane_command);
    else
        add_own_command(out);
    buf_printf(out, " %s", agent);
    if (strcmp(relay->lane_socket, DEFAULT_SOCKET) != 0) {
        buf_add_text(out, " --socket ");
        add_word(out, relay->lane_socket);
    }
}

void keys_lines(struct buf *out, const struct opt_conf *conf)
{
    const struct relay_agent_conf *agent;
    const char *name;

    for (size_t i = 0; (agent = opt_section(conf, "agent", i, &name)); i++) {
        struct buf command = { 0 };
        char key[SSH_KEY_LINE_BYTES];

        if (ssh_key_parse(agent->key, key, NULL) != 0)
            continue; /* the configuration was checked: this cannot be */
        add_command(&command, relay_conf_of(conf), name);
        buf_add_text(out, "restrict,port-forwarding,permitlisten=\"127.0.0.1:*\",command=\"");
        for (const char *p = buf_text(&command); *p; p++)
            buf_add(out, *p == '"' ? "\\\"" : p, *p == '"' ? 2 : 1);
        buf_printf(out, "\" %s\n", key);
        buf_free(&command);
    }
}

int keys_write(const struct opt_conf *conf, struct err *e)
{
    char *path = mem_format("%s/authorized_keys", relay_conf_of(conf)->base.state_dir);
    struct buf lines = { 0 }, before = { 0 };
    int rc = 0;

    keys_lines(&lines, conf);
    if (file_read(path, 16u << 20, &before, NULL) != 0 || before.len != lines.len ||
        memcmp(buf_bytes(&before), buf_bytes(&lines), lines.len) != 0)
        rc = file_write(path, buf_bytes(&lines), lines.len, 0600, e);
    buf_free(&lines);
    buf_free(&before);
    free(path);
    return rc;
}
