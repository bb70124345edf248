/* shared/status/when.h - times of a daemon's answers, as a person counts: how long ago, how long still. */
#ifndef SHARED_STATUS_WHEN_H
#define SHARED_STATUS_WHEN_H

struct when {
    char text[32];
};

/* Of an RFC 3339 time; "-" where there is none. */
const char *when_ago(const char *time_text, struct when *out);
const char *when_in(const char *time_text, struct when *out);
/* Of the end of something: "62d 3h left", "1d 0h ago". */
const char *when_left(const char *time_text, struct when *out);
#endif
