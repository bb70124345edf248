/* relay/edge/websocket.h - the handshake of a WebSocket by HTTP/1.1 (RFC 6455 4), for a visitor who opens one by HTTP/2
 * (RFC 8441) and has no part in it. Pure. */
#ifndef RELAY_EDGE_WEBSOCKET_H
#define RELAY_EDGE_WEBSOCKET_H
#include "shared/http/h1.h"

enum {
    WEBSOCKET_RANDOM_BYTES = 16,
    WEBSOCKET_KEY_BYTES = 25, /* with its NUL */
};

void websocket_make_key(const unsigned char random[WEBSOCKET_RANDOM_BYTES], char key[WEBSOCKET_KEY_BYTES]);
/* True when this 101 answers the request with this key. */
bool websocket_is_accepted(const struct h1_head *response, const char *key);
#endif
