/* relay/edge/tickets.h - the keys that session tickets are sealed with: one set for all workers, in memory alone.
 *
 * An object, immutable and counted. A newer set keeps the keys before its own, so that a key seals for
 * TICKETS_ROTATE_S, opens what it sealed for as long as that can be of use, and is wiped within a day. */
#ifndef RELAY_EDGE_TICKETS_H
#define RELAY_EDGE_TICKETS_H
#include <openssl/evp.h>
#include <stdbool.h>
#include <time.h>

enum {
    TICKETS_KEYS = 3,                                          /* one that seals, and the two before it */
    TICKETS_ROTATE_S = 8 * 3600,                               /* how long one seals */
    TICKETS_SESSION_S = (TICKETS_KEYS - 1) * TICKETS_ROTATE_S, /* how long a session can be resumed */
    TICKETS_NAME_BYTES = 16,
};

struct tickets;

/* A new random key in front of those of `before` (NULL: none) that may still be of use. With one reference. */
struct tickets *tickets_new(const struct tickets *before, time_t now);
struct tickets *tickets_hold(struct tickets *t);
void tickets_release(struct tickets *t); /* NULL is fine */
/* True when it is time for a newer set: the key has sealed long enough, or the clock was set back. */
bool tickets_due(const struct tickets *t, time_t now);

/* What SSL_CTX_set_tlsext_ticket_key_evp_cb asks for: prepares cipher and mac, and fills name and iv when sealing.
 * 1: go on; 2: the same, and a new ticket is due; 0: the ticket is not of these keys; -1: failed. */
int tickets_prepare(const struct tickets *t, unsigned char name[TICKETS_NAME_BYTES],
                    unsigned char iv[EVP_MAX_IV_LENGTH], EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac,
                    bool sealing);
#endif
