/*
 * exec.c: running nginx and taskmq-worker for serve-api and run-worker.
 */

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tc_exec.h"


const char *
tc_beside(const char *name, char *dst, size_t size)
{
    int       n;
    char      self[PATH_MAX], *slash;
    ssize_t   len;

    len = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (len <= 0) {
        return NULL;
    }

    self[len] = '\0';
    slash = strrchr(self, '/');
    if (slash == NULL) {
        return NULL;
    }

    *slash = '\0';
    n = snprintf(dst, size, "%s/%s", self, name);

    return (n > 0 && (size_t) n < size && access(dst, R_OK) == 0) ? dst : NULL;
}


int
tc_environment(tc_t *tc)
{
    tq_ns_t      ns;
    tq_url_t     url;
    const char  *backend, *name, *why;

    backend = getenv("TASKMQ_BACKEND");

    if (backend != NULL && *backend != '\0'
        && strcmp(backend, "redis") != 0)
    {
        return tc_error(tc, TC_USAGE, "TASKMQ_BACKEND=%s is not supported: "
                        "jobs are kept in Redis (unset it, or set it to "
                        "redis)", backend);
    }

    if (tc->url != NULL) {
        if (tq_url_parse(tc->url, strlen(tc->url), &url, &why) != 0) {
            return tc_usage(tc, "the Redis URL is not usable: %s", why);
        }

        setenv("TASKMQ_REDIS_URL", tc->url, 1);
    }

    name = tc->ns_name != NULL ? tc->ns_name : getenv("TASKMQ_NAMESPACE");

    if (name != NULL && *name != '\0'
        && tq_ns_init(&ns, name, strlen(name)) != 0)
    {
        return tc_usage(tc, "\"%s\" is not a namespace: 1 to %d of A-Z a-z "
                        "0-9 _ . -", name, TQ_NAMESPACE_MAX);
    }

    if (tc->ns_name != NULL) {
        setenv("TASKMQ_NAMESPACE", tc->ns_name, 1);
    }

    return TC_OK;
}


static int
await(tc_t *tc, pid_t pid, const sigset_t *set, int first_int)
{
    int    sig, status;

    for ( ;; ) {
        if (waitpid(pid, &status, WNOHANG) == pid) {
            break;
        }

        if (sigwait(set, &sig) != 0 || sig == SIGCHLD) {
            continue;
        }

        if (sig == SIGINT) {
            sig = first_int;
            first_int = SIGTERM;
        }

        kill(pid, sig);
    }

    if (WIFEXITED(status)) {
        return WEXITSTATUS(status);
    }

    return tc_error(tc, 128 + WTERMSIG(status), "it was ended by signal %d "
                    "(%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
}


int
tc_supervise(tc_t *tc, char **argv, int first_int)
{
    int       e;
    pid_t     pid;
    sigset_t  set, old;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGQUIT);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, &old);

    pid = fork();

    if (pid == -1) {
        return tc_error(tc, TC_FAILED, "fork: %s", strerror(errno));
    }

    if (pid == 0) {
        /* A session of its own: a Ctrl-C reaches it only through us, and no
         * setting of the terminal stops it. Should we be killed, it ends. */
        (void) setsid();
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        sigprocmask(SIG_SETMASK, &old, NULL);
        signal(SIGPIPE, SIG_DFL);

        execvp(argv[0], argv);
        e = errno;
        _exit(tc_error(tc, e == ENOENT ? 127 : 126, "%s: %s", argv[0],
                       strerror(e)));
    }

    return await(tc, pid, &set, first_int);
}
