/* shared/dns/sigv4.h - AWS Signature Version 4: what makes a request to AWS one of its account's. Pure, but for OpenSSL's
 * HMAC and SHA-256. */
#ifndef SHARED_DNS_SIGV4_H
#define SHARED_DNS_SIGV4_H
#include "shared/buf.h"
#include "shared/secret.h"

#include <stddef.h>
#include <stdint.h>

enum { SIGV4_HEADERS = 8, SIGV4_TIME_BYTES = 24 };

struct sigv4_header {
    const char *name, *value;
};

/* What is signed is what is sent: path and query as they stand in the URL, headers in any order. */
struct sigv4_request {
    const char *method, *path, *query; /* query: "" for none */
    struct sigv4_header headers[SIGV4_HEADERS];
    size_t headers_n;
    const void *body;
    size_t body_n;
};

struct sigv4_key {
    const char *id; /* AKIA… */
    const struct secret *secret;
    const char *region, *service;
};

/* 20150830T123600Z: x-amz-date, which has to be among the headers. */
void sigv4_time(int64_t now_s, char out[SIGV4_TIME_BYTES]);
/* The text whose hash is signed. */
void sigv4_canonical(const struct sigv4_request *r, struct buf *out);
/* The value of the Authorization header; `time` is that of x-amz-date. */
void sigv4_authorization(const struct sigv4_request *r, const struct sigv4_key *key, const char *time,
                         struct buf *out);
#endif
