/* shared/alerts/alerts_conf.h - the options of alerts, as rows for DAEMON_OPTIONS. */
#ifndef SHARED_ALERTS_ALERTS_CONF_H
#define SHARED_ALERTS_ALERTS_CONF_H
#include "shared/opt.h"

#include <stddef.h>

/* Rows of the option table for the last members of struct daemon_conf, which `struct_name` begins with as member `base`. */
#define ALERTS_OPTIONS(kind, struct_name)                                                                                         \
    { kind,                                                                                                                       \
      "on_event",                                                                                                                 \
      OPT_PATH,                                                                                                                   \
      offsetof(struct_name, base.on_event),                                                                                       \
      .flags = OPT_RELOAD,                                                                                                        \
      .sample = "/etc/tunnel/on-event",                                                                                           \
      .help =                                                                                                                     \
          "Program that is run for each alert: when something is in trouble, and when it is well again. Its environment "         \
          "has TUNNEL_EVENT_ID, TUNNEL_EVENT_AT, TUNNEL_EVENT_SINCE, TUNNEL_EVENT_KIND, TUNNEL_EVENT_SUBJECT, "                   \
          "TUNNEL_EVENT_STATE, TUNNEL_EVENT_TEXT, TUNNEL_EVENT_REMEDY, TUNNEL_EVENT_ROLE and TUNNEL_EVENT_NAME, and PATH; "       \
          "nothing else. One that does not end with 0 is run again, five times at most." },                                       \
        { kind,                                                                                                                   \
          "webhook",                                                                                                              \
          OPT_TEXT,                                                                                                               \
          offsetof(struct_name, base.webhook),                                                                                    \
          .flags = OPT_RELOAD | OPT_SECRET_URL,                                                                                   \
          .sample = "ntfy https://ntfy.sh/sassy-cat-pics",                                                                        \
          .help =                                                                                                                 \
              "URL that each alert is sent to by POST: as a JSON object, or, with ntfy in front of the URL, as a message for "    \
              "ntfy. What is not taken is sent again, for a day. Of the URL nothing but the host is shown in status and logs." }, \
    {                                                                                                                             \
        kind, "webhook_token_file", OPT_SECRET_FILE, offsetof(struct_name, base.webhook_token_file),                              \
            .flags = OPT_RELOAD | OPT_SECRET_ELSEWHERE, .sample = "/etc/tunnel/ntfy.token",                                       \
            .help = "File with the token that webhook is shown, as Authorization: Bearer TOKEN."                                  \
    }
#endif
