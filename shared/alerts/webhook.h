/* shared/alerts/webhook.h - an alert goes to a server of somebody's choice, by one POST: as JSON, or in the words of ntfy.
 *
 * A URL may be a password by itself: nothing of it is shown but the host. */
#ifndef SHARED_ALERTS_WEBHOOK_H
#define SHARED_ALERTS_WEBHOOK_H
#include "shared/alerts/event.h"
#include "shared/err.h"
#include "shared/loop.h"

#include <stdbool.h>
#include <stdint.h>

struct webhook {
    bool ntfy;
    const char *url;      /* stands in the text it was read from */
    char host[256];       /* with its port */
    bool has_credentials; /* USER:PASSWORD@ */
};

/* "https://…", "json https://…" or "ntfy https://…"; also http://. */
must_check int webhook_read(struct webhook *w, const char *text, struct err *e);

enum webhook_verdict { WEBHOOK_TAKEN, WEBHOOK_LATER, WEBHOOK_REFUSED };

/* What follows from an answer's status, and why in words unless it was taken. */
enum webhook_verdict webhook_judge(int status, const char *host, struct err *why);

struct webhook_end {
    enum webhook_verdict verdict;
    int64_t retry_after_ms; /* -1: it does not say */
    struct err why;
};

struct webhook_post;

/* Alive on the loop until `ended`, once, last. text: as webhook_read takes it; token_file: a file, env:NAME, credential:NAME, or "".
 * All are copied. NULL with the reason. */
struct webhook_post *webhook_post(struct loop *loop, const char *text, const char *token_file,
                                  const struct event *event, const struct event_source *source,
                                  void (*ended)(void *user, const struct webhook_end *end), void *user,
                                  struct err *e);
void webhook_cancel(
    struct webhook_post *post); /* it ends soon; whether it has been taken is not known then */
#endif
