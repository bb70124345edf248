/* relay/edge/access_line.h - one line of the access log, from what is known of a request. Pure.
 *
 * Nothing that a visitor sends can end a line, begin another one or leave its quotes, and no line is longer than
 * ACCESS_LINE_BYTES: what is too long is cut, and "..." stands where. */
#ifndef RELAY_EDGE_ACCESS_LINE_H
#define RELAY_EDGE_ACCESS_LINE_H
#include "shared/str.h"

#include <stdint.h>

enum { ACCESS_LINE_BYTES = 8192 }; /* with the line feed at its end */
/* What each may take of it. */
enum {
    ACCESS_TARGET_BYTES = 4096,
    ACCESS_REFERER_BYTES = 1408,
    ACCESS_AGENT_BYTES = 1024,
    ACCESS_HOST_BYTES = 264,
    ACCESS_ID_BYTES = 128 /* of a request id, which others may have made */
};
enum { ACCESS_NO_ANSWER = 499 }; /* the status of a request that ended before anything was answered */

enum access_format { ACCESS_COMBINED, ACCESS_JSON };

struct access_entry {
    int64_t began_ms; /* since 1970 in UTC, at least 0: when its head had been read */
    int status;
    int64_t service_ms; /* from the head sent to the service to the head that came back; -1: none came */
    uint64_t duration_ms, bytes_in, bytes_out; /* bytes: of the bodies */
    uint64_t lane;                             /* 0: none */
    bool complete;                             /* false: broken off */
    /* Our own texts; "" where there is none. */
    const char *request_id, *client, *protocol, *tls, *agent, *domain;
    /* The visitor's, of any bytes and length; empty where there is none. */
    struct str method, target, host, referer, user_agent;
};

/* Returns the length of the line, which has one line feed, at its end. */
size_t access_line(char out[ACCESS_LINE_BYTES], enum access_format format, const struct access_entry *entry);
#endif
