/* inst_behind.c: with a prefetch: the jobs whose lines an instance has behind
 * the one that it works on. They begin in that order, one when the other is
 * answered. See pool.h. */

#include "log.h"
#include "pool.h"

unsigned
tw_inst_room(const tw_inst_t *inst)
{
    uint64_t  held, max = (uint64_t) inst->pool->conf->max_tasks;
    unsigned  room = inst->pool->conf->prefetch - inst->behind;

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
