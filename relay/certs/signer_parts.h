/* relay/certs/signer_parts.h - for the files of a signer alone; nobody else looks at a key. */
#ifndef RELAY_CERTS_SIGNER_PARTS_H
#define RELAY_CERTS_SIGNER_PARTS_H
#include <openssl/evp.h>

struct signer {
    EVP_PKEY *key;
};
#endif
