/* agent/dns/hook.h - on_change: a program of the user's that is run when a record has become another one. */
#ifndef AGENT_DNS_HOOK_H
#define AGENT_DNS_HOOK_H
#include "shared/loop.h"

struct hook_event {
    const char *site, *name, *type, *provider; /* type: A or AAAA */
    const char *before, *now;                  /* values, separated by blanks; "" for none */
};

/* Alive on the loop until `ended`, once, last: also when it could not be started, which is logged. Its environment is ours and
 * TUNNEL_SITE, TUNNEL_NAME, TUNNEL_TYPE, TUNNEL_PROVIDER, TUNNEL_OLD, TUNNEL_NEW. It is killed after a minute. */
void hook_run(struct loop *loop, const char *path, const struct hook_event *event, void (*ended)(void *user),
              void *user);
#endif
