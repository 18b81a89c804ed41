/* guard.c: see guard.h. */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guard.h"
#include "tq_base.h"

/* instances of all handlers, and as many replacements starting */
#define GROUPS_MAX  (8 * TQ_INSTANCES_MAX)

static int    guard_fd = -1;
static pid_t  guard_pid = -1;

static void
note(pid_t *groups, unsigned *n, pid_t group)
{
    unsigned  i;

    if (group > 0) {
        if (*n < GROUPS_MAX) {
            groups[(*n)++] = group;
        }
        return;
    }

    for (i = 0; i < *n; i++) {
        if (groups[i] == -group) {
            groups[i] = groups[--*n];
            return;
        }
    }
}

/* The guard's whole life. Only plain system calls: it is a fork without an
 * exec. */
static void
watch(int fd)
{
    static pid_t  groups[GROUPS_MAX];
    pid_t         in[256];
    unsigned      n = 0, i;
    ssize_t       got;

    for ( ;; ) {
        got = read(fd, in, sizeof(in));     /* whole numbers: PIPE_BUF */

        if (got > 0) {
            for (i = 0; i < (size_t) got / sizeof(pid_t); i++) {
                note(groups, &n, in[i]);
            }
        } else if (got == 0 || errno != EINTR) {
            break;
        }
    }

    for (i = 0; i < n; i++) {
        (void) kill(-groups[i], SIGKILL);
    }

    _exit(0);
}

static void
become_guard(int fd)
{
    int       sig;
    sigset_t  none;

    (void) prctl(PR_SET_NAME, "taskmq-guard");
    (void) setsid();

    /* whoever stops the worker's group or service stops us last: by the end
     * of the pipe */
    for (sig = 1; sig < NSIG; sig++) {
        (void) signal(sig, SIG_IGN);
    }
    (void) signal(SIGCHLD, SIG_DFL);
    (void) sigemptyset(&none);
    (void) sigprocmask(SIG_SETMASK, &none, NULL);

    if (dup2(fd, 0) == 0) {
        fd = 0;
        (void) syscall(SYS_close_range, 1, ~0U, 0);
    }

    watch(fd);
}

int
tw_guard_start(void)
{
    int       fd[2];
    pid_t     pid;
    sigset_t  all, old;

    if (pipe2(fd, O_CLOEXEC) != 0) {
        return -1;
    }

    (void) sigfillset(&all);
    (void) sigprocmask(SIG_SETMASK, &all, &old);
    pid = fork();

    if (pid == 0) {
        (void) close(fd[1]);
        become_guard(fd[0]);
    }

    (void) sigprocmask(SIG_SETMASK, &old, NULL);
    (void) close(fd[0]);
    /* a guard that somebody stopped must not stop the worker, too */
    (void) fcntl(fd[1], F_SETFL, O_NONBLOCK);

    if (pid < 0) {
        (void) close(fd[1]);
        return -1;
    }

    guard_pid = pid;
    guard_fd = fd[1];

    return 0;
}

int
tw_guard_fd(void)
{
    return guard_fd;
}

pid_t
tw_guard_pid(void)
{
    return guard_pid;
}

static void
tell(pid_t n)
{
    /* the pipe is read at once by a process that does nothing else */
    if (guard_fd >= 0 && write(guard_fd, &n, sizeof(n)) < 0) {
        /* it died: tw_guard_died() is next */
        return;
    }
}

void
tw_guard_forget(pid_t group)
{
    tell(-group);
}

void
tw_guard_add(pid_t group)
{
    tell(group);
}

int
tw_guard_died(pid_t pid)
{
    if (pid != guard_pid) {
        return 0;
    }

    guard_pid = -1;
    (void) close(guard_fd);
    guard_fd = -1;

    return tw_guard_start() == 0;
}

void
tw_guard_stop(void)
{
    if (guard_fd >= 0) {
        (void) close(guard_fd);
        guard_fd = -1;
        (void) waitpid(guard_pid, NULL, 0);
        guard_pid = -1;
    }
}
