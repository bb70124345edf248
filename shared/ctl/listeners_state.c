#include "shared/ctl/listeners_state.h"

#include "shared/ctl/ctl.h"
#include "shared/mem.h"
#include "shared/port_holder.h"
#include "shared/value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static bool is_well(const json_t *listener)
{
    return strcmp(ctl_text(listener, "state"), "up") == 0;
}

bool listeners_state_is_well(const json_t *status)
{
    const json_t *listener;
    size_t i;

    json_array_foreach(json_object_get(status, "listeners"), i,
                       listener) if (!is_well(listener)) return false;
    return true;
}

/* Takes the line. A program chooses its own name, with any control characters in it. */
static void say(struct buf *out, char *line)
{
    buf_add_text(out, "  ");
    value_show(out, str_of(line), 0);
    buf_add_text(out, "\n");
    free(line);
}

/* The relay's user may not see whose socket it is; whoever asks may, and mostly is root. */
static void add_holder(struct buf *out, const json_t *listener)
{
    const char *at = ctl_text(listener, "listen");
    struct opt_address addr;
    char holder[64];

    if (!*ctl_text(listener, "holder") && value_address(str_of(at), false, &addr, NULL) == 0 &&
        port_holder(&addr.addr, addr.any, holder, sizeof holder))
        say(out, mem_format("%s is held by %s", at, holder));
}

static void add_reason(struct buf *out, const json_t *listener)
{
    struct tm utc = { 0 };
    char since[48] = "";

    if (strptime(ctl_text(listener, "since"), "%Y-%m-%dT%H:%M:%SZ", &utc)) {
        int64_t seconds = (int64_t)(time(NULL) - timegm(&utc));
        char duration[32];

        ctl_duration(seconds < 0 ? 0 : seconds, duration, sizeof duration);
        snprintf(since, sizeof since, " for %s", duration);
    }
    say(out, mem_format("%s (%s) is not served%s: %s; the relay takes it as soon as it is free",
                        ctl_text(listener, "listen"), ctl_text(listener, "kind"), since,
                        ctl_text(listener, "last_error")));
    add_holder(out, listener);
}

void listeners_state_add_reasons(struct buf *out, const json_t *status)
{
    const json_t *listener;
    size_t i;

    json_array_foreach(json_object_get(status, "listeners"), i, listener) if (!is_well(listener))
        add_reason(out, listener);
}
