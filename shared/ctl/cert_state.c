#include "shared/ctl/cert_state.h"

#include "shared/ctl/ctl.h"
#include "shared/ctl/when.h"
#include "shared/value.h"

#include <stdio.h>
#include <string.h>

/* From bad to good. */
static const char *const states[] = { "expired", "failing", "none", "waiting", "ordering", "valid" };
enum { STATES_N = sizeof states / sizeof states[0], WRONG_N = 2 };

/* Of a later version's words nothing is known: they are as good as the last one. */
static size_t rank(const json_t *cert)
{
    for (size_t i = 0; i < STATES_N; i++)
        if (strcmp(ctl_text(cert, "state"), states[i]) == 0)
            return i;
    return STATES_N;
}

static const json_t *worst(const json_t *domain)
{
    const json_t *cert, *found = NULL;
    size_t i;

    json_array_foreach(json_object_get(domain, "certs"), i, cert)
    {
        if (!found || rank(cert) < rank(found))
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
    if (*ctl_text(cert, "not_after"))
        snprintf(cell->text, sizeof cell->text, "%.20s, %s left", ctl_text(cert, "state"),
                 when_in(ctl_text(cert, "not_after"), &left));
    else
        snprintf(cell->text, sizeof cell->text, "%.20s", ctl_text(cert, "state"));
    return cell->text;
}

bool cert_state_is_well(const json_t *domain)
{
    const json_t *cert = worst(domain);

    return !cert || rank(cert) >= WRONG_N;
}

void cert_state_print_notices(const json_t *status)
{
    const json_t *notice, *list = json_object_get(status, "notices");
    struct when ago;
    size_t i;

    if (json_array_size(list) > 0)
        printf("\nfrom the relays\n");
    json_array_foreach(list, i, notice)
    {
        struct buf line = { 0 }, shown = { 0 };

        buf_printf(&line, "%s: %s (%s ago)", ctl_text(notice, "relay"), ctl_text(notice, "text"),
                   when_ago(ctl_text(notice, "at"), &ago));
        value_show(&shown, (struct str){ buf_bytes(&line), line.len }, 0);
        printf("  %s\n", buf_text(&shown));
        buf_free(&line);
        buf_free(&shown);
    }
}
