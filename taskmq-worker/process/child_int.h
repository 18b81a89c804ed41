/*
 * child_int.h: what child.c and child_in.c share of one process.
 */

#ifndef TW_CHILD_INT_H
#define TW_CHILD_INT_H

#include "child.h"
#include "outq.h"

/* How fast answers come, so that a process of tiny tasks is not looked at for
 * each of them. */
typedef struct {
    uint64_t                  since;           /* loop clock */
    unsigned                  count;           /* answers in this ms */
    unsigned                  per_ms;          /* in those before */
} tw_pace_t;

typedef enum { PIPE_IN, PIPE_OUT, PIPE_ERR, PIPE_REPORT, PIPES } pipe_no_t;

typedef enum {
    STAGE_RUNS,
    STAGE_EOF,                /* no more input */
    STAGE_TERM,
    STAGE_HELP,               /* a program was started that kills it */
    STAGE_KILL
} stage_t;

struct tw_child_s {
    pid_t                     pid;
    stage_t                   stage;
    const tw_child_events_t  *events;
    void                     *data;
    uv_timer_t                timer;   /* the ladder, or `closed` */
    uv_poll_t                 poll[PIPES];
    int                       fd[PIPES];       /* -1: closed */
    unsigned                  handles;         /* to be closed before free() */
    unsigned                  started:1;
    unsigned                  reading:1;
    unsigned                  writing:1;       /* stdin was full */
    unsigned                  deaf:1;          /* nobody reads its stdin */
    unsigned                  err_read:1;      /* since stdout was */
    unsigned                  napping:1;       /* stdout is not watched */
    const char               *closed;          /* which pipe it closed */
    tw_report_t               report;
    int                       reported;
    char                    **kill_argv;       /* run instead of KILL */
    char                     *cgroup;
    uv_loop_t                *loop;
    tw_outq_t                 out;             /* tasks without an answer */
    tw_pace_t                 pace;
    tw_lines_t                lines;
    tw_child_t               *next, **prev;
};

/* libuv's callback of all four pipes. */
void tw_child_on_pipe(uv_poll_t *h, int status, int events);

/* It closed this one of its pipes; the instance is told a little later. */
void tw_child_note_closed(tw_child_t *c, const char *which);

/* ---- child_in.c ---- */

/* 1: it answers so fast, and has so many tasks, that its stdout may as well be
 * read a little later. */
int tw_child_may_nap(tw_child_t *c);

/* Goes on writing what was queued. */
void tw_child_write_stdin(tw_child_t *c);

/* Nobody reads its stdin any more. */
void tw_child_stdin_closed(tw_child_t *c);

#endif /* TW_CHILD_INT_H */
