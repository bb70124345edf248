/* agent/link/ctr_provider.h - OpenSSL's AES in counter mode, fast for who encrypts 16 bytes at a time.
 *
 * Every libssh2 does that with its counter-mode ciphers. This OpenSSL provider offers AES-128, -192 and -256-CTR over
 * agent/link/keystream.h; the bytes are the same. libssh2 1.10 goes a shorter way still (agent/link/packet_cipher.h). */
#ifndef AGENT_LINK_CTR_PROVIDER_H
#define AGENT_LINK_CTR_PROVIDER_H
#include "shared/err.h"

#define CTR_PROVIDER "keystream"

/* For the whole process and its life: from now on AES-CTR that names no provider is ours. Before the first session. */
must_check int ctr_provider_start(struct err *e);
#endif
