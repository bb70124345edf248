/* shared/status/text.h - how a status is read and written for a person, by tunnelctl and by the status page. Pure. */
#ifndef SHARED_STATUS_TEXT_H
#define SHARED_STATUS_TEXT_H
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

const char *status_text(const json_t *object, const char *key); /* "" when it is not there */
/* 95 -> "1m 35s": the two largest units. */
void status_duration(int64_t seconds, char *out, size_t room);
/* 2345678 -> "2.3 MB". */
void status_bytes(double bytes, char *out, size_t room);
#endif
