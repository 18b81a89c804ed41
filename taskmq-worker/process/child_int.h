/*
 * child_int.h: what child.c and child_in.c share of one process.
 */

#ifndef TW_CHILD_INT_H
#define TW_CHILD_INT_H

#include "child.h"

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
    uv_loop_t                *loop;
    uv_timer_t                timer;   /* the ladder, or `closed` */
    uv_poll_t                 poll[PIPES];
    int                       fd[PIPES];       /* -1: closed */
    unsigned                  handles;         /* to be closed before free() */
    unsigned                  started:1;
    unsigned                  reading:1;
    unsigned                  writing:1;       /* stdin was full */
    const char               *closed;          /* which pipe it closed */
    tw_report_t               report;
    int                       reported;
    char                    **kill_argv;       /* run instead of KILL */
    char                     *cgroup;
    const char               *task;    /* without an answer; NULL: none */
    size_t                    task_len, written;
    tw_lines_t                lines;
    tw_child_t               *next, **prev;
};

/* libuv's callback of all four pipes. */
void tw_child_on_pipe(uv_poll_t *h, int status, int events);

/* It closed this one of its pipes; the instance is told a little later. */
void tw_child_note_closed(tw_child_t *c, const char *which);

/* ---- child_in.c ---- */

/* Goes on writing its task. */
void tw_child_write_stdin(tw_child_t *c);

/* Nobody reads its stdin any more. */
void tw_child_stdin_closed(tw_child_t *c);

#endif /* TW_CHILD_INT_H */
