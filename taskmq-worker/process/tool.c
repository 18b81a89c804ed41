/* tool.c: see tool.h. */

#include "tw_base.h"
#include "tool.h"

void
tw_tool_started(tw_child_t *c, void *data)
{
    (void) data;
    tw_child_stop(c, TW_STOP_EOF);
}

void
tw_tool_line(tw_child_t *c, void *data, tq_str_t line)
{
    (void) c;
    (void) data;
    (void) line;
}

void
tw_tool_long_line(tw_child_t *c, void *data, char first, size_t len)
{
    (void) c;
    (void) data;
    (void) first;
    (void) len;
}

void
tw_tool_err(tw_child_t *c, void *data, const char *p, size_t len)
{
    (void) data;
    TW_LOG(TW_DEBUG, "helper", tw_fi("pid", tw_child_pid(c)),
        tw_fz("stderr", ((tq_str_t) { p, len })));
}

void
tw_tool_closed(tw_child_t *c, void *data, const char *which)
{
    (void) c;
    (void) data;
    (void) which;
}

static void
exited(tw_child_t *c, void *data, const tw_exit_t *e)
{
    (void) c;
    (void) data;
    (void) e;
}

static const tw_child_events_t  events = {
    tw_tool_started, tw_tool_line, tw_tool_long_line, tw_tool_err,
    tw_tool_closed, exited
};

int
tw_tool_run(uv_loop_t *loop, char *const *argv, char *const *envp)
{
    int          err;
    tw_launch_t  l = { .spec = { .cgroup_fd = -1, .guard_fd = -1 } };

    l.spec.argv = argv;
    l.spec.envp = envp;
    l.spec.may_gain = 1;

    return tw_child_start(loop, &l, &events, NULL, &err) != NULL ? 0 : -1;
}
