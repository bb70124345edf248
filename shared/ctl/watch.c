#include "shared/ctl/watch.h"

#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

/* A signal's handler has no other way to say that it ran. */
static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
    (void)number;
    stopped = 1;
}

void watch_begin(void)
{
    struct sigaction act = { .sa_handler = on_signal }; /* without SA_RESTART: what waits is interrupted */

    sigemptyset(&act.sa_mask);
    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
}

bool watch_stopped(void)
{
    return stopped;
}

void watch_stop(void)
{
    stopped = 1;
}

bool watch_sleep(unsigned ms)
{
    const struct timespec pause = { ms / 1000, (long)(ms % 1000) * 1000000 };

    if (!stopped)
        (void)nanosleep(&pause, NULL);
    return !stopped;
}

enum ctl_exit watch_screen(struct ctl *c, unsigned every_ms, bool once,
                           enum ctl_exit (*show)(struct ctl *c, void *user), void *user)
{
    bool clears = isatty(STDOUT_FILENO) && !once;
    enum ctl_exit result;

    watch_begin();
    do {
        if (clears)
            fputs("\033[H\033[2J\033[3J", stdout);
        result = show(c, user);
        if (fflush(stdout) != 0)
            break; /* whoever read it has gone */
    } while (!once && result != CTL_NO_DAEMON && result != CTL_USAGE && watch_sleep(every_ms));
    if (clears && result != CTL_NO_DAEMON)
        fputs("\n", stdout);
    return stopped && result != CTL_NO_DAEMON ? CTL_WELL : result;
}
