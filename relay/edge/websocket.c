#include "relay/edge/websocket.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <string.h>

enum { ACCEPT_BYTES = 29 }; /* with its NUL */

void websocket_make_key(const unsigned char random[WEBSOCKET_RANDOM_BYTES], char key[WEBSOCKET_KEY_BYTES])
{
    EVP_EncodeBlock((unsigned char *)key, random, WEBSOCKET_RANDOM_BYTES);
}

static void make_accept(const char *key, char accept[ACCEPT_BYTES])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    unsigned char text[WEBSOCKET_KEY_BYTES - 1 + sizeof guid - 1], hash[SHA_DIGEST_LENGTH];

    memcpy(text, key, WEBSOCKET_KEY_BYTES - 1);
    memcpy(text + WEBSOCKET_KEY_BYTES - 1, guid, sizeof guid - 1);
    SHA1(text, sizeof text, hash);
    EVP_EncodeBlock((unsigned char *)accept, hash, sizeof hash);
}

bool websocket_is_accepted(const struct h1_head *response, const char *key)
{
    int at = h1_field_find(response, "sec-websocket-accept", 0);
    char accept[ACCEPT_BYTES];

    make_accept(key, accept);
    return at >= 0 && h1_field_find(response, "sec-websocket-accept", (uint32_t)at + 1) < 0 &&
           str_eq(h1_text(response, response->fields[at].value), accept);
}
