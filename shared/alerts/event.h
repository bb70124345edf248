/* shared/alerts/event.h - one alert: something of ours is in trouble, or well again. What it says, and its forms: JSON, a
 * program's environment, a message of ntfy. Pure.
 *
 * Whatever a peer has put into its texts is made showable when it is made: none of the forms has a control character. */
#ifndef SHARED_ALERTS_EVENT_H
#define SHARED_ALERTS_EVENT_H
#include "shared/buf.h"
#include "shared/hook.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { EVENT_SUBJECT_BYTES = 300, EVENT_TEXT_BYTES = 600, EVENT_REMEDY_BYTES = 400 };

/* What an event is about. */
enum event_kind {
    EVENT_AGENT,
    EVENT_RELAY,
    EVENT_SERVICE,
    EVENT_CERTIFICATE,
    EVENT_DNS,
    EVENT_TEST,
    EVENT_KINDS
};
/* down and up for what can be reached, trouble and well for what is kept right; gone: nobody looks after it any more. */
enum event_state { EVENT_BAD, EVENT_GOOD, EVENT_GONE };

struct event {
    uint64_t id; /* counts up from 1, over restarts */
    int64_t at_s, since_s;
    enum event_kind kind;
    enum event_state state;
    char subject[EVENT_SUBJECT_BYTES], text[EVENT_TEXT_BYTES], remedy[EVENT_REMEDY_BYTES];
};

/* Whose events they are: the daemon's role and name. */
struct event_source {
    const char *role, *name;
};

const char *event_kind_text(enum event_kind kind);
bool event_kind_read(const char *text, enum event_kind *kind);
const char *event_state_text(enum event_kind kind, enum event_state state);

/* Fills all but id, at_s and since_s. why: the reason, for EVENT_BAD; lasted_s: how long it was in trouble, for the others; -1: unknown. */
void event_make(struct event *event, enum event_kind kind, const char *subject, enum event_state state,
                const char *why, const char *remedy, int64_t lasted_s);

/* {at, id, kind, subject, state, text, remedy, since}; with a source also {role, name}. A new reference. */
json_t *event_json(const struct event *event, const struct event_source *source);
/* What event_json has made; false: it is not that. */
bool event_of_json(struct event *event, const json_t *json);

/* A message for ntfy: three lines of a head, "Name: value", and the body. */
struct event_message {
    char title[EVENT_SUBJECT_BYTES + 100], priority[16], tags[64];
    struct buf body;
};
void event_ntfy(struct event_message *message, const struct event *event, const struct event_source *source);

/* TUNNEL_EVENT_ID and so on. Borrows the event and the source. */
enum { EVENT_VARIABLES = 10 };
struct event_environment {
    struct hook_variable variables[EVENT_VARIABLES];
    char id[24], at[24], since[24];
};
void event_environment(struct event_environment *environment, const struct event *event,
                       const struct event_source *source);
#endif
