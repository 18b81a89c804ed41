/*
 * child.c: starts a handler and talks to it with deadlines.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tc_child.h"

#define READ_BYTES      65536
#define STDERR_KEPT     4096
#define REAP_PAUSE_NS   5000000

/* What ends us ends the handler, too, which the terminal's signals do not
 * reach: its session is another one. */
static const int  signals[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM };

#define N_SIGNALS  (sizeof(signals) / sizeof(signals[0]))

static volatile pid_t  group;         /* of the child not yet reaped, or 0 */


static void
on_signal(int sig)
{
    if (group > 0) {
        (void) kill(-group, SIGKILL);
    }

    (void) signal(sig, SIG_DFL);
    (void) raise(sig);
}


/* Blocks those signals; they have our handler, but where they were ignored
 * (nohup). */
static void
hold_signals(sigset_t *before)
{
    size_t            i;
    sigset_t          set;
    struct sigaction  act = { .sa_handler = on_signal }, old;

    sigemptyset(&set);

    for (i = 0; i < N_SIGNALS; i++) {
        sigaddset(&set, signals[i]);

        if (sigaction(signals[i], NULL, &old) == 0
            && old.sa_handler != SIG_IGN)
        {
            (void) sigaction(signals[i], &act, NULL);
        }
    }

    (void) sigprocmask(SIG_BLOCK, &set, before);
}


static void
run(char **argv, char **env, const int *in, const int *out, const int *err,
    int tell)
{
    int       e;
    sigset_t  none;

    /* as a worker starts it: without its terminal, too */
    (void) setsid();

    /* of us by KILL */
    (void) prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);

    signal(SIGPIPE, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);

    environ = env;

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
        && dup2(in[0], STDIN_FILENO) != -1
        && dup2(out[1], STDOUT_FILENO) != -1
        && dup2(err[1], STDERR_FILENO) != -1)
    {
        execvp(argv[0], argv);
    }

    e = errno;
    (void) !write(tell, &e, sizeof(e));
    _exit(127);
}


static void
close_pair(int *fds)
{
    if (fds[0] != -1) {
        close(fds[0]);
    }

    if (fds[1] != -1) {
        close(fds[1]);
    }
}


int
tc_child_start(tc_child_t *c, char **argv, char **env)
{
    int       in[2], out[2], err[2], tell[2], e;
    pid_t     pid;
    sigset_t  before;

    memset(c, 0, sizeof(*c));
    c->in = c->out = c->err = -1;
    in[0] = in[1] = out[0] = out[1] = err[0] = err[1] = -1;
    tell[0] = tell[1] = -1;

    if (pipe2(in, O_CLOEXEC) == -1 || pipe2(out, O_CLOEXEC) == -1
        || pipe2(err, O_CLOEXEC) == -1 || pipe2(tell, O_CLOEXEC) == -1)
    {
        goto failed;
    }

    hold_signals(&before);

    pid = fork();
    if (pid == -1) {
        e = errno;
        (void) sigprocmask(SIG_SETMASK, &before, NULL);
        errno = e;
        goto failed;
    }

    if (pid == 0) {
        run(argv, env, in, out, err, tell[1]);
    }

    close(in[0]);
    close(out[1]);
    close(err[1]);
    close(tell[1]);

    c->pid = pid;
    c->in = in[1];
    c->out = out[0];
    c->err = err[0];

    fcntl(c->in, F_SETFL, O_NONBLOCK);
    fcntl(c->out, F_SETFL, O_NONBLOCK);
    fcntl(c->err, F_SETFL, O_NONBLOCK);

    /* The pipe closes at exec; before that it brings the errno. */
    if (read(tell[0], &e, sizeof(e)) != sizeof(e)) {
        e = 0;
    }
    close(tell[0]);

    /* it has a group of its own now */
    group = pid;
    (void) sigprocmask(SIG_SETMASK, &before, NULL);

    return e;

failed:

    e = errno;
    close_pair(in);
    close_pair(out);
    close_pair(err);
    close_pair(tell);
    return e;
}


/* Takes in what a pipe has. */
static void
take(tc_child_t *c, int *fd, tq_buf_t *b)
{
    ssize_t  n;

    if (tq_buf_reserve(b, READ_BYTES) != 0) {
        n = 0;
    } else {
        n = read(*fd, b->p + b->len, READ_BYTES);
    }

    if (n > 0) {
        b->len += (size_t) n;

        if (b == &c->said && b->len > STDERR_KEPT) {
            memmove(b->p, b->p + b->len - STDERR_KEPT, STDERR_KEPT);
            b->len = STDERR_KEPT;
        }

        return;
    }

    if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        close(*fd);
        *fd = -1;
    }
}


/* Waits once, for output or (wants_in) for room to write. Returns the poll
 * events of the input; -1 when the deadline has come. */
static int
turn(tc_child_t *c, int wants_in, int64_t deadline_ms)
{
    int            rc;
    int64_t        left;
    struct pollfd  p[3];

    left = deadline_ms - tc_now_ms();
    if (left <= 0) {
        return -1;
    }

    p[0].fd = c->out;
    p[1].fd = c->err;
    p[2].fd = wants_in ? c->in : -1;
    p[0].events = p[1].events = POLLIN;
    p[2].events = POLLOUT;
    p[2].revents = 0;

    rc = poll(p, 3, (int) (left > 1000 ? 1000 : left));
    if (rc <= 0) {
        return 0;
    }

    if (c->out != -1 && p[0].revents) {
        take(c, &c->out, &c->text);
    }

    if (c->err != -1 && p[1].revents) {
        take(c, &c->err, &c->said);
    }

    return p[2].revents;
}


int
tc_child_send(tc_child_t *c, const char *p, size_t len, int64_t deadline_ms)
{
    int      events;
    ssize_t  n;

    while (len > 0) {
        events = turn(c, 1, deadline_ms);

        if (events == -1 || (c->out == -1 && events == 0)) {
            return -1;
        }

        if (events == 0) {
            continue;
        }

        n = write(c->in, p, len);

        if (n > 0) {
            p += n;
            len -= (size_t) n;
            continue;
        }

        if (n == -1 && errno != EAGAIN && errno != EINTR) {
            return -1;
        }
    }

    return 0;
}


tc_child_event_t
tc_child_line(tc_child_t *c, tq_str_t *line, int64_t deadline_ms)
{
    char  *nl;

    if (c->taken != 0) {
        memmove(c->text.p, c->text.p + c->taken, c->text.len - c->taken);
        c->text.len -= c->taken;
        c->taken = 0;
    }

    for ( ;; ) {
        nl = c->text.len ? memchr(c->text.p, '\n', c->text.len) : NULL;

        if (nl != NULL) {
            line->p = c->text.p;
            line->len = (size_t) (nl - c->text.p);
            c->taken = line->len + 1;
            return TC_CHILD_LINE;
        }

        if (c->out == -1) {
            return TC_CHILD_END;
        }

        if (turn(c, 0, deadline_ms) == -1) {
            return TC_CHILD_LATE;
        }
    }
}


/* Ends what is left of the child's group, then reaps it: until then its number
 * is nobody else's. */
static void
reap(tc_child_t *c)
{
    (void) kill(-c->pid, SIGKILL);
    group = 0;
    (void) waitpid(c->pid, &c->status, 0);
    c->pid = 0;
}


int
tc_child_finish(tc_child_t *c, int64_t deadline_ms)
{
    siginfo_t        ended;
    struct timespec  pause = { 0, REAP_PAUSE_NS };

    if (c->in != -1) {
        close(c->in);
        c->in = -1;
    }

    for ( ;; ) {
        ended.si_pid = 0;

        if (waitid(P_PID, (id_t) c->pid, &ended, WEXITED | WNOHANG | WNOWAIT)
            == 0 && ended.si_pid != 0)
        {
            reap(c);
            return 1;
        }

        if (c->out != -1 || c->err != -1) {
            (void) turn(c, 0, deadline_ms);
        } else {
            nanosleep(&pause, NULL);
        }

        if (tc_now_ms() >= deadline_ms) {
            return 0;
        }
    }
}


void
tc_child_end(tc_child_t *c)
{
    if (c->pid > 0) {
        reap(c);
    }

    if (c->in != -1) {
        close(c->in);
    }

    if (c->out != -1) {
        close(c->out);
    }

    if (c->err != -1) {
        close(c->err);
    }

    tq_buf_free(&c->text);
    tq_buf_free(&c->said);
    memset(c, 0, sizeof(*c));
    c->in = c->out = c->err = -1;
}
