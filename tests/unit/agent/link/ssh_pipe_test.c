#include "agent/link/ssh_pipe.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/unit/agent/link/sshd_link.h"

enum { MIB = 1024 * 1024 };

static void start(void **state, struct sshd_link *l, const char *further)
{
    link_need_sshd();
    link_prepare(*state, further);
    link_start(l, *state, "key");
}

static void open_session(struct sshd_link *l, struct link_session *s, const char *command)
{
    struct err e = { 0 };

    *s = (struct link_session){ 0 };
    if (link_open(l, s, command, &e) != 0)
        fail_msg("step %d: %s", s->step, e.text);
}

static int connect_to(int port)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

static LIBSSH2_CHANNEL *accept_one(struct sshd_link *l)
{
    LIBSSH2_CHANNEL *c;

    while (!(c = ssh_pipe_accept(l->pipe)))
        assert_true(link_round(l));
    return c;
}

/* Reads until `want` bytes are there, or the end. */
static void read_bytes(struct sshd_link *l, LIBSSH2_CHANNEL *c, char *out, size_t want)
{
    size_t got = 0;

    while (got < want) {
        ssize_t n = ssh_channel_read(c, out + got, want - got);

        if (n == SSH_NONE)
            assert_true(link_round(l));
        else
            assert_true(n > 0);
        got += n > 0 ? (size_t)n : 0;
    }
}

static void wait_eof(struct sshd_link *l, LIBSSH2_CHANNEL *c)
{
    char byte;
    ssize_t n;

    while ((n = ssh_channel_read(c, &byte, 1)) == SSH_NONE)
        assert_true(link_round(l));
    assert_int_equal(n, SSH_EOF);
}

static void write_all(struct sshd_link *l, LIBSSH2_CHANNEL *c, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t taken = ssh_channel_write(c, bytes, n);

        assert_true(taken >= 0);
        bytes += taken;
        n -= (size_t)taken;
        if (n > 0)
            assert_true(link_round(l));
    }
}

/* ---- a session's steps ---- */

static void test_opens(void **state)
{
    struct sshd_link l;
    struct link_session s;
    char shown[SSH_KEY_LINE_BYTES], fingerprint[SSH_KEY_FINGERPRINT_BYTES], line[256], said[6], *digest;

    start(state, &l, "");
    open_session(&l, &s, "echo hello; cat");
    assert_int_equal(ssh_pipe_host_key(l.pipe, shown, NULL), 0);
    ssh_key_fingerprint(shown, fingerprint);
    link_shell(*state, "ssh-keygen -lf host.pub", line, sizeof line);
    digest = strstr(line, "SHA256:");
    assert_non_null(digest);
    *strchr(digest, ' ') = 0;
    assert_string_equal(fingerprint, digest);
    assert_in_range(s.port, 1024, 65535);
    read_bytes(&l, s.control, said, 6);
    assert_memory_equal(said, "hello\n", 6);
    link_end(&l);
}

/* What is not whole yet is waited for at every byte, by every step. */
static void test_opens_byte_by_byte(void **state)
{
    struct sshd_link l;
    struct link_session s;
    LIBSSH2_CHANNEL *c;
    char got[5];
    int fd;

    start(state, &l, "");
    l.piece = 1;
    open_session(&l, &s, "cat");
    fd = connect_to(s.port);
    assert_int_equal(write(fd, "hello", 5), 5);
    c = accept_one(&l);
    read_bytes(&l, c, got, 5);
    assert_memory_equal(got, "hello", 5);
    close(fd);
    link_end(&l);
}

/* A session that is freed, or hung up on, in the middle of anything. ASan looks for what is lost or used again. */
static void test_freed_anywhere(void **state)
{
    static const size_t limits[] = { 1,    20,   45,   800,  1300, 1500, 1700,
                                     1900, 2100, 2300, 2500, 2700, 2900, 3200 };
    struct sshd_link l;

    link_need_sshd();
    link_prepare(*state, "");
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        struct link_session s = { 0 };

        link_start(&l, *state, "key");
        l.limit = limits[i];
        assert_true(link_open(&l, &s, "cat", NULL) >= 0);
        link_end(&l);
    }
}

static void test_refused_key(void **state)
{
    struct sshd_link l;
    struct link_session s = { 0 };
    struct err e = { 0 };

    link_need_sshd();
    link_prepare(*state, "");
    link_start(&l, *state, "other");
    assert_int_equal(link_open(&l, &s, "cat", &e), -1);
    assert_int_equal(s.step, LINK_LOGIN);
    assert_int_equal(e.code, ERR_TAKEN);
    link_end(&l);
}

static void test_key_that_is_none(void **state)
{
    struct sshd_link l;
    struct link_session s = { 0 };
    struct err e = { 0 };

    link_need_sshd();
    link_prepare(*state, "");
    temp_file(*state, "key", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n",
              0600);
    link_start(&l, *state, "key");
    assert_int_equal(link_open(&l, &s, "cat", &e), -1);
    assert_int_equal(s.step, LINK_LOGIN);
    assert_int_equal(e.code, ERR_INPUT);
    link_end(&l);
}

static void test_forward_refused(void **state)
{
    struct sshd_link l;
    struct link_session s = { 0 };
    struct err e = { 0 };

    start(state, &l, "DisableForwarding yes");
    assert_int_equal(link_open(&l, &s, "cat", &e), -1);
    assert_int_equal(s.step, LINK_FORWARD);
    assert_int_equal(e.code, ERR_TAKEN);
    link_end(&l);
}

static void test_not_ssh(void **state)
{
    struct ssh_pipe *p = ssh_pipe_new(NULL);
    struct err e = { 0 };
    char noise[4096];
    int rc = SSH_LATER;

    (void)state;
    memset(noise, 7, sizeof noise);
    ssh_pipe_feed(p, "SSH-2.0-noise\r\n", 15);
    for (int i = 0; i < 100 && rc == SSH_LATER; i++) {
        ssh_pipe_feed(p, noise, sizeof noise);
        rc = ssh_pipe_handshake(p, &e);
    }
    assert_int_equal(rc, -1);
    ssh_pipe_free(p);
}

static void test_disconnect_ends_sshd(void **state)
{
    struct sshd_link l;
    struct link_session s;
    int status = 0;

    start(state, &l, "");
    open_session(&l, &s, "cat");
    ssh_pipe_disconnect(l.pipe, "the test is over");
    while (link_round(&l))
        continue;
    assert_int_equal(waitpid(l.pid, &status, 0), l.pid);
    l.pid = fork(); /* for link_end, which ends a process */
    if (l.pid == 0)
        _exit(0);
    link_end(&l);
}

/* ---- channels ---- */

static void test_half_close_both_ways(void **state)
{
    struct sshd_link l;
    struct link_session s;
    LIBSSH2_CHANNEL *c;
    char got[4];
    int fd;

    start(state, &l, "");
    open_session(&l, &s, "cat");
    fd = connect_to(s.port);
    c = accept_one(&l);
    assert_int_equal(write(fd, "last", 4), 4);
    shutdown(fd, SHUT_WR);
    read_bytes(&l, c, got, 4);
    wait_eof(&l, c);
    assert_false(ssh_channel_closed(c));
    assert_int_equal(ssh_channel_write(c, "answ", 4), 4); /* our direction is still open */
    assert_int_equal(ssh_channel_send_eof(c), SSH_DONE);
    for (size_t n = 0; n < 4;) {
        struct pollfd p = { .fd = fd, .events = POLLIN };
        struct buf in = { 0 };

        link_send(&l, &in);
        ssh_pipe_feed(l.pipe, buf_bytes(&in), in.len);
        buf_free(&in);
        assert_true(poll(&p, 1, LINK_WAIT_MS) > 0);
        n += (size_t)recv(fd, got + n, 4 - n, 0);
    }
    assert_memory_equal(got, "answ", 4);
    assert_int_equal(recv(fd, got, 1, 0), 0);
    close(fd);
    while (!ssh_channel_closed(c))
        assert_true(link_round(&l));
    ssh_pipe_close(l.pipe, c);
    ssh_pipe_free_closed(l.pipe);
    link_end(&l);
}

static void test_peer_that_does_not_read_any_longer(void **state)
{
    const struct linger at_once = { .l_onoff = 1 };
    char chunk[1024] = { 0 };
    struct sshd_link l;
    struct link_session s;
    LIBSSH2_CHANNEL *c;
    int fd;

    start(state, &l, "");
    open_session(&l, &s, "cat");
    fd = connect_to(s.port);
    c = accept_one(&l);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(fd);
    wait_eof(&l, c);
    while (!ssh_channel_closed(c)) {
        assert_true(ssh_channel_write(c, chunk, sizeof chunk) >= 0);
        assert_true(link_round(&l));
    }
    ssh_pipe_close(l.pipe, c);
    link_end(&l);
}

static void test_many_channels_are_closed(void **state)
{
    enum { N = 40 };
    struct sshd_link l;
    struct link_session s;
    LIBSSH2_CHANNEL *c[N];
    int fds[N];
    char byte;

    start(state, &l, "");
    open_session(&l, &s, "cat");
    for (int i = 0; i < N; i++) {
        fds[i] = connect_to(s.port);
        c[i] = accept_one(&l);
        assert_int_equal(ssh_channel_write(c[i], "x", 1), 1);
    }
    for (int i = 0; i < N; i++)
        ssh_pipe_close(l.pipe, c[i]);
    for (int i = 0; i < 3; i++) { /* their answers, which are not all there at once */
        ssh_pipe_free_closed(l.pipe);
        ssh_channel_poke(s.control);
        assert_true(link_round(&l));
    }
    for (int i = 0; i < N; i++) {
        assert_int_equal(recv(fds[i], &byte, 1, 0), 1);
        assert_int_equal(recv(fds[i], &byte, 1, 0), 0);
        close(fds[i]);
    }
    write_all(&l, s.control, "alive", 5);
    read_bytes(&l, s.control, (char[5]){ 0 }, 5);
    link_end(&l);
}

/* Two of them: each can be quiet while the other is not. */
static void test_quiet_channels(void **state)
{
    struct sshd_link l;
    struct link_session s;
    LIBSSH2_CHANNEL *a, *b;
    char got[8];
    int to_a, to_b;

    start(state, &l, "");
    open_session(&l, &s, "cat");
    to_a = connect_to(s.port);
    a = accept_one(&l);
    to_b = connect_to(s.port);
    b = accept_one(&l);
    assert_true(ssh_channel_quiet(l.pipe, a) && ssh_channel_quiet(l.pipe, b));
    assert_int_equal(write(to_a, "some", 4), 4);
    assert_true(link_round(&l));
    if (ssh_pipe_unread(l.pipe)) /* for whomever it is */
        assert_false(ssh_channel_quiet(l.pipe, a) || ssh_channel_quiet(l.pipe, b));
    while (ssh_pipe_take_in(l.pipe, NULL) == 0 && ssh_channel_quiet(l.pipe, a))
        assert_true(link_round(&l));
    assert_true(ssh_channel_quiet(l.pipe, b));
    assert_int_equal(ssh_channel_read(a, got, 3), 3);
    assert_false(ssh_channel_quiet(l.pipe, a));
    assert_int_equal(ssh_channel_read(a, got, sizeof got), 1);
    assert_true(ssh_channel_quiet(l.pipe, a));
    shutdown(to_b, SHUT_WR);
    while (ssh_pipe_take_in(l.pipe, NULL) == 0 && ssh_channel_quiet(l.pipe, b))
        assert_true(link_round(&l));
    assert_int_equal(ssh_channel_read(b, got, sizeof got), SSH_EOF);
    assert_true(ssh_channel_quiet(l.pipe, a));
    close(to_a);
    close(to_b);
    link_end(&l);
}

/* A command that complains and ends: its complaint, unread, hides the EOF. */
static void test_stderr_hides_the_eof(void **state)
{
    struct sshd_link l;
    struct link_session s;
    char out[8];

    start(state, &l, "");
    open_session(&l, &s, "echo out; echo wrong >&2; exit 7");
    while (ssh_pipe_take_in(l.pipe, NULL) == 0 && !ssh_channel_closed(s.control))
        assert_true(link_round(&l));
    assert_int_equal(ssh_channel_read(s.control, out, sizeof out), 4);
    assert_int_equal(ssh_channel_read(s.control, out, sizeof out), SSH_NONE);
    assert_true(ssh_channel_drop_stderr(s.control));
    assert_false(ssh_channel_drop_stderr(s.control));
    assert_int_equal(ssh_channel_read(s.control, out, sizeof out), SSH_EOF);
    assert_int_equal(libssh2_channel_get_exit_status(s.control), 7);
    link_end(&l);
}

/* Each poke is answered, whatever came before. */
static void test_poke(void **state)
{
    struct sshd_link l;
    struct link_session s;

    start(state, &l, "");
    open_session(&l, &s, "cat");
    for (int i = 0; i < 20; i++) {
        ssh_channel_poke(s.control);
        assert_true(link_round(&l)); /* fails the test when sshd says nothing */
        assert_int_equal(ssh_pipe_take_in(l.pipe, NULL), 0);
    }
    link_end(&l);
}

/* ---- keys change, bytes are changed ---- */

static char *make_content(size_t n)
{
    char *content = malloc(n);
    uint32_t x = 1;

    assert_non_null(content);
    for (size_t i = 0; i < n; i++)
        content[i] = (char)((x = x * 1664525 + 1013904223) >> 24);
    return content;
}

/* Both ways at once through `cat`, while the keys change all the time. */
static void test_rekey(void **state)
{
    const size_t n = 3 * MIB;
    char *sent = make_content(n), *got = malloc(n);
    size_t out = 0, in = 0;
    struct sshd_link l;
    struct link_session s;

    start(state, &l, "RekeyLimit 64K");
    open_session(&l, &s, "cat");
    while (in < n) {
        ssize_t taken = ssh_channel_write(s.control, sent + out, n - out < 20000 ? n - out : 20000);
        ssize_t read = ssh_channel_read(s.control, got + in, n - in);

        assert_true(taken >= 0 && read >= 0);
        out += (size_t)taken;
        in += (size_t)read;
        if (taken == 0 && read == 0)
            assert_true(link_round(&l));
    }
    assert_memory_equal(sent, got, n);
    free(sent);
    free(got);
    link_end(&l);
}

static void test_freed_while_keys_change(void **state)
{
    char chunk[4096] = { 0 };
    struct sshd_link l;

    link_need_sshd();
    link_prepare(*state, "RekeyLimit 16K");
    for (int rounds = 1; rounds < 12; rounds++) {
        struct link_session s;
        int fd;

        link_start(&l, *state, "key");
        open_session(&l, &s, "cat");
        fd = connect_to(s.port);
        ssh_pipe_close(l.pipe, accept_one(&l));
        for (int i = 0; i < rounds; i++) {
            assert_true(ssh_channel_write(s.control, chunk, sizeof chunk) >= 0);
            link_round(&l);
            ssh_pipe_free_closed(l.pipe);
        }
        ssh_pipe_disconnect(l.pipe, "over");
        close(fd);
        link_end(&l);
    }
}

/* A packet that somebody has changed on the way ends the session: it is not left out, as if it had never been. */
static void test_changed_byte(void **state)
{
    struct sshd_link l;
    struct link_session s;
    struct err e = { 0 };
    struct buf in;
    char out[16];

    start(state, &l, "");
    open_session(&l, &s, "cat");
    write_all(&l, s.control, "first", 5);
    in = link_receive(&l);
    assert_true(in.len > 20);
    in.mem[in.start + in.len - 20] ^= 1;
    ssh_pipe_feed(l.pipe, buf_bytes(&in), in.len);
    buf_free(&in);
    assert_int_equal(ssh_pipe_take_in(l.pipe, &e), -1);
    assert_int_equal(e.code, ERR_PEER);
    assert_int_equal(ssh_pipe_take_in(l.pipe, NULL), -1);
    assert_null(ssh_pipe_accept(l.pipe));
    assert_int_equal(ssh_channel_read(s.control, out, sizeof out), SSH_BROKEN);
    link_end(&l);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, temp_make, temp_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_opens),
        TEST(test_opens_byte_by_byte),
        TEST(test_freed_anywhere),
        TEST(test_refused_key),
        TEST(test_key_that_is_none),
        TEST(test_forward_refused),
        TEST(test_not_ssh),
        TEST(test_disconnect_ends_sshd),
        TEST(test_half_close_both_ways),
        TEST(test_peer_that_does_not_read_any_longer),
        TEST(test_many_channels_are_closed),
        TEST(test_quiet_channels),
        TEST(test_stderr_hides_the_eof),
        TEST(test_poke),
        TEST(test_rekey),
        TEST(test_freed_while_keys_change),
        TEST(test_changed_byte),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
