/*
 * claim.c: asks Redis for as many jobs as there are free slots, and hands them
 * to slots. Claims what a call in flight asked for only once: slots and
 * instances it may fill are reserved until it is answered.
 */

#include <stdlib.h>
#include <string.h>

#include "queue_int.h"

/* A call in flight. */
typedef struct {
    tw_queue_t  *q;
    uint64_t     no;          /* which call, from 1 */
    unsigned     total;
    unsigned     n;
    struct {
        tw_pool_t  *pool;
        unsigned    free;
        int         woken;
    } want[];
} claim_t;

static void
on_due(uv_timer_t *t)
{
    tw_queue_t  *q = t->data;

    q->claim.want = 1;        /* the turn that follows claims */
    q->claim.is_due = 1;
}

int
tw_claim_init(tw_queue_t *q)
{
    q->claim.due.data = q;

    return uv_timer_init(q->loop, &q->claim.due);
}

void
tw_claim_close(tw_queue_t *q)
{
    uv_close((uv_handle_t *) &q->claim.due, NULL);
}

static unsigned
min(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

tq_token_t
tw_claim_token(tw_queue_t *q)
{
    char        number[TQ_COUNTER_LEN + 1];
    tq_token_t  token;

    (void) snprintf(number, sizeof(number), "%012llx",
        (unsigned long long) ++q->claim.calls & 0xffffffffffff);
    memcpy(token.t, number, TQ_COUNTER_LEN);
    memcpy(token.t + TQ_COUNTER_LEN, q->id, TQ_WORKER_ID_LEN);

    return token;
}

/* Ends the reservations, and frees a. done: Redis has put the markers back. */
static void
unreserve(claim_t *a, int done)
{
    unsigned     i;
    tw_queue_t  *q = a->q;

    for (i = 0; i < a->n; i++) {
        a->want[i].pool->asked -= a->want[i].free;
        if (!done) {
            a->want[i].pool->woken |= a->want[i].woken;
        }
    }

    q->claim.asked -= a->total;
    q->claim.in_flight--;
    free(a);
}

void
tw_claim_pause(tw_queue_t *q, int64_t ms)
{
    q->claim.hungry = 0;
    q->claim.want = 1;
    q->claim.wait_until_ms = tw_now(q->loop) + ms;
    (void) uv_timer_start(&q->claim.due, on_due, (uint64_t) ms, 0);
}

void
tw_claim_refuse(tw_queue_t *q, tw_pool_t *pool)
{
    pool->refused = q->claim.calls;
}

static void
refused(tw_queue_t *q, const tq_result_t *res)
{
    tw_refused(q, TW_CALL_CLAIM, res, "Redis refuses claims");
    tw_claim_pause(q, tw_refused_ms(q->claim.refusals++));
}

static void
noop(tw_queue_t *q, const tq_claimed_t *job)
{
    tq_outcome_t  o = { .id = job->id, .token = job->token, .wait_ms = -1 };

    q->run->counts.succeeded++;
    tw_outcomes_add(q, TW_OUTCOME_COMPLETE, &o);
}

static void
give_back(tw_queue_t *q, const tq_claimed_t *job)
{
    tq_outcome_t  o = { .id = job->id, .token = job->token, .wait_ms = -1 };

    q->run->counts.released++;
    tw_outcomes_add(q, TW_OUTCOME_RELEASE, &o);
}

/* No run of it can go well: it ends now, with the reason. */
static void
unreadable(tw_queue_t *q, const tq_claimed_t *job)
{
    tq_outcome_t  o = { .id = job->id, .token = job->token, .wait_ms = -1,
                        .retryable = -1, .error = tq_str(TQ_UNREADABLE) };

    TW_LOG(TW_ERROR, TQ_UNREADABLE, tw_fi("job", job->id));

    if (job->id == 0) {
        return;               /* nobody knows which: its lease runs out */
    }

    q->run->counts.claimed++;
    q->run->counts.failed++;
    tw_outcomes_add(q, TW_OUTCOME_FAIL, &o);
}

static void
take_jobs(tw_queue_t *q, const tq_result_t *res, uint64_t no)
{
    int            aside = 0;
    unsigned       i;
    tw_pool_t     *pool = NULL;
    tq_claimed_t   job;

    for (i = 0; i < res->claims.jobs; i++) {
        if (tq_claim_job(res, i, &job) != 0) {
            unreadable(q, &job);
            continue;
        }

        if (pool == NULL || pool->name_len != job.job.handler_len
            || memcmp(pool->conf->name, job.job.handler, pool->name_len) != 0)
        {
            pool = tw_pool_find(q->run, job.job.handler, job.job.handler_len);
        }

        q->run->counts.claimed++;

        /* more jobs than were asked for (not from our scripts), or than the
         * pool has places for now */
        if (pool == NULL || q->session.gate & TW_GATE_UUID
            || q->run->phase != TW_RUNNING || no <= pool->refused
            || (pool->n != 0 && q->run->free_slots == NULL))
        {
            give_back(q, &job);
        } else if (pool->n == 0) {
            noop(q, &job);
        } else {
            if (tw_slot_take(q->run, pool, &job, q->session.key) != 0) {
                tw_claim_refuse(q, pool);
            }
            aside |= job.job.aside_bytes != 0;
            TQ_FAIL("job-taken");
        }
    }

    if (aside) {
        tw_payload_turn(q);
    }
}

/* A claim exactly when the earliest scheduled job falls due. */
static void
set_due(tw_queue_t *q, const tq_claims_t *claims)
{
    int64_t  wait;

    if (claims->due_ms == 0) {
        (void) uv_timer_stop(&q->claim.due);
        return;
    }

    wait = claims->due_ms - claims->now_ms;
    if (wait <= 0) {
        /* it was not known, or more were due than one call promotes */
        q->claim.want = 1;
        q->claim.is_due = 1;
    } else {
        /* the loop's clock may be a moment behind */
        uv_update_time(q->loop);
        (void) uv_timer_start(&q->claim.due, on_due, (uint64_t) wait, 0);
    }
}

static void
on_claimed(void *data, const tq_result_t *res)
{
    claim_t     *a = data;
    unsigned     total = a->total;
    uint64_t     no = a->no;
    tw_queue_t  *q = a->q;

    unreserve(a, res->status == TQ_OK);

    if (res->status == TQ_NOT_SENT || res->status == TQ_UNKNOWN) {
        q->claim.hungry = 0;
        q->claim.want = 1;
        return;
    }

    q->claim.unanswered_ms = 0;

    if (res->status == TQ_REFUSED) {
        refused(q, res);
        return;
    }

    q->claim.refusals = 0;
    tw_trouble_over(q, TW_CALL_CLAIM);

    TQ_FAIL("claim-replied");
    q->claim.last_ok_ms = tw_now(q->loop);
    q->claim.ahead_ms = res->claims.now_ms - tw_now(q->loop);
    q->claim.hungry = res->claims.jobs == total;
    set_due(q, &res->claims);
    take_jobs(q, res, no);
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
send_claim(tw_queue_t *q, claim_t *a, int woken, const tq_claim_want_t *want)
{
    tq_call_t   *call;
    tq_token_t   token = tw_claim_token(q);

    a->no = q->claim.calls;

    call = tq_claim_call(&q->ns, &token, q->name, q->o->lease_ms, a->total,
        woken, want, a->n, on_claimed, a);

    if (call != NULL && q->claim.is_due) {
        tq_due_before(call, &q->ns, on_promoted, q);
    }

    if (tw_rconn_call(q->redis, call) != 0) {
        return -1;
    }

    q->claim.is_due = 0;

    return 0;
}

/* One more call. 0, or -1: nothing to ask for, or not possible now. */
static int
claim(tw_queue_t *q)
{
    static tq_claim_want_t   want[TQ_HANDLERS_MAX];
    unsigned                 i, n = 0, free_slots, total, k;
    int                      woken = 0;
    claim_t                 *a;
    tw_pool_t               *p;

    free_slots = q->o->concurrency - q->run->busy;
    if (free_slots <= q->claim.asked) {
        return -1;
    }

    total = free_slots - q->claim.asked;
    total = min(total, q->o->batch);

    a = malloc(sizeof(*a) + q->run->npools * sizeof(a->want[0]));
    if (a == NULL) {
        return -1;
    }

    for (i = 0; i < q->run->npools; i++) {
        p = q->run->pools[i];
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

    a->q = q;
    a->n = n;
    a->total = total;

    /* its answer comes before the jobs do */
    if (n == 0 || tw_session_check_key(q) != 0
        || send_claim(q, a, woken, want) != 0)
    {
        free(a);
        return -1;
    }

    for (i = 0; i < n; i++) {
        a->want[i].pool->asked += a->want[i].free;
        a->want[i].pool->woken = 0;
    }
    q->claim.asked += total;
    q->claim.in_flight++;
    if (q->claim.unanswered_ms == 0) {
        q->claim.unanswered_ms = tw_now(q->loop);
    }
    TQ_FAIL("claim-queued");

    return 0;
}

void
tw_claim_turn(tw_queue_t *q)
{
    if (!tw_queue_is_open(q) || !tw_rconn_ready(q->redis)
        || tw_now(q->loop) < q->claim.wait_until_ms)
    {
        return;
    }

    while (q->claim.in_flight < (q->claim.hungry ? 2 : 1)
           && (q->claim.want || q->claim.hungry))
    {
        if (claim(q) != 0) {
            return;
        }
        q->claim.want = 0;
    }
}
