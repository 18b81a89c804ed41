/*
 * tc_child.h: a handler process on the other end of three pipes, for
 * `taskmq check-handler`. Every wait has a deadline on tc_now_ms()'s clock.
 */

#ifndef TC_CHILD_H
#define TC_CHILD_H

#include <sys/types.h>

#include "tc.h"

typedef struct {
    pid_t      pid;          /* 0: not started, or reaped */
    int        in, out, err; /* our ends; -1: closed */
    tq_buf_t   text;         /* stdout, not yet taken */
    tq_buf_t   said;         /* the last of stderr */
    size_t     taken;        /* bytes of text that were handed out */
    int        status;       /* wait status, once reaped */
} tc_child_t;

typedef enum {
    TC_CHILD_LINE,           /* here is a line */
    TC_CHILD_LATE,           /* the deadline came first */
    TC_CHILD_END             /* the handler closed stdout, or died */
} tc_child_event_t;

/* Starts argv with this environment (its PATH is where argv[0] is looked for),
 * in a session of its own, with no_new_privs set. A signal that ends this
 * program ends the child's group first. One child at a time. 0, or an errno. */
int tc_child_start(tc_child_t *c, char **argv, char **env);

/* Writes all of p, taking in what the child says meanwhile, so that neither
 * waits for the other. 0, or -1: the child does not read (deadline or end). */
int tc_child_send(tc_child_t *c, const char *p, size_t len,
    int64_t deadline_ms);

/* The next line of stdout without its newline; lives until the next call. */
tc_child_event_t tc_child_line(tc_child_t *c, tq_str_t *line,
    int64_t deadline_ms);

/* Closes its input and waits for it to end. 1: it has, with what was left of
 * its group, and status is set; 0: it is still there at the deadline. */
int tc_child_finish(tc_child_t *c, int64_t deadline_ms);

/* Kills what is left of the group, reaps and frees. */
void tc_child_end(tc_child_t *c);

#endif /* TC_CHILD_H */
