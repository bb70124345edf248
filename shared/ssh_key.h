/* shared/ssh_key.h - public keys in OpenSSH's one-line form. Pure. */
#ifndef SHARED_SSH_KEY_H
#define SHARED_SSH_KEY_H
#include "shared/err.h"

enum {
    SSH_KEY_LINE_BYTES = 96,
    SSH_KEY_FINGERPRINT_BYTES = 52,
    SSH_KEY_RAW_BYTES = 32,
    SSH_KEY_SEED_BYTES = 32
};

/* Reads "ssh-ed25519 BASE64 [comment]", checks what is inside, and writes it anew, without the comment: what came from
 * outside never reaches another file as it was. */
must_check int ssh_key_parse(const char *text, char out[SSH_KEY_LINE_BYTES], struct err *e);
/* Of a line that ssh_key_parse made: "SHA256:…" as ssh-keygen -l prints it. */
void ssh_key_fingerprint(const char *line, char out[SSH_KEY_FINGERPRINT_BYTES]);
/* The 32 bytes that are the key itself, and back: a line like those of ssh_key_parse. */
void ssh_key_raw(const char *line, unsigned char out[SSH_KEY_RAW_BYTES]);
void ssh_key_of_raw(const unsigned char raw[SSH_KEY_RAW_BYTES], char out[SSH_KEY_LINE_BYTES]);
/* The public key to the private one that is this seed. */
void ssh_key_of_seed(const unsigned char seed[SSH_KEY_SEED_BYTES], char out[SSH_KEY_LINE_BYTES]);
#endif
