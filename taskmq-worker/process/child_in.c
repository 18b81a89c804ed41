/* child_in.c: the way into a child: its task, through a pipe that may be full
 * or closed. See child.h. */

#include <assert.h>
#include <errno.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "child_int.h"

int
tw_child_task_untouched(const tw_child_t *c)
{
    int  left = 0;

    /* what we wrote of it is all still in the pipe */
    return c->task != NULL && c->fd[PIPE_IN] >= 0
           && ioctl(c->fd[PIPE_IN], FIONREAD, &left) == 0
           && (size_t) left == c->written;
}

/* Nobody reads its stdin any more (libuv has stopped watching it). A task that
 * it has read already it may still answer. */
void
tw_child_stdin_closed(tw_child_t *c)
{
    if (c->task != NULL
        && (c->written < c->task_len || tw_child_task_untouched(c)))
    {
        tw_child_note_closed(c, "stdin");
    }
}

/* The rest of the task. 0: all is written; 1: the pipe is full; -1: nobody
 * reads it. */
static int
write_task(tw_child_t *c)
{
    ssize_t  n;

    while (c->task != NULL && c->written < c->task_len) {
        n = write(c->fd[PIPE_IN], c->task + c->written,
            c->task_len - c->written);
        if (n >= 0) {
            c->written += (size_t) n;
        } else if (errno != EINTR) {
            return errno == EAGAIN ? 1 : -1;
        }
    }

    return 0;
}

void
tw_child_write_stdin(tw_child_t *c)
{
    int  rc;

    if (c->fd[PIPE_IN] < 0) {
        return;
    }

    rc = write_task(c);

    if (rc > 0) {
        (void) uv_poll_start(&c->poll[PIPE_IN], UV_WRITABLE, tw_child_on_pipe);
        c->writing = 1;
        return;
    }

    if (rc < 0) {
        tw_child_stdin_closed(c);
    }

    if (c->writing) {
        c->writing = 0;
        (void) uv_poll_start(&c->poll[PIPE_IN], UV_DISCONNECT,
            tw_child_on_pipe);
    }
}

void
tw_child_send(tw_child_t *c, const char *p, size_t len)
{
    assert(c->task == NULL);
    c->task = p;
    c->task_len = len;
    c->written = 0;
    tw_child_write_stdin(c);
}

int
tw_child_answered(tw_child_t *c)
{
    assert(c->task != NULL);
    c->task = NULL;

    return c->written == c->task_len ? 0 : -1;
}
