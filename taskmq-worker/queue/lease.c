/*
 * lease.c: what keeps this worker's jobs its own (one extend call for all of
 * them, every third of the lease, which is also the heartbeat), what takes
 * over the jobs of the dead (reap), and what removes jobs whose time is over
 * (sweep).
 *
 * Nobody is reaped by a worker that was itself away: it reaps only after one
 * whole lease connected, so that every living worker could extend first.
 */

#include <stdlib.h>
#include <string.h>

#include "queue_int.h"
#include "tq_doc.h"

#define BEAT_MAX_MS  20000    /* well under TQ_WORKER_GONE_MS */
#define REAP_MAX_MS  5000

/* A job that this worker holds: in a slot, or (slot NULL) its outcome is on its
 * way. */
typedef struct {
    tq_outcome_t  o;          /* id and token */
    tw_slot_t    *slot;
    uint32_t      generation;
} held_t;

/* One extend call, with the jobs as they were when it left. */
typedef struct {
    tw_queue_t  *q;
    int          all;
    unsigned     n;
    held_t       job[];
} extend_t;

static int64_t
beat_ms(const tw_queue_t *q)
{
    int64_t  ms = q->o->lease_ms / 3;

    return ms < BEAT_MAX_MS ? ms : BEAT_MAX_MS;
}

static void
lost(tw_queue_t *q, tw_slot_t *s, tq_verdict_t v)
{
    s->cancelled = v == TQ_VERDICT_CANCELLED || v == TQ_VERDICT_GONE;
    s->keep_log = v == TQ_VERDICT_CANCELLED;

    TW_LOG(TW_WARN, v == TQ_VERDICT_CANCELLED ? "job cancelled"
        : v == TQ_VERDICT_GONE ? "job deleted"
        : "lease lost, the job's result is dropped", tw_fi("job", s->id),
        tw_fs("handler", tw_slot_conf(s)->name));

    tw_slot_abort(q->run, s, TW_END_DROP, 0);
}

/* One page less, or the gate's end. */
static void
recovered(tw_queue_t *q, const tq_result_t *res)
{
    if (res->status == TQ_OK) {
        TQ_FAIL("recovered");
        if (res->given_back.jobs != 0) {
            TW_LOG(TW_INFO, "gave back jobs of a claim whose reply was lost",
                tw_fi("jobs", res->given_back.jobs));
        }

        if (res->given_back.more) {
            if (tw_lease_recover(q) != 0) {
                tw_session_recovered(q, NULL);
            }
            return;
        }
    }

    tw_session_recovered(q, res);
}

static void
read_verdicts(const extend_t *x, const tq_result_t *res)
{
    unsigned      i;
    tw_slot_t    *s;
    tq_verdict_t  v;

    for (i = 0; i < x->n; i++) {
        s = x->job[i].slot;
        v = tq_verdict(res, i);

        if (s != NULL && s->generation == x->job[i].generation
            && s->state != TW_SLOT_FREE
            && v != TQ_VERDICT_OK && v != TQ_VERDICT_ALREADY)
        {
            lost(x->q, s, v);
        }
    }
}

static void
on_extended(void *data, const tq_result_t *res)
{
    extend_t    *x = data;
    tw_queue_t  *q = x->q;

    q->lease.extending = 0;

    if (res->status == TQ_REFUSED) {
        /* others may be refused like this, too: nobody's lease is proof */
        q->lease.connected_ms = tw_now(q->loop);
        tw_refused(q, TW_CALL_EXTEND, res, "Redis refuses to extend leases");

    } else if (res->status == TQ_OK) {
        TQ_FAIL("extend-answered");
        tw_trouble_over(q, TW_CALL_EXTEND);
        read_verdicts(x, res);
    }

    if (x->all && (res->status == TQ_OK || res->status == TQ_REFUSED)) {
        recovered(q, res);
    }

    free(x);
}

static void
add_outcome(void *data, int64_t id, const tq_token_t *token)
{
    extend_t  *x = data;
    held_t    *h = &x->job[x->n++];

    memset(h, 0, sizeof(*h));
    h->o.id = id;
    h->o.token = *token;
}

static int
by_token(const void *a, const void *b)
{
    const held_t  *x = a, *y = b;

    return memcmp(x->o.token.t, y->o.token.t, sizeof(x->o.token.t));
}

/* All that this worker holds, those of one lease together. NULL: out of
 * memory. */
static extend_t *
held(tw_queue_t *q)
{
    unsigned    i;
    extend_t   *x;
    tw_slot_t  *s;

    x = malloc(sizeof(*x)
               + (q->run->busy + tw_queue_outcomes(q)) * sizeof(held_t));
    if (x == NULL) {
        return NULL;
    }

    x->q = q;
    x->n = 0;

    for (i = 0; i < q->o->concurrency; i++) {
        s = &q->run->slots[i];
        if (s->state != TW_SLOT_FREE) {
            add_outcome(x, s->id, &s->token);
            x->job[x->n - 1].slot = s;
            x->job[x->n - 1].generation = s->generation;
        }
    }

    /* finished, and Redis does not know yet: still ours until it does */
    tw_outcomes_each(q, add_outcome, x);

    qsort(x->job, x->n, sizeof(held_t), by_token);

    return x;
}

static tq_call_t *
build_extend(tw_queue_t *q, extend_t *x)
{
    unsigned         i;
    tq_buf_t         info = {0};
    tq_str_t        *names;
    tw_pool_t       *p;
    tq_call_t       *call = NULL;
    tq_outcome_t    *o;
    tq_heartbeat_t   beat = {0};

    names = calloc(q->run->npools + 1, sizeof(*names));
    o = calloc(x->n + 1, sizeof(*o));

    if (names != NULL && o != NULL) {
        for (i = 0; i < q->run->npools; i++) {
            p = q->run->pools[i];
            names[i] = (tq_str_t) { p->conf->name, p->name_len };
        }
        for (i = 0; i < x->n; i++) {
            o[i] = x->job[i].o;
        }

        tq_doc_print(&info, tq_doc_object(
            { "concurrency", tq_doc_int(q->o->concurrency) },
            { "running", tq_doc_int(q->run->busy) },
            { "draining", cJSON_CreateBool(q->run->phase > TW_RUNNING) },
            { "pools", tw_pools_doc(q->run) }));

        beat.worker_id = q->id;
        beat.worker_name = q->name;
        beat.info = (tq_str_t) { info.p, info.len };
        beat.handlers = names;
        beat.nhandlers = q->run->npools;
        beat.lease_ms = q->o->lease_ms;
        beat.all = x->all;

        call = tq_extend_call(&q->ns, &beat, o, x->n, on_extended, x);
    }

    tq_buf_free(&info);
    free(names);
    free(o);

    return call;
}

/* 0, or -1: not sent. */
static int
extend(tw_queue_t *q, int all)
{
    extend_t  *x;

    if (!tw_rconn_ready(q->redis)) {
        return -1;
    }

    q->lease.extend_soon = 0;

    x = held(q);
    if (x == NULL) {
        return -1;
    }

    x->all = all;

    if (tw_rconn_call(q->redis, build_extend(q, x)) != 0) {
        free(x);
        return -1;
    }

    q->lease.extending = 1;
    TQ_FAIL("extend-queued");

    return 0;
}

int
tw_lease_recover(tw_queue_t *q)
{
    return extend(q, 1);
}

static void
on_beat(uv_timer_t *t)
{
    tw_queue_t  *q = t->data;

    if (!q->lease.extending) {
        (void) extend(q, 0);
    }
    tw_restart_read(q);
}

static void on_reap(uv_timer_t *t);
static void sweep(tw_queue_t *q);

/* Redis was slow, or stopped, for a good part of a lease: the others may not
 * have been able to extend. */
static int
stalled(tw_queue_t *q)
{
    if (tw_now(q->loop) - q->lease.asked_ms <= q->o->lease_ms / 3) {
        return 0;
    }

    q->lease.connected_ms = tw_now(q->loop);

    return 1;
}

static void
reap_refused(tw_queue_t *q, const tq_result_t *res)
{
    q->lease.connected_ms = tw_now(q->loop);
    tw_refused(q, TW_CALL_REAP, res, "Redis refuses to reap");
}

static void
on_reaped(void *data, const tq_result_t *res)
{
    tw_queue_t         *q = data;
    const tq_reaped_t  *r = &res->reaped;

    q->lease.reaping = 0;

    if (res->status == TQ_REFUSED) {
        reap_refused(q, res);
    }

    if (res->status != TQ_OK) {
        return;
    }

    tw_trouble_over(q, TW_CALL_REAP);

    TQ_FAIL("reaped");
    if (r->requeued + r->failed != 0) {
        TW_LOG(TW_WARN, "jobs of lost workers", tw_fi("requeued", r->requeued),
            tw_fi("failed", r->failed));
        q->claim.want = 1;
    }

    if (r->more) {
        (void) uv_timer_start(&q->lease.reap, on_reap, 0,
            uv_timer_get_repeat(&q->lease.reap));
    }
}

/* Redis' clock was set forward, or this machine slept: leases that look
 * expired may be none. As after a stall, everybody gets the time to extend. */
static int
jumped(tw_queue_t *q, int64_t redis_ms)
{
    int64_t  before = q->lease.ahead_ms;

    q->lease.ahead_ms = redis_ms - tw_now(q->loop);

    if (before == 0 || q->lease.ahead_ms - before <= q->o->lease_ms / 3) {
        return 0;
    }

    q->lease.connected_ms = tw_now(q->loop);
    TW_LOG(TW_WARN, "Redis' clock jumped, nobody is reaped for one lease",
        tw_fi("ms", q->lease.ahead_ms - before));

    return 1;
}

/* The time, from Redis itself, just now: reaps, unless that call is held up on
 * its way to Redis. */
static void
on_time(void *data, const tq_result_t *res)
{
    tw_queue_t  *q = data;

    q->lease.reaping = 0;

    if (res->status == TQ_NOT_SENT || res->status == TQ_UNKNOWN || stalled(q)
        || q->run->phase != TW_RUNNING)
    {
        return;
    }

    if (res->status == TQ_REFUSED) {
        reap_refused(q, res);
        return;
    }

    if (jumped(q, res->reaped.now_ms)) {
        return;
    }

    q->lease.asked_ms = tw_now(q->loop);
    if (tw_rconn_call(q->redis, tq_reap_call(&q->ns,
        res->reaped.now_ms + TQ_REAP_FRESH_MS, on_reaped, q)) == 0)
    {
        q->lease.reaping = 1;
    }
}

static void
on_swept(void *data, const tq_result_t *res)
{
    tw_queue_t  *q = data;

    q->lease.sweeping = 0;

    if (res->status == TQ_REFUSED) {
        tw_refused(q, TW_CALL_SWEEP, res, "Redis refuses to sweep");
    }

    if (res->status != TQ_OK) {
        return;
    }

    tw_trouble_over(q, TW_CALL_SWEEP);

    if (res->swept.more) {
        sweep(q);
    }
}

static void
sweep(tw_queue_t *q)
{
    if (!q->lease.sweeping && q->run->phase == TW_RUNNING
        && tw_rconn_call(q->redis, tq_sweep_call(&q->ns, on_swept, q)) == 0)
    {
        q->lease.sweeping = 1;
    }
}

static void
on_reap(uv_timer_t *t)
{
    tw_queue_t  *q = t->data;

    sweep(q);

    /* without the blocking read, this timer is what keeps jobs going; one that
     * has just begun, after one that was refused, may be refused, too */
    if (!q->wake.blocked || q->wake.refusals != 0) {
        q->claim.want = 1;
    }

    if (q->lease.reaping || q->run->phase != TW_RUNNING
        || !tw_rconn_ready(q->redis)
        || tw_now(q->loop) - q->lease.connected_ms < q->o->lease_ms)
    {
        return;
    }

    q->lease.asked_ms = tw_now(q->loop);
    if (tw_rconn_call(q->redis, tq_reap_call(&q->ns, 0, on_time, q)) == 0) {
        q->lease.reaping = 1;
    }
}

int
tw_lease_init(tw_queue_t *q)
{
    int64_t  reap = q->o->lease_ms / 3;

    reap = reap < REAP_MAX_MS ? reap : REAP_MAX_MS;

    if (uv_timer_init(q->loop, &q->lease.beat) != 0
        || uv_timer_init(q->loop, &q->lease.reap) != 0)
    {
        return -1;
    }

    q->lease.beat.data = q;
    q->lease.reap.data = q;

    (void) uv_timer_start(&q->lease.beat, on_beat, (uint64_t) beat_ms(q),
        (uint64_t) beat_ms(q));
    (void) uv_timer_start(&q->lease.reap, on_reap, (uint64_t) reap,
        (uint64_t) reap);

    return 0;
}

void
tw_lease_ready(tw_queue_t *q)
{
    q->lease.connected_ms = tw_now(q->loop);
    q->lease.extend_soon = 1;
}

void
tw_lease_turn(tw_queue_t *q)
{
    if (q->lease.extend_soon && !q->lease.extending
        && q->run->phase < TW_LEAVING)
    {
        (void) extend(q, 0);
    }
}

static void
on_goodbye(void *data, const tq_result_t *res)
{
    tw_queue_t  *q = data;

    (void) res;
    q->events->gone(q->data);
}

void
tw_queue_goodbye(tw_queue_t *q)
{
    (void) uv_timer_stop(&q->lease.beat);
    (void) uv_timer_stop(&q->lease.reap);

    /* refused: the timer of leaving goes on alone */
    (void) tw_rconn_call(q->redis, tq_goodbye_call(&q->ns, q->id, on_goodbye,
        q));
}

void
tw_lease_close(tw_queue_t *q)
{
    uv_close((uv_handle_t *) &q->lease.beat, NULL);
    uv_close((uv_handle_t *) &q->lease.reap, NULL);
}
