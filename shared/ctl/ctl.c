#include "shared/ctl/ctl.h"

#include "shared/json.h"
#include "shared/value.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum ctl_exit ctl_wrong_usage(const char *fmt, ...)
{
    va_list args;

    fputs("tunnelctl: ", stderr);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputs("; try: tunnelctl --help\n", stderr);
    return CTL_USAGE;
}

void ctl_say(FILE *to, const char *fmt, ...)
{
    struct buf text = { 0 }, shown = { 0 };
    char small[1];
    va_list args;
    int n;

    va_start(args, fmt);
    n = vsnprintf(small, sizeof small, fmt, args);
    va_end(args);
    va_start(args, fmt);
    if (n > 0)
        (void)vsnprintf(buf_space(&text, (size_t)n + 1), (size_t)n + 1, fmt, args);
    va_end(args);
    buf_added(&text, n > 0 ? (size_t)n : 0);
    value_show(&shown, (struct str){ buf_bytes(&text), text.len }, 0);
    fprintf(to, "%s\n", buf_text(&shown));
    buf_free(&text);
    buf_free(&shown);
}

enum ctl_exit ctl_run_part(struct ctl *c, const struct ctl_part *parts, size_t n,
                           enum ctl_exit (*whole)(struct ctl *c))
{
    for (size_t i = 0; c->argc > 0 && i < n; i++)
        if (strcmp(c->argv[0], parts[i].word) == 0) {
            c->argc--;
            c->argv++;
            return parts[i].run(c);
        }
    return whole(c);
}

static void print_refusal(const json_t *reply)
{
    const json_t *errors = json_object_get(reply, "errors"), *line;
    size_t i;

    json_array_foreach(errors, i, line)
        ctl_say(stderr, "%s", json_string_value(line) ? json_string_value(line) : "");
    ctl_say(stderr, "tunnelctl: %s", ctl_text(reply, "error"));
}

/* Both daemons speak the same protocol, but not everything is there at either. True when that was the trouble. */
static bool print_wrong_side(struct ctl *c, const char *socket_path)
{
    const char *wanted = c->asks == CLIENT_RELAY ? "tunnel-relay" : "tunnel-agent", *there;
    struct buf answer = { 0 };
    struct err why = { 0 };
    bool wrong = false;
    json_t *reply = NULL;

    if (c->asks != CLIENT_ANY && client_ask(socket_path, "GET", "/v1/version", &answer, &why) == 200)
        reply = json_read(buf_bytes(&answer), answer.len, &why);
    there = ctl_text(reply, "program");
    if (*there && strcmp(there, wanted) != 0) {
        wrong = true;
        ctl_say(
            stderr,
            "tunnelctl: %s is a command for %s, and %s answers here; run it on %s, or name its control socket with %s",
            c->command, wanted, there,
            c->asks == CLIENT_RELAY ? "the relay's machine (the VM)" : "the agent's machine (at home)",
            c->asks == CLIENT_RELAY ? "--relay or --socket" : "--agent or --socket");
    }
    buf_free(&answer);
    json_decref(reply);
    return wrong;
}

static enum ctl_exit read_reply(struct ctl *c, const char *socket_path, int status, struct buf *content,
                                json_t **reply)
{
    struct err why = { 0 };

    if (c->json)
        fwrite(buf_bytes(content), 1, content->len, stdout);
    *reply = json_read(buf_bytes(content), content->len, &why);
    if (!*reply) {
        fprintf(stderr, "tunnelctl: the daemon's answer is %s\n", why.text);
        return CTL_NO_DAEMON;
    }
    if (status == 200)
        return CTL_WELL;
    if (!c->json && !(status == 404 && print_wrong_side(c, socket_path)))
        print_refusal(*reply);
    json_decref(*reply);
    *reply = NULL;
    return CTL_FAILING;
}

enum ctl_exit ctl_tell(struct ctl *c, const char *method, const char *path, json_t *content, int patience_s,
                       json_t **reply)
{
    struct err why = { 0 };
    const char *socket_path = client_find_socket(c->socket, c->side, &why);
    struct buf request = { 0 }, answer = { 0 };
    enum ctl_exit result = CTL_NO_DAEMON;
    int status;

    *reply = NULL;
    if (content)
        json_write(&request, content);
    json_decref(content);
    if (!socket_path && why.code == ERR_INPUT)
        result = ctl_wrong_usage("%s", why.text);
    else if (!socket_path ||
             (status = client_tell(socket_path, method, path, &request, patience_s, &answer, &why)) < 0)
        fprintf(stderr, "tunnelctl: no daemon answers: %s\n", why.text);
    else
        result = read_reply(c, socket_path, status, &answer, reply);
    buf_free(&request);
    buf_free(&answer);
    return result;
}

enum ctl_exit ctl_ask(struct ctl *c, const char *method, const char *path, json_t **reply)
{
    return ctl_tell(c, method, path, NULL, CLIENT_PATIENCE_S, reply);
}

enum ctl_exit ctl_ask_aside(struct ctl *c, const char *method, const char *path, json_t **reply)
{
    bool json = c->json;
    enum ctl_exit result;

    c->json = false;
    result = ctl_ask(c, method, path, reply);
    c->json = json;
    return result;
}

enum ctl_exit ctl_ask_text(struct ctl *c, const char *path, struct buf *text)
{
    struct err why = { 0 };
    const char *socket_path = client_find_socket(c->socket, c->side, &why);
    struct buf answer = { 0 };
    enum ctl_exit result = CTL_WELL;
    json_t *reply;
    int status;

    if (!socket_path && why.code == ERR_INPUT)
        return ctl_wrong_usage("%s", why.text);
    status = socket_path ? client_ask(socket_path, "GET", path, &answer, &why) : -1;
    if (status == 200) {
        buf_add(text, buf_bytes(&answer), answer.len);
    } else if (status < 0) {
        fprintf(stderr, "tunnelctl: no daemon answers: %s\n", why.text);
        result = CTL_NO_DAEMON;
    } else {
        result = read_reply(c, socket_path, status, &answer, &reply);
    }
    buf_free(&answer);
    return result;
}

bool ctl_site_name(const char *given, char name[DOMAIN_BYTES])
{
    unsigned char address[16];

    if (inet_pton(AF_INET, given, address) == 1 || inet_pton(AF_INET6, given, address) == 1)
        return snprintf(name, DOMAIN_BYTES, "%s", given) < DOMAIN_BYTES;
    return domain_normalize(str_of(given), name) && domain_check(name, DOMAIN_WILDCARD, NULL) == 0;
}

const char *ctl_text(const json_t *object, const char *key)
{
    return status_text(object, key);
}
