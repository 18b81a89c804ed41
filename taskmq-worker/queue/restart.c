/*
 * restart.c: `taskmq restart HANDLER`: a time in the namespace's settings. A
 * process that was started before it has old code and is replaced: one of the
 * handler's at a time, by the way of max_tasks: the next one runs before this
 * one ends, and it ends between two jobs. Where new ones do not stay alive, the
 * old ones go on.
 *
 * Times are Redis' own, so nothing has to be remembered: a process is old or it
 * is not, on every machine.
 */

#include "queue_int.h"

static int  asking;

static void
on_settings(void *data, const tq_result_t *res)
{
    int          rc;
    int64_t      at_ms;
    unsigned     i;
    tq_str_t     handler;
    tw_pool_t   *p;
    tw_queue_t  *q = data;

    asking = 0;

    if (res->status != TQ_OK) {
        return;
    }

    for (i = 0; (rc = tq_config_restart(res, i, &handler, &at_ms)) >= 0; i++) {
        p = rc == 1 ? tw_pool_find(q->run, handler.p, handler.len) : NULL;

        if (p != NULL) {
            p->restart_ms = at_ms;
            if (p->successor != NULL) {
                p->successor->restart_ms = at_ms;
            }
        }
    }
}

void
tw_restart_read(tw_queue_t *q)
{
    if (!asking && q->run->phase == TW_RUNNING && tw_rconn_ready(q->redis)
        && tw_rconn_call(q->redis, tq_config_get_call(&q->ns, on_settings, q))
           == 0)
    {
        asking = 1;
    }
}

static void
turn(tw_queue_t *q, tw_pool_t *p)
{
    int64_t  before_ms = p->restart_ms - q->claim.ahead_ms;

    if (tw_pool_has_older(p, before_ms)) {
        if (!p->restarting) {
            p->restarting = 1;
            TW_LOG(TW_INFO, "handler's processes are replaced, one by one",
                tw_fs("handler", p->conf->name));
        }

        if (tw_pool_is_well(p)) {
            tw_pool_replace_older(p, before_ms);
        }

    } else if (tw_pool_is_well(p)) {
        if (p->restarting) {
            TW_LOG(TW_INFO, "handler's processes were replaced",
                tw_fs("handler", p->conf->name));
        }
        p->restarting = 0;
        p->restarted_ms = p->restart_ms;
    }
}

void
tw_restart_turn(tw_queue_t *q)
{
    unsigned    i;
    tw_pool_t  *p;

    for (i = 0; q->claim.ahead_ms != 0 && i < q->run->npools; i++) {
        p = q->run->pools[i];
        if (p->restart_ms != 0 && p->restart_ms != p->restarted_ms) {
            turn(q, p);
        }
    }
}
