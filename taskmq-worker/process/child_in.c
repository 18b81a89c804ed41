/* child_in.c: the way into a child: its tasks, through a pipe that may be full
 * or closed. See child.h. */

#include <sys/ioctl.h>

#include "child_int.h"

static tw_pace_t  all;        /* of all children that have a prefetch */

static unsigned
pace(tw_pace_t *p, uint64_t now)
{
    if (now != p->since) {
        p->per_ms = (unsigned) (p->count / (now - p->since));
        p->since = now;
        p->count = 0;
    }

    return p->per_ms;
}

int
tw_child_may_nap(tw_child_t *c)
{
    unsigned  per_ms = pace(&c->pace, uv_now(c->loop));

    return per_ms >= TQ_TINY_PER_MS && c->stage == STAGE_RUNS
           && c->out.n > per_ms + per_ms / 4;
}

int
tw_children_are_fast(const uv_loop_t *loop)
{
    return pace(&all, uv_now(loop)) >= TQ_TINY_PER_MS;
}

/* Nobody reads its stdin any more (libuv has stopped watching it). What it has
 * read already it may still answer. */
void
tw_child_stdin_closed(tw_child_t *c)
{
    c->deaf = 1;
    if (tw_outq_unwritten(&c->out) || tw_child_task_untouched(c)) {
        tw_child_note_closed(c, "stdin");
    }
}

void
tw_child_write_stdin(tw_child_t *c)
{
    int  rc;

    if (c->fd[PIPE_IN] < 0) {
        return;
    }

    rc = tw_outq_write(&c->out, c->fd[PIPE_IN]);

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

/* What we wrote of the task, and of those behind it, is all still in the
 * pipe. */
int
tw_child_task_untouched(const tw_child_t *c)
{
    int  left = 0;

    return c->out.n != 0 && c->fd[PIPE_IN] >= 0
           && ioctl(c->fd[PIPE_IN], FIONREAD, &left) == 0
           && (size_t) left == c->out.written;
}

void
tw_child_queue(tw_child_t *c, const char *p, size_t len)
{
    tw_outq_add(&c->out, p, len);
}

void
tw_child_flush(tw_child_t *c)
{
    if (!c->writing) {
        tw_child_write_stdin(c);
    }
}

int
tw_child_answered(tw_child_t *c)
{
    int  rc = tw_outq_pop(&c->out);

    if (c->out.cap > 1) {
        (void) pace(&all, uv_now(c->loop));
        all.count++;
        c->pace.count++;
    }

    /* what it had not read when it closed its stdin it will never answer */
    if (c->deaf && c->out.n != 0) {
        tw_child_stdin_closed(c);
    }

    return rc;
}
