/* relay/lanes/host_key.h - the host key of this machine's sshd, which an invitation pins. Blocking, for a few seconds at
 * most: for a thread of its own. */
#ifndef RELAY_LANES_HOST_KEY_H
#define RELAY_LANES_HOST_KEY_H
#include "shared/ssh_key.h"

#include <stdint.h>

/* Once, on the main thread, before the first host_key_ask. */
void host_key_init(void);
/* Asks the sshd at this port of loopback for its ed25519 key; when it cannot be asked and the port is 22, looks into
 * /etc/ssh. Writes "SHA256:…". */
must_check int host_key_ask(uint16_t port, char out[SSH_KEY_FINGERPRINT_BYTES], struct err *e);
#endif
