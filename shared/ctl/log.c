/* tunnelctl log: the access log, what of it there is; with -f as it happens. */
#include "shared/ctl/ctl.h"
#include "shared/ctl/watch.h"
#include "shared/json.h"
#include "shared/value.h"

#include <stdio.h>
#include <string.h>

enum { LINE_MAX_BYTES = 64 * 1024 };

struct follow {
    const struct ctl *c;
    struct buf line, refusal;
};

/* ---- one line ---- */

static void print_shown(const char *bytes, size_t n)
{
    struct buf out = { 0 };

    value_show(&out, (struct str){ bytes, n }, 0);
    puts(buf_text(&out));
    buf_free(&out);
}

static void print_json(const char *bytes, size_t n)
{
    struct buf out = { 0 };

    value_show_json(&out, (struct str){ bytes, n });
    puts(buf_text(&out));
    buf_free(&out);
}

static void add_text(struct buf *out, const json_t *entry, const char *key, const char *before)
{
    const char *text = ctl_text(entry, key);

    if (*text)
        buf_printf(out, "%s%s", before, text);
}

static long long number(const json_t *entry, const char *key)
{
    return json_integer_value(json_object_get(entry, key));
}

/* "03:12:07 203.0.113.7 200 GET a.com/path  1843 bytes  12 ms  pi" */
static void print_entry(const json_t *entry)
{
    const char *time = ctl_text(entry, "time");
    struct buf out = { 0 };

    if (json_object_get(entry, "lost")) {
        printf("... %lld lines left out: they came faster than they were read\n", number(entry, "lost"));
        return;
    }
    buf_printf(&out, "%.8s", strlen(time) > 19 ? time + 11 : time);
    add_text(&out, entry, "client", " ");
    buf_printf(&out, " %lld", number(entry, "status"));
    add_text(&out, entry, "method", " ");
    add_text(&out, entry, "host", " ");
    add_text(&out, entry, "path", "");
    buf_printf(&out, "  %lld bytes  %lld ms", number(entry, "bytes_out"), number(entry, "duration_ms"));
    add_text(&out, entry, "agent", "  ");
    print_shown(buf_bytes(&out), out.len);
    buf_free(&out);
}

static void print_line(const struct follow *f)
{
    struct err why = { 0 };
    json_t *entry;

    if (f->c->json) {
        print_json(buf_bytes(&f->line), f->line.len);
        return;
    }
    entry = json_read(buf_bytes(&f->line), f->line.len, &why);
    if (entry)
        print_entry(entry);
    else
        print_shown(buf_bytes(&f->line), f->line.len);
    json_decref(entry);
}

/* ---- the stream ---- */

static void on_content(void *user, int status, const char *bytes, size_t n)
{
    struct follow *f = user;

    if (status != 200) {
        buf_add(&f->refusal, bytes, n);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        if (bytes[i] != '\n' && f->line.len < LINE_MAX_BYTES)
            buf_add(&f->line, &bytes[i], 1);
        if (bytes[i] != '\n')
            continue;
        print_line(f);
        buf_take(&f->line, f->line.len);
    }
    if (fflush(stdout) != 0)
        watch_stop(); /* whoever read it has gone */
}

static enum ctl_exit refused(const struct follow *f)
{
    struct err why = { 0 };
    json_t *reply = json_read(buf_bytes(&f->refusal), f->refusal.len, &why);

    ctl_say(stderr, "tunnelctl: %s", reply ? ctl_text(reply, "error") : why.text);
    json_decref(reply);
    return CTL_FAILING;
}

static enum ctl_exit follow(struct ctl *c)
{
    struct follow f = { .c = c };
    const struct client_stream stream = { on_content, &f, watch_stopped };
    struct err why = { 0 };
    const char *socket_path = client_find_socket(c->socket, c->side, &why);
    enum ctl_exit result = CTL_NO_DAEMON;
    int status;

    if (!socket_path && why.code == ERR_INPUT)
        return ctl_wrong_usage("%s", why.text);
    watch_begin();
    status = socket_path ? client_stream(socket_path, "/v1/log", &stream, &why) : -1;
    if (watch_stopped())
        result = CTL_WELL;
    else if (status < 0)
        fprintf(stderr, "tunnelctl: no daemon answers: %s\n", why.text);
    else if (status == 200)
        fprintf(stderr, "tunnelctl: the daemon has ended\n");
    else
        result = refused(&f);
    buf_free(&f.line);
    buf_free(&f.refusal);
    return result;
}

/* ---- what there is ---- */

/* The access log is JSON or not, as its site has it, and was perhaps otherwise above: each line tells. */
static void print_kept(const char *bytes, size_t n)
{
    struct err why = { 0 };
    json_t *entry = json_read(bytes, n, &why);

    if (entry)
        print_json(bytes, n);
    else
        print_shown(bytes, n);
    json_decref(entry);
}

static enum ctl_exit print_last(struct ctl *c)
{
    struct buf text = { 0 };
    enum ctl_exit result = ctl_ask_text(c, "/v1/log?last", &text);
    struct str rest = { buf_bytes(&text), text.len };

    while (result == CTL_WELL && rest.n > 0) {
        const char *end = memchr(rest.p, '\n', rest.n);
        size_t n = end ? (size_t)(end - rest.p) : rest.n;

        print_kept(rest.p, n);
        rest.p += end ? n + 1 : n;
        rest.n -= end ? n + 1 : n;
    }
    buf_free(&text);
    return result;
}

enum ctl_exit ctl_log(struct ctl *c)
{
    if (c->argc > 0)
        return ctl_wrong_usage("log takes no argument, but was given %s", c->argv[0]);
    return c->follow ? follow(c) : print_last(c);
}
