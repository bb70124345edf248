#include "shared/ctl/ctl.h"

#include "shared/json.h"

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
        fprintf(stderr, "%s\n", json_string_value(line) ? json_string_value(line) : "");
    fprintf(stderr, "tunnelctl: %s\n", ctl_text(reply, "error"));
}

static enum ctl_exit read_reply(struct ctl *c, int status, struct buf *content, json_t **reply)
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
    if (!c->json)
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
        result = read_reply(c, status, &answer, reply);
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
        result = read_reply(c, status, &answer, &reply);
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
