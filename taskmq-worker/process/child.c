/* child.c: see child.h. */

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgroup.h"
#include "child_int.h"
#include "guard.h"
#include "tool.h"

#define READ_BYTES       (64 * 1024)
#define READS_MAX        8    /* per event; a flood must not starve others */
#define LAST_READS_MAX   64   /* of what a dead child left behind */

/* One loop, one set of children. */
static uv_signal_t   sigchld;
static tw_child_t   *children;
static unsigned      nchildren, nstarting;

/* stdout's bytes are being taken apart while a callback reads stderr. */
static char  out_buf[READ_BYTES], err_buf[READ_BYTES];

static void go_on(tw_child_t *c, stage_t stage, int sig);
static void on_timer(uv_timer_t *t);

static void
on_closed(uv_handle_t *h)
{
    tw_child_t  *c = h->data;

    if (--c->handles == 0) {
        free(c);
    }
}

static void
close_pipe(tw_child_t *c, pipe_no_t i)
{
    if (c->fd[i] >= 0) {
        (void) uv_poll_stop(&c->poll[i]);
        uv_close((uv_handle_t *) &c->poll[i], on_closed);
        (void) close(c->fd[i]);
        c->fd[i] = -1;
    }
}

static void
mark_started(tw_child_t *c)
{
    if (!c->started) {
        c->started = 1;
        nstarting--;
        c->events->started(c, c->data);
    }
}

/* A process closes its pipes a moment before it is seen dead: only when it is
 * still there a little later has it closed them alive. */
void
tw_child_note_closed(tw_child_t *c, const char *which)
{
    if (c->closed == NULL) {
        c->closed = which;
        if (c->stage == STAGE_RUNS) {
            (void) uv_timer_start(&c->timer, on_timer, TQ_CLOSED_WAIT_MS, 0);
        }
    }
}

/* One read of a pipe. 1: there may be more, 0: not now, -1: its end. */
static int
read_some(tw_child_t *c, pipe_no_t i, char *buf, size_t *got)
{
    ssize_t  n;

    do {
        n = read(c->fd[i], buf, READ_BYTES);
    } while (n < 0 && errno == EINTR);

    if (n > 0) {
        *got = (size_t) n;
        return 1;
    }

    *got = 0;

    return n < 0 && errno == EAGAIN ? 0 : -1;
}

static void
read_stderr(tw_child_t *c, int max)
{
    int     rc;
    size_t  n;

    while (max-- > 0 && c->fd[PIPE_ERR] >= 0) {
        rc = read_some(c, PIPE_ERR, err_buf, &n);
        if (rc < 0) {
            close_pipe(c, PIPE_ERR);
        }
        if (rc <= 0) {
            return;
        }
        c->events->err(c, c->data, err_buf, n);
    }
}

static void
take_lines(tw_child_t *c, const char *p, size_t len)
{
    tq_str_t   line;
    tw_line_t  rc;

    while ((rc = tw_lines_next(&c->lines, &p, &len, &line)) != TW_LINE_NONE) {
        if (rc == TW_LINE_OK) {
            c->events->line(c, c->data, line);
        } else {
            c->events->long_line(c, c->data, *line.p, line.len);
        }
    }
}

static void
read_stdout(tw_child_t *c, int max)
{
    int     rc;
    size_t  n;

    assert(!c->reading);
    c->reading = 1;

    while (max-- > 0 && c->fd[PIPE_OUT] >= 0) {
        rc = read_some(c, PIPE_OUT, out_buf, &n);
        if (rc < 0) {
            close_pipe(c, PIPE_OUT);
            tw_child_note_closed(c, "stdout");
        }
        if (rc <= 0) {
            break;
        }
        mark_started(c);
        take_lines(c, out_buf, n);
        if (n < READ_BYTES) {
            break;            /* the next read would find nothing */
        }
    }

    c->reading = 0;
}

static void
read_report(tw_child_t *c)
{
    ssize_t  n;

    if (c->fd[PIPE_REPORT] < 0) {
        return;
    }

    n = read(c->fd[PIPE_REPORT], &c->report, sizeof(c->report));
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }

    close_pipe(c, PIPE_REPORT);

    if (n == (ssize_t) sizeof(c->report)) {
        c->reported = 1;      /* it exits now */
    } else {
        mark_started(c);
    }
}

void
tw_child_on_pipe(uv_poll_t *h, int status, int events)
{
    tw_child_t  *c = h->data;

    (void) events;            /* and reading sees errors, too */

    if (h == &c->poll[PIPE_OUT]) {
        read_stdout(c, READS_MAX);
    } else if (h == &c->poll[PIPE_ERR]) {
        read_stderr(c, READS_MAX);
    } else if (h == &c->poll[PIPE_REPORT]) {
        read_report(c);
    } else if (status < 0) {
        tw_child_stdin_closed(c);
    } else {
        tw_child_write_stdin(c);
    }
}

/* The group is there when the child has made its session, before it executes
 * anything. Until then it is one process. */
static void
signal_all(const tw_child_t *c, int sig)
{
    if (kill(-c->pid, sig) != 0) {
        (void) kill(c->pid, sig);
    }
}

/* One more step down the ladder. */
static void
on_timer(uv_timer_t *t)
{
    tw_child_t  *c = t->data;

    if (c->stage == STAGE_RUNS) {
        c->events->closed(c, c->data, c->closed);
    } else if (c->stage == STAGE_EOF) {
        tw_child_stop(c, TW_STOP_TERM);
    } else if (c->stage == STAGE_TERM) {
        tw_child_stop(c, TW_STOP_KILL);
    } else if (c->stage == STAGE_HELP) {
        go_on(c, STAGE_KILL, SIGKILL);
    }
}

static void
go_on(tw_child_t *c, stage_t stage, int sig)
{
    if (c->stage >= stage) {
        return;
    }

    c->stage = stage;
    close_pipe(c, PIPE_IN);

    if (sig != 0) {
        signal_all(c, sig);
    }

    if (stage == STAGE_KILL) {
        (void) uv_timer_stop(&c->timer);
    } else {
        (void) uv_timer_start(&c->timer, on_timer, TQ_KILL_WAIT_MS, 0);
    }
}

void
tw_child_stop(tw_child_t *c, tw_stop_t how)
{
    switch (how) {
    case TW_STOP_EOF:
        go_on(c, STAGE_EOF, 0);
        break;
    case TW_STOP_TERM:
        go_on(c, STAGE_TERM, SIGTERM);
        break;
    case TW_STOP_KILL:
        if (c->kill_argv != NULL && c->stage < STAGE_HELP
            && tw_tool_run(c->loop, c->kill_argv, environ) == 0)
        {
            go_on(c, STAGE_HELP, 0);
        } else if (c->stage != STAGE_HELP) {
            go_on(c, STAGE_KILL, SIGKILL);
        }
        break;
    }
}

int
tw_child_stopping(const tw_child_t *c)
{
    return c->stage != STAGE_RUNS;
}

static void
unlink_child(tw_child_t *c)
{
    *c->prev = c->next;
    if (c->next != NULL) {
        c->next->prev = c->prev;
    }
    nchildren--;
}

/* The process is dead and not waited for yet: its pid and its group's number
 * cannot have been given to anybody else. */
static void
bury(tw_child_t *c)
{
    int        i, status = 0;
    tw_exit_t  e = {0};

    (void) kill(-c->pid, SIGKILL);
    tw_guard_forget(c->pid);
    (void) waitpid(c->pid, &status, 0);

    if (c->cgroup != NULL) {
        e.out_of_memory = tw_cgroup_end(c->cgroup);
        c->cgroup = NULL;
    }

    e.untouched = tw_child_task_untouched(c);
    read_report(c);
    read_stderr(c, LAST_READS_MAX);
    read_stdout(c, LAST_READS_MAX);

    /* a last answer without its \n is an answer, if it is whole */
    e.half_line = tw_lines_pending(&c->lines);
    if (e.half_line != 0 && c->lines.skipped == 0) {
        tw_answer_t  a;
        tq_str_t     line = { c->lines.part.p, c->lines.part.len };

        tw_proto_answer(line, &a);
        tq_buf_free(&a.error);
        if (a.kind != TW_ANSWER_NONE && !a.unfinished) {
            e.half_line = 0;
            c->events->line(c, c->data, line);
        }
    }

    e.status = status;
    if (c->reported) {
        e.start_step = tw_spawn_step(c->report.step);
        e.start_errno = c->report.err;
    }

    c->stage = STAGE_KILL;
    nstarting -= !c->started;
    unlink_child(c);

    for (i = 0; i < PIPES; i++) {
        close_pipe(c, i);
    }

    (void) uv_timer_stop(&c->timer);
    c->events->exited(c, c->data, &e);
    tw_lines_free(&c->lines);
    tw_list_free(c->kill_argv);
    uv_close((uv_handle_t *) &c->timer, on_closed);
}

static void
on_sigchld(uv_signal_t *h, int signum)
{
    siginfo_t    info;
    tw_child_t  *c;

    (void) h;
    (void) signum;

    for ( ;; ) {
        info.si_pid = 0;
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0
            || info.si_pid == 0)
        {
            return;
        }

        for (c = children; c != NULL && c->pid != info.si_pid; c = c->next) {
            /* void */
        }

        if (c != NULL) {
            bury(c);
        } else {
            /* the guard, or an orphan that was given to us as pid 1 */
            (void) waitpid(info.si_pid, NULL, WNOHANG);
            if (tw_guard_died(info.si_pid)) {
                for (c = children; c != NULL; c = c->next) {
                    tw_guard_add(c->pid);
                }
            }
        }
    }
}

int
tw_children_init(uv_loop_t *loop)
{
    int  rc = uv_signal_init(loop, &sigchld);

    return rc != 0 ? rc : uv_signal_start(&sigchld, on_sigchld, SIGCHLD);
}

void
tw_children_close(void)
{
    if (!uv_is_closing((uv_handle_t *) &sigchld)) {
        uv_close((uv_handle_t *) &sigchld, NULL);
    }
}

unsigned
tw_children_count(void)
{
    return nchildren;
}

unsigned
tw_children_starting(void)
{
    return nstarting;
}

static int
watch_pipes(tw_child_t *c, uv_loop_t *loop)
{
    int  i, rc = 0;

    for (i = 0; i < PIPES; i++) {
        if (uv_poll_init(loop, &c->poll[i], c->fd[i]) != 0) {
            (void) close(c->fd[i]);
            c->fd[i] = -1;
            rc = -1;
            continue;
        }

        c->handles++;
        c->poll[i].data = c;

        if (uv_poll_start(&c->poll[i], i == PIPE_IN ? UV_DISCONNECT
                : UV_READABLE, tw_child_on_pipe) != 0)
        {
            rc = -1;
        }
    }

    return rc;
}

tw_child_t *
tw_child_start(uv_loop_t *loop, tw_launch_t *launch,
    const tw_child_events_t *events, void *data, int *err)
{
    tw_child_t    *c = calloc(1, sizeof(*c));
    tw_spawned_t   sp;

    if (c == NULL) {
        *err = ENOMEM;
        return NULL;
    }

    *err = tw_spawn(&launch->spec, &sp);
    if (*err != 0) {
        free(c);
        return NULL;
    }

    c->pid = sp.pid;
    c->events = events;
    c->data = data;
    c->lines.cap = TQ_ANSWER_LINE_BYTES;
    c->loop = loop;
    c->kill_argv = launch->kill_argv;
    c->cgroup = launch->cgroup;
    launch->kill_argv = NULL;
    launch->cgroup = NULL;
    c->fd[PIPE_IN] = sp.in;
    c->fd[PIPE_OUT] = sp.out;
    c->fd[PIPE_ERR] = sp.err;
    c->fd[PIPE_REPORT] = sp.report;

    (void) uv_timer_init(loop, &c->timer);
    c->timer.data = c;
    c->handles = 1;

    c->next = children;
    c->prev = &children;
    if (children != NULL) {
        children->prev = &c->next;
    }
    children = c;
    nchildren++;
    nstarting++;

    if (watch_pipes(c, loop) != 0) {
        /* it will be buried like any other */
        tw_child_stop(c, TW_STOP_KILL);
    }

    return c;
}

void
tw_child_set_data(tw_child_t *c, void *data)
{
    c->data = data;
}

pid_t
tw_child_pid(const tw_child_t *c)
{
    return c->pid;
}

size_t
tw_child_half_line(const tw_child_t *c)
{
    return tw_lines_pending(&c->lines);
}

void
tw_child_poll(tw_child_t *c)
{
    read_stderr(c, READS_MAX);
    read_stdout(c, READS_MAX);
}

void
tw_child_poll_stderr(tw_child_t *c)
{
    read_stderr(c, READS_MAX);
}
