/* inst_behind.c: with a prefetch: the jobs whose lines an instance has behind
 * the one that it works on. They begin in that order, one when the other is
 * answered. See pool.h. */

#include <string.h>

#include "log.h"
#include "pool.h"

unsigned
tw_inst_room(const tw_inst_t *inst)
{
    uint64_t  held, max = (uint64_t) inst->pool->conf->max_tasks;
    unsigned  room = inst->pool->conf->prefetch - inst->behind;

    /* one that is to be replaced gets no more: it must become idle */
    if (!inst->ids || inst->next != NULL) {
        return 0;
    }

    if (max != 0) {
        /* an idle instance is about to get its head */
        held = inst->tasks + 1 + inst->behind;
        if (held >= max) {
            return 0;
        }
        if (max - held < room) {
            room = (unsigned) (max - held);
        }
    }

    return room;
}

void
tw_inst_forget_ids(tw_inst_t *inst)
{
    inst->ids = 0;
    inst->ended[0] = '\0';
}

static void
out_of_step(tw_inst_t *inst, const char *log, const char *why)
{
    TW_LOG(TW_ERROR, log, tw_fs("handler", inst->pool->conf->name),
        tw_fi("job", inst->slot->id));
    tw_slot_end(inst->slot, TW_END_FAIL, why);
    tw_inst_kill(inst, 0);
}

/* An answer that says whose it is: another task's. */
static void
other_task(tw_inst_t *inst, const tw_answer_t *a)
{
    if (inst->ended[0] != '\0'
        && tq_answer_whose(&a->task_id, inst->ended) == TQ_ANSWER_ID_RIGHT)
    {
        TW_LOG(TW_WARN, "an answer to a task that a line without its task_id "
            "had ended, skipped", tw_fs("handler", inst->pool->conf->name),
            tw_fs("task", inst->ended));
        return;
    }

    out_of_step(inst, "an answer to another task, instance is replaced",
        "the answer's task_id is another task's: answers must come in order");
}

int
tw_inst_check_id(tw_inst_t *inst, const tw_answer_t *a)
{
    tw_pool_t       *p = inst->pool;
    tq_answer_id_t   id;

    if (a->unreadable) {
        memcpy(inst->ended, inst->slot->task_id, sizeof(inst->ended));
        return 0;
    }

    id = tq_answer_whose(&a->task_id, inst->slot->task_id);

    if (id == TQ_ANSWER_ID_OTHER) {
        other_task(inst, a);
        return -1;
    }

    if (id == TQ_ANSWER_ID_NONE && inst->behind != 0) {
        out_of_step(inst, "an answer without the task_id that those before "
            "had, instance is replaced", "the answer has no task_id, and more "
            "tasks were written ahead because those before had one: whose it "
            "is cannot be told");
        return -1;
    }

    inst->ids = id == TQ_ANSWER_ID_RIGHT;
    if (!inst->ids) {
        memcpy(inst->ended, inst->slot->task_id, sizeof(inst->ended));
    }

    if (!inst->ids && !p->said_no_ids) {
        p->said_no_ids = 1;
        TW_LOG(TW_WARN, "answers carry no task_id: nothing is written ahead, "
            "prefetch has no effect", tw_fs("handler", p->conf->name));
    }

    return 0;
}

int
tw_inst_has_no_task(const tw_inst_t *inst, const tw_answer_t *a)
{
    if (inst->state != TW_INST_BUSY) {
        return 1;
    }

    if (inst->pool->conf->prefetch != 0
        && (a->task_id.raw.p != NULL || inst->behind != 0))
    {
        return 0;
    }

    return tw_child_task_untouched(inst->child);
}

void
tw_inst_log_no_task(const tw_inst_t *inst)
{
    TW_LOG(TW_ERROR, "an answer without a task, instance is replaced",
        tw_fs("handler", inst->pool->conf->name));
}

void
tw_inst_no_task(tw_inst_t *inst)
{
    tw_inst_log_no_task(inst);

    if (inst->state == TW_INST_BUSY) {
        tw_slot_end(inst->slot, TW_END_RELEASE, NULL);
    }

    tw_inst_kill(inst, 0);

    if (inst->tasks == 0) {
        tw_pool_start_failed(inst->pool,
            "handler answers before it has read a task");
    }
}

void
tw_inst_add(tw_inst_t *inst, tw_slot_t *slot)
{
    slot->next = NULL;
    inst->last->next = slot;
    inst->last = slot;
    inst->behind++;
    inst->behind_bytes += slot->line.len;
    tw_child_queue(inst->child, slot->line.p, slot->line.len);
    tw_inst_write_soon(inst);
}

void
tw_inst_next(tw_inst_t *inst)
{
    tw_slot_t  *s = inst->slot->next;

    inst->slot->next = NULL;
    inst->slot = s;
    inst->behind--;
    inst->behind_bytes -= s->line.len;
    inst->skipped = 0;
    tw_slot_begin(inst->pool->w, s);
    tw_inst_start_timer(inst);
}

void
tw_inst_end_behind(tw_inst_t *inst)
{
    tw_slot_t  *s = inst->behind != 0 ? inst->slot->next : NULL;

    for (; s != NULL; s = s->next) {
        if (s->state == TW_SLOT_BEHIND) {
            tw_slot_end(s, TW_END_RELEASE, NULL);
        }
    }
}

void
tw_inst_unrun(tw_inst_t *inst, tw_slot_t *s)
{
    unsigned    n = 0;
    tw_slot_t  *next;

    for (; s != NULL; s = next) {
        next = s->next;
        n += (unsigned) tw_slot_unrun(inst->pool->w, s);
    }

    if (n != 0) {
        TW_LOG(TW_INFO, "jobs given back that were behind another's",
            tw_fs("handler", inst->pool->conf->name), tw_fi("jobs", n));
    }
}

void
tw_inst_write_soon(tw_inst_t *inst)
{
    tw_worker_t  *w = inst->pool->w;

    if (!inst->unwritten) {
        inst->unwritten = 1;
        inst->next_unwritten = w->unwritten;
        w->unwritten = inst;
    }
}

void
tw_insts_write(tw_worker_t *w)
{
    tw_inst_t  *inst;

    while ((inst = w->unwritten) != NULL) {
        w->unwritten = inst->next_unwritten;
        inst->unwritten = 0;
        if (inst->state == TW_INST_BUSY && inst->child != NULL) {
            tw_child_flush(inst->child);
        }
    }
}
