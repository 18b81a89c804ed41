/*
 * lease.c: what keeps this worker's jobs its own (one extend call for all of
 * them, every third of the lease, which is also the heartbeat) and what takes
 * over the jobs of the dead (reap).
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

/* The jobs of one extend call, as they were when it left. */
typedef struct {
    tw_worker_t  *w;
    unsigned      n;          /* slots; outcomes on their way come after */
    struct {
        tw_slot_t  *slot;
        uint32_t    generation;
    } job[];
} extend_t;

typedef struct {
    tq_outcome_t  *o;
    unsigned       n;
} outcomes_t;

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

static void
on_extended(tq_call_t *call, tq_call_result_t result, const redisReply *reply)
{
    unsigned       i;
    extend_t      *x = call->data;
    tw_worker_t   *w = x->w;
    tw_slot_t     *s;
    tq_verdict_t   v;

    w->lease.extending = 0;

    if (result == TQ_CALL_REPLY && tq_redis_err(reply) != TQ_ERR_NONE) {
        /* others may be refused like this, too: nobody's lease is proof */
        w->lease.connected_ms = tw_now(w);
        if (tw_trouble_reply(w, TW_ASK_EXTEND, reply)) {
            TW_LOG(TW_WARN, "Redis refuses to extend leases",
                tw_fs("error", reply->str));
        }

    } else if (result == TQ_CALL_REPLY) {
        TQ_FAIL("extend-answered");
        tw_trouble_over(w, TW_ASK_EXTEND);
        for (i = 0; i < x->n; i++) {
            s = x->job[i].slot;
            if (s->generation == x->job[i].generation
                && s->state != TW_SLOT_FREE
                && tq_verdict(reply, i, &v) == 0
                && v != TQ_VERDICT_OK && v != TQ_VERDICT_ALREADY)
            {
                lost(w, s, v);
            }
        }
    }

    free(x);
}

static void
add_outcome(void *data, int64_t id, const tq_token_t *token)
{
    outcomes_t  *list = data;

    list->o[list->n].id = id;
    list->o[list->n].token = *token;
    list->n++;
}

static tq_call_t *
build_extend(tw_worker_t *w, extend_t *x, outcomes_t *list)
{
    unsigned    i;
    tq_buf_t    info = {0};
    tq_call_t  *call;
    tq_str_t   *names;

    names = calloc(w->npools + 1, sizeof(*names));
    if (names == NULL) {
        return NULL;
    }

    for (i = 0; i < w->npools; i++) {
        names[i].p = w->pools[i]->conf->name;
        names[i].len = w->pools[i]->name_len;
    }

    tq_buf_addf(&info, "{\"concurrency\":%u,\"running\":%u,\"draining\":%s,",
        w->o->concurrency, w->busy,
        w->phase > TW_RUNNING ? "true" : "false");
    tw_health_pools(&info, w);
    tq_buf_addc(&info, '}');

    call = tq_extend_call(&w->ns, w->id, w->name,
        (tq_str_t) { info.p, info.len }, names, w->npools, w->o->lease_ms,
        list->o, list->n, on_extended, x);

    tq_buf_free(&info);
    free(names);

    return call;
}

static void
extend(tw_worker_t *w)
{
    unsigned     i, max;
    extend_t    *x;
    tw_slot_t   *s;
    outcomes_t   list = { NULL, 0 };

    if (w->lease.extending || !tw_rconn_ready(w->redis)) {
        return;
    }

    w->lease.extend_soon = 0;
    max = w->busy + tw_done_count(w);
    x = malloc(sizeof(*x) + w->busy * sizeof(x->job[0]));
    list.o = calloc(max + 1, sizeof(tq_outcome_t));

    if (x == NULL || list.o == NULL) {
        free(x);
        free(list.o);
        return;
    }

    x->w = w;
    x->n = 0;

    for (i = 0; i < w->o->concurrency; i++) {
        s = &w->slots[i];
        if (s->state != TW_SLOT_FREE) {
            add_outcome(&list, s->id, &s->token);
            x->job[x->n].slot = s;
            x->job[x->n].generation = s->generation;
            x->n++;
        }
    }

    /* finished, and Redis does not know yet: still ours until it does */
    tw_done_each(w, add_outcome, &list);

    if (tw_rconn_call(w->redis, build_extend(w, x, &list)) == 0) {
        w->lease.extending = 1;
        TQ_FAIL("extend-queued");
    } else {
        free(x);
    }

    free(list.o);
}

static void
on_beat(uv_timer_t *t)
{
    extend(t->data);
    tw_restart_ask(t->data);
}

static void on_reap(uv_timer_t *t);

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
on_reaped(tq_call_t *call, tq_call_result_t result, const redisReply *reply)
{
    tw_worker_t  *w = call->data;
    tq_reaped_t   r;

    w->lease.reaping = 0;

    if (result != TQ_CALL_REPLY) {
        return;
    }

    if (tq_reap_result(reply, &r) != 0) {
        w->lease.connected_ms = tw_now(w);
        if (tw_trouble_reply(w, TW_ASK_REAP, reply)) {
            TW_LOG(TW_WARN, "Redis refuses to reap", tw_fs("error",
                reply->type == REDIS_REPLY_ERROR ? reply->str
                : "unexpected reply"));
        }
        return;
    }

    tw_trouble_over(w, TW_ASK_REAP);

    TQ_FAIL("reaped");
    if (r.requeued + r.failed != 0) {
        TW_LOG(TW_WARN, "jobs of lost workers", tw_fi("requeued", r.requeued),
            tw_fi("failed", r.failed));
        w->claim.want = 1;
    }

    if (r.more) {
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
on_time(tq_call_t *call, tq_call_result_t result, const redisReply *reply)
{
    tw_worker_t  *w = call->data;
    tq_reaped_t   r;

    w->lease.reaping = 0;

    if (result != TQ_CALL_REPLY || stalled(w) || w->phase != TW_RUNNING) {
        return;
    }

    if (tq_reap_result(reply, &r) != 0) {
        on_reaped(call, result, reply);
        return;
    }

    if (jumped(w, r.now_ms)) {
        return;
    }

    w->lease.asked_ms = tw_now(w);
    if (tw_rconn_call(w->redis, tq_reap_call(&w->ns,
        r.now_ms + TQ_REAP_FRESH_MS, on_reaped, w)) == 0)
    {
        w->lease.reaping = 1;
    }
}

static void
on_reap(uv_timer_t *t)
{
    tw_worker_t  *w = t->data;

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
    if (w->lease.extend_soon && w->phase < TW_LEAVING) {
        extend(w);
    }
}

void
tw_lease_goodbye(tw_worker_t *w, tq_call_cb cb)
{
    (void) uv_timer_stop(&w->lease.beat);
    (void) uv_timer_stop(&w->lease.reap);

    /* refused: the timer of leaving goes on alone */
    (void) tw_rconn_call(w->redis, tq_goodbye_call(&w->ns, w->id, cb, w));
}

void
tw_lease_close(tw_worker_t *w)
{
    uv_close((uv_handle_t *) &w->lease.beat, NULL);
    uv_close((uv_handle_t *) &w->lease.reap, NULL);
}
