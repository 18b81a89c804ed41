/* instance_answer.c: what an instance's child writes to stdout: which line is
 * the answer to the task in flight. See instance.h. */

#include <stdio.h>
#include <string.h>

#include "instance.h"

/* An answer while no task is in flight, or one of which no byte was read. The
 * child is ended: a stream that is off by one stays so. The task is given back;
 * when the child has answered none yet, it is a start that failed. */
static void
no_task(tw_instance_t *instance, tw_child_t *c)
{
    TW_LOG(TW_ERROR, "an answer without a task, instance is replaced",
        tw_fs("handler", tw_instance_conf(instance)->name));

    if (c != instance->child) {
        tw_child_stop(c, TW_STOP_TERM);
        return;
    }

    if (instance->state == TW_INSTANCE_BUSY) {
        tw_slot_end(instance->slot, TW_END_RELEASE, NULL);
    }

    tw_instance_kill(instance, 0);

    if (instance->tasks == 0) {
        tw_pool_start_failed(instance->pool, instance->forked_ms,
            "handler answers before it has read a task");
    }
}

/* It says whose it is: a task's that a line without its id has ended. The
 * stream is in step. */
static int
is_late(const tw_instance_t *instance, const tw_answer_t *a)
{
    return instance->ended[0] != '\0'
           && tq_answer_whose(&a->task_id, instance->ended)
              == TQ_ANSWER_ID_RIGHT;
}

/* Of a child that is BUSY and says that it is another task's. */
static void
other_task(tw_instance_t *instance)
{
    TW_LOG(TW_ERROR, "an answer to another task, instance is replaced",
        tw_fs("handler", tw_instance_conf(instance)->name),
        tw_fi("job", instance->slot->id));
    tw_slot_end(instance->slot, TW_END_FAIL,
        "the answer's task_id is another task's");
    tw_instance_kill(instance, 0);
}

/* The answer to the task in flight, by all that can be told. */
static void
take(tw_instance_t *instance, tq_answer_id_t id, const tw_answer_t *a)
{
    int  rc;

    TQ_FAIL("answer-read");
    tw_child_poll_stderr(instance->child);

    if (id == TQ_ANSWER_ID_NONE) {
        memcpy(instance->ended, instance->slot->task_id,
            sizeof(instance->ended));
    }

    rc = tw_child_answered(instance->child);
    tw_instance_answered(instance, a);

    if (rc != 0) {
        /* it would take the next task for the rest of this one */
        TW_LOG(TW_ERROR, "an answer before the task was read, instance is "
            "replaced", tw_fs("handler", tw_instance_conf(instance)->name));
        tw_instance_kill(instance, 0);
    } else {
        tw_instance_replace_if_due(instance);
    }
}

static void
on_answer(tw_instance_t *instance, tw_child_t *c, const tw_answer_t *a)
{
    tq_answer_id_t  id;

    if (c == instance->child && is_late(instance, a)) {
        TW_LOG(TW_WARN, "an answer to a task that a line without its task_id "
            "had ended, skipped",
            tw_fs("handler", tw_instance_conf(instance)->name),
            tw_fs("task", instance->ended));
        return;
    }

    if (c != instance->child || instance->state != TW_INSTANCE_BUSY
        || tw_child_task_untouched(c))
    {
        no_task(instance, c);
        return;
    }

    id = tq_answer_whose(&a->task_id, instance->slot->task_id);

    if (id == TQ_ANSWER_ID_OTHER) {
        other_task(instance);
    } else {
        take(instance, id, a);
    }
}

void
tw_instance_line(tw_instance_t *instance, tw_child_t *c, tq_str_t line)
{
    tw_answer_t  a;

    tw_proto_answer(line, &a);

    if (a.kind != TW_ANSWER_NONE) {
        on_answer(instance, c, &a);
    } else if (line.len != strspn(line.p, " \t\r")) {
        tw_instance_skip(instance, line, line.len, a.why);
    }

    tq_buf_free(&a.error);
}

void
tw_instance_long_line(tw_instance_t *instance, tw_child_t *c, char first,
    size_t len)
{
    char  why[128];

    if (first == '{' && c == instance->child
        && instance->state == TW_INSTANCE_BUSY)
    {
        (void) snprintf(why, sizeof(why),
            "the answer line has %zu bytes, the limit is %d", len,
            TQ_ANSWER_LINE_BYTES);
        tw_slot_end(instance->slot, TW_END_FAIL_FOR_GOOD, why);
        tw_instance_kill(instance, 0);
        return;
    }

    tw_instance_skip(instance, (tq_str_t) { &first, 1 }, len,
        "longer than the limit");
}
