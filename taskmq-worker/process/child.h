/*
 * child.h: one process with pipes on its stdin, stdout and stderr, in its own
 * process group, and the ladder that ends it. Knows nothing of jobs.
 *
 * All pipes are non-blocking on our side; a child that does not read its stdin
 * stops nobody. When the process is dead, what is left in its pipes is read,
 * its whole group is killed, `exited` is called, and the child frees itself.
 */

#ifndef TW_CHILD_H
#define TW_CHILD_H

#include <uv.h>

#include "proto.h"
#include "launch.h"

typedef struct tw_child_s  tw_child_t;

typedef struct {
    const char  *start_step;  /* not NULL: it never ran; what failed */
    int          start_errno;
    int          status;      /* of waitpid() */
    int          untouched;   /* a task was sent and not one byte of it read */
    size_t       half_line;   /* bytes after its last \n on stdout */
    int          out_of_memory;       /* of its cgroup */
} tw_exit_t;

/* Every callback may stop the child; none may free it. data is what
 * tw_child_set_data() last said. */
typedef struct {
    void  (*started)(tw_child_t *c, void *data);      /* exec worked */
    void  (*line)(tw_child_t *c, void *data, tq_str_t line);
    void  (*long_line)(tw_child_t *c, void *data, char first, size_t len);
    void  (*err)(tw_child_t *c, void *data, const char *p, size_t len);
    void  (*closed)(tw_child_t *c, void *data, const char *which);
    void  (*exited)(tw_child_t *c, void *data, const tw_exit_t *e);
} tw_child_events_t;

typedef enum {
    TW_STOP_EOF,              /* end of input; TERM and KILL if that is not
                                 enough */
    TW_STOP_TERM,             /* TERM, later KILL */
    TW_STOP_KILL
} tw_stop_t;

/* Watches for dead children on this loop; once. 0, or a libuv error. */
int tw_children_init(uv_loop_t *loop);
void tw_children_close(void);
unsigned tw_children_count(void);

/* Those that are forked, and not in their program yet. */
unsigned tw_children_starting(void);

/* Takes launch's kill_argv and cgroup over. NULL with *err an errno (no
 * process, no pipes, no memory). */
tw_child_t *tw_child_start(uv_loop_t *loop, tw_launch_t *launch,
    const tw_child_events_t *events, void *data, int *err);

void tw_child_set_data(tw_child_t *c, void *data);
pid_t tw_child_pid(const tw_child_t *c);

/* Reads what is in its pipes now, before it is given a task: callbacks run. */
void tw_child_poll(tw_child_t *c);
/* Only stderr: so that lines written before an answer belong to its job. */
void tw_child_poll_stderr(tw_child_t *c);

/* Writes a task (the one before it was answered), as far as the pipe takes it;
 * the rest follows by itself. p must stay as it is until tw_child_answered(),
 * or the child is dead or stopping. */
void tw_child_send(tw_child_t *c, const char *p, size_t len);

/* The task was answered. 0, or -1: it was not even written whole, the child
 * must be stopped: it would read the rest as the start of another. */
int tw_child_answered(tw_child_t *c);

/* Bytes on stdout after its last \n. */
size_t tw_child_half_line(const tw_child_t *c);

/* 1: it has a task, and not one byte of it has been read yet. */
int tw_child_task_untouched(const tw_child_t *c);

/* Stopping again with something harder is fine; softer does nothing. */
void tw_child_stop(tw_child_t *c, tw_stop_t how);
int tw_child_stopping(const tw_child_t *c);

#endif /* TW_CHILD_H */
