#include "shared/ssh_key.h"

#include "shared/str.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    BLOB_BYTES = 51,
    BASE64_CHARS = 68
}; /* 4 + "ssh-ed25519" + 4 + 32: exactly 68 characters, no padding */

static const unsigned char blob_head[19] = { 0,   0,   0,   11,  's', 's', 'h', '-', 'e', 'd',
                                             '2', '5', '5', '1', '9', 0,   0,   0,   32 };

static int decode(struct str base64, unsigned char blob[BLOB_BYTES])
{
    return base64.n == BASE64_CHARS && !memchr(base64.p, '=', base64.n) &&
                   EVP_DecodeBlock(blob, (const unsigned char *)base64.p, BASE64_CHARS) == BLOB_BYTES &&
                   memcmp(blob, blob_head, sizeof blob_head) == 0
               ? 0
               : -1;
}

int ssh_key_parse(const char *text, char out[SSH_KEY_LINE_BYTES], struct err *e)
{
    struct str rest = str_of(text), type, base64;
    unsigned char blob[BLOB_BYTES];

    if (!str_next_word(&rest, "", &type) || !str_eq(type, "ssh-ed25519"))
        return err_set(
            e, ERR_INPUT,
            "not an ed25519 public key; make one with: ssh-keygen -t ed25519, and give the line in its .pub file");
    if (!str_next_word(&rest, "", &base64) || decode(base64, blob) != 0)
        return err_set(e, ERR_INPUT, "the key is damaged; give the whole line of the .pub file");
    ssh_key_of_raw(blob + sizeof blob_head, out);
    return 0;
}

void ssh_key_of_raw(const unsigned char raw[SSH_KEY_RAW_BYTES], char out[SSH_KEY_LINE_BYTES])
{
    unsigned char blob[BLOB_BYTES], encoded[BASE64_CHARS + 1];

    memcpy(blob, blob_head, sizeof blob_head);
    memcpy(blob + sizeof blob_head, raw, SSH_KEY_RAW_BYTES);
    EVP_EncodeBlock(encoded, blob, BLOB_BYTES);
    snprintf(out, SSH_KEY_LINE_BYTES, "ssh-ed25519 %s", (const char *)encoded);
}

static void decode_own(const char *line, unsigned char blob[BLOB_BYTES])
{
    EVP_DecodeBlock(blob, (const unsigned char *)strchr(line, ' ') + 1, BASE64_CHARS);
}

void ssh_key_raw(const char *line, unsigned char out[SSH_KEY_RAW_BYTES])
{
    unsigned char blob[BLOB_BYTES] = { 0 };

    decode_own(line, blob);
    memcpy(out, blob + sizeof blob_head, SSH_KEY_RAW_BYTES);
}

void ssh_key_of_seed(const unsigned char seed[SSH_KEY_SEED_BYTES], char out[SSH_KEY_LINE_BYTES])
{
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, SSH_KEY_SEED_BYTES);
    unsigned char raw[SSH_KEY_RAW_BYTES];
    size_t n = sizeof raw;

    if (!key || EVP_PKEY_get_raw_public_key(key, raw, &n) != 1 || n != sizeof raw)
        abort(); /* every seed is a key: only memory can be missing, or ed25519 in this OpenSSL */
    EVP_PKEY_free(key);
    ssh_key_of_raw(raw, out);
}

void ssh_key_fingerprint(const char *line, char out[SSH_KEY_FINGERPRINT_BYTES])
{
    unsigned char blob[BLOB_BYTES] = { 0 }, digest[SHA256_DIGEST_LENGTH], encoded[48];

    decode_own(line, blob);
    SHA256(blob, sizeof blob, digest);
    EVP_EncodeBlock(encoded, digest, sizeof digest);
    snprintf(out, SSH_KEY_FINGERPRINT_BYTES, "SHA256:%.43s",
             (const char *)encoded); /* OpenSSH leaves out the = */
}
