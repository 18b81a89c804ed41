/*
 * stop.c: Ctrl-C in the middle of bulk work: it stops between two steps, says
 * what was done, and then ends as the signal would have ended it.
 */

#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <time.h>

#include "tc.h"

static volatile sig_atomic_t  caught;
static int                    watching;
static sigset_t               before;        /* the mask we were given */

static const int  signals[] = { SIGINT, SIGTERM, SIGHUP };

#define N_SIGNALS  (sizeof(signals) / sizeof(signals[0]))


static void
on_signal(int sig)
{
    caught = sig;
}


void
tc_stop_watch(void)
{
    size_t            i;
    sigset_t          set;
    struct sigaction  act = { .sa_handler = on_signal }, old;

    sigemptyset(&set);

    for (i = 0; i < N_SIGNALS; i++) {

        /* nohup, or a script's background job */
        if (sigaction(signals[i], NULL, &old) == 0
            && old.sa_handler != SIG_IGN)
        {
            sigaddset(&set, signals[i]);
            (void) sigaction(signals[i], &act, NULL);
        }
    }

    /* they come while we wait for input only, so none is missed */
    (void) sigprocmask(SIG_BLOCK, &set, &before);
    watching = 1;
}


int
tc_stop_asked(void)
{
    struct timespec  now = { 0, 0 };

    if (watching) {
        (void) ppoll(NULL, 0, &now, &before);
    }

    return caught;
}


int
tc_stop_wait(int fd, int64_t ms)
{
    int              n;
    struct pollfd    p = { .fd = fd, .events = POLLIN };
    struct timespec  ts = { ms / 1000, (long) (ms % 1000) * 1000000 };

    do {
        n = ppoll(&p, 1, ms < 0 ? NULL : &ts, watching ? &before : NULL);
    } while (n < 0 && !caught);

    /* it does not look at signals when fd is ready at once */
    return tc_stop_asked() ? -1 : n;
}


void
tc_stop_end(void)
{
    if (caught) {
        (void) signal(caught, SIG_DFL);
        (void) sigprocmask(SIG_SETMASK, &before, NULL);
        (void) raise(caught);
    }
}
