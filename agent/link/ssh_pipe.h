/* agent/link/ssh_pipe.h - SSH as a pure machine: the relay's bytes in, bytes for the relay out.
 *
 * libssh2 runs over our own two buffers and never sees a descriptor, a short or a blocked send. Whoever owns the socket
 * feeds what arrived, calls what should go on, and sends what stands in ssh_pipe_out. Nothing here waits: a call whose
 * answer is not there yet says SSH_LATER, and is repeated, with the same arguments, when more bytes have come.
 *
 * Any call may take in bytes for any channel, so after a feed all channels are to be read until none has more. */
#ifndef AGENT_LINK_SSH_PIPE_H
#define AGENT_LINK_SSH_PIPE_H
#include "shared/buf.h"
#include "shared/err.h"
#include "shared/secret.h"
#include "shared/ssh_key.h"

#include <libssh2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { SSH_DONE = 0, SSH_LATER = 1 }; /* and -1 for an error */

struct ssh_pipe;

struct ssh_pipe *ssh_pipe_new(struct err *e);
/* Frees all channels too, without a word to the relay. */
void ssh_pipe_free(struct ssh_pipe *p);

void ssh_pipe_feed(struct ssh_pipe *p, const void *bytes, size_t n); /* copies */
struct buf *ssh_pipe_in(
    struct ssh_pipe *p); /* where it copies to: who adds bytes there himself saves the copy */
bool ssh_pipe_unread(const struct ssh_pipe *p); /* true while libssh2 has not looked at all that was fed */
const struct buf *ssh_pipe_out(const struct ssh_pipe *p); /* for the relay */
void ssh_pipe_sent(struct ssh_pipe *p);                   /* all of it is on its way */
void ssh_pipe_rest(struct ssh_pipe *p); /* now and then: gives back the memory of buffers that are empty */

/* ---- steps of a session, in this order ---- */

/* Until it is done nobody knows who is at the other end. ERR_LIMIT: he has sent more than any sshd would. */
must_check int ssh_pipe_handshake(struct ssh_pipe *p, struct err *e);
/* The relay's host key, as ssh_key_parse writes it. Only ed25519 is negotiated. */
must_check int ssh_pipe_host_key(struct ssh_pipe *p, char out[SSH_KEY_LINE_BYTES], struct err *e);
/* Borrows the private key, in OpenSSH's own format. ERR_TAKEN: the relay refuses it. ERR_INPUT: it is no such key. */
must_check int ssh_pipe_login(struct ssh_pipe *p, const char *user, const struct secret *key, struct err *e);
/* A session channel with a command on it. This comes before the forward: sshd sets TCP_NODELAY only when a session
 * channel opens, and without it each answer costs 40 ms. ERR_TAKEN: sshd allows no session channel, or
 * no command on it; the channel stays as it is. */
must_check int ssh_pipe_exec(struct ssh_pipe *p, const char *command, LIBSSH2_CHANNEL **channel,
                             struct err *e);
/* Asks sshd to listen there; 0 is a port of its own choice. ERR_TAKEN: it does not. */
must_check int ssh_pipe_forward(struct ssh_pipe *p, const char *address, uint16_t wanted, int *port,
                                struct err *e);
/* After a feed, before anything else: libssh2 looks at all of it. -1: the session is at its end, such as by a packet that
 * was changed on the way. Only this call says so; the others would go on without the packet. */
must_check int ssh_pipe_take_in(struct ssh_pipe *p, struct err *e);
/* The next connection to that port, or NULL. */
LIBSSH2_CHANNEL *ssh_pipe_accept(struct ssh_pipe *p);
/* sshd is to listen no longer. To be repeated: during a change of keys it cannot be said. */
void ssh_pipe_end_forward(struct ssh_pipe *p);
/* Makes any SSH server answer something, as ssh_channel_poke does, without a session channel. After the forward. */
void ssh_pipe_poke(struct ssh_pipe *p);
void ssh_pipe_disconnect(struct ssh_pipe *p, const char *why); /* the last word; best effort */

/* ---- channels: these live until ssh_pipe_close or ssh_pipe_free ---- */

enum { SSH_NONE = 0, SSH_EOF = -1, SSH_BROKEN = -2 };

/* How many bytes were read; SSH_NONE: none now; SSH_EOF: none ever; SSH_BROKEN: the session is at its end. */
ssize_t ssh_channel_read(LIBSSH2_CHANNEL *c, char *out, size_t room);
/* True when there is nothing to be read, neither bytes nor EOF. Much quicker than trying. */
bool ssh_channel_quiet(const struct ssh_pipe *p, LIBSSH2_CHANNEL *c);
/* True when there was some: while it is unread, it hides the EOF behind it. */
bool ssh_channel_drop_stderr(LIBSSH2_CHANNEL *c);
/* Makes sshd answer something, so that silence means that it or the line is dead. For the session channel. */
size_t ssh_channel_unread(LIBSSH2_CHANNEL *c); /* bytes that libssh2 holds for us */
void ssh_channel_poke(LIBSSH2_CHANNEL *c);
enum { SSH_PACKET_BYTES = 32700 }; /* libssh2 puts so many into one packet; a few more take a further one */
/* How many bytes were taken, or SSH_BROKEN. What was not taken is given again, from its first byte on: during a change
 * of keys libssh2 has noted the length already. */
ssize_t ssh_channel_write(LIBSSH2_CHANNEL *c, const char *bytes, size_t n);
must_check int ssh_channel_send_eof(LIBSSH2_CHANNEL *c); /* SSH_DONE, SSH_LATER or SSH_BROKEN */
/* After SSH_EOF: true when the peer does not read any longer either. */
bool ssh_channel_closed(LIBSSH2_CHANNEL *c);
/* Ends the channel; takes it. It stays on a list until the peer has closed it as well. */
void ssh_pipe_close(struct ssh_pipe *p, LIBSSH2_CHANNEL *c);
void ssh_pipe_free_closed(struct ssh_pipe *p); /* after a feed */
/* True while the peer has not closed one of them: what it has read for it may not have gone on yet. */
bool ssh_pipe_closes(const struct ssh_pipe *p);
#endif
