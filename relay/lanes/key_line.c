#include "relay/lanes/key_line.h"

#include "shared/ssh_key.h"

#include <stdio.h>
#include <string.h>

#define EXPIRY_TIME "expiry-time=\""

/* ---- made ---- */

static void add_rest(struct buf *out, const char *command, const char *key)
{
    buf_add_text(out, "command=\"");
    for (const char *p = command; *p; p++)
        buf_add(out, *p == '"' ? "\\\"" : p, *p == '"' ? 2 : 1);
    buf_printf(out, "\" %s\n", key);
}

void key_line_add(struct buf *out, const char *command, const char *key)
{
    buf_add_text(out, "restrict,port-forwarding,permitlisten=\"127.0.0.1:*\",");
    add_rest(out, command, key);
}

/* sshd takes the second named as the last good one. */
void key_line_add_once(struct buf *out, const char *command, const char *key, time_t expires)
{
    const time_t last = expires - 1;
    char text[32] = "";
    struct tm utc;

    if (gmtime_r(&last, &utc))
        strftime(text, sizeof text, "%Y%m%d%H%M%SZ", &utc);
    buf_printf(out, "restrict," EXPIRY_TIME "%s\",", text);
    add_rest(out, command, key);
}

/* ---- found ---- */

/* The key is what follows the last quote and blank; without options the line is the key. */
static bool has_key(struct str line, const char *fingerprint)
{
    const char *quote = memrchr(line.p, '"', line.n);
    char text[2 * SSH_KEY_LINE_BYTES], key[SSH_KEY_LINE_BYTES], print[SSH_KEY_FINGERPRINT_BYTES];

    if (quote) {
        line.n -= (size_t)(quote + 1 - line.p);
        line.p = quote + 1;
    }
    if (line.n >= sizeof text)
        return false;
    snprintf(text, sizeof text, "%.*s", STR_ARG(line));
    if (ssh_key_parse(text, key, NULL) != 0)
        return false;
    ssh_key_fingerprint(key, print);
    return strcmp(print, fingerprint) == 0;
}

/* sshd looks at the time as well, from version 9.1 on. */
static bool is_over(struct str line, time_t now)
{
    const char *at = memmem(line.p, line.n, EXPIRY_TIME, strlen(EXPIRY_TIME));
    const char *command = memmem(line.p, line.n, "command=", strlen("command="));
    char text[16] = "";
    struct tm utc = { 0 };
    const char *end;

    if (!at || (command && command < at))
        return false;
    at += strlen(EXPIRY_TIME);
    snprintf(text, sizeof text, "%.*s", (int)(line.n - (size_t)(at - line.p)), at);
    end = strptime(text, "%Y%m%d%H%M%S", &utc);
    return !end || *end != 'Z' || now > timegm(&utc);
}

bool key_line_find(struct str lines, const char *fingerprint, time_t now, struct str *line)
{
    while (lines.n > 0) {
        const char *newline = memchr(lines.p, '\n', lines.n);

        *line = (struct str){ lines.p, newline ? (size_t)(newline - lines.p) : lines.n };
        lines.p += line->n + (newline ? 1 : 0);
        lines.n -= line->n + (newline ? 1 : 0);
        if (has_key(*line, fingerprint))
            return !is_over(*line, now);
    }
    return false;
}
