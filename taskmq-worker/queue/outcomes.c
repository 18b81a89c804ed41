/*
 * outcomes.c: outcomes on their way to Redis. The outcomes of one turn of the
 * loop are one call per kind, and a call is repeated until Redis has answered
 * it: the scripts apply an outcome once and answer `already` after that.
 *
 * A batch keeps its outcomes in two blocks (records, bytes) that are used
 * again, so that a job that is done costs no allocation.
 */

#include <stdlib.h>
#include <string.h>

#include "queue_int.h"

#define BATCH_BYTES   (4 * 1024 * 1024)   /* then the batch is closed */
#define KEEP_BYTES    (256 * 1024)        /* of a spare batch */

/* One outcome; its texts follow each other in the batch's bytes. */
typedef struct {
    int64_t     id;
    tq_token_t  token;
    int         retryable;
    int64_t     wait_ms;
    size_t      result, error, log;       /* lengths */
} rec_t;

struct tw_batch_s {
    tw_queue_t         *q;
    tw_outcome_kind_t   kind;
    rec_t               recs[TQ_CLAIM_MAX];
    unsigned            n;
    tq_buf_t            bytes;
    int                 sent;
    unsigned            tries;            /* its script failed at it */
    unsigned            refusals;
    tw_batch_t         *next;
};

static const char  *kinds[] = { "complete", "fail", "release" };

static void
on_retry(uv_timer_t *t)
{
    (void) t;                 /* the turn that follows sends */
}

int
tw_outcomes_init(tw_queue_t *q)
{
    q->outcomes.last = &q->outcomes.first;
    q->outcomes.retry.data = q;

    return uv_timer_init(q->loop, &q->outcomes.retry);
}

static tw_batch_t *
new_batch(tw_queue_t *q, tw_outcome_kind_t kind)
{
    tw_batch_t  *b = q->outcomes.spare;

    if (b != NULL) {
        q->outcomes.spare = b->next;
    } else {
        b = malloc(sizeof(*b));
        if (b == NULL) {
            return NULL;
        }
        memset(&b->bytes, 0, sizeof(b->bytes));
    }

    b->q = q;
    b->kind = kind;
    b->n = 0;
    b->sent = 0;
    b->tries = 0;
    b->refusals = 0;
    b->next = NULL;
    tq_buf_reset(&b->bytes);

    return b;
}

static void
spare_batch(tw_queue_t *q, tw_batch_t *b)
{
    if (b->bytes.cap > KEEP_BYTES) {
        tq_buf_free(&b->bytes);
    }

    b->next = q->outcomes.spare;
    q->outcomes.spare = b;
}

static void
close_open(tw_queue_t *q, tw_outcome_kind_t kind)
{
    tw_batch_t  *b = q->outcomes.open[kind];

    if (b != NULL) {
        q->outcomes.open[kind] = NULL;
        *q->outcomes.last = b;
        q->outcomes.last = &b->next;
        q->outcomes.batches++;
    }
}

void
tw_outcomes_add(tw_queue_t *q, tw_outcome_kind_t kind, const tq_outcome_t *o)
{
    rec_t       *r;
    size_t       before;
    tw_batch_t  *b = q->outcomes.open[kind];

    if (b != NULL && (b->n == TQ_CLAIM_MAX || b->bytes.len > BATCH_BYTES)) {
        close_open(q, kind);
        b = NULL;
    }

    if (b == NULL) {
        b = q->outcomes.open[kind] = new_batch(q, kind);
    }

    if (b == NULL) {
        /* nothing more can be done: the lease runs out, somebody reaps */
        TW_LOG(TW_ERROR, "out of memory, outcome lost", tw_fi("job", o->id));
        return;
    }

    before = b->bytes.len;
    tq_buf_add(&b->bytes, o->result.p, o->result.len);
    tq_buf_add(&b->bytes, o->error.p, o->error.len);
    tq_buf_add(&b->bytes, o->log.p, o->log.len);

    if (b->bytes.failed) {
        b->bytes.failed = 0;
        b->bytes.len = before;
        TW_LOG(TW_ERROR, "out of memory, outcome lost", tw_fi("job", o->id));
        return;
    }

    r = &b->recs[b->n++];
    r->id = o->id;
    r->token = o->token;
    r->retryable = o->retryable;
    r->wait_ms = o->wait_ms;
    r->result = o->result.len;
    r->error = o->error.len;
    r->log = o->log.len;
    TQ_FAIL("outcome-added");
}

/* The batch is over: unlinks it and keeps its memory. */
static void
finish(tw_queue_t *q, tw_batch_t *b)
{
    tw_batch_t  **p;

    for (p = &q->outcomes.first; *p != b; p = &(*p)->next) {
        /* void */
    }

    *p = b->next;
    if (q->outcomes.last == &b->next) {
        q->outcomes.last = p;
    }

    q->outcomes.batches--;
    spare_batch(q, b);
}

static void
read_verdicts(tw_queue_t *q, const tw_batch_t *b, const tq_result_t *res)
{
    unsigned      i;
    tq_verdict_t  v;

    for (i = 0; i < b->n; i++) {
        v = tq_verdict(res, i);

        if (v == TQ_VERDICT_STALE || v == TQ_VERDICT_GONE) {
            q->run->counts.refused++;
            TW_LOG(TW_WARN, "outcome dropped, the job is no longer ours",
                tw_fs("call", kinds[b->kind]), tw_fi("job", b->recs[i].id),
                tw_fs("why", v == TQ_VERDICT_GONE ? "gone" : "stale"));
        }
    }
}

/* Not before a little while. */
static void
wait_for(tw_queue_t *q, int64_t ms)
{
    q->outcomes.wait_until_ms = tw_now(q->loop) + ms;
    (void) uv_timer_start(&q->outcomes.retry, on_retry, (uint64_t) ms, 0);
}

static void
wait_after(tw_queue_t *q, tw_batch_t *b, const tq_result_t *res)
{
    if (tw_trouble(q, TW_CALL_OUTCOME, res->cause)) {
        TW_LOG(TW_WARN, "Redis refuses outcomes, they are repeated",
            tw_fs("call", kinds[b->kind]), tw_fs("error", res->text));
    }

    wait_for(q, tw_refused_ms(b->refusals++));
}

/* A script has failed, at one of these outcomes: the others are to get there.
 * The second half becomes a batch of its own. */
static void
split(tw_queue_t *q, tw_batch_t *b)
{
    size_t       keep = 0;
    unsigned     i, half = b->n / 2;
    tw_batch_t  *more = new_batch(q, b->kind);

    for (i = 0; i < half; i++) {
        keep += b->recs[i].result + b->recs[i].error + b->recs[i].log;
    }

    if (more != NULL) {
        tq_buf_add(&more->bytes, b->bytes.p + keep, b->bytes.len - keep);
    }

    if (more == NULL || more->bytes.failed) {
        if (more != NULL) {
            more->bytes.failed = 0;
            spare_batch(q, more);
        }
        wait_for(q, TQ_REFUSED_WAIT_MIN_MS);
        return;
    }

    more->n = b->n - half;
    memcpy(more->recs, b->recs + half, more->n * sizeof(more->recs[0]));
    b->n = half;
    b->bytes.len = keep;

    *q->outcomes.last = more;
    q->outcomes.last = &more->next;
    q->outcomes.batches++;
}

static void
on_answer(void *data, const tq_result_t *res)
{
    tw_batch_t  *b = data;
    tw_queue_t  *q = b->q;

    b->sent = 0;

    if (res->status == TQ_NOT_SENT || res->status == TQ_UNKNOWN) {
        return;               /* sent again when Redis is back */
    }

    if (res->status == TQ_OK) {
        TQ_FAIL("outcomes-answered");
        tw_trouble_over(q, TW_CALL_OUTCOME);
        read_verdicts(q, b, res);
        finish(q, b);

    } else if (res->script && b->n > 1) {
        split(q, b);

    } else if ((res->script || res->odd) && ++b->tries >= TQ_DONE_TRIES) {
        TW_LOG(TW_ERROR, "Redis refuses outcomes for good, they are lost",
            tw_fs("call", kinds[b->kind]), tw_fi("job", b->recs[0].id),
            tw_fi("jobs", b->n), tw_fs("error", res->text));
        finish(q, b);
        q->trouble[TW_CALL_OUTCOME] = 0;

    } else {
        wait_after(q, b, res);
    }
}

static tq_call_t *
build(const tw_queue_t *q, tw_batch_t *b)
{
    static tq_outcome_t   o[TQ_CLAIM_MAX];
    unsigned              i;
    const char           *p = b->bytes.p;
    uint64_t              jitter = uv_hrtime() / 1000;

    for (i = 0; i < b->n; i++) {
        const rec_t  *r = &b->recs[i];

        o[i].id = r->id;
        o[i].token = r->token;
        o[i].result = (tq_str_t) { p, r->result };
        p += r->result;
        o[i].error = (tq_str_t) { p, r->error };
        p += r->error;
        o[i].log = (tq_str_t) { p, r->log };
        p += r->log;
        o[i].retryable = r->retryable;
        o[i].wait_ms = r->wait_ms;
    }

    switch (b->kind) {
    case TW_OUTCOME_COMPLETE:
        return tq_complete_call(&q->ns, o, b->n, on_answer, b);
    case TW_OUTCOME_FAIL:
        return tq_fail_call(&q->ns, o, b->n, jitter, on_answer, b);
    case TW_OUTCOME_RELEASE:
        break;
    }

    return tq_release_call(&q->ns, o, b->n, on_answer, b);
}

void
tw_outcomes_turn(tw_queue_t *q)
{
    int          k;
    tw_batch_t  *b;

    for (k = TW_OUTCOME_COMPLETE; k <= TW_OUTCOME_RELEASE; k++) {
        close_open(q, k);
    }

    if (q->outcomes.first == NULL || !tw_rconn_ready(q->redis)
        || tw_now(q->loop) < q->outcomes.wait_until_ms)
    {
        return;
    }

    for (b = q->outcomes.first; b != NULL; b = b->next) {
        if (b->sent) {
            continue;
        }

        b->sent = 1;
        if (tw_rconn_call(q->redis, build(q, b)) != 0) {
            b->sent = 0;
            wait_for(q, TQ_REFUSED_WAIT_MIN_MS);
            return;
        }
        TQ_FAIL("outcomes-queued");
    }
}

void
tw_outcomes_ready(tw_queue_t *q)
{
    q->outcomes.wait_until_ms = 0;
}

void
tw_outcomes_each(tw_queue_t *q,
    void (*f)(void *data, int64_t id, const tq_token_t *token), void *data)
{
    int          k;
    unsigned     i;
    tw_batch_t  *b;

    for (k = TW_OUTCOME_COMPLETE; k <= TW_OUTCOME_RELEASE; k++) {
        close_open(q, k);
    }

    for (b = q->outcomes.first; b != NULL; b = b->next) {
        for (i = 0; i < b->n; i++) {
            f(data, b->recs[i].id, &b->recs[i].token);
        }
    }
}

static void
count_one(void *data, int64_t id, const tq_token_t *token)
{
    (void) id;
    (void) token;
    (*(unsigned *) data)++;
}

unsigned
tw_queue_outcomes(tw_queue_t *q)
{
    unsigned  n = 0;

    tw_outcomes_each(q, count_one, &n);

    return n;
}

void
tw_outcomes_close(tw_queue_t *q)
{
    int          k;
    tw_batch_t  *b;

    for (k = TW_OUTCOME_COMPLETE; k <= TW_OUTCOME_RELEASE; k++) {
        close_open(q, k);
    }

    while ((b = q->outcomes.first) != NULL) {
        finish(q, b);
    }

    while ((b = q->outcomes.spare) != NULL) {
        q->outcomes.spare = b->next;
        tq_buf_free(&b->bytes);
        free(b);
    }

    uv_close((uv_handle_t *) &q->outcomes.retry, NULL);
}
