#include "shared/status/cert_state.h"

#include "shared/status/text.h"
#include "shared/status/when.h"
#include "shared/value.h"

#include <stdio.h>
#include <string.h>

/* From bad to good. */
static const char *const states[] = { "expired", "failing", "none", "waiting", "ordering", "valid" };
enum { WRONG_N = 2 };
_Static_assert(sizeof states / sizeof states[0] == CERT_STATE_BEST, "the best is known by its place");

/* Of a later version's words nothing is known: they are as good as the last one. */
size_t cert_state_rank(const json_t *cert)
{
    for (size_t i = 0; i < CERT_STATE_BEST; i++)
        if (strcmp(status_text(cert, "state"), states[i]) == 0)
            return i;
    return CERT_STATE_BEST;
}

bool cert_state_is_wrong(const json_t *cert)
{
    return cert_state_rank(cert) < WRONG_N;
}

/* A wildcard stands for one label. */
static bool is_for(const char *pattern, const char *name)
{
    const char *dot = strchr(name, '.');

    return strcasecmp(pattern, name) == 0 ||
           (strncmp(pattern, "*.", 2) == 0 && dot && strcasecmp(pattern + 1, dot) == 0);
}

bool cert_state_covers(const json_t *cert, const char *name)
{
    const json_t *names = json_object_get(cert, "names"), *one;
    size_t i;

    json_array_foreach(names, i, one)
    {
        if (json_is_string(one) && is_for(json_string_value(one), name))
            return true;
    }
    return json_array_size(names) == 0;
}

static const json_t *worst(const json_t *domain)
{
    const json_t *cert, *found = NULL;
    size_t i;

    json_array_foreach(json_object_get(domain, "certs"), i, cert)
    {
        if (!found || cert_state_rank(cert) < cert_state_rank(found))
            found = cert;
    }
    return found;
}

const char *cert_state_of(const json_t *domain, struct cert_cell *cell)
{
    const json_t *cert = worst(domain);
    struct when left;

    if (!cert)
        return "-";
    if (*status_text(cert, "not_after"))
        snprintf(cell->text, sizeof cell->text, "%.20s, %s", status_text(cert, "state"),
                 when_left(status_text(cert, "not_after"), &left));
    else
        snprintf(cell->text, sizeof cell->text, "%.20s", status_text(cert, "state"));
    return cell->text;
}

bool cert_state_is_well(const json_t *domain)
{
    const json_t *cert = worst(domain);

    return !cert || !cert_state_is_wrong(cert);
}

void cert_state_add_notices(struct buf *out, const json_t *status)
{
    const json_t *notice;
    struct when ago;
    size_t i;

    json_array_foreach(json_object_get(status, "notices"), i, notice)
    {
        struct buf line = { 0 };

        buf_printf(&line, "%s: %s (%s ago)", status_text(notice, "relay"), status_text(notice, "text"),
                   when_ago(status_text(notice, "at"), &ago));
        buf_add_text(out, "  ");
        value_show(out, (struct str){ buf_bytes(&line), line.len }, 0);
        buf_add_text(out, "\n");
        buf_free(&line);
    }
}
