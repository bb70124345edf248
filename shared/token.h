/* shared/token.h - what `tunnelctl invite` prints and `tunnelctl join` takes: all that an agent needs to enrol. Pure.
 *
 * Base64url without padding of: version (1), length of what follows the header (2), check of these three bytes (3); then
 * id (8), expiry (8), port (2), seed (32), the texts relay, name, user, host, host key, each with its length (1) in
 * front; then the check of all before it (8). A check is the beginning of a SHA-256, and numbers are big-endian. So a
 * token that is cut short is told from one that was altered, before anybody is contacted. */
#ifndef SHARED_TOKEN_H
#define SHARED_TOKEN_H
#include "shared/buf.h"
#include "shared/domain.h"
#include "shared/ssh_key.h"
#include "shared/str.h"

#include <stdint.h>
#include <time.h>

enum {
    TOKEN_ID_BYTES = 8,
    TOKEN_ID_CHARS = 2 * TOKEN_ID_BYTES,
    TOKEN_NAME_BYTES = 33,
    TOKEN_MAX_CHARS = 2048
};

struct token {
    char id[TOKEN_ID_CHARS + 1];                     /* of the invitation: lower-case hex digits */
    char relay[TOKEN_NAME_BYTES];                    /* what the relay is called */
    char name[TOKEN_NAME_BYTES];                     /* what the agent is called there */
    char user[TOKEN_NAME_BYTES], host[DOMAIN_BYTES]; /* where to log in, and as whom */
    uint16_t port;
    char host_key[SSH_KEY_FINGERPRINT_BYTES]; /* "SHA256:…": the only machine that is meant */
    unsigned char seed[SSH_KEY_SEED_BYTES];   /* the one-time private key */
    time_t expires;
};

/* What may stand in a token and, later, in an ini file: -1 says which of the fields is wrong, and why. */
must_check int token_check(const struct token *t, struct err *e);
must_check int token_check_host(const char *host, struct err *e); /* likewise, of its host alone */
/* Adds the token's text; t has been checked. */
void token_write(struct buf *out, const struct token *t);
must_check int token_read(struct token *t, struct str text, struct err *e);
void token_wipe(struct token *t);

/* TOKEN_ID_CHARS lower-case hex digits. */
bool token_is_id(const char *text);
#endif
