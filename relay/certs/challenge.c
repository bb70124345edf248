#include "relay/certs/challenge.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <string.h>

static const char BASE64URL[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static const char *const type_names[CHALLENGE_TYPES] = {
    [CHALLENGE_TLS_ALPN_01] = "tls-alpn-01",
    [CHALLENGE_HTTP_01] = "http-01",
    [CHALLENGE_DNS_01] = "dns-01",
};

const char *challenge_type_name(enum challenge_type type)
{
    return type_names[type];
}

bool challenge_type_find(const char *name, enum challenge_type *type)
{
    for (int t = 0; t < CHALLENGE_TYPES; t++)
        if (strcmp(name, type_names[t]) == 0) {
            *type = t;
            return true;
        }
    return false;
}

bool challenge_token_is_valid(const char *token)
{
    size_t n = strspn(token, BASE64URL);

    return n > 0 && n <= CHALLENGE_TOKEN_MAX && token[n] == '\0';
}

/* The token, a dot, and the thumbprint of the account's key. */
static bool is_key_authorization(const char *text, const char *token)
{
    size_t n = strlen(token);

    return strncmp(text, token, n) == 0 && text[n] == '.' && challenge_token_is_valid(text + n + 1) &&
           strlen(text) <= CHALLENGE_ANSWER_MAX;
}

/* 32 bytes are 42 characters and four bits; the padding that follows in base64 is left out. */
static void put_digest(struct challenge *c)
{
    unsigned char text[48];

    SHA256((const unsigned char *)c->key_authorization, strlen(c->key_authorization), c->sha256);
    EVP_EncodeBlock(text, c->sha256, sizeof c->sha256);
    for (size_t i = 0; i < sizeof c->digest - 1; i++)
        c->digest[i] = (char)(text[i] == '+' ? '-' : text[i] == '/' ? '_' : text[i]);
    c->digest[sizeof c->digest - 1] = '\0';
}

int challenge_init(struct challenge *c, enum challenge_type type, const char *name, bool wildcard,
                   const char *token, const char *key_authorization, struct err *e)
{
    *c = (struct challenge){ .type = type, .name = name, .wildcard = wildcard };
    if (!challenge_token_is_valid(token))
        return err_set(
            e, ERR_PEER,
            "%s: the token of the %s challenge is not 1 to %d characters of base64url; nothing of it "
            "is shown to anybody",
            name, type_names[type], CHALLENGE_TOKEN_MAX);
    if (!is_key_authorization(key_authorization, token))
        return err_set(e, ERR_PEER, "%s: the key authorization is not the token, a dot and a thumbprint",
                       name);
    c->token = token;
    c->key_authorization = key_authorization;
    put_digest(c);
    return 0;
}
