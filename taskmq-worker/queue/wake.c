/*
 * wake.c: the blocking connection. It waits in Redis for a marker of a handler
 * that has free slots, or of this worker's own key (a cancel). A marker is a
 * hint: after every end of the wait, a claim follows; losing a marker costs at
 * most TQ_WAKE_MAX_MS, never a job.
 */

#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "pool.h"

/* While claims are always in flight, cancels are waited for all the same. */
#define OWN_KEY_AFTER_MS  100

static int
may_claim(const tw_worker_t *w)
{
    return w->phase == TW_RUNNING && w->session.gate == 0;
}

/* A handler whose next job this worker could start, and does not wait for. */
static int
unwatched(const tw_worker_t *w)
{
    unsigned  i;

    if (!may_claim(w) || w->busy >= w->o->concurrency) {
        return 0;
    }

    for (i = 0; i < w->npools; i++) {
        if (!w->pools[i]->watched && tw_pool_free(w->pools[i]) != 0) {
            return 1;
        }
    }

    return 0;
}

/* A marker came for a handler whose slots are taken meanwhile: somebody else
 * may have one. Asking for no job puts it back if there is one. */
static void
pass_on(tw_worker_t *w, tq_str_t handler)
{
    tq_token_t       token = tw_claim_token(w);
    tq_claim_want_t  want = { handler, 0 };

    (void) tw_rconn_call(w->redis, tq_claim_call(&w->ns, &token, w->name,
        w->o->lease_ms, 0, 1, &want, 1, NULL, NULL));
}

static int
could_run(tw_worker_t *w, tq_str_t handler)
{
    tw_pool_t  *p = tw_pool_find(w, handler.p, handler.len);

    return may_claim(w) && p != NULL && tw_pool_free(p) != 0
           && w->busy + w->claim.asked < w->o->concurrency;
}

/* A handler has a waiting job. */
static void
on_marker(tw_worker_t *w, tq_str_t handler)
{
    if (!could_run(w, handler)) {
        pass_on(w, handler);
        return;
    }

    tw_pool_find(w, handler.p, handler.len)->woken = 1;
    w->claim.want = 1;
}

static void
on_woken(void *data, const tq_result_t *res)
{
    int           ours;
    unsigned      i;
    tw_worker_t  *w = data;

    ours = w->wake.unblocking;
    w->wake.blocked = 0;
    w->wake.unblocking = 0;
    w->wake.idle_since_ms = tw_now(w);

    if (res->status == TQ_NOT_SENT || res->status == TQ_UNKNOWN) {
        /* it may have taken any of them */
        for (i = 0; i < w->npools; i++) {
            w->pools[i]->woken = 1;
        }
        return;
    }

    if (res->status == TQ_REFUSED || res->wake.kind == TQ_WAKE_ENDED) {
        /* that it has become a replica others will say */
        if (res->status == TQ_REFUSED) {
            tw_refused(w, TW_ASK_WAKE, res, "the blocking read failed");
        }
        /* not at once again: claims go on by the due and beat timers */
        w->wake.idle_since_ms = tw_now(w) + TQ_WAKE_MAX_MS;
        return;
    }

    tw_trouble_over(w, TW_ASK_WAKE);

    if (res->wake.kind == TQ_WAKE_OWN) {
        w->lease.extend_soon = 1;
    } else if (res->wake.kind == TQ_WAKE_HANDLER) {
        on_marker(w, res->wake.handler);
    } else if (!ours) {
        w->claim.want = 1;
    }
}

static void
block(tw_worker_t *w)
{
    static tq_str_t   keys[TQ_HANDLERS_MAX];
    unsigned          i, n = 0;
    int               any;
    tw_pool_t        *p;

    any = may_claim(w) && w->claim.in_flight == 0
          && w->busy < w->o->concurrency;

    for (i = 0; i < w->npools; i++) {
        p = w->pools[i];
        p->watched = any && tw_pool_free(p) != 0;
        if (p->watched) {
            keys[n++] = (tq_str_t) { p->conf->name, p->name_len };
        }
    }

    if (tw_rconn_call(w->wake.conn, tq_wake_call(&w->ns, w->id, keys, n,
        TQ_WAKE_MAX_MS, on_woken, w)) == 0)
    {
        w->wake.blocked = 1;
        w->wake.unblocking = 0;
        w->wake.keys = n;
    }
}

/* The blocking read should end early: it misses a handler, or it would take
 * markers of jobs that this worker will not claim. */
static int
wrong_keys(const tw_worker_t *w)
{
    if (w->phase != TW_RUNNING) {
        return w->wake.keys != 0;
    }

    return w->claim.in_flight == 0 && unwatched(w);
}

/* The two connections race: when the read had not begun, ask again. */
static void
on_unblocked(void *data, const tq_result_t *res)
{
    tw_worker_t  *w = data;

    if (res->status != TQ_OK || !res->unblocked) {
        w->wake.unblocking = 0;
    }
}

static void
on_client_id(void *data, const tq_result_t *res)
{
    tw_worker_t  *w = data;

    w->wake.asking = 0;

    if (res->status == TQ_REFUSED) {
        w->wake.ask_at_ms = tw_now(w) + TQ_WAKE_MAX_MS;
        tw_refused(w, TW_ASK_WAKE, res, "CLIENT ID failed: jobs start late");
    } else if (res->status == TQ_OK) {
        w->wake.client_id = res->client_id;
    }
}

/* Until it is known nothing can end a blocking read, so none begins. What
 * Redis refuses now, or cannot be sent, is asked again. */
static void
ask_client_id(tw_worker_t *w)
{
    if (!w->wake.asking && tw_rconn_ready(w->wake.conn)
        && tw_now(w) >= w->wake.ask_at_ms)
    {
        w->wake.asking = tw_rconn_call(w->wake.conn,
            tq_client_id_call(on_client_id, w)) == 0;
    }
}

void
tw_wake_turn(tw_worker_t *w)
{
    if (w->wake.client_id == 0) {
        ask_client_id(w);
    }

    if (w->wake.client_id == 0 || w->phase >= TW_LEAVING) {
        return;
    }

    if (w->wake.blocked) {
        if (!w->wake.unblocking && wrong_keys(w)
            && tw_rconn_call(w->redis, tq_unblock_call(w->wake.client_id,
                on_unblocked, w)) == 0)
        {
            w->wake.unblocking = 1;
        }
        return;
    }

    /* a claim under way decides which handlers stay free */
    if (tw_now(w) - w->wake.idle_since_ms
        >= (w->claim.in_flight ? OWN_KEY_AFTER_MS : 0))
    {
        block(w);
    }
}

static void
on_state(void *data, int ready, const char *why)
{
    tw_worker_t  *w = data;

    w->wake.client_id = 0;
    w->wake.ask_at_ms = 0;

    if (ready) {
        ask_client_id(w);
    } else {
        TW_LOG(TW_DEBUG, "blocking connection lost", tw_fs("why", why));
    }
}

int
tw_wake_init(tw_worker_t *w)
{
    tw_rconn_conf_t  conf = {0};

    conf.url = &w->o->url;
    conf.client_name = w->name;
    conf.timeout_ms = TQ_REDIS_TIMEOUT_MS;
    conf.on_state = on_state;
    conf.data = w;

    w->wake.conn = tw_rconn_new(&w->loop, &conf);

    return w->wake.conn == NULL ? -1 : 0;
}

void
tw_wake_close(tw_worker_t *w)
{
    if (w->wake.conn != NULL) {
        tw_rconn_close(w->wake.conn);
        w->wake.conn = NULL;
    }
}
