/*
 * tq_ops_work.c: what a worker does with jobs: claim, complete, fail, release,
 * extend, reap, recover, and the wait for work.
 */

#include <stdio.h>
#include <string.h>

#include "tq_ops_int.h"

#define TQ_CLAIM_HEAD  3    /* now, due, counter */
#define TQ_CLAIM_ITEM  3    /* id, attempts, record */

static void tq_op_lease(tq_call_t *call, const tq_outcome_t *o);
static unsigned tq_op_group(tq_call_t *call, const tq_outcome_t *o,
    unsigned n);
static int tq_key_between(tq_str_t *key, const char *prefix, size_t len);


tq_call_t *
tq_claim_call(const tq_ns_t *ns, const char *worker_id,
    const char *worker_name, int64_t lease_ms, unsigned total,
    const tq_claim_want_t *want, unsigned nwant, tq_call_cb cb, void *data)
{
    unsigned    i;
    tq_call_t  *call;

    call = tq_op_new(&tq_script_claim, ns, cb, data);
    if (call == NULL) {
        return NULL;
    }

    tq_call_args(call, worker_id);
    tq_call_args(call, worker_name);
    tq_call_argi(call, lease_ms);
    tq_call_argi(call, total);

    for (i = 0; i < nwant; i++) {
        tq_call_arg(call, want[i].handler.p, want[i].handler.len);
        tq_call_argi(call, want[i].free);
    }

    return tq_op_done(call);
}


int
tq_claim_head(const redisReply *reply, tq_claim_head_t *out)
{
    size_t  n;

    if (tq_reply_array(reply, TQ_CLAIM_HEAD) != 0
        || tq_reply_count(reply->element[0], INT64_MAX, &out->now_ms) != 0
        || tq_reply_count(reply->element[1], INT64_MAX, &out->due_ms) != 0
        || tq_reply_str(reply->element[2], &out->counter) != 0
        || out->counter.len != TQ_COUNTER_LEN)
    {
        return -1;
    }

    n = reply->elements - TQ_CLAIM_HEAD;
    if (n % TQ_CLAIM_ITEM != 0) {
        return -1;
    }

    out->jobs = (unsigned) (n / TQ_CLAIM_ITEM);

    return 0;
}


int
tq_claim_job(const redisReply *reply, const char *worker_id, unsigned i,
    tq_claimed_t *out)
{
    int64_t         id, attempts;
    tq_str_t        counter, record;
    tq_job_info_t   info;
    redisReply    **item;

    memset(out, 0, sizeof(tq_claimed_t));

    if (tq_reply_array(reply, TQ_CLAIM_HEAD
                              + ((size_t) i + 1) * TQ_CLAIM_ITEM) != 0)
    {
        return -1;
    }

    item = reply->element + TQ_CLAIM_HEAD + (size_t) i * TQ_CLAIM_ITEM;

    if (tq_reply_str(reply->element[2], &counter) != 0
        || counter.len != TQ_COUNTER_LEN
        || strlen(worker_id) != TQ_WORKER_ID_LEN
        || tq_reply_id(item[0], &id) != 0
        || tq_reply_count(item[1], 999, &attempts) != 0
        || tq_reply_str(item[2], &record) != 0)
    {
        return -1;
    }

    memcpy(out->token.t, counter.p, TQ_COUNTER_LEN);
    memcpy(out->token.t + TQ_COUNTER_LEN, worker_id, TQ_WORKER_ID_LEN);
    out->id = id;
    out->attempts = (int) attempts;

    if (tq_job_decode(id, record, tq_str(""), 0, &info) != 0) {
        return -1;
    }

    out->job = info.job;

    return 0;
}


static void
tq_op_lease(tq_call_t *call, const tq_outcome_t *o)
{
    tq_call_argi(call, o->id);
    tq_call_arg(call, o->token.t, TQ_LEASE_TOKEN_LEN);
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
    tq_call_cb cb, void *data)
{
    unsigned    i, last;
    tq_call_t  *call;

    call = tq_op_new(&tq_script_complete, ns, cb, data);
    if (call == NULL) {
        return NULL;
    }

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


tq_call_t *
tq_fail_call(const tq_ns_t *ns, const tq_outcome_t *o, unsigned n,
    uint64_t jitter, tq_call_cb cb, void *data)
{
    unsigned    i;
    tq_call_t  *call;

    call = tq_op_new(&tq_script_fail, ns, cb, data);
    if (call == NULL) {
        return NULL;
    }

    tq_call_argi(call, (int64_t) (jitter % 1000000));

    for (i = 0; i < n; i++) {
        tq_op_lease(call, &o[i]);
        tq_call_arg(call, o[i].retryable > 0 ? "1"
                          : o[i].retryable < 0 ? "d" : "0", 1);
        tq_call_arg(call, o[i].error.p, o[i].error.len);
        tq_call_arg(call, o[i].log.p, o[i].log.len);
        tq_call_argi(call, o[i].wait_ms < 0 ? -1 : o[i].wait_ms);
    }

    return tq_op_done(call);
}


tq_call_t *
tq_release_call(const tq_ns_t *ns, const tq_outcome_t *o, unsigned n,
    tq_call_cb cb, void *data)
{
    unsigned    i;
    tq_call_t  *call;

    call = tq_op_new(&tq_script_release, ns, cb, data);
    if (call == NULL) {
        return NULL;
    }

    for (i = 0; i < n; i++) {
        tq_op_lease(call, &o[i]);
    }

    return tq_op_done(call);
}


tq_call_t *
tq_extend_call(const tq_ns_t *ns, const char *worker_id,
    const char *worker_name, tq_str_t info, const tq_str_t *handlers,
    unsigned nhandlers, int64_t lease_ms, const tq_outcome_t *o, unsigned n,
    tq_call_cb cb, void *data)
{
    unsigned    i;
    tq_call_t  *call;

    call = tq_op_new(&tq_script_extend, ns, cb, data);
    if (call == NULL) {
        return NULL;
    }

    tq_call_args(call, worker_id);
    tq_call_args(call, worker_name);
    tq_call_arg(call, info.p, info.len);
    tq_call_argi(call, lease_ms);
    tq_call_argi(call, nhandlers);

    for (i = 0; i < nhandlers; i++) {
        tq_call_arg(call, handlers[i].p, handlers[i].len);
    }

    for (i = 0; i < n; i++) {
        tq_op_lease(call, &o[i]);
    }

    return tq_op_done(call);
}


int
tq_verdict(const redisReply *reply, unsigned i, tq_verdict_t *out)
{
    int64_t  v;

    if (tq_reply_array(reply, (size_t) i + 1) != 0
        || tq_reply_count(reply->element[i], TQ_VERDICT_CANCELLED, &v) != 0)
    {
        return -1;
    }

    *out = (tq_verdict_t) v;

    return 0;
}


tq_call_t *
tq_goodbye_call(const tq_ns_t *ns, const char *worker_id, tq_call_cb cb,
    void *data)
{
    tq_call_t  *call;

    call = tq_op_new(&tq_script_goodbye, ns, cb, data);

    if (call != NULL) {
        tq_call_args(call, worker_id);
    }

    return tq_op_done(call);
}


tq_call_t *
tq_reap_call(const tq_ns_t *ns, int64_t not_after_ms, tq_call_cb cb,
    void *data)
{
    tq_call_t  *call = tq_op_new(&tq_script_reap, ns, cb, data);

    if (call != NULL && not_after_ms >= 0) {
        tq_call_argi(call, not_after_ms);
    }

    return tq_op_done(call);
}


int
tq_reap_result(const redisReply *reply, tq_reaped_t *out)
{
    int64_t         requeued, failed, swept, more;
    int64_t *const  to[] = { &out->now_ms, &requeued, &failed, &swept, &more };

    if (tq_reply_counts(reply, 0, to, 5) != 0) {
        return -1;
    }

    out->requeued = (unsigned) requeued;
    out->failed = (unsigned) failed;
    out->swept = (unsigned) swept;
    out->more = (more != 0);

    return 0;
}


tq_call_t *
tq_recover_call(const tq_ns_t *ns, const char *worker_id, int64_t cursor,
    const int64_t *held, unsigned nheld, tq_call_cb cb, void *data)
{
    unsigned    i;
    tq_call_t  *call;

    call = tq_op_new(&tq_script_recover, ns, cb, data);
    if (call == NULL) {
        return NULL;
    }

    tq_call_args(call, worker_id);
    tq_call_argi(call, cursor);

    for (i = 0; i < nheld; i++) {
        tq_call_argi(call, held[i]);
    }

    return tq_op_done(call);
}


int
tq_recover_result(const redisReply *reply, int64_t *cursor, unsigned *released)
{
    int64_t         n;
    int64_t *const  to[] = { cursor, &n };

    if (tq_reply_counts(reply, 0, to, 2) != 0) {
        return -1;
    }

    *released = (unsigned) n;

    return 0;
}


tq_call_t *
tq_wake_call(const tq_ns_t *ns, const char *worker_id,
    const tq_str_t *handlers, unsigned n, int64_t timeout_ms, tq_call_cb cb,
    void *data)
{
    char        key[TQ_NAMESPACE_MAX + TQ_HANDLER_MAX + 32];
    char        seconds[32];
    unsigned    i;
    tq_call_t  *call;

    call = tq_call_new(NULL, cb, data);
    if (call == NULL) {
        return NULL;
    }

    /* to Redis, 0 is for ever */
    timeout_ms = (timeout_ms < 1) ? 1 : timeout_ms;
    call->timeout_ms = timeout_ms + TQ_REDIS_TIMEOUT_MS;

    tq_call_args(call, "BZPOPMIN");

    /* its own key first: a cancel must not wait behind work */
    snprintf(key, sizeof(key), "%sw:%s:wake", ns->prefix, worker_id);
    tq_call_args(call, key);

    for (i = 0; i < n; i++) {
        snprintf(key, sizeof(key), "%sh:%.*s:wake", ns->prefix,
            (int) handlers[i].len, handlers[i].p);
        tq_call_args(call, key);
    }

    snprintf(seconds, sizeof(seconds), "%lld.%03d",
        (long long) (timeout_ms / 1000), (int) (timeout_ms % 1000));
    tq_call_args(call, seconds);

    return tq_op_done(call);
}


/* Cuts prefix and ":wake" off a key. 1: it had both. */
static int
tq_key_between(tq_str_t *key, const char *prefix, size_t len)
{
    if (key->len <= len + 5 || memcmp(key->p, prefix, len) != 0
        || memcmp(key->p + key->len - 5, ":wake", 5) != 0)
    {
        return 0;
    }

    key->p += len;
    key->len -= len + 5;

    return 1;
}


int
tq_wake_result(const redisReply *reply, const tq_ns_t *ns, tq_str_t *handler)
{
    tq_str_t  key;

    if (reply != NULL && reply->type == REDIS_REPLY_NIL) {
        return 0;
    }

    if (tq_reply_array(reply, 3) != 0
        || tq_reply_str(reply->element[0], &key) != 0
        || !tq_key_between(&key, ns->prefix, ns->len)
        || key.len < 3 || key.p[1] != ':'
        || (key.p[0] != 'h' && key.p[0] != 'w'))
    {
        return -1;
    }

    handler->p = key.p + 2;
    handler->len = (key.p[0] == 'h') ? key.len - 2 : 0;

    return 1;
}


tq_call_t *
tq_client_id_call(tq_call_cb cb, void *data)
{
    tq_call_t  *call = tq_call_new(NULL, cb, data);

    if (call == NULL) {
        return NULL;
    }

    tq_call_args(call, "CLIENT");
    tq_call_args(call, "ID");

    return tq_op_done(call);
}


int64_t
tq_client_id_result(const redisReply *reply)
{
    if (reply == NULL || reply->type != REDIS_REPLY_INTEGER
        || reply->integer <= 0)
    {
        return -1;
    }

    return reply->integer;
}


tq_call_t *
tq_unblock_call(int64_t client_id, tq_call_cb cb, void *data)
{
    tq_call_t  *call = tq_call_new(NULL, cb, data);

    if (call == NULL) {
        return NULL;
    }

    tq_call_args(call, "CLIENT");
    tq_call_args(call, "UNBLOCK");
    tq_call_argi(call, client_id);

    return tq_op_done(call);
}
