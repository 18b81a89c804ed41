/*
 * wake.c: the blocking connection. It waits in Redis for a marker of a handler
 * that has free slots, or of this worker's own key (a cancel). A marker is a
 * hint: after every end of the wait, a claim follows; losing a marker costs at
 * most TQ_WAKE_MAX_MS, never a job.
 */

#include <stdlib.h>
#include <string.h>

#include "queue_int.h"

/* While claims are always in flight, cancels are waited for all the same. */
#define OWN_KEY_AFTER_MS  100

/* A handler whose next job this worker could start, and does not wait for. */
static int
unwatched(const tw_queue_t *q)
{
    unsigned    i;
    tw_pool_t  *p;

    if (!tw_queue_is_open(q) || q->run->busy >= q->o->concurrency) {
        return 0;
    }

    for (i = 0; i < q->run->npools; i++) {
        p = q->run->pools[i];
        if (!p->watched && tw_pool_free(p) != 0) {
            return 1;
        }
    }

    return 0;
}

/* A marker came for a handler whose slots are taken meanwhile: somebody else
 * may have one. Asking for no job puts it back if there is one. */
static void
pass_on(tw_queue_t *q, tq_str_t handler)
{
    tq_token_t       token = tw_claim_token(q);
    tq_claim_want_t  want = { handler, 0 };

    (void) tw_rconn_call(q->redis, tq_claim_call(&q->ns, &token, q->name,
        q->o->lease_ms, 0, 1, &want, 1, NULL, NULL));
}

static int
could_run(const tw_queue_t *q, const tw_pool_t *p)
{
    return tw_queue_is_open(q) && p != NULL && tw_pool_free(p) != 0
           && q->run->busy + q->claim.asked < q->o->concurrency;
}

/* A handler has a waiting job. */
static void
on_marker(tw_queue_t *q, tq_str_t handler)
{
    tw_pool_t  *p = tw_pool_find(q->run, handler.p, handler.len);

    if (!could_run(q, p)) {
        pass_on(q, handler);
        return;
    }

    p->woken = 1;
    q->claim.want = 1;
}

/* A right is missing: the other connection asks for all of them when it is made
 * anew, and says which. */
static void
refused(tw_queue_t *q, const tq_result_t *res, const char *text)
{
    tw_refused(q, TW_CALL_WAKE, res, text);

    if (res->err == TQ_ERR_NOPERM) {
        tw_rconn_denied(q->redis);
    }
}

/* The turn that follows asks. */
static void
on_again(uv_timer_t *t)
{
    (void) t;
}

static void
ask_later(tw_queue_t *q)
{
    int64_t  ms = tw_refused_ms(q->wake.refusals++);

    q->wake.idle_since_ms = tw_now(q->loop) + ms;
    q->wake.ask_at_ms = q->wake.idle_since_ms;
    (void) uv_timer_start(&q->wake.again, on_again, (uint64_t) ms, 0);
}

static void
on_woken(void *data, const tq_result_t *res)
{
    int          ours;
    unsigned     i;
    tw_pool_t   *p;
    tw_queue_t  *q = data;

    ours = q->wake.unblocking;
    q->wake.blocked = 0;
    q->wake.unblocking = 0;
    q->wake.idle_since_ms = tw_now(q->loop);

    if (res->status == TQ_NOT_SENT || res->status == TQ_UNKNOWN) {
        /* it may have taken any of them */
        for (i = 0; i < q->run->npools; i++) {
            p = q->run->pools[i];
            p->woken = 1;
        }
        return;
    }

    if (res->status == TQ_REFUSED || res->wake.kind == TQ_WAKE_ENDED) {
        /* that it has become a replica others will say */
        if (res->status == TQ_REFUSED) {
            refused(q, res, "Redis refuses to wake this worker");
        }
        ask_later(q);
        return;
    }

    q->wake.refusals = 0;
    tw_trouble_over(q, TW_CALL_WAKE);

    if (res->wake.kind == TQ_WAKE_OWN) {
        q->lease.extend_soon = 1;
    } else if (res->wake.kind == TQ_WAKE_HANDLER) {
        on_marker(q, res->wake.handler);
    } else if (!ours) {
        q->claim.want = 1;
    }
}

static void
block(tw_queue_t *q)
{
    static tq_str_t   keys[TQ_HANDLERS_MAX];
    unsigned          i, n = 0;
    int               any;
    tw_pool_t        *p;

    any = tw_queue_is_open(q) && q->claim.in_flight == 0
          && q->run->busy < q->o->concurrency;

    for (i = 0; i < q->run->npools; i++) {
        p = q->run->pools[i];
        p->watched = any && tw_pool_free(p) != 0;
        if (p->watched) {
            keys[n++] = (tq_str_t) { p->conf->name, p->name_len };
        }
    }

    if (tw_rconn_call(q->wake.conn, tq_wake_call(&q->ns, q->id, keys, n,
        TQ_WAKE_MAX_MS, on_woken, q)) == 0)
    {
        q->wake.blocked = 1;
        q->wake.unblocking = 0;
        q->wake.keys = n;
    }
}

/* The blocking read should end early: it misses a handler, or it would take
 * markers of jobs that this worker will not claim. */
static int
wrong_keys(const tw_queue_t *q)
{
    if (q->run->phase != TW_RUNNING) {
        return q->wake.keys != 0;
    }

    return q->claim.in_flight == 0 && unwatched(q);
}

/* The two connections race: when the read had not begun, ask again. */
static void
on_unblocked(void *data, const tq_result_t *res)
{
    tw_queue_t  *q = data;

    if (res->status != TQ_OK || !res->unblocked) {
        q->wake.unblocking = 0;
    }
}

static void
on_client_id(void *data, const tq_result_t *res)
{
    tw_queue_t  *q = data;

    q->wake.asking = 0;

    if (res->status == TQ_REFUSED) {
        ask_later(q);
        refused(q, res, "Redis refuses CLIENT ID, jobs start late");
    } else if (res->status == TQ_OK) {
        q->wake.client_id = res->client_id;
    }
}

/* Until it is known nothing can end a blocking read, so none begins. What
 * Redis refuses now, or cannot be sent, is asked again. */
static void
ask_client_id(tw_queue_t *q)
{
    if (!q->wake.asking && tw_rconn_ready(q->wake.conn)
        && tw_now(q->loop) >= q->wake.ask_at_ms)
    {
        q->wake.asking = tw_rconn_call(q->wake.conn,
            tq_client_id_call(on_client_id, q)) == 0;
    }
}

void
tw_wake_turn(tw_queue_t *q)
{
    /* nothing could end a blocking read */
    if (!tw_rconn_ready(q->redis)) {
        return;
    }

    if (q->wake.client_id == 0) {
        ask_client_id(q);
    }

    if (q->wake.client_id == 0 || q->run->phase >= TW_LEAVING) {
        return;
    }

    if (q->wake.blocked) {
        if (!q->wake.unblocking && wrong_keys(q)
            && tw_rconn_call(q->redis, tq_unblock_call(q->wake.client_id,
                on_unblocked, q)) == 0)
        {
            q->wake.unblocking = 1;
        }
        return;
    }

    /* a claim under way decides which handlers stay free */
    if (tw_now(q->loop) - q->wake.idle_since_ms
        >= (q->claim.in_flight ? OWN_KEY_AFTER_MS : 0))
    {
        block(q);
    }
}

void
tw_wake_soon(tw_queue_t *q)
{
    if (!q->wake.blocked) {
        q->wake.idle_since_ms = tw_now(q->loop);
    }
    q->wake.ask_at_ms = 0;
}

static void
on_state(void *data, int ready, const char *why)
{
    tw_queue_t  *q = data;

    q->wake.client_id = 0;
    q->wake.ask_at_ms = 0;

    if (ready) {
        ask_client_id(q);
    } else {
        TW_LOG(TW_DEBUG, "blocking connection lost", tw_fs("why", why));
    }
}

int
tw_wake_init(tw_queue_t *q)
{
    tw_rconn_conf_t  conf = {0};

    conf.url = &q->o->url;
    conf.client_name = q->name;
    conf.timeout_ms = TQ_REDIS_TIMEOUT_MS;
    conf.on_state = on_state;
    conf.data = q;

    if (uv_timer_init(q->loop, &q->wake.again) != 0) {
        return -1;
    }

    q->wake.conn = tw_rconn_new(q->loop, &conf);

    return q->wake.conn == NULL ? -1 : 0;
}

void
tw_wake_close(tw_queue_t *q)
{
    uv_close((uv_handle_t *) &q->wake.again, NULL);

    if (q->wake.conn != NULL) {
        tw_rconn_close(q->wake.conn);
        q->wake.conn = NULL;
    }
}
