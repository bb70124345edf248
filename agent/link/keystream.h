/* agent/link/keystream.h - AES in counter mode for who encrypts 16 bytes at a time, as libssh2 does.
 *
 * Counter mode is a key stream, made by encrypting counters, that is XORed onto the data. OpenSSL makes it many times faster
 * when it is asked for many blocks at once, and on a machine without AES instructions only then in constant time. So this
 * OpenSSL provider offers AES-128, -192 and -256-CTR, has OpenSSL's own make some of the key stream ahead, and hands it
 * out; and since OpenSSL takes longer to come to its provider than that takes, EVP_Cipher is ours as well
 * (agent/link/shadow.h). The bytes are the same. */
#ifndef AGENT_LINK_KEYSTREAM_H
#define AGENT_LINK_KEYSTREAM_H
#include "shared/err.h"

#define KEYSTREAM_PROVIDER "keystream"

/* For the whole process and its life: from now on AES-CTR that names no provider is ours. Before the first session. */
must_check int keystream_start(struct err *e);
#endif
