#include "relay/lanes/host_key.h"

#include "shared/file.h"

#include <errno.h>
#include <libssh2.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define HOST_KEY_FILE "/etc/ssh/ssh_host_ed25519_key.pub"

enum { PATIENCE_MS = 3000, SSHD_PORT = 22 };

void host_key_init(void)
{
    if (libssh2_init(0) != 0)
        abort(); /* only memory can be missing */
}

static int connect_to(const struct sockaddr *addr, socklen_t n, struct err *e)
{
    const struct timeval patience = { .tv_sec = PATIENCE_MS / 1000 };
    int fd = socket(addr->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return err_errno(e, errno, "cannot make a socket");
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (connect(fd, addr, n) == 0)
        return fd;
    err_errno(e, errno, "cannot connect");
    close(fd);
    return -1;
}

/* One that listens at IPv6 addresses alone, too. */
static int connect_sshd(uint16_t port, struct err *e)
{
    const struct sockaddr_in v4 = { .sin_family = AF_INET,
                                    .sin_port = htons(port),
                                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    const struct sockaddr_in6 v6 = { .sin6_family = AF_INET6,
                                     .sin6_port = htons(port),
                                     .sin6_addr = IN6ADDR_LOOPBACK_INIT };
    int fd = connect_to((const struct sockaddr *)&v4, sizeof v4, e);

    return fd >= 0 ? fd : connect_to((const struct sockaddr *)&v6, sizeof v6, NULL);
}

static int read_key(LIBSSH2_SESSION *session, int fd, char out[SSH_KEY_FINGERPRINT_BYTES], struct err *e)
{
    unsigned char base64[48] = "";
    const char *digest;
    char *text = NULL;

    libssh2_session_set_timeout(session, PATIENCE_MS);
    if (libssh2_session_method_pref(session, LIBSSH2_METHOD_HOSTKEY, "ssh-ed25519") != 0 ||
        libssh2_session_handshake(session, fd) != 0) {
        libssh2_session_last_error(session, &text, NULL, 0);
        return err_set(e, ERR_PEER, "%s", text && *text ? text : "the handshake failed");
    }
    digest = libssh2_hostkey_hash(session, LIBSSH2_HOSTKEY_HASH_SHA256);
    if (!digest)
        return err_set(e, ERR_PEER, "it shows no key");
    EVP_EncodeBlock(base64, (const unsigned char *)digest, 32);
    snprintf(out, SSH_KEY_FINGERPRINT_BYTES, "SHA256:%.43s", (const char *)base64);
    libssh2_session_disconnect(session, "only the host key was wanted");
    return 0;
}

static int ask(uint16_t port, char out[SSH_KEY_FINGERPRINT_BYTES], struct err *e)
{
    int fd = connect_sshd(port, e);
    LIBSSH2_SESSION *session;
    int rc;

    if (fd < 0)
        return -1;
    session = libssh2_session_init();
    rc = session ? read_key(session, fd, out, e) : err_set(e, ERR_LIMIT, "no memory for an SSH session");
    if (session)
        libssh2_session_free(session);
    close(fd);
    return rc;
}

static int look(char out[SSH_KEY_FINGERPRINT_BYTES])
{
    struct buf text = { 0 };
    char key[SSH_KEY_LINE_BYTES];
    int rc = file_read(HOST_KEY_FILE, 4096, &text, NULL);

    if (rc == 0)
        rc = ssh_key_parse(buf_text(&text), key, NULL);
    if (rc == 0)
        ssh_key_fingerprint(key, out);
    buf_free(&text);
    return rc;
}

int host_key_ask(uint16_t port, char out[SSH_KEY_FINGERPRINT_BYTES], struct err *e)
{
    struct err why = { 0 };

    if (ask(port, out, &why) == 0 || (port == SSHD_PORT && look(out) == 0))
        return 0;
    return err_set(
        e, why.code,
        "cannot learn the ed25519 host key of the sshd at 127.0.0.1 port %u: %.150s; is sshd running, has "
        "it such a key, does it listen there or at ::1 (ListenAddress), and is ssh_port in relay.ini right?",
        port, why.text);
}
