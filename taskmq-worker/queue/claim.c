/*
 * claim.c: asks Redis for as many jobs as there are free slots, and hands them
 * to slots. Claims what a call in flight asked for only once: slots and
 * instances it may fill are reserved until it is answered.
 */

#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "pool.h"
#include "tq_fail.h"

#define REFUSED_MIN_MS  100
#define REFUSED_MAX_MS  5000

/* A call in flight. */
typedef struct {
    tw_worker_t  *w;
    uint64_t      no;         /* which call, from 1 */
    unsigned      total;
    unsigned      n;
    struct {
        tw_pool_t  *pool;
        unsigned    free;
        int         woken;
    } want[];
} ask_t;

static void
on_due(uv_timer_t *t)
{
    tw_worker_t  *w = t->data;

    w->claim.want = 1;        /* the turn that follows claims */
    w->claim.is_due = 1;
}

int
tw_claim_init(tw_worker_t *w)
{
    w->claim.due.data = w;

    return uv_timer_init(&w->loop, &w->claim.due);
}

void
tw_claim_close(tw_worker_t *w)
{
    uv_close((uv_handle_t *) &w->claim.due, NULL);
}

static unsigned
min(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

tq_token_t
tw_claim_token(tw_worker_t *w)
{
    char        number[TQ_COUNTER_LEN + 1];
    tq_token_t  token;

    (void) snprintf(number, sizeof(number), "%012llx",
        (unsigned long long) ++w->claim.calls & 0xffffffffffff);
    memcpy(token.t, number, TQ_COUNTER_LEN);
    memcpy(token.t + TQ_COUNTER_LEN, w->id, TQ_WORKER_ID_LEN);

    return token;
}

/* Ends the reservations; the ask's memory goes, too. done: Redis has put the
 * markers back. */
static void
unreserve(ask_t *a, int done)
{
    unsigned      i;
    tw_worker_t  *w = a->w;

    for (i = 0; i < a->n; i++) {
        a->want[i].pool->asked -= a->want[i].free;
        if (!done) {
            a->want[i].pool->woken |= a->want[i].woken;
        }
    }

    w->claim.asked -= a->total;
    w->claim.in_flight--;
    free(a);
}

void
tw_claim_pause(tw_worker_t *w, int64_t ms)
{
    w->claim.hungry = 0;
    w->claim.want = 1;
    w->claim.wait_until_ms = tw_now(w) + ms;
    (void) uv_timer_start(&w->claim.due, on_due, (uint64_t) ms, 0);
}

static void
refused(tw_worker_t *w, const tq_result_t *res)
{
    int64_t  ms;

    ms = REFUSED_MIN_MS << (w->claim.refusals > 6 ? 6 : w->claim.refusals);
    ms = ms > REFUSED_MAX_MS ? REFUSED_MAX_MS : ms;

    w->claim.refusals++;
    tw_refused(w, TW_ASK_CLAIM, res, "Redis refuses claims");
    tw_claim_pause(w, ms);
}

static void
noop(tw_worker_t *w, const tq_claimed_t *job)
{
    tq_outcome_t  o = { .id = job->id, .token = job->token, .wait_ms = -1 };

    w->counts.succeeded++;
    tw_done_add(w, TW_DONE_COMPLETE, &o);
}

static void
give_back(tw_worker_t *w, const tq_claimed_t *job)
{
    tq_outcome_t  o = { .id = job->id, .token = job->token, .wait_ms = -1 };

    w->counts.released++;
    tw_done_add(w, TW_DONE_RELEASE, &o);
}

/* No run of it can go well: it ends now, with the reason. */
static void
unreadable(tw_worker_t *w, const tq_claimed_t *job)
{
    tq_outcome_t  o = { .id = job->id, .token = job->token, .wait_ms = -1,
                        .retryable = -1, .error = tq_str(TQ_UNREADABLE) };

    TW_LOG(TW_ERROR, TQ_UNREADABLE, tw_fi("job", job->id));

    if (job->id == 0) {
        return;               /* nobody knows which: its lease runs out */
    }

    w->counts.claimed++;
    w->counts.failed++;
    tw_done_add(w, TW_DONE_FAIL, &o);
}

static void
take_jobs(tw_worker_t *w, const tq_result_t *res, uint64_t no)
{
    unsigned       i;
    tw_pool_t     *pool = NULL;
    tq_claimed_t   job;

    for (i = 0; i < res->claims.jobs; i++) {
        if (tq_claim_job(res, i, &job) != 0) {
            unreadable(w, &job);
            continue;
        }

        if (pool == NULL || pool->name_len != job.job.handler_len
            || memcmp(pool->conf->name, job.job.handler, pool->name_len) != 0)
        {
            pool = tw_pool_find(w, job.job.handler, job.job.handler_len);
        }

        w->counts.claimed++;

        /* more jobs than were asked for (not from our scripts), or than the
         * pool has places for now */
        if (pool == NULL || w->session.gate & TW_GATE_UUID
            || w->phase != TW_RUNNING || no <= pool->refused
            || (pool->n != 0 && w->free_slots == NULL))
        {
            give_back(w, &job);
        } else if (pool->n == 0) {
            noop(w, &job);
        } else {
            tw_slot_take(w, pool, &job);
            TQ_FAIL("job-taken");
        }
    }
}

/* A claim exactly when the earliest scheduled job falls due. */
static void
set_due(tw_worker_t *w, const tq_claims_t *claims)
{
    int64_t  wait;

    if (claims->due_ms == 0) {
        (void) uv_timer_stop(&w->claim.due);
        return;
    }

    wait = claims->due_ms - claims->now_ms;
    if (wait <= 0) {
        /* it was not known, or more were due than one call promotes */
        w->claim.want = 1;
        w->claim.is_due = 1;
    } else {
        /* the loop's clock may be a moment behind */
        uv_update_time(&w->loop);
        (void) uv_timer_start(&w->claim.due, on_due, (uint64_t) wait, 0);
    }
}

static void
on_claimed(void *data, const tq_result_t *res)
{
    ask_t        *a = data;
    unsigned      total = a->total;
    uint64_t      no = a->no;
    tw_worker_t  *w = a->w;

    unreserve(a, res->status == TQ_OK);

    if (res->status == TQ_NOT_SENT || res->status == TQ_UNKNOWN) {
        w->claim.hungry = 0;
        w->claim.want = 1;
        return;
    }

    w->claim.unanswered_ms = 0;

    if (res->status == TQ_REFUSED) {
        refused(w, res);
        return;
    }

    w->claim.refusals = 0;
    tw_trouble_over(w, TW_ASK_CLAIM);

    TQ_FAIL("claim-replied");
    w->claim.last_ok_ms = tw_now(w);
    w->claim.ahead_ms = res->claims.now_ms - tw_now(w);
    w->claim.hungry = res->claims.jobs == total;
    set_due(w, &res->claims);
    take_jobs(w, res, no);
}

static void
on_promoted(void *data, const tq_result_t *res)
{
    if (res->status == TQ_REFUSED) {
        refused(data, res);
    }
}

/* After what is due, where a due time has come. 0, or -1. */
static int
send_claim(tw_worker_t *w, ask_t *a, int woken, const tq_claim_want_t *want)
{
    tq_call_t   *call;
    tq_token_t   token = tw_claim_token(w);

    a->no = w->claim.calls;

    call = tq_claim_call(&w->ns, &token, w->name, w->o->lease_ms, a->total,
        woken, want, a->n, on_claimed, a);

    if (call != NULL && w->claim.is_due) {
        tq_due_before(call, &w->ns, on_promoted, w);
    }

    if (tw_rconn_call(w->redis, call) != 0) {
        return -1;
    }

    w->claim.is_due = 0;

    return 0;
}

/* One more call. 0, or -1: nothing to ask for, or not possible now. */
static int
claim(tw_worker_t *w)
{
    static tq_claim_want_t   want[TQ_HANDLERS_MAX];
    unsigned                 i, n = 0, free_slots, total, k;
    int                      woken = 0;
    ask_t                   *a;
    tw_pool_t               *p;

    free_slots = w->o->concurrency - w->busy;
    if (free_slots <= w->claim.asked) {
        return -1;
    }

    total = free_slots - w->claim.asked;
    total = min(total, w->o->batch);

    a = malloc(sizeof(*a) + w->npools * sizeof(a->want[0]));
    if (a == NULL) {
        return -1;
    }

    for (i = 0; i < w->npools; i++) {
        p = w->pools[i];
        k = tw_pool_free(p);
        if (k != 0) {
            k = min(k, total);
            want[n].handler = (tq_str_t) { p->conf->name, p->name_len };
            want[n].free = k;
            a->want[n].pool = p;
            a->want[n].free = k;
            a->want[n].woken = p->woken;
            woken |= p->woken;
            n++;
        }
    }

    a->w = w;
    a->n = n;
    a->total = total;

    /* its answer comes before the jobs do */
    if (n == 0 || tw_session_look(w) != 0
        || send_claim(w, a, woken, want) != 0)
    {
        free(a);
        return -1;
    }

    for (i = 0; i < n; i++) {
        a->want[i].pool->asked += a->want[i].free;
        a->want[i].pool->woken = 0;
    }
    w->claim.asked += total;
    w->claim.in_flight++;
    if (w->claim.unanswered_ms == 0) {
        w->claim.unanswered_ms = tw_now(w);
    }
    TQ_FAIL("claim-queued");

    return 0;
}

void
tw_claim_turn(tw_worker_t *w)
{
    if (w->phase != TW_RUNNING || w->session.gate != 0
        || !tw_rconn_ready(w->redis) || tw_now(w) < w->claim.wait_until_ms)
    {
        return;
    }

    while (w->claim.in_flight < (w->claim.hungry ? 2 : 1)
           && (w->claim.want || w->claim.hungry))
    {
        if (claim(w) != 0) {
            return;
        }
        w->claim.want = 0;
    }
}
