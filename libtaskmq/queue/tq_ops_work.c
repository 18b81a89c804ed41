/*
 * tq_ops_work.c: what a worker does with jobs: claim, complete, fail, release,
 * extend, reap, sweep.
 */

#include <stdio.h>
#include <string.h>

#include "tq_layout.h"
#include "tq_ops_int.h"

_Static_assert(TQ_LEN(TQ_RUN_COUNTER) == TQ_COUNTER_LEN
               && TQ_LEN(TQ_RUN_WORKER) == TQ_WORKER_ID_LEN
               && TQ_LEN(TQ_RUN_TOKEN) == TQ_LEASE_TOKEN_LEN,
               "a run's token is a lease's");

#define TQ_CLAIM_HEAD  2    /* now, due */
#define TQ_CLAIM_ITEM  3    /* id, attempts, record */

static unsigned tq_op_group(tq_call_t *call, const tq_outcome_t *o,
    unsigned n);
static tq_decode_t  tq_claim_decode, tq_due_decode, tq_verdicts_decode,
    tq_extend_decode, tq_reap_decode, tq_sweep_decode;
static int tq_verdicts_from(const redisReply *reply, unsigned first,
    unsigned n, tq_result_t *res);


tq_call_t *
tq_claim_call(const tq_ns_t *ns, const tq_token_t *token,
    const char *worker_name, int64_t lease_ms, unsigned total, int woken,
    const tq_claim_want_t *want, unsigned nwant, tq_done_cb done, void *data)
{
    unsigned    i;
    tq_call_t  *call;

    call = tq_op_new(&tq_script_claim, ns, tq_claim_decode, done, data);
    if (call == NULL) {
        return NULL;
    }

    tq_op_of(call)->token = *token;
    tq_call_arg(call, token->t, TQ_LEASE_TOKEN_LEN);
    tq_call_args(call, worker_name);
    tq_call_argi(call, lease_ms);
    tq_call_argi(call, total);
    tq_call_args(call, woken ? "1" : "0");

    for (i = 0; i < nwant; i++) {
        tq_call_arg(call, want[i].handler.p, want[i].handler.len);
        tq_call_argi(call, want[i].free);
    }

    return tq_op_done(call);
}


void
tq_due_before(tq_call_t *claim, const tq_ns_t *ns, tq_done_cb done, void *data)
{
    claim->before = tq_op_done(tq_op_new(&tq_script_due, ns, tq_due_decode,
        done, data));
}


static int
tq_due_decode(const tq_op_t *op, const redisReply *reply, tq_result_t *res)
{
    int64_t  n;

    (void) op;
    (void) res;

    return tq_reply_count(reply, TQ_PROMOTE_MAX, &n);
}


static int
tq_claim_decode(const tq_op_t *op, const redisReply *reply, tq_result_t *res)
{
    size_t        n;
    tq_claims_t  *out = &res->claims;

    if (tq_reply_array(reply, TQ_CLAIM_HEAD) != 0
        || tq_reply_count(reply->element[0], INT64_MAX, &out->now_ms) != 0
        || tq_reply_count(reply->element[1], INT64_MAX, &out->due_ms) != 0)
    {
        return -1;
    }

    n = reply->elements - TQ_CLAIM_HEAD;
    if (n % TQ_CLAIM_ITEM != 0) {
        return -1;
    }

    out->jobs = (unsigned) (n / TQ_CLAIM_ITEM);
    out->token = op->token;

    return 0;
}


int
tq_claim_job(const tq_result_t *res, unsigned i, tq_claimed_t *out)
{
    int64_t         attempts;
    tq_str_t        record;
    tq_job_info_t   info;
    redisReply    **item;

    memset(out, 0, sizeof(tq_claimed_t));

    item = res->from->element + TQ_CLAIM_HEAD + (size_t) i * TQ_CLAIM_ITEM;

    out->token = res->claims.token;

    if (tq_reply_id(item[0], &out->id) != 0) {
        out->id = 0;
        return -1;
    }

    if (tq_reply_count(item[1], 999, &attempts) != 0
        || tq_reply_str(item[2], &record) != 0
        || tq_job_decode(out->id, record, tq_str(""), 0, &info) != 0)
    {
        return -1;
    }

    out->attempts = (int) attempts;
    out->job = info.job;

    return 0;
}


/* The argument before neighbours with the same token that all have a log, or
 * all have none. How many of the n they are, at least 1. */
static unsigned
tq_op_group(tq_call_t *call, const tq_outcome_t *o, unsigned n)
{
    char      head[1 + TQ_LEASE_TOKEN_LEN + 12];
    int       len = 1 + TQ_LEASE_TOKEN_LEN;
    unsigned  same = 1;

    while (same < n && (o[same].log.len > 0) == (o->log.len > 0)
           && memcmp(o[same].token.t, o->token.t, TQ_LEASE_TOKEN_LEN) == 0)
    {
        same++;
    }

    head[0] = (o->log.len > 0) ? 'l' : 't';
    memcpy(head + 1, o->token.t, TQ_LEASE_TOKEN_LEN);
    if (same > 1) {
        len += snprintf(head + len, sizeof(head) - (size_t) len, "%u", same);
    }
    tq_call_arg(call, head, (size_t) len);

    return same;
}


tq_call_t *
tq_complete_call(const tq_ns_t *ns, const tq_outcome_t *o, unsigned n,
    tq_done_cb done, void *data)
{
    unsigned    i, last;
    tq_call_t  *call;

    call = tq_op_new(&tq_script_complete, ns, tq_verdicts_decode, done, data);
    if (call == NULL) {
        return NULL;
    }

    tq_op_of(call)->n = n;

    for (i = 0; i < n; /* void */) {
        last = i + tq_op_group(call, o + i, n - i);

        for ( /* void */ ; i < last; i++) {
            tq_call_argi(call, o[i].id);
            tq_call_arg(call, o[i].result.p, o[i].result.len);
            if (o[i].log.len > 0) {
                tq_call_arg(call, o[i].log.p, o[i].log.len);
            }
        }
    }

    return tq_op_done(call);
}


/* what: "r" (see lua/fail.lua) for all, or NULL: as each says. */
static tq_call_t *
tq_op_fail(const tq_ns_t *ns, const tq_outcome_t *o, unsigned n,
    const char *what, uint64_t jitter, tq_done_cb done, void *data)
{
    unsigned     i;
    tq_call_t   *call;
    const char  *each = what;

    call = tq_op_new(&tq_script_fail, ns, tq_verdicts_decode, done, data);
    if (call == NULL) {
        return NULL;
    }

    tq_op_of(call)->n = n;
    tq_call_argi(call, (int64_t) (jitter % 1000000));

    for (i = 0; i < n; i++) {
        if (what == NULL) {
            each = o[i].retryable > 0 ? "1" : o[i].retryable < 0 ? "d" : "0";
        }

        tq_call_argi(call, o[i].id);
        tq_call_arg(call, o[i].token.t, TQ_LEASE_TOKEN_LEN);
        tq_call_args(call, each);
        tq_call_arg(call, o[i].error.p, o[i].error.len);
        tq_call_arg(call, o[i].log.p, o[i].log.len);
        tq_call_argi(call, o[i].wait_ms < 0 ? -1 : o[i].wait_ms);
    }

    return tq_op_done(call);
}


tq_call_t *
tq_fail_call(const tq_ns_t *ns, const tq_outcome_t *o, unsigned n,
    uint64_t jitter, tq_done_cb done, void *data)
{
    return tq_op_fail(ns, o, n, NULL, jitter, done, data);
}


tq_call_t *
tq_release_call(const tq_ns_t *ns, const tq_outcome_t *o, unsigned n,
    tq_done_cb done, void *data)
{
    return tq_op_fail(ns, o, n, "r", 0, done, data);
}


/* How many of the n have the first one's token. */
static unsigned
tq_op_lease_mates(const tq_outcome_t *o, unsigned n)
{
    unsigned  same = 1;

    while (same < n
           && memcmp(o[same].token.t, o->token.t, TQ_LEASE_TOKEN_LEN) == 0)
    {
        same++;
    }

    return same;
}


tq_call_t *
tq_extend_call(const tq_ns_t *ns, const tq_heartbeat_t *beat,
    const tq_outcome_t *o, unsigned n, tq_done_cb done, void *data)
{
    char        head[TQ_LEASE_TOKEN_LEN + 12];
    int         len;
    unsigned    i, last;
    tq_call_t  *call;

    call = tq_op_new(&tq_script_extend, ns, tq_extend_decode, done, data);
    if (call == NULL) {
        return NULL;
    }

    tq_op_of(call)->n = n;
    tq_call_args(call, beat->worker_id);
    tq_call_args(call, beat->worker_name);
    tq_call_arg(call, beat->info.p, beat->info.len);
    tq_call_argi(call, beat->lease_ms);
    tq_call_args(call, beat->all ? "1" : "0");
    tq_call_argi(call, beat->nhandlers);

    for (i = 0; i < beat->nhandlers; i++) {
        tq_call_arg(call, beat->handlers[i].p, beat->handlers[i].len);
    }

    for (i = 0; i < n; /* void */) {
        last = i + tq_op_lease_mates(o + i, n - i);
        len = snprintf(head, sizeof(head), "%.*s%u", TQ_LEASE_TOKEN_LEN,
            o[i].token.t, last - i);
        tq_call_arg(call, head, (size_t) len);

        for ( /* void */ ; i < last; i++) {
            tq_call_argi(call, o[i].id);
        }
    }

    return tq_op_done(call);
}


static int
tq_extend_decode(const tq_op_t *op, const redisReply *reply, tq_result_t *res)
{
    return tq_sweep_decode(op, reply, res) != 0
           ? -1 : tq_verdicts_from(reply, 2, op->n, res);
}


static int
tq_verdicts_decode(const tq_op_t *op, const redisReply *reply,
    tq_result_t *res)
{
    return tq_verdicts_from(reply, 0, op->n, res);
}


/* n verdicts, which are all that follows from `first` on. */
static int
tq_verdicts_from(const redisReply *reply, unsigned first, unsigned n,
    tq_result_t *res)
{
    size_t             i;
    const redisReply  *v;

    if (tq_reply_array(reply, 0) != 0
        || reply->elements != (size_t) first + n)
    {
        return -1;
    }

    for (i = first; i < reply->elements; i++) {
        v = reply->element[i];
        if (v->type != REDIS_REPLY_INTEGER || v->integer < TQ_VERDICT_OK
            || v->integer > TQ_VERDICT_CANCELLED)
        {
            return -1;
        }
    }

    res->first = first;

    return 0;
}


tq_verdict_t
tq_verdict(const tq_result_t *res, unsigned i)
{
    return (tq_verdict_t) res->from->element[res->first + i]->integer;
}


tq_call_t *
tq_goodbye_call(const tq_ns_t *ns, const char *worker_id, tq_done_cb done,
    void *data)
{
    tq_call_t  *call;

    call = tq_op_plain("HDEL", ns, "workers", NULL, done, data);

    if (call != NULL) {
        tq_call_args(call, worker_id);
    }

    return tq_op_done(call);
}


tq_call_t *
tq_reap_call(const tq_ns_t *ns, int64_t not_after_ms, tq_done_cb done,
    void *data)
{
    tq_call_t  *call;

    call = tq_op_new(&tq_script_reap, ns, tq_reap_decode, done, data);

    if (call != NULL && not_after_ms >= 0) {
        tq_call_argi(call, not_after_ms);
    }

    return tq_op_done(call);
}


static int
tq_reap_decode(const tq_op_t *op, const redisReply *reply, tq_result_t *res)
{
    int64_t         requeued, failed, more;
    tq_reaped_t    *out = &res->reaped;
    int64_t *const  to[] = { &out->now_ms, &requeued, &failed, &more };

    (void) op;

    if (tq_reply_counts(reply, 0, to, 4) != 0) {
        return -1;
    }

    out->requeued = (unsigned) requeued;
    out->failed = (unsigned) failed;
    out->more = (more != 0);

    return 0;
}


tq_call_t *
tq_sweep_call(const tq_ns_t *ns, tq_done_cb done, void *data)
{
    return tq_op_done(tq_op_new(&tq_script_sweep, ns, tq_sweep_decode, done,
        data));
}


/* How many jobs, and whether there are more; of extend, too. */
static int
tq_sweep_decode(const tq_op_t *op, const redisReply *reply, tq_result_t *res)
{
    int64_t         n, more;
    int64_t *const  to[] = { &n, &more };

    (void) op;

    if (tq_reply_counts(reply, 0, to, 2) != 0) {
        return -1;
    }

    res->swept.jobs = (unsigned) n;
    res->swept.more = (more != 0);

    return 0;
}
