#include "relay/lanes/keys.h"

#include "relay/lanes/key_line.h"
#include "shared/file.h"
#include "shared/mem.h"

#include <stdio.h>
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

static void add_command(struct buf *out, const struct relay_conf *relay, const char *who)
{
    buf_add_text(out, "exec "); /* or a shell stays in between */
    if (*relay->lane_command)
        buf_add_text(out, relay->lane_command);
    else
        add_own_command(out);
    buf_printf(out, " %s", who);
    if (strcmp(relay->lane_socket, DEFAULT_SOCKET) != 0) {
        buf_add_text(out, " --socket ");
        add_word(out, relay->lane_socket);
    }
}

void keys_lines(struct buf *out, const struct opt_conf *conf, const struct roster *roster,
                const struct invites *invites, time_t now)
{
    const struct relay_conf *relay = relay_conf_of(conf);
    struct invite invite;

    for (size_t i = 0; i < roster->n; i++) {
        struct buf command = { 0 };

        add_command(&command, relay, roster->list[i].name);
        key_line_add(out, buf_text(&command), roster->list[i].key);
        buf_free(&command);
    }
    for (size_t i = 0; invites && invites_open(invites, i, &invite); i++) {
        struct buf command = { 0 };
        char who[64];

        if (now >= invite.expires)
            continue;
        snprintf(who, sizeof who, "--enrol %s", invite.id);
        add_command(&command, relay, who);
        key_line_add_once(out, buf_text(&command), invite.key, invite.expires);
        buf_free(&command);
    }
}

int keys_write(const struct opt_conf *conf, const struct roster *roster, const struct invites *invites,
               time_t now, struct err *e)
{
    char *path = mem_format("%s/authorized_keys", relay_conf_of(conf)->base.state_dir);
    struct buf lines = { 0 }, before = { 0 };
    int rc = 0;

    keys_lines(&lines, conf, roster, invites, now);
    if (file_read(path, 16u << 20, &before, NULL) != 0 || before.len != lines.len ||
        memcmp(buf_bytes(&before), buf_bytes(&lines), lines.len) != 0)
        rc = file_write(path, buf_bytes(&lines), lines.len, 0600, e);
    buf_free(&lines);
    buf_free(&before);
    free(path);
    return rc;
}
