/* tunnel-lane: the forced command of an agent's SSH session. Joins the session's channel to the relay's lane socket.
 *
 *   agent ══SSH══ sshd ──stdin, stdout── tunnel-lane AGENT ──lane socket── tunnel-relay
 *
 *   THERE ── relay closes, or cannot be reached ──▶ AWAY     tells the agent `away`
 *   AWAY  ── every 50 to 500 ms: it is back ──────▶ THERE    says who the agent is; tells the agent `resync`
 *   both  ── agent's EOF, the relay's `end`, a line too long, the SSH session dies ──▶ end of both
 *
 * Frozen, because processes of older versions outlive upgrades of the relay: the path of the socket, the first line
 * sent to it, {"type":"lane","v":1,"agent":NAME,"ssh":SSH_CONNECTION,"sshd_pid":N} ("enrol":ID in place of "agent" for
 * whoever comes by an invitation), and that a line of type `end` means
 * to die while a closed socket means to try again.
 *
 * Only that first line says who the agent is. From then on whole lines go both ways, unread, except that neither side
 * can pass off as its own what tunnel-lane says (lane, away, resync). */
#include "relay/lanes/key_line.h"
#include "shared/file.h"
#include "shared/lane_msg.h"
#include "shared/retry.h"
#include "shared/token.h"
#include "shared/unix_socket.h"
#include "shared/value.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define LANE_SOCKET "/run/tunnel-relay/lane.sock"
#define STATE_DIR   "/var/lib/tunnel-relay"

enum { FIRST_WAIT_MS = 50, LAST_WAIT_MS = 500 };
/* For what is still to be written when the end has come. */
enum { LAST_WORDS_MS = 1000 };
/* An agent that lets its lines pile up for so long is dead, or hides from `end`. */
enum { STALLED_MS = 15 * 1000 };
enum { PIECE_BYTES = 16 * 1024, QUEUE_BYTES = 128 * 1024 };
/* What a relay says first is read even when the agent reads nothing, for it may be `end`. */
enum { FIRST_WORDS_BYTES = 4096 };
/* One read may complete a line that had all but its end: that must fit as well. */
enum { FULL_BYTES = QUEUE_BYTES - LANE_LINE_BYTES - PIECE_BYTES };
enum { KEYS_BYTES = 16 * 1024 * 1024 };
enum { EXIT_BROKEN = 1, EXIT_USAGE = 2 };

struct tunnel_lane {
    const char *agent, *enrol; /* one of them: an agent's name, an invitation's id */
    const char *socket_path;
    pid_t sshd;
    struct lane_lines from_agent, from_relay;
    struct buf to_agent, to_relay; /* whole lines only */
    int relay;                     /* -1: away */
    size_t relay_bytes;            /* what this relay has said */
    bool told_away;
    bool relay_deaf; /* it takes nothing more; what it said before can still be read */
    struct retry retry;
    int64_t retry_at, stalled_at; /* in ms; 0: not set */
    int64_t ends_at;              /* set: the end has come, and only last words are written */
    bool lingers;                 /* not sooner, so that the agent can be sent them */
    int code;
};

static int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- the end ---- */

static void end_soon(struct tunnel_lane *l, int code)
{
    if (l->ends_at)
        return;
    l->code = code;
    l->ends_at = now_ms() + LAST_WORDS_MS;
}

static void agent_ended(struct tunnel_lane *l)
{
    buf_free(&l->to_agent);
    l->lingers = false;
    end_soon(l, 0);
}

/* Both sides are told. */
static void line_too_long(struct tunnel_lane *l, const char *whose, const struct err *why)
{
    struct lane_msg m = { .type = LANE_ERROR, .v = LANE_VERSION };
    char text[LANE_TEXT_BYTES];

    snprintf(text, sizeof text, "%s: %.200s", whose, why->text);
    m.why.why = text;
    lane_msg_write(&l->to_agent, &m);
    if (l->relay >= 0 && !l->relay_deaf)
        lane_msg_write(&l->to_relay, &m);
    l->lingers = true;
    end_soon(l, EXIT_BROKEN);
}

/* sshd keeps a session, and the port it listens on, when its forced command merely exits, and then nobody could end it;
 * so the session itself has to go. It runs as our own user. Whoever is our parent by now may be somebody else. */
static _Noreturn void end_session(struct tunnel_lane *l)
{
    if (l->sshd > 1 && getppid() == l->sshd)
        kill(l->sshd, SIGTERM);
    exit(l->code);
}

/* ---- the relay comes and goes ---- */

static void relay_lost(struct tunnel_lane *l)
{
    const struct lane_msg away = { .type = LANE_AWAY, .v = LANE_VERSION };
    uint32_t random = 0;

    if (getrandom(&random, sizeof random, GRND_NONBLOCK) < 0)
        random = (uint32_t)getpid(); /* only spreads the lanes that try again at once */
    if (l->relay >= 0)
        close(l->relay);
    l->relay = -1;
    l->relay_deaf = false;
    l->retry_at = now_ms() + retry_failed(&l->retry, random);
    lane_lines_free(&l->from_relay);
    buf_free(&l->to_relay);
    if (!l->told_away)
        lane_msg_write(&l->to_agent, &away);
    l->told_away = true;
}

static void set_nonblocking(int fd)
{
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

/* Also for a stalled agent, which a relay that has cut it off may want to end. What each coming and going adds to what it
 * does not read is little, and STALLED_MS bounds how often. */
static bool may_connect(const struct tunnel_lane *l)
{
    return l->relay < 0 && !l->ends_at;
}

static void connect_relay(struct tunnel_lane *l)
{
    const char *ssh = getenv("SSH_CONNECTION");
    struct lane_msg lane = { .type = LANE_LANE, .v = LANE_VERSION };
    const struct lane_msg resync = { .type = LANE_RESYNC };

    l->relay = unix_connect(l->socket_path, NULL);
    if (l->relay < 0) {
        relay_lost(l);
        return;
    }
    set_nonblocking(l->relay);
    l->relay_bytes = 0;
    lane.lane.agent = l->agent;
    lane.lane.enrol = l->enrol;
    lane.lane.ssh = ssh;
    lane.lane.sshd_pid = l->sshd;
    lane_msg_write(&l->to_relay, &lane);
    if (!l->told_away)
        return;
    /* Half a line that the agent began before it hears of this relay belongs to the last one. */
    lane_lines_cut(&l->from_agent);
    lane_msg_write(&l->to_agent, &resync);
    l->told_away = false;
}

/* ---- lines ---- */

static bool holds(struct str line, const char *word)
{
    return memmem(line.p, line.n, word, strlen(word)) != NULL;
}

static enum lane_msg_type type_of(struct str line)
{
    struct lane_msg m;
    int rc = lane_msg_read(&m, line.p, line.n, NULL);
    enum lane_msg_type type = m.type;

    (void)rc; /* the type decides, whatever else is wrong with the line; what is no JSON has none */
    lane_msg_free(&m);
    return type;
}

/* Reading every line would be wasted; but any letter can be written as \uXXXX. */
static bool is_ours_to_say(struct str line)
{
    enum lane_msg_type type;

    if (!holds(line, "\"lane\"") && !holds(line, "\"away\"") && !holds(line, "\"resync\"") &&
        !holds(line, "\\"))
        return false;
    type = type_of(line);
    return type == LANE_LANE || type == LANE_AWAY || type == LANE_RESYNC;
}

static void pass_on(struct buf *out, struct str line)
{
    if (is_ours_to_say(line))
        return;
    buf_add(out, line.p, line.n);
    buf_add(out, "\n", 1);
}

/* Returns how many bytes came, 0 at the end of them, and -1 when none are there just now. */
static ssize_t read_piece(int fd, char piece[PIECE_BYTES])
{
    ssize_t n = read(fd, piece, PIECE_BYTES);

    if (n >= 0)
        return n;
    return errno == EAGAIN || errno == EINTR ? -1 : 0;
}

/* While the relay is away the agent's lines go nowhere: the next relay must not hear what was meant for the last. */
static void read_agent(struct tunnel_lane *l)
{
    char piece[PIECE_BYTES];
    struct err why = { 0 };
    struct str line;
    ssize_t n = read_piece(STDIN_FILENO, piece);

    if (n == 0)
        agent_ended(l);
    if (n > 0 && lane_lines_feed(&l->from_agent, piece, (size_t)n, &why) != 0)
        line_too_long(l, "from the agent", &why);
    while (lane_lines_next(&l->from_agent, &line))
        if (l->relay >= 0 && !l->relay_deaf)
            pass_on(&l->to_relay, line);
}

static void read_relay(struct tunnel_lane *l)
{
    char piece[PIECE_BYTES];
    struct err why = { 0 };
    struct str line;
    ssize_t n = read_piece(l->relay, piece);

    l->relay_bytes += n > 0 ? (size_t)n : 0;
    if (n > 0 && lane_lines_feed(&l->from_relay, piece, (size_t)n, &why) != 0)
        line_too_long(l, "from the relay", &why);
    while (lane_lines_next(&l->from_relay, &line)) {
        retry_succeeded(&l->retry); /* one that only accepts and closes is not back */
        if (holds(line, "\"end\"") && type_of(line) == LANE_END)
            end_session(l);
        pass_on(&l->to_agent, line);
    }
    if (n == 0 && !l->ends_at)
        relay_lost(l);
}

/* -1: nobody will ever read what is left. */
static int write_queue(int fd, struct buf *queue)
{
    ssize_t n = write(fd, buf_bytes(queue), queue->len);

    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -1;
    buf_take(queue, (size_t)n);
    if (queue->len == 0)
        buf_free(queue);
    return 0;
}

/* ---- the loop ---- */

/* Sets when the agent began to let its lines pile up. Something in the queue is normal, a full one is not. */
static void watch_agent(struct tunnel_lane *l)
{
    if (l->to_agent.len <= FULL_BYTES)
        l->stalled_at = 0;
    else if (l->stalled_at == 0)
        l->stalled_at = now_ms();
    else if (now_ms() - l->stalled_at >= STALLED_MS)
        end_session(l);
}

static void sooner(int64_t *at, int64_t candidate)
{
    if (candidate != 0 && (*at == 0 || candidate < *at))
        *at = candidate;
}

/* How long poll may sleep: until the first of all deadlines. */
static int patience_ms(const struct tunnel_lane *l)
{
    int64_t at = 0, left;

    sooner(&at, l->ends_at);
    sooner(&at, may_connect(l) ? l->retry_at : 0);
    sooner(&at, l->stalled_at ? l->stalled_at + STALLED_MS : 0);
    left = at - now_ms();
    return at == 0 ? -1 : left > 0 ? (int)left : 0;
}

enum { IN, OUT, RELAY, DESCRIPTORS };

/* A descriptor that we want nothing from is left out: its hangup would wake us for ever. The agent's end of stdout is
 * always watched, for that tells of its death, and the relay's hangup: then what it has left in the socket is read, which
 * is not much, for its last line may be `end`. */
static void choose(const struct tunnel_lane *l, struct pollfd fds[DESCRIPTORS])
{
    bool reads_agent = !l->ends_at && l->to_relay.len <= FULL_BYTES;
    bool reads_relay = l->to_agent.len <= FULL_BYTES || l->relay_bytes < FIRST_WORDS_BYTES;
    short relay = (short)((l->ends_at ? 0 : POLLRDHUP | (reads_relay ? POLLIN : 0)) |
                          (l->to_relay.len > 0 ? POLLOUT : 0));

    fds[IN] = (struct pollfd){ reads_agent ? STDIN_FILENO : -1, POLLIN, 0 };
    fds[OUT] = (struct pollfd){ STDOUT_FILENO, l->to_agent.len > 0 ? POLLOUT : 0, 0 };
    fds[RELAY] = (struct pollfd){ relay ? l->relay : -1, relay, 0 };
}

static void step(struct tunnel_lane *l, const struct pollfd fds[DESCRIPTORS])
{
    if (fds[IN].revents)
        read_agent(l);
    if (!l->ends_at && (fds[RELAY].revents & (POLLIN | POLLRDHUP | POLLHUP | POLLERR)))
        read_relay(l);
    if (l->relay >= 0 && l->to_relay.len > 0 && write_queue(l->relay, &l->to_relay) != 0) {
        buf_free(&l->to_relay);
        l->relay_deaf = true;
    }
    if ((fds[OUT].revents & (POLLERR | POLLHUP | POLLNVAL)) ||
        (l->to_agent.len > 0 && write_queue(STDOUT_FILENO, &l->to_agent) != 0))
        agent_ended(l);
}

static bool is_over(const struct tunnel_lane *l)
{
    bool said = l->to_agent.len == 0 && l->to_relay.len == 0 && !l->lingers;

    return l->ends_at && (said || now_ms() >= l->ends_at);
}

static void run(struct tunnel_lane *l)
{
    struct pollfd fds[DESCRIPTORS];

    while (!is_over(l) && getppid() == l->sshd) {
        if (may_connect(l) && now_ms() >= l->retry_at)
            connect_relay(l);
        choose(l, fds);
        if (poll(fds, DESCRIPTORS, patience_ms(l)) < 0 && errno != EINTR) {
            l->code = EXIT_BROKEN;
            return;
        }
        step(l, fds);
        watch_agent(l);
    }
}

/* ---- which key may log in ---- */

/* For sshd's AuthorizedKeysCommand: needs no relay, and says nothing about a key that is not known. */
static int print_key(const char *fingerprint, const char *state_dir)
{
    struct buf lines = { 0 };
    struct err e = { 0 };
    struct str line;
    char path[4096];
    int rc;

    snprintf(path, sizeof path, "%s/authorized_keys", state_dir);
    rc = file_read(path, KEYS_BYTES, &lines, &e);
    if (rc != 0)
        fprintf(stderr, "tunnel-lane: %s; has tunnel-relay run, and is --state-dir right?\n", e.text);
    else if (key_line_find((struct str){ buf_bytes(&lines), lines.len }, fingerprint, time(NULL), &line))
        printf("%.*s\n", STR_ARG(line));
    buf_free(&lines);
    return rc == 0 && fflush(stdout) == 0 ? 0 : EXIT_BROKEN;
}

/* ---- arguments ---- */

static int wrong_usage(const char *what)
{
    fprintf(stderr, "tunnel-lane: %s; try: tunnel-lane --help\n", what);
    return EXIT_USAGE;
}

static void print_help(void)
{
    printf("usage: tunnel-lane AGENT [--socket PATH]\n"
           "       tunnel-lane --enrol ID [--socket PATH]\n"
           "       tunnel-lane --keys FINGERPRINT [--state-dir DIR]\n"
           "\n"
           "The command= of an agent's line in authorized_keys: joins its SSH session to the relay.\n"
           "With --keys it is sshd's AuthorizedKeysCommand. Not for use by hand.\n"
           "\n"
           "      --enrol ID           the session comes by an invitation, to enrol an agent\n"
           "      --socket PATH        the relay's lane socket; default %s\n"
           "      --keys FINGERPRINT   print the line for the key with this fingerprint, or nothing\n"
           "      --state-dir DIR      the relay's state folder; default %s\n"
           "      --version            print the version\n"
           "  -h, --help               this text\n",
           LANE_SOCKET, STATE_DIR);
}

static _Noreturn void join_session(struct tunnel_lane *l)
{
    /* The session that started us is the one we serve: not even for a moment do we outlive it. */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    signal(SIGPIPE, SIG_IGN);
    set_nonblocking(STDIN_FILENO);
    set_nonblocking(STDOUT_FILENO);
    retry_init(&l->retry, FIRST_WAIT_MS, LAST_WAIT_MS);
    run(l);
    lane_lines_free(&l->from_agent);
    lane_lines_free(&l->from_relay);
    buf_free(&l->to_agent);
    buf_free(&l->to_relay);
    end_session(l);
}

int main(int argc, char **argv)
{
    static const struct option known[] = {
        { "socket", required_argument, NULL, 's' },
        { "enrol", required_argument, NULL, 'e' },
        { "keys", required_argument, NULL, 'k' },
        { "state-dir", required_argument, NULL, 'd' },
        { "version", no_argument, NULL, 'v' },
        { "help", no_argument, NULL, 'h' },
        { 0 },
    };
    struct tunnel_lane l = { .socket_path = LANE_SOCKET, .relay = -1, .sshd = getppid() };
    const char *fingerprint = NULL, *state_dir = STATE_DIR;
    struct err e = { 0 };
    int given, names;

    while ((given = getopt_long(argc, argv, "h", known, NULL)) != -1) {
        switch (given) {
        case 's': l.socket_path = optarg; break;
        case 'e': l.enrol = optarg; break;
        case 'k': fingerprint = optarg; break;
        case 'd': state_dir = optarg; break;
        case 'v': printf("tunnel-lane %s\n", TUNNEL_VERSION); return 0;
        case 'h': print_help(); return 0;
        default: return wrong_usage("see the line above");
        }
    }
    names = argc - optind;
    if (names + !!l.enrol + !!fingerprint != 1)
        return wrong_usage("exactly one AGENT, or --enrol, or --keys is needed");
    if (fingerprint)
        return print_key(fingerprint, state_dir);
    if (l.enrol && !token_is_id(l.enrol))
        return wrong_usage("an invitation's ID is 16 lower-case hex digits");
    l.agent = l.enrol ? "" : argv[optind];
    if (!l.enrol && value_name(str_of(l.agent), &e) != 0)
        return wrong_usage(e.text);
    join_session(&l);
}
