/*
 * restart.c: `taskmq restart HANDLER`: a time in the namespace's settings. A
 * process that was started before it has old code and is replaced: one of the
 * handler's at a time, by the way of max_tasks (inst.c): the next one runs
 * before this one ends, and it ends between two jobs. Where new ones do not
 * stay alive, the old ones go on.
 *
 * Times are Redis' own, so nothing has to be remembered: a process is old or it
 * is not, on every machine.
 */

#include "log.h"
#include "pool.h"

static int  asking;

static void
on_settings(void *data, const tq_result_t *res)
{
    int           rc;
    int64_t       at_ms;
    unsigned      i;
    tq_str_t      handler;
    tw_pool_t    *p;
    tw_worker_t  *w = data;

    asking = 0;

    if (res->status != TQ_OK) {
        return;
    }

    for (i = 0; (rc = tq_config_restart(res, i, &handler, &at_ms)) >= 0; i++) {
        p = rc == 1 ? tw_pool_find(w, handler.p, handler.len) : NULL;

        if (p != NULL) {
            p->restart_ms = at_ms;
            if (p->successor != NULL) {
                p->successor->restart_ms = at_ms;
            }
        }
    }
}

void
tw_restart_ask(tw_worker_t *w)
{
    if (!asking && w->phase == TW_RUNNING && tw_rconn_ready(w->redis)
        && tw_rconn_call(w->redis, tq_config_get_call(&w->ns, on_settings, w))
           == 0)
    {
        asking = 1;
    }
}

int
tw_restart_due(const tw_inst_t *inst)
{
    const tw_pool_t  *p = inst->pool;

    return p->restart_ms != 0 && inst->child != NULL
           && p->w->claim.ahead_ms != 0
           && inst->forked_ms + p->w->claim.ahead_ms < p->restart_ms;
}

/* Whether all are up, none is being replaced, and each has answered a task or
 * lived a while: one that dies at once is the only one. After a failure the
 * life must be longer (pool.c), or it is time for the next try. */
static int
all_well(tw_pool_t *p)
{
    unsigned          i;
    const tw_inst_t  *inst;

    if (p->stopping) {
        return 0;
    }

    if (!tw_pool_may_start(p)) {
        tw_pool_turn_later(p);
        return 0;
    }

    for (i = 0; i < p->n; i++) {
        inst = &p->inst[i];

        if (inst->next != NULL || (inst->state != TW_INST_IDLE
                                   && inst->state != TW_INST_BUSY))
        {
            return 0;
        }

        if ((inst->tasks == 0
             && tw_now(p->w) - inst->forked_ms < TQ_START_OK_MS)
            || (p->fails != 0 && inst->forked_ms >= p->failed_ms))
        {
            tw_pool_turn_later(p);
            return 0;
        }
    }

    return 1;
}

void
tw_restart_turn(tw_pool_t *p)
{
    unsigned    i;
    tw_inst_t  *old = NULL;

    if (p->restart_ms == 0 || p->restart_ms == p->restarted_ms) {
        return;
    }

    for (i = 0; i < p->n && old == NULL; i++) {
        old = tw_restart_due(&p->inst[i]) ? &p->inst[i] : NULL;
    }

    if (old != NULL) {
        if (!p->restarting) {
            p->restarting = 1;
            TW_LOG(TW_INFO, "handler's processes are replaced, one by one",
                tw_fs("handler", p->conf->name));
        }

        if (all_well(p)) {
            tw_inst_replace(old);
        }

    } else if (all_well(p) && p->w->claim.ahead_ms != 0) {
        if (p->restarting) {
            TW_LOG(TW_INFO, "handler's processes were replaced",
                tw_fs("handler", p->conf->name));
        }
        p->restarting = 0;
        p->restarted_ms = p->restart_ms;
    }
}
