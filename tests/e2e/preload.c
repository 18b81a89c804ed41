/*
 * Loaded before the C library (LD_PRELOAD), for what a test machine does not
 * do by itself:
 *
 *   FAKE_DNS=FILE    names in .slow.test take 30 s to be looked up, and say so
 *                     with a byte in FILE
 *   FAKE_FORK=FILE   fork() fails while FILE is there
 *   FAKE_SETSID=1    setsid() takes a second
 *   FAKE_TERM=1      TERM comes in the moment from which on it ends a process
 *                     that had a handler for it
 *   FAKE_CLOCK=FILE  the wall clock is off by as many seconds as FILE says
 */

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define REAL(name)  ((__typeof__(&name)) dlsym(RTLD_NEXT, #name))

int
getaddrinfo(const char *node, const char *service,
    const struct addrinfo *hints, struct addrinfo **out)
{
    int          fd;
    const char  *mark = getenv("FAKE_DNS");

    if (mark == NULL || node == NULL || strstr(node, ".slow.test") == NULL) {
        return REAL(getaddrinfo)(node, service, hints, out);
    }

    fd = open(mark, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (fd >= 0) {
        (void) !write(fd, "x", 1);
        close(fd);
    }
    sleep(30);

    return EAI_AGAIN;
}

pid_t
fork(void)
{
    const char  *mark = getenv("FAKE_FORK");

    if (mark != NULL && access(mark, F_OK) == 0) {
        errno = EAGAIN;
        return -1;
    }

    return REAL(fork)();
}

pid_t
setsid(void)
{
    if (getenv("FAKE_SETSID") != NULL) {
        sleep(1);
    }

    return REAL(setsid)();
}

int
sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
    int           rc = REAL(sigaction)(sig, act, old);
    static pid_t  handled;

    if (rc == 0 && act != NULL && sig == SIGTERM
        && getenv("FAKE_TERM") != NULL)
    {
        if (act->sa_handler == SIG_DFL && handled == getpid()) {
            (void) kill(handled, SIGTERM);
        }

        handled = act->sa_handler != SIG_DFL && act->sa_handler != SIG_IGN
                  ? getpid() : 0;
    }

    return rc;
}

static long
off(void)
{
    int          fd;
    char         text[32] = "";
    const char  *name = getenv("FAKE_CLOCK");

    fd = name != NULL ? open(name, O_RDONLY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        (void) !read(fd, text, sizeof(text) - 1);
        close(fd);
    }

    return atol(text);
}

int
clock_gettime(clockid_t id, struct timespec *ts)
{
    int  rc = REAL(clock_gettime)(id, ts);

    if (id == CLOCK_REALTIME) {
        ts->tv_sec += off();
    }

    return rc;
}

int
gettimeofday(struct timeval *restrict tv, void *restrict tz)
{
    int  rc = REAL(gettimeofday)(tv, tz);

    tv->tv_sec += off();

    return rc;
}

time_t
time(time_t *t)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_REALTIME, &ts);
    if (t != NULL) {
        *t = ts.tv_sec;
    }

    return ts.tv_sec;
}
