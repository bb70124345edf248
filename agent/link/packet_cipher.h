/* agent/link/packet_cipher.h - whole packets at once for libssh2 1.10, which encrypts 16 bytes at a time.
 *
 * libssh2 keeps a table of ciphers, and each has a function that it calls for every block. It asks for that table through a
 * function that it exports, libssh2_crypt_methods, and the dynamic linker looks for such a function in the program first. The
 * program's hands out libssh2's own table with other functions for AES-CTR: the first block of a packet begins with the
 * packet's length, so all of it is encrypted then, and the calls for the rest find it done. What comes in is decrypted block
 * by block, since it may come in pieces, from a key stream that is there already. The bytes are the same.
 *
 * The table's layout is no promise of libssh2's, and later versions have another. So only that of 1.10.0 is touched, and only
 * when everything in it is where it is expected; else libssh2's own table is handed out as it is, which is only slower. */
#ifndef AGENT_LINK_PACKET_CIPHER_H
#define AGENT_LINK_PACKET_CIPHER_H
#include <stdbool.h>

/* Before the first session, as the linker leaves out what nobody calls. Whether libssh2 uses ours from now on. */
bool packet_cipher_start(void);
#endif
