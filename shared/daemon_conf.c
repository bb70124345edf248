#include "shared/daemon_conf.h"

#include "shared/admin.h"
#include "shared/alerts/alerts.h"

#include <stdio.h>
#include <unistd.h>

const char *const daemon_log_levels[] = { "error", "warn", "info", "debug", NULL };
const char *const daemon_log_words[] = { "stderr", NULL }; /* which log_prepare knows */

void daemon_default_name(char *text, size_t room)
{
    char host[256] = "";
    size_t n = 0;

    if (gethostname(host, sizeof host - 1) != 0)
        host[0] = 0;
    for (const char *p = host; *p && *p != '.' && n + 1 < room && n < 32; p++) {
        char c = *p >= 'A' && *p <= 'Z' ? (char)(*p + ('a' - 'A')) : *p;

        text[n++] = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ? c : '-';
    }
    text[n] = 0;
    if (n == 0)
        snprintf(text, room, "unnamed");
}

void daemon_conf_check(const struct opt_conf *conf, const char *kind, const struct daemon_conf *own,
                       struct opt_errors *errors)
{
    const struct admin_conf admin = { &own->admin_listen, own->admin_password_file };

    alerts_check(conf, kind, own, errors);
    admin_check(conf, kind, &admin, errors);
}
