/* linesim: a bad line between two programs, at will. It forwards TCP connections that share one line with a
 * delay, jitter, rate and queue, and can stall, swallow, reset, cut and refuse while it runs. */
#include "shared/mem.h"
#include "tests/linesim/command.h"
#include "tests/linesim/control.h"
#include "tests/linesim/listener.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>

static const char usage[] =
    "Usage: linesim --control SOCKET --listen ADDRESS:PORT=TARGET [--listen ...] [settings]\n"
    "\n"
    "Forwards TCP connections to targets over one simulated line that they all share, per direction (up:\n"
    "from who connects to the target; down: back). Prints `ready ADDRESS:PORT ...` once it listens; ends on\n"
    "SIGTERM.\n"
    "\n"
    "  --listen ADDRESS:PORT=TARGET   127.0.0.1:0 or [::1]:0, where the kernel picks port 0;\n"
    "                                 the target is 127.0.0.1:80, [::1]:80 or unix:/path\n"
    "  --delay 50ms     one way, so a round trip takes it twice         (default none)\n"
    "  --jitter 5ms     up to this much more; never reorders            (default none)\n"
    "  --rate 1mbit     in each direction; bit, kbit, mbit, gbit        (default none)\n"
    "  --queue 64k      what waits in front of the rate; when it is full, senders are held back in turns\n"
    "  --set 'down rate 1mbit'        any setting, for one direction or both\n"
    "  --control SOCKET               a unix socket for these commands, one per line; answered by a line of\n"
    "                                 JSON, {\"ok\": true, ...} or {\"ok\": false, \"error\": \"...\"}:\n"
    "\n";

enum { OPT_HELP, OPT_CONTROL, OPT_LISTEN, OPT_SET, OPT_SETTING };

static const struct option options[] = {
    { "help", no_argument, NULL, OPT_HELP },
    { "control", required_argument, NULL, OPT_CONTROL },
    { "listen", required_argument, NULL, OPT_LISTEN },
    { "set", required_argument, NULL, OPT_SET },
    { "delay", required_argument, NULL, OPT_SETTING },
    { "jitter", required_argument, NULL, OPT_SETTING },
    { "rate", required_argument, NULL, OPT_SETTING },
    { "queue", required_argument, NULL, OPT_SETTING },
    { 0 },
};

static int set(struct sim *s, const char *words, struct err *e)
{
    struct line_conf conf[2] = { s->line[UP].conf, s->line[DOWN].conf };

    if (settings_read(conf, str_of(words), e) != 0)
        return -1;
    sim_set(s, conf);
    return 0;
}

static int set_one(struct sim *s, const char *key, const char *value, struct err *e)
{
    char *words = mem_format("%s %s", key, value);
    int rc = set(s, words, e);

    free(words);
    return rc;
}

static int read_arguments(struct sim *s, int argc, char **argv, const char **control, struct err *e)
{
    int option, which = 0, rc = 0;

    s->listeners = mem_new((size_t)argc * sizeof *s->listeners);
    while (rc == 0 && (option = getopt_long(argc, argv, "", options, &which)) != -1)
        switch (option) {
        case OPT_HELP: printf("%s%s", usage, command_help); exit(0);
        case OPT_CONTROL: *control = optarg; break;
        case OPT_LISTEN: rc = listener_add(s, optarg, e); break;
        case OPT_SET: rc = set(s, optarg, e); break;
        case OPT_SETTING: rc = set_one(s, options[which].name, optarg, e); break;
        default: return err_set(e, ERR_INPUT, "linesim --help lists the options");
        }
    if (rc == 0 && (optind < argc || !*control || s->listeners_n == 0))
        return err_set(e, ERR_INPUT, "needs --control and at least one --listen; see linesim --help");
    return rc;
}

static void on_signal(void *user, uint32_t events)
{
    struct sim *s = user;

    (void)events;
    s->stop = true;
}

/* Opens the descriptor that reports SIGTERM and SIGINT. Both are blocked for good: we only ever read them. */
static int watch_signals(struct sim *s, struct watch *watch, struct err *e)
{
    sigset_t set_of_signals;

    sigemptyset(&set_of_signals);
    sigaddset(&set_of_signals, SIGTERM);
    sigaddset(&set_of_signals, SIGINT);
    sigprocmask(SIG_BLOCK, &set_of_signals, NULL);
    *watch = (struct watch){ signalfd(-1, &set_of_signals, SFD_CLOEXEC), s, on_signal };
    if (watch->fd < 0)
        return err_errno(e, errno, "cannot watch for signals");
    loop_add(&s->loop, watch, EPOLLIN);
    return 0;
}

/* A connection takes two descriptors, and tests open many. */
static void raise_descriptor_limit(void)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

static void say_ready(const struct sim *s)
{
    printf("ready");
    for (size_t i = 0; i < s->listeners_n; i++) {
        char *address = address_text(&s->listeners[i].address);

        printf(" %s", address);
        free(address);
    }
    printf("\n");
    fflush(stdout);
}

int main(int argc, char **argv)
{
    struct watch signals = { .fd = -1 };
    struct control *control = NULL;
    const char *control_path = NULL;
    struct err why = { 0 };
    struct sim sim;

    raise_descriptor_limit();
    if (sim_init(&sim, &why) != 0) {
        fprintf(stderr, "linesim: %s\n", why.text);
        return 1;
    }
    if (watch_signals(&sim, &signals, &why) == 0 &&
        read_arguments(&sim, argc, argv, &control_path, &why) == 0)
        control = control_new(&sim, control_path, &why);
    if (control) {
        say_ready(&sim);
        sim_run(&sim);
    } else {
        fprintf(stderr, "linesim: %s\n", why.text);
    }
    control_free(control);
    sim_free(&sim);
    loop_close(&signals);
    return why.code == ERR_NONE ? 0 : 1;
}
