/* agent/link/crypt_method.h - a row of the table of ciphers that libssh2 1.10.0 keeps.
 *
 * No header of libssh2's has it, and other versions have another: agent/link/packet_cipher.h says how that is dealt with. */
#ifndef AGENT_LINK_CRYPT_METHOD_H
#define AGENT_LINK_CRYPT_METHOD_H
#include <libssh2.h>

struct crypt_method {
    const char *name, *pem_annotation;
    int block_bytes, iv_bytes, key_bytes;
    long flags;
    int (*init)(LIBSSH2_SESSION *session, const struct crypt_method *method, unsigned char *iv, int *free_iv,
                unsigned char *secret, int *free_secret, int encrypt, void **abstract);
    int (*crypt)(LIBSSH2_SESSION *session, unsigned char *block, size_t n, void **abstract);
    int (*dtor)(LIBSSH2_SESSION *session, void **abstract);
    void *cipher;
};

/* Up to NULL. The program's is found before libssh2's own. */
const struct crypt_method *const *libssh2_crypt_methods(void);
#endif
