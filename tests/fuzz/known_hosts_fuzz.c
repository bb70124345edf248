/* Fuzzes the reader of known_hosts: only a line that is there can answer, a key is trusted only when it stands there, and
 * a line that revokes it for all hosts wins over everything else.
 *
 * The input is the file, behind a line that says HOST PORT. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "shared/buf.h"
#include "shared/known_hosts.h"
#include "tests/fuzz/must.h"

#define BASE64 "AAAAC3NzaC1lZDI1NTE5AAAAIHz+vJAoEvvBWnTrR2izXe8L05agjPE67ZI7+YlPN7cH"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t lines(struct str text)
{
    size_t n = text.n > 0;

    for (size_t i = 0; i + 1 < text.n; i++)
        n += text.p[i] == '\n';
    return n;
}

static void check_revoked(struct str text, const char *host, uint16_t port)
{
    struct known_hosts_found found;
    struct buf all = { 0 };

    buf_add_text(&all, "@revoked * ssh-ed25519 " BASE64 "\n");
    buf_add(&all, text.p, text.n);
    if (known_hosts_look_up(&found, (struct str){ buf_bytes(&all), all.len }, host, port,
                            "ssh-ed25519 " BASE64, NULL) == 0)
        must(found.answer == KNOWN_HOSTS_REVOKED && found.line == 1);
    buf_free(&all);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *end = size > 0 ? memchr(data, '\n', size) : NULL;
    struct known_hosts_found found;
    struct err e = { 0 };
    struct str text;
    char host[300] = "";
    uint16_t port;
    char *blank;

    if (!end || end - (const char *)data >= (ptrdiff_t)sizeof host)
        return 0;
    memcpy(host, data, (size_t)(end - (const char *)data));
    blank = strchr(host, ' ');
    port = blank ? (uint16_t)atoi(blank) : 22;
    if (blank)
        *blank = 0;
    text = (struct str){ end + 1, size - (size_t)(end + 1 - (const char *)data) };
    if (known_hosts_look_up(&found, text, host, port, "ssh-ed25519 " BASE64, &e) != 0) {
        must(e.code == ERR_INPUT && strncmp(e.text, "line ", 5) == 0);
        return 0;
    }
    must(found.line <= lines(text) && found.authority <= lines(text) && found.other <= lines(text));
    must((found.line == 0) == (found.answer == KNOWN_HOSTS_NO));
    if (found.answer == KNOWN_HOSTS_YES || found.answer == KNOWN_HOSTS_REVOKED)
        must(memmem(text.p, text.n, BASE64, sizeof BASE64 - 1));
    check_revoked(text, host, port);
    return 0;
}
