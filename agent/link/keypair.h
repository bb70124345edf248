/* agent/link/keypair.h - ed25519 private keys in OpenSSH's own format (openssh-key-v1), the only one that libssh2 1.10
 * can sign with. Its text is never in memory that is not a secret's. */
#ifndef AGENT_LINK_KEYPAIR_H
#define AGENT_LINK_KEYPAIR_H
#include "shared/secret.h"
#include "shared/ssh_key.h"
#include "shared/str.h"

enum { KEYPAIR_COMMENT_BYTES = 64, KEYPAIR_FILE_BYTES = 16 * 1024 };

/* The key that is this seed, as the text of a file, without a passphrase. Initialises out. */
void keypair_text(const unsigned char seed[SSH_KEY_SEED_BYTES], const char *comment, struct secret *out);
/* The public half of such a text; one with a passphrase, or of another type, is an error. */
must_check int keypair_public(struct str text, char line[SSH_KEY_LINE_BYTES], struct err *e);
/* The public half of the key at path, which is made, 0600, when there is none. */
must_check int keypair_take(const char *path, const char *comment, char line[SSH_KEY_LINE_BYTES],
                            struct err *e);
#endif
