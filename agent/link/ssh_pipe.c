#include "agent/link/ssh_pipe.h"

#include "agent/link/ctr_provider.h"
#include "agent/link/packet_cipher.h"
#include "agent/link/shadow.h"
#include "shared/mem.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    STRANGER_BYTES = 256 * 1024, /* an sshd needs 4 KiB; libssh2 would keep whatever comes */
    FORWARD_QUEUE = 1024, /* connections that wait for ssh_pipe_accept; sshd's further ones are refused */
};

/* In front of each piece of libssh2's memory. */
struct piece {
    struct piece *prev, *next;
};

struct ssh_pipe {
    struct piece pieces; /* a ring of all that it holds */
    LIBSSH2_SESSION *session;
    LIBSSH2_LISTENER *listener;
    struct buf in, out;
    uint64_t taken;           /* bytes of in that libssh2 has seen */
    bool dead;                /* nothing moves any more: libssh2 is only to free what it holds */
    LIBSSH2_CHANNEL *opening; /* the session channel, until its command runs */
    LIBSSH2_CHANNEL **closing;
    size_t closing_n, closing_room;
};

/* ---- what libssh2 takes for malloc ---- */

/* libssh2 1.10 loses a few bytes at each change of keys and more when it is freed in the middle of one. A lane lives for
 * months and redials for ever, so what it lost goes with its session. */
static void *link_piece(struct ssh_pipe *p, struct piece *piece)
{
    piece->next = &p->pieces;
    piece->prev = p->pieces.prev;
    piece->prev->next = piece;
    p->pieces.prev = piece;
    return piece + 1;
}

static struct piece *unlink_piece(void *memory)
{
    struct piece *piece = (struct piece *)memory - 1;

    piece->prev->next = piece->next;
    piece->next->prev = piece->prev;
    return piece;
}

static void *on_alloc(size_t n, void **user)
{
    struct piece *piece = malloc(sizeof *piece + n);

    return piece ? link_piece(*user, piece) : NULL;
}

static void on_free(void *memory, void **user)
{
    (void)user;
    if (memory)
        free(unlink_piece(memory));
}

static void *on_realloc(void *memory, size_t n, void **user)
{
    struct piece *old = memory ? unlink_piece(memory) : NULL;
    struct piece *piece = realloc(old, sizeof *piece + n);

    if (!piece && old)
        link_piece(*user, old); /* still there, and still its own */
    return piece ? link_piece(*user, piece) : NULL;
}

/* ---- what libssh2 takes for a socket ---- */

static ssize_t on_receive_wanted(libssh2_socket_t fd, void *bytes, size_t n, int flags, void **user)
{
    struct ssh_pipe *p = *user;

    (void)fd;
    (void)flags;
    if (p->dead)
        return -ECONNRESET;
    if (p->in.len == 0)
        return -EAGAIN;
    if (n > p->in.len)
        n = p->in.len;
    memcpy(bytes, buf_bytes(&p->in), n);
    buf_take(&p->in, n);
    p->taken += n;
    return (ssize_t)n;
}

/* Takes everything, always: after a short send libssh2 would insist on that very call before any other. */
static ssize_t on_send_wanted(libssh2_socket_t fd, const void *bytes, size_t n, int flags, void **user)
{
    struct ssh_pipe *p = *user;

    (void)fd;
    (void)flags;
    if (p->dead)
        return -ECONNRESET;
    buf_add(&p->out, bytes, n);
    return (ssize_t)n;
}

/* ---- start and end ---- */

/* The strongest first. What the linked libssh2 does not know is left out, and so is all else that it knows: SHA-1, CBC,
 * 3DES, arcfour, short groups. Without EtM the MAC still covers every byte. */
static const char *const key_exchanges[] = {
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp521",
    "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp256",
    "diffie-hellman-group18-sha512",
    "diffie-hellman-group16-sha512",
    "diffie-hellman-group-exchange-sha256",
    "diffie-hellman-group14-sha256",
    "kex-strict-c-v00@openssh.com", /* no exchange: an offer to count packets strictly, where that is known */
    NULL,
};
static const char *const ciphers[] = {
    "aes256-gcm@openssh.com", "aes128-gcm@openssh.com", "aes256-ctr", "aes192-ctr", "aes128-ctr", NULL,
};
static const char *const macs[] = {
    "hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256", "hmac-sha2-512", NULL,
};
static const char *const host_keys[] = { "ssh-ed25519", NULL }; /* what is pinned */

static const struct {
    int method;
    const char *const *wanted;
} preferences[] = {
    { LIBSSH2_METHOD_KEX, key_exchanges }, { LIBSSH2_METHOD_HOSTKEY, host_keys },
    { LIBSSH2_METHOD_CRYPT_CS, ciphers },  { LIBSSH2_METHOD_CRYPT_SC, ciphers },
    { LIBSSH2_METHOD_MAC_CS, macs },       { LIBSSH2_METHOD_MAC_SC, macs },
};

static int ssh_error(struct ssh_pipe *p, enum err_code code, struct err *e)
{
    char *text = NULL;
    int rc = libssh2_session_last_error(p->session, &text, NULL, 0);

    return err_set(e, code, "%s (%d)", text && text[0] ? text : "no reason given", rc);
}

/* libssh2 1.10 would leave out by itself what it does not know, but with a memcpy over itself. */
static int prefer(struct ssh_pipe *p, int method, const char *const *wanted)
{
    const char **known = NULL;
    int n = libssh2_session_supported_algs(p->session, method, &known), rc;
    struct buf list = { 0 };

    for (size_t i = 0; wanted[i]; i++)
        for (int j = 0; j < n; j++)
            if (strcmp(wanted[i], known[j]) == 0)
                buf_printf(&list, "%s%s", list.len > 0 ? "," : "", wanted[i]);
    rc = libssh2_session_method_pref(p->session, method, buf_text(&list));
    buf_free(&list);
    if (n > 0)
        libssh2_free(p->session, (void *)(uintptr_t)known);
    return rc;
}

static int prefer_all(struct ssh_pipe *p)
{
    for (size_t i = 0; i < sizeof preferences / sizeof *preferences; i++)
        if (prefer(p, preferences[i].method, preferences[i].wanted) != 0)
            return -1;
    return 0;
}

/* libssh2 before 1.11.1 takes a function as void *. */
static void set_callback(LIBSSH2_SESSION *session, int which, void (*callback)(void))
{
#if LIBSSH2_VERSION_NUM >= 0x010b01
    libssh2_session_callback_set2(session, which, callback);
#else
    union {
        void (*callback)(void);
        void *any;
    } function = { callback };

    libssh2_session_callback_set(session, which, function.any);
#endif
}

struct ssh_pipe *ssh_pipe_new(struct err *e)
{
    struct ssh_pipe *p;

    shadow_start();
    packet_cipher_start();
    if (ctr_provider_start(e) != 0)
        return NULL;
    if (libssh2_init(0) != 0) {
        err_set(e, ERR_SYSTEM, "cannot start libssh2");
        return NULL;
    }
    p = mem_new(sizeof *p);
    p->pieces.prev = p->pieces.next = &p->pieces;
    p->session = libssh2_session_init_ex(on_alloc, on_free, on_realloc, p);
    if (!p->session) {
        err_set(e, ERR_LIMIT, "no memory for an SSH session");
        free(p);
        return NULL;
    }
    set_callback(p->session, LIBSSH2_CALLBACK_SEND, (void (*)(void))on_send_wanted);
    set_callback(p->session, LIBSSH2_CALLBACK_RECV, (void (*)(void))on_receive_wanted);
    libssh2_session_set_blocking(p->session, 0);
    libssh2_session_flag(p->session, LIBSSH2_FLAG_COMPRESS, 0);
    if (prefer_all(p) != 0) {
        ssh_error(p, ERR_SYSTEM, e);
        ssh_pipe_free(p);
        return NULL;
    }
    return p;
}

void ssh_pipe_free(struct ssh_pipe *p)
{
    if (!p)
        return;
    p->dead = true;
    /* With a dead socket it has nothing to wait for; the bound is for a mistake in that belief. */
    for (int i = 0; i < 100 && libssh2_session_free(p->session) == LIBSSH2_ERROR_EAGAIN;)
        i++;
    for (struct piece *piece = p->pieces.next, *next; piece != &p->pieces; piece = next) {
        next = piece->next;
        free(piece);
    }
    buf_free(&p->in);
    buf_free(&p->out);
    free(p->closing);
    free(p);
}

void ssh_pipe_feed(struct ssh_pipe *p, const void *bytes, size_t n)
{
    buf_add(&p->in, bytes, n);
}

struct buf *ssh_pipe_in(struct ssh_pipe *p)
{
    return &p->in;
}

bool ssh_pipe_unread(const struct ssh_pipe *p)
{
    return p->in.len > 0;
}

const struct buf *ssh_pipe_out(const struct ssh_pipe *p)
{
    return &p->out;
}

void ssh_pipe_sent(struct ssh_pipe *p)
{
    buf_take(&p->out, p->out.len);
}

void ssh_pipe_rest(struct ssh_pipe *p)
{
    if (p->in.len == 0)
        buf_free(&p->in);
    if (p->out.len == 0)
        buf_free(&p->out);
}

/* ---- the steps of a session ---- */

static int result(struct ssh_pipe *p, int rc, struct err *e)
{
    if (rc == 0)
        return SSH_DONE;
    return rc == LIBSSH2_ERROR_EAGAIN ? SSH_LATER : ssh_error(p, ERR_PEER, e);
}

int ssh_pipe_handshake(struct ssh_pipe *p, struct err *e)
{
    if (p->taken + p->in.len > STRANGER_BYTES)
        return err_set(e, ERR_LIMIT, "more than %d KiB came, and no host key", STRANGER_BYTES / 1024);
    /* It asks for a descriptor only to look at its flags. This one cannot be open; -1 would be refused. */
    return result(p, libssh2_session_handshake(p->session, INT_MAX), e);
}

int ssh_pipe_host_key(struct ssh_pipe *p, char out[SSH_KEY_LINE_BYTES], struct err *e)
{
    unsigned char base64[SSH_KEY_LINE_BYTES] = "";
    char line[2 * SSH_KEY_LINE_BYTES];
    size_t n = 0;
    int type;
    const char *blob = libssh2_session_hostkey(p->session, &n, &type);

    if (blob && n < SSH_KEY_LINE_BYTES / 2 + 8)
        EVP_EncodeBlock(base64, (const unsigned char *)blob, (int)n);
    snprintf(line, sizeof line, "ssh-ed25519 %s", (const char *)base64);
    return ssh_key_parse(line, out, e);
}

int ssh_pipe_login(struct ssh_pipe *p, const char *user, const struct secret *key, struct err *e)
{
    int rc = libssh2_userauth_publickey_frommemory(p->session, user, strlen(user), NULL, 0,
                                                   (const char *)key->bytes, key->n, NULL);

    ERR_clear_error(); /* it tries PEM first, which leaves its complaints behind for the next user of OpenSSL */
    if (rc == 0)
        return SSH_DONE;
    if (rc == LIBSSH2_ERROR_EAGAIN)
        return SSH_LATER;
    switch (rc) {
    case LIBSSH2_ERROR_AUTHENTICATION_FAILED:
    case LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED: return ssh_error(p, ERR_TAKEN, e);
    case LIBSSH2_ERROR_SOCKET_DISCONNECT:
    case LIBSSH2_ERROR_SOCKET_RECV:
    case LIBSSH2_ERROR_SOCKET_SEND:
    case LIBSSH2_ERROR_TIMEOUT: return ssh_error(p, ERR_PEER, e);
    default: return ssh_error(p, ERR_INPUT, e);
    }
}

int ssh_pipe_exec(struct ssh_pipe *p, const char *command, LIBSSH2_CHANNEL **channel, struct err *e)
{
    int rc;

    if (!p->opening)
        p->opening = libssh2_channel_open_session(p->session);
    if (!p->opening) {
        rc = libssh2_session_last_errno(p->session);
        return rc == LIBSSH2_ERROR_CHANNEL_FAILURE ? ssh_error(p, ERR_TAKEN, e) : result(p, rc, e);
    }
    rc = libssh2_channel_exec(p->opening, command);
    rc = rc == LIBSSH2_ERROR_CHANNEL_REQUEST_DENIED ? ssh_error(p, ERR_TAKEN, e) : result(p, rc, e);
    if (rc == SSH_DONE)
        *channel = p->opening;
    return rc;
}

int ssh_pipe_forward(struct ssh_pipe *p, const char *address, uint16_t wanted, int *port, struct err *e)
{
    int rc;

    p->listener = libssh2_channel_forward_listen_ex(p->session, address, wanted, port, FORWARD_QUEUE);
    if (p->listener)
        return SSH_DONE;
    rc = libssh2_session_last_errno(p->session);
    return rc == LIBSSH2_ERROR_REQUEST_DENIED ? ssh_error(p, ERR_TAKEN, e) : result(p, rc, e);
}

void ssh_pipe_end_forward(struct ssh_pipe *p)
{
    if (p->listener && libssh2_channel_forward_cancel(p->listener) != LIBSSH2_ERROR_EAGAIN)
        p->listener = NULL;
}

/* libssh2 reports a broken packet to whoever happens to call, once; the next call would read on behind it, so nothing is
 * to move any more. A read of no bytes takes in everything, and says what was wrong with it. */
int ssh_pipe_take_in(struct ssh_pipe *p, struct err *e)
{
    ssize_t rc = p->opening ? libssh2_channel_read(p->opening, NULL, 0) : 0;

    if (!p->dead && (rc >= 0 || rc == LIBSSH2_ERROR_EAGAIN))
        return 0;
    p->dead = true;
    return ssh_error(p, ERR_PEER, e);
}

LIBSSH2_CHANNEL *ssh_pipe_accept(struct ssh_pipe *p)
{
    LIBSSH2_CHANNEL *c = p->listener ? libssh2_channel_forward_accept(p->listener) : NULL;

    /* Whatever went wrong, it says that there is no such channel; the next ssh_pipe_take_in says why. */
    if (p->listener && !c && libssh2_session_last_errno(p->session) != LIBSSH2_ERROR_EAGAIN)
        p->dead = true;
    return c;
}

/* No server can grant this port, so the answer is always no, and libssh2 takes it away with the next call. */
static bool ask_for_no_port(struct ssh_pipe *p)
{
    LIBSSH2_LISTENER *granted = libssh2_channel_forward_listen_ex(p->session, "127.0.0.1", -1, NULL, 1);

    if (granted)
        libssh2_channel_forward_cancel(granted);
    return !granted && libssh2_session_last_errno(p->session) == LIBSSH2_ERROR_EAGAIN;
}

void ssh_pipe_poke(struct ssh_pipe *p)
{
    if (!ask_for_no_port(p)) /* that was the answer to the poke before */
        ask_for_no_port(p);
}

size_t ssh_channel_unread(LIBSSH2_CHANNEL *c)
{
    unsigned long unread = 0;

    libssh2_channel_window_read_ex(c, &unread, NULL);
    return unread;
}

/* libssh2 has a keepalive of its own, but would keep every answer to it until the session ends. sshd answers a
 * variable for a command that runs already with `failure`, and forgets it. */
void ssh_channel_poke(LIBSSH2_CHANNEL *c)
{
    bool waits = libssh2_channel_setenv(c, "ALIVE", "") == LIBSSH2_ERROR_EAGAIN;

    if (!waits) /* that was the answer to the poke before */
        libssh2_channel_setenv(c, "ALIVE", "");
}

void ssh_pipe_disconnect(struct ssh_pipe *p, const char *why)
{
    libssh2_session_disconnect(p->session, why);
}

/* ---- channels ---- */

ssize_t ssh_channel_read(LIBSSH2_CHANNEL *c, char *out, size_t room)
{
    ssize_t n = libssh2_channel_read(c, out, room);

    if (n > 0)
        return n;
    if (n == LIBSSH2_ERROR_EAGAIN)
        return SSH_NONE;
    if (n < 0)
        return SSH_BROKEN;
    return libssh2_channel_eof(c) ? SSH_EOF : SSH_NONE;
}

/* While libssh2 has not looked at everything, nobody knows: reading makes it look. */
bool ssh_channel_quiet(const struct ssh_pipe *p, LIBSSH2_CHANNEL *c)
{
    return !ssh_pipe_unread(p) && !libssh2_poll_channel_read(c, 0) && !libssh2_channel_eof(c);
}

bool ssh_channel_drop_stderr(LIBSSH2_CHANNEL *c)
{
    char dropped[1024];
    bool some = false;

    while (libssh2_channel_read_stderr(c, dropped, sizeof dropped) > 0)
        some = true;
    return some;
}

ssize_t ssh_channel_write(LIBSSH2_CHANNEL *c, const char *bytes, size_t n)
{
    size_t taken = 0;

    while (taken < n) {
        ssize_t rc = libssh2_channel_write(c, bytes + taken, n - taken);

        if (rc < 0 && rc != LIBSSH2_ERROR_EAGAIN)
            return SSH_BROKEN;
        if (rc <= 0)
            break;
        taken += (size_t)rc;
    }
    return (ssize_t)taken;
}

int ssh_channel_send_eof(LIBSSH2_CHANNEL *c)
{
    int rc = libssh2_channel_send_eof(c);

    if (rc == 0)
        return SSH_DONE;
    return rc == LIBSSH2_ERROR_EAGAIN ? SSH_LATER : SSH_BROKEN;
}

bool ssh_channel_closed(LIBSSH2_CHANNEL *c)
{
    return libssh2_channel_wait_closed(c) == 0;
}

void ssh_pipe_close(struct ssh_pipe *p, LIBSSH2_CHANNEL *c)
{
    if (c == p->opening)
        p->opening = NULL;
    if (libssh2_channel_free(c) != LIBSSH2_ERROR_EAGAIN)
        return;
    if (p->closing_n == p->closing_room) {
        p->closing_room = p->closing_room * 2 + 16;
        p->closing = mem_grow(p->closing, p->closing_room * sizeof(LIBSSH2_CHANNEL *));
    }
    p->closing[p->closing_n++] = c;
}

void ssh_pipe_free_closed(struct ssh_pipe *p)
{
    size_t left = 0;

    for (size_t i = 0; i < p->closing_n; i++)
        if (libssh2_channel_free(p->closing[i]) == LIBSSH2_ERROR_EAGAIN)
            p->closing[left++] = p->closing[i];
    p->closing_n = left;
}

bool ssh_pipe_closes(const struct ssh_pipe *p)
{
    return p->closing_n > 0;
}
