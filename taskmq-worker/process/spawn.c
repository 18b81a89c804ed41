/*
 * spawn.c: see spawn.h.
 *
 * Why not uv_spawn(): it has no parent-death signal, no way to act between
 * fork and exec, and it waits for the exec. Why fork() and not vfork(): the
 * child changes signal handlers, limits and credentials, and must do so
 * without the parent's memory under it; the worker is small, so the copied
 * page tables cost less than the exec that follows.
 *
 * Between fork and exec only async-signal-safe calls are made: libuv's thread
 * pool (DNS) may hold the allocator's lock at the moment of the fork.
 */

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "spawn.h"

enum {
    STEP_SETUP, STEP_CGROUP, STEP_MEMORY, STEP_USER, STEP_WORKDIR, STEP_FENCE,
    STEP_EXEC
};

static const char  *steps[] = { "setting up", "cgroup", "memory_limit",
                                "user", "workdir", "system call filter",
                                "exec" };

#define REPORT_FD  3

const char *
tw_spawn_step(int step)
{
    return step >= 0 && step <= STEP_EXEC ? steps[step] : "starting";
}

static struct rlimit  files;          /* rlim_max 0: never raised */

void
tw_spawn_raise_files(void)
{
    struct rlimit  more;

    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        more = files;
        more.rlim_cur = more.rlim_max;
        (void) setrlimit(RLIMIT_NOFILE, &more);
    }
}

static void
give_up(int step)
{
    tw_report_t  r = { step, errno };

    /* an int pair is under PIPE_BUF: whole or not at all */
    if (write(REPORT_FD, &r, sizeof(r)) < 0) {
        _exit(126);
    }

    _exit(127);
}

/* argv[0] of the new PATH: execvpe() would look in the old one. */
static void
exec_path(const tw_spawn_t *spec)
{
    char         file[4096];
    int          denied = 0;
    size_t       n, len = strlen(spec->argv[0]);
    const char  *path = tw_path(spec->envp);

    for ( ;; ) {
        n = strcspn(path, ":");

        if (n + len + 3 <= sizeof(file)) {
            memcpy(file, n ? path : ".", n ? n : 1);
            file[n ? n : 1] = '/';
            memcpy(file + (n ? n : 1) + 1, spec->argv[0], len + 1);
            (void) execve(file, spec->argv, spec->envp);
            denied |= errno == EACCES;
        }

        if (path[n] == '\0') {
            break;
        }

        path += n + 1;
    }

    errno = denied ? EACCES : ENOENT;
}

static void
reset_signals(void)
{
    int               sig;
    sigset_t          none;
    struct sigaction  dfl;

    memset(&dfl, 0, sizeof(dfl));
    dfl.sa_handler = SIG_DFL;

    for (sig = 1; sig < NSIG; sig++) {
        (void) sigaction(sig, &dfl, NULL);
    }

    (void) sigemptyset(&none);
    (void) sigprocmask(SIG_SETMASK, &none, NULL);
}

/* What needs descriptors of the worker's. */
static void
enter(const tw_spawn_t *spec)
{
    pid_t  pid = getpid();

    /* a group that can be ended as one; and neither the worker's terminal nor
     * its autogroup, whose nice value is the session's */
    if (setsid() < 0) {
        give_up(STEP_SETUP);
    }

    if (spec->guard_fd >= 0
        && write(spec->guard_fd, &pid, sizeof(pid)) != sizeof(pid))
    {
        give_up(STEP_SETUP);
    }

    if (spec->cgroup_fd >= 0 && write(spec->cgroup_fd, "0", 1) != 1) {
        give_up(STEP_CGROUP);
    }
}

/* Before the user changes, which takes the right to. What may not be dropped
 * here is out of reach by NO_NEW_PRIVS. */
static void
drop_bounding_set(void)
{
    int  cap;

    for (cap = 0; prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0; cap++) {
        /* until there is none of that number, or it is not allowed */
    }
}

/* No capability, also as root, and none to be had by any exec. */
static void
drop_capabilities(void)
{
    struct __user_cap_header_struct  head = { _LINUX_CAPABILITY_VERSION_3, 0 };
    struct __user_cap_data_struct    none[_LINUX_CAPABILITY_U32S_3] = {{0}};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
        || syscall(SYS_capset, &head, none) != 0)
    {
        give_up(STEP_SETUP);
    }
}

/* Limits, then the user: the other order would not be allowed. */
static void
become(const tw_spawn_t *spec)
{
    const tw_user_t  *u = spec->user;
    struct rlimit     r;

    if (files.rlim_max != 0 && setrlimit(RLIMIT_NOFILE, &files) != 0) {
        give_up(STEP_SETUP);
    }

    if (spec->memory_bytes != 0) {
        r.rlim_cur = r.rlim_max = (rlim_t) spec->memory_bytes;
        if (setrlimit(RLIMIT_AS, &r) != 0) {
            give_up(STEP_MEMORY);
        }
    }

    if (!spec->may_gain) {
        drop_bounding_set();
    }

    if (u != NULL && geteuid() == 0
        && (setgroups((size_t) u->ngroups, u->groups) != 0
            || setresgid(u->gid, u->gid, u->gid) != 0
            || setresuid(u->uid, u->uid, u->uid) != 0))
    {
        give_up(STEP_USER);
    }

    if (!spec->may_gain) {
        drop_capabilities();
    }
}

static void
run_child(const tw_spawn_t *spec, int in, int out, int err, int report,
    pid_t parent)
{
    /* our pipes are above 2 (main() keeps 0 to 2 open), so no dup2() here
     * covers an end that is still needed */
    if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0) {
        _exit(126);
    }

    if (report != REPORT_FD && dup3(report, REPORT_FD, O_CLOEXEC) < 0) {
        _exit(126);
    }

    enter(spec);

    if (syscall(SYS_close_range, REPORT_FD + 1, ~0U, 0) != 0) {
        int  fd, max = (int) sysconf(_SC_OPEN_MAX);

        for (fd = REPORT_FD + 1; fd < max; fd++) {
            (void) close(fd);
        }
    }

    become(spec);

    /* after the change of user, which would clear it */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) {
        give_up(STEP_SETUP);
    }

    /* the worker may have died before the line above */
    if (getppid() != parent) {
        _exit(126);
    }

    if (spec->workdir != NULL && chdir(spec->workdir) != 0) {
        give_up(STEP_WORKDIR);
    }

    reset_signals();

    if (spec->fence != NULL && tw_fence_enter(spec->fence) != 0) {
        give_up(STEP_FENCE);
    }

    if (spec->file != NULL) {
        (void) execve(spec->file, spec->argv, spec->envp);
    } else if (strchr(spec->argv[0], '/') != NULL) {
        (void) execve(spec->argv[0], spec->argv, spec->envp);
    } else {
        exec_path(spec);
    }

    give_up(STEP_EXEC);
}

static void
close_all(int fd[8])
{
    int  i;

    for (i = 0; i < 8; i++) {
        if (fd[i] >= 0) {
            (void) close(fd[i]);
        }
    }
}

/* Descriptors are given out from below: the newest tells how many there are.
 * A worker that has none left for Redis could do nothing at all. */
static int
too_many(int fd)
{
    struct rlimit  r;

    return getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur != RLIM_INFINITY
           && (rlim_t) fd + TQ_FILES_KEPT >= r.rlim_cur;
}

int
tw_spawn(const tw_spawn_t *spec, tw_spawned_t *out)
{
    int       fd[8] = { -1, -1, -1, -1, -1, -1, -1, -1 };
    int       i, err, ours[4];
    pid_t     pid, parent = getpid();
    sigset_t  all, old;

    for (i = 0; i < 8; i += 2) {
        if (pipe2(fd + i, O_CLOEXEC) != 0) {
            err = errno;
            close_all(fd);
            return err;
        }
    }

    if (too_many(fd[7])) {
        close_all(fd);
        return EMFILE;
    }

    ours[0] = fd[1];
    ours[1] = fd[2];
    ours[2] = fd[4];
    ours[3] = fd[6];
    for (i = 0; i < 4; i++) {
        (void) fcntl(ours[i], F_SETFL, O_NONBLOCK);
    }

    /* no handler of ours may run in the child */
    (void) sigfillset(&all);
    (void) sigprocmask(SIG_SETMASK, &all, &old);

    pid = fork();
    if (pid == 0) {
        run_child(spec, fd[0], fd[3], fd[5], fd[7], parent);
    }

    err = errno;
    (void) sigprocmask(SIG_SETMASK, &old, NULL);

    if (pid < 0) {
        close_all(fd);
        return err;
    }

    (void) close(fd[0]);
    (void) close(fd[3]);
    (void) close(fd[5]);
    (void) close(fd[7]);

    out->pid = pid;
    out->in = fd[1];
    out->out = fd[2];
    out->err = fd[4];
    out->report = fd[6];

    return 0;
}
