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

#include "health.h"
#include "log.h"
#include "pool.h"
#include "tq_fail.h"

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
    tw_worker_t  *w;
    int           all;
    unsigned      n;
    held_t        job[];
} extend_t;

static int64_t
beat_ms(const tw_worker_t *w)
{
    int64_t  ms = w->o->lease_ms / 3;

    return ms < BEAT_MAX_MS ? ms : BEAT_MAX_MS;
}

static void
lost(tw_worker_t *w, tw_slot_t *s, tq_verdict_t v)
{
    s->cancelled = v == TQ_VERDICT_CANCELLED || v == TQ_VERDICT_GONE;
    s->keep_log = v == TQ_VERDICT_CANCELLED;

    TW_LOG(TW_WARN, v == TQ_VERDICT_CANCELLED ? "job cancelled"
        : v == TQ_VERDICT_GONE ? "job deleted"
        : "lease lost, the job's result is dropped", tw_fi("job", s->id),
        tw_fs("handler", s->pool->conf->name));

    tw_slot_abort(w, s, TW_END_DROP, 0);
}

/* One page less, or the gate's end. */
static void
recovered(tw_worker_t *w, const tq_result_t *res)
{
    if (res->status == TQ_OK) {
        TQ_FAIL("recovered");
        if (res->given_back.jobs != 0) {
            TW_LOG(TW_INFO, "gave back jobs of a claim whose reply was lost",
                tw_fi("jobs", res->given_back.jobs));
        }

        if (res->given_back.more) {
            if (tw_lease_recover(w) != 0) {
                tw_session_recovered(w, NULL);
            }
            return;
        }
    }

    tw_session_recovered(w, res);
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
            lost(x->w, s, v);
        }
    }
}

static void
on_extended(void *data, const tq_result_t *res)
{
    extend_t     *x = data;
    tw_worker_t  *w = x->w;

    w->lease.extending = 0;

    if (res->status == TQ_REFUSED) {
        /* others may be refused like this, too: nobody's lease is proof */
        w->lease.connected_ms = tw_now(w);
        tw_refused(w, TW_ASK_EXTEND, res, "Redis refuses to extend leases");

    } else if (res->status == TQ_OK) {
        TQ_FAIL("extend-answered");
        tw_trouble_over(w, TW_ASK_EXTEND);
        read_verdicts(x, res);
    }

    if (x->all && (res->status == TQ_OK || res->status == TQ_REFUSED)) {
        recovered(w, res);
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
held(tw_worker_t *w)
{
    unsigned    i;
    extend_t   *x;
    tw_slot_t  *s;

    x = malloc(sizeof(*x) + (w->busy + tw_done_count(w)) * sizeof(held_t));
    if (x == NULL) {
        return NULL;
    }

    x->w = w;
    x->n = 0;

    for (i = 0; i < w->o->concurrency; i++) {
        s = &w->slots[i];
        if (s->state != TW_SLOT_FREE) {
            add_outcome(x, s->id, &s->token);
            x->job[x->n - 1].slot = s;
            x->job[x->n - 1].generation = s->generation;
        }
    }

    /* finished, and Redis does not know yet: still ours until it does */
    tw_done_each(w, add_outcome, x);

    qsort(x->job, x->n, sizeof(held_t), by_token);

    return x;
}

static tq_call_t *
build_extend(tw_worker_t *w, extend_t *x)
{
    unsigned         i;
    tq_buf_t         info = {0};
    tq_str_t        *names;
    tq_call_t       *call = NULL;
    tq_outcome_t    *o;
    tq_heartbeat_t   beat = {0};

    names = calloc(w->npools + 1, sizeof(*names));
    o = calloc(x->n + 1, sizeof(*o));

    if (names != NULL && o != NULL) {
        for (i = 0; i < w->npools; i++) {
            names[i].p = w->pools[i]->conf->name;
            names[i].len = w->pools[i]->name_len;
        }
        for (i = 0; i < x->n; i++) {
            o[i] = x->job[i].o;
        }

        tq_doc_print(&info, tq_doc_object(
            { "concurrency", tq_doc_int(w->o->concurrency) },
            { "running", tq_doc_int(w->busy) },
            { "draining", cJSON_CreateBool(w->phase > TW_RUNNING) },
            { "pools", tw_health_pools(w) }));

        beat.worker_id = w->id;
        beat.worker_name = w->name;
        beat.info = (tq_str_t) { info.p, info.len };
        beat.handlers = names;
        beat.nhandlers = w->npools;
        beat.lease_ms = w->o->lease_ms;
        beat.all = x->all;

        call = tq_extend_call(&w->ns, &beat, o, x->n, on_extended, x);
    }

    tq_buf_free(&info);
    free(names);
    free(o);

    return call;
}

/* 0, or -1: not sent. */
static int
extend(tw_worker_t *w, int all)
{
    extend_t  *x;

    if (!tw_rconn_ready(w->redis)) {
        return -1;
    }

    w->lease.extend_soon = 0;

    x = held(w);
    if (x == NULL) {
        return -1;
    }

    x->all = all;

    if (tw_rconn_call(w->redis, build_extend(w, x)) != 0) {
        free(x);
        return -1;
    }

    w->lease.extending = 1;
    TQ_FAIL("extend-queued");

    return 0;
}

int
tw_lease_recover(tw_worker_t *w)
{
    return extend(w, 1);
}

static void
on_beat(uv_timer_t *t)
{
    tw_worker_t  *w = t->data;

    if (!w->lease.extending) {
        (void) extend(w, 0);
    }
    tw_restart_ask(w);
}

static void on_reap(uv_timer_t *t);
static void sweep(tw_worker_t *w);

/* Redis was slow, or stopped, for a good part of a lease: the others may not
 * have been able to extend. */
static int
stalled(tw_worker_t *w)
{
    if (tw_now(w) - w->lease.asked_ms <= w->o->lease_ms / 3) {
        return 0;
    }

    w->lease.connected_ms = tw_now(w);

    return 1;
}

static void
reap_refused(tw_worker_t *w, const tq_result_t *res)
{
    w->lease.connected_ms = tw_now(w);
    tw_refused(w, TW_ASK_REAP, res, "Redis refuses to reap");
}

static void
on_reaped(void *data, const tq_result_t *res)
{
    tw_worker_t        *w = data;
    const tq_reaped_t  *r = &res->reaped;

    w->lease.reaping = 0;

    if (res->status == TQ_REFUSED) {
        reap_refused(w, res);
    }

    if (res->status != TQ_OK) {
        return;
    }

    tw_trouble_over(w, TW_ASK_REAP);

    TQ_FAIL("reaped");
    if (r->requeued + r->failed != 0) {
        TW_LOG(TW_WARN, "jobs of lost workers", tw_fi("requeued", r->requeued),
            tw_fi("failed", r->failed));
        w->claim.want = 1;
    }

    if (r->more) {
        (void) uv_timer_start(&w->lease.reap, on_reap, 0,
            uv_timer_get_repeat(&w->lease.reap));
    }
}

/* Redis' clock was set forward, or this machine slept: leases that look
 * expired may be none. As after a stall, everybody gets the time to extend. */
static int
jumped(tw_worker_t *w, int64_t redis_ms)
{
    int64_t  before = w->lease.ahead_ms;

    w->lease.ahead_ms = redis_ms - tw_now(w);

    if (before == 0 || w->lease.ahead_ms - before <= w->o->lease_ms / 3) {
        return 0;
    }

    w->lease.connected_ms = tw_now(w);
    TW_LOG(TW_WARN, "Redis' clock jumped, nobody is reaped for one lease",
        tw_fi("ms", w->lease.ahead_ms - before));

    return 1;
}

/* The time, from Redis itself, just now: reaps, unless that call is held up on
 * its way to Redis. */
static void
on_time(void *data, const tq_result_t *res)
{
    tw_worker_t  *w = data;

    w->lease.reaping = 0;

    if (res->status == TQ_NOT_SENT || res->status == TQ_UNKNOWN || stalled(w)
        || w->phase != TW_RUNNING)
    {
        return;
    }

    if (res->status == TQ_REFUSED) {
        reap_refused(w, res);
        return;
    }

    if (jumped(w, res->reaped.now_ms)) {
        return;
    }

    w->lease.asked_ms = tw_now(w);
    if (tw_rconn_call(w->redis, tq_reap_call(&w->ns,
        res->reaped.now_ms + TQ_REAP_FRESH_MS, on_reaped, w)) == 0)
    {
        w->lease.reaping = 1;
    }
}

static void
on_swept(void *data, const tq_result_t *res)
{
    tw_worker_t  *w = data;

    w->lease.sweeping = 0;

    if (res->status == TQ_OK && res->swept.more) {
        sweep(w);
    }
}

static void
sweep(tw_worker_t *w)
{
    if (!w->lease.sweeping && w->phase == TW_RUNNING
        && tw_rconn_call(w->redis, tq_sweep_call(&w->ns, on_swept, w)) == 0)
    {
        w->lease.sweeping = 1;
    }
}

static void
on_reap(uv_timer_t *t)
{
    tw_worker_t  *w = t->data;

    sweep(w);

    /* without the blocking read, this timer is what keeps jobs going */
    if (!w->wake.blocked) {
        w->claim.want = 1;
    }

    if (w->lease.reaping || w->phase != TW_RUNNING
        || !tw_rconn_ready(w->redis)
        || tw_now(w) - w->lease.connected_ms < w->o->lease_ms)
    {
        return;
    }

    w->lease.asked_ms = tw_now(w);
    if (tw_rconn_call(w->redis, tq_reap_call(&w->ns, 0, on_time, w)) == 0) {
        w->lease.reaping = 1;
    }
}

int
tw_lease_init(tw_worker_t *w)
{
    int64_t  reap = w->o->lease_ms / 3;

    reap = reap < REAP_MAX_MS ? reap : REAP_MAX_MS;

    if (uv_timer_init(&w->loop, &w->lease.beat) != 0
        || uv_timer_init(&w->loop, &w->lease.reap) != 0)
    {
        return -1;
    }

    w->lease.beat.data = w;
    w->lease.reap.data = w;

    (void) uv_timer_start(&w->lease.beat, on_beat, (uint64_t) beat_ms(w),
        (uint64_t) beat_ms(w));
    (void) uv_timer_start(&w->lease.reap, on_reap, (uint64_t) reap,
        (uint64_t) reap);

    return 0;
}

void
tw_lease_ready(tw_worker_t *w)
{
    w->lease.connected_ms = tw_now(w);
    w->lease.extend_soon = 1;
}

void
tw_lease_turn(tw_worker_t *w)
{
    if (w->lease.extend_soon && !w->lease.extending
        && w->phase < TW_LEAVING)
    {
        (void) extend(w, 0);
    }
}

void
tw_lease_goodbye(tw_worker_t *w, tq_done_cb done)
{
    (void) uv_timer_stop(&w->lease.beat);
    (void) uv_timer_stop(&w->lease.reap);

    /* refused: the timer of leaving goes on alone */
    (void) tw_rconn_call(w->redis, tq_goodbye_call(&w->ns, w->id, done, w));
}

void
tw_lease_close(tw_worker_t *w)
{
    uv_close((uv_handle_t *) &w->lease.beat, NULL);
    uv_close((uv_handle_t *) &w->lease.reap, NULL);
}
