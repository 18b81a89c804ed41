/*
 * tq_ops_read.c: what changes nothing: get, logs, list, stats, and the probe.
 */

#include <limits.h>
#include <string.h>

#include "tq_ops_int.h"

#define TQ_LIST_HEAD      1     /* next before */
#define TQ_LIST_ITEM      4     /* id, record, run, due */

#define TQ_STATS_QUEUES   29    /* places of the two numbers, from 0 */
#define TQ_STATS_WORKERS  30
#define TQ_STATS_HEAD     31
#define TQ_STATS_QUEUE    7
#define TQ_STATS_WORKER   4
#define TQ_STATS_TAIL     3     /* bytes, their bound, dropped */

const int64_t  tq_duration_bounds_ms[TQ_DURATION_BUCKETS] = {
    5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 300000
};

static tq_decode_t  tq_get_decode, tq_logs_decode, tq_list_decode,
    tq_stats_decode, tq_probe_decode;
static int tq_reply_job(int64_t id, redisReply **item, tq_job_info_t *out);
static int tq_reply_queue(const redisReply *reply, size_t at,
    tq_queue_stats_t *out);
static int tq_reply_worker(const redisReply *reply, size_t at,
    tq_worker_stats_t *out);


tq_call_t *
tq_get_call(const tq_ns_t *ns, int64_t id, tq_done_cb done, void *data)
{
    tq_call_t  *call;

    call = tq_op_new(&tq_script_get, ns, tq_get_decode, done, data);

    if (call != NULL) {
        tq_op_of(call)->id = id;
        tq_call_argi(call, id);
    }

    return tq_op_done(call);
}


/* Decodes record, run, due. 0, or -1: not even strings. */
static int
tq_reply_job(int64_t id, redisReply **item, tq_job_info_t *out)
{
    int64_t   due;
    tq_str_t  record, run;

    if (tq_reply_str(item[0], &record) != 0
        || tq_reply_str(item[1], &run) != 0
        || tq_reply_count(item[2], INT64_MAX, &due) != 0)
    {
        return -1;
    }

    if (tq_job_decode(id, record, run, due, out) != 0) {
        tq_job_guess(id, record, run, due, out);
    }

    return 0;
}


static int
tq_get_decode(const tq_op_t *op, const redisReply *reply, tq_result_t *res)
{
    if (reply->type == REDIS_REPLY_NIL) {
        res->found = 0;
        return 0;
    }

    return tq_reply_array(reply, 3) == 0
           ? tq_reply_job(op->id, reply->element, &res->job) : -1;
}


tq_call_t *
tq_logs_call(const tq_ns_t *ns, int64_t id, tq_done_cb done, void *data)
{
    tq_call_t  *call;

    /* a record is short: what is long in it stands apart */
    call = tq_op_new(NULL, NULL, tq_logs_decode, done, data);

    if (call != NULL) {
        tq_call_args(call, "MGET");
        tq_op_job_key(call, ns, "j:", id);
        tq_op_job_key(call, ns, "l:", id);
    }

    return tq_op_done(call);
}


static int
tq_logs_decode(const tq_op_t *op, const redisReply *reply, tq_result_t *res)
{
    redisReply  **item;

    (void) op;

    if (tq_reply_array(reply, 2) != 0) {
        return -1;
    }

    item = reply->element;
    res->found = (item[0]->type != REDIS_REPLY_NIL);
    res->log = tq_str("");

    return item[1]->type != REDIS_REPLY_NIL ? tq_reply_str(item[1], &res->log)
                                            : 0;
}


tq_call_t *
tq_list_call(const tq_ns_t *ns, const tq_list_t *l, tq_done_cb done, void *data)
{
    char        letter;
    unsigned    limit;
    tq_call_t  *call;

    call = tq_op_new(&tq_script_list, ns, tq_list_decode, done, data);
    if (call == NULL) {
        return NULL;
    }

    letter = '\0';

    switch (l->status) {
    case TQ_STATE_PENDING:
        letter = 'P';
        break;
    case TQ_STATE_RUNNING:
        letter = 'R';
        break;
    case TQ_STATE_SUCCESS:
        letter = 'S';
        break;
    case TQ_STATE_FAILED:
        letter = 'F';
        break;
    case TQ_STATE_CANCELLED:
        letter = 'C';
        break;
    case TQ_LIST_NOT_SUCCESS:
        letter = 'X';
        break;
    case TQ_LIST_SCHEDULED:
        letter = 'D';
        break;
    default:
        break;
    }

    limit = (l->limit < 1) ? 1 : l->limit;

    tq_call_argi(call, l->before);
    tq_call_arg(call, &letter, letter != '\0');
    tq_call_arg(call, l->handler.p, l->handler.len);
    tq_call_argi(call, limit > TQ_LIST_MAX ? TQ_LIST_MAX : limit);

    return tq_op_done(call);
}


static int
tq_list_decode(const tq_op_t *op, const redisReply *reply, tq_result_t *res)
{
    size_t    i, n;
    int64_t   v;
    tq_str_t  text;

    (void) op;

    if (tq_reply_array(reply, TQ_LIST_HEAD) != 0
        || tq_reply_count(reply->element[0], TQ_ID_MAX, &res->page.cursor)
           != 0)
    {
        return -1;
    }

    n = reply->elements - TQ_LIST_HEAD;
    if (n % TQ_LIST_ITEM != 0 || n / TQ_LIST_ITEM > TQ_LIST_MAX) {
        return -1;
    }

    for (i = TQ_LIST_HEAD; i < reply->elements; i += TQ_LIST_ITEM) {
        if (tq_reply_id(reply->element[i], &v) != 0
            || tq_reply_str(reply->element[i + 1], &text) != 0
            || tq_reply_str(reply->element[i + 2], &text) != 0
            || tq_reply_count(reply->element[i + 3], INT64_MAX, &v) != 0)
        {
            return -1;
        }
    }

    res->page.jobs = (unsigned) (n / TQ_LIST_ITEM);

    return 0;
}


void
tq_list_job(const tq_result_t *res, unsigned i, tq_job_info_t *out)
{
    int64_t       id = 0;
    redisReply  **item;

    item = res->from->element + TQ_LIST_HEAD + (size_t) i * TQ_LIST_ITEM;

    (void) tq_reply_id(item[0], &id);
    (void) tq_reply_job(id, item + 1, out);
}


tq_call_t *
tq_stats_call(const tq_ns_t *ns, tq_done_cb done, void *data)
{
    return tq_op_done(tq_op_new(&tq_script_stats, ns, tq_stats_decode, done,
        data));
}


static int
tq_stats_decode(const tq_op_t *op, const redisReply *reply, tq_result_t *res)
{
    size_t              i, at;
    int64_t             queues, workers, *bucket[TQ_DURATION_BUCKETS + 1];
    tq_stats_t         *out = &res->stats;
    tq_queue_stats_t    queue;
    tq_worker_stats_t   worker;
    int64_t *const      first[] = {
        &out->now_ms, &out->received, &out->success, &out->failed,
        &out->cancelled, &out->retries, &out->crashes, &out->dead_dropped,
        &out->duration_sum_ms
    };
    int64_t *const      last[] = {
        &out->waiting, &out->scheduled, &out->running, &out->dead,
        &out->finished, &queues, &workers
    };
    int64_t *const      tail[] = {
        &out->finished_bytes, &out->finished_max_bytes, &out->finished_dropped
    };

    (void) op;

    for (i = 0; i <= TQ_DURATION_BUCKETS; i++) {
        bucket[i] = &out->duration[i];
    }

    if (tq_reply_totals(reply, 0, first, 9) != 0
        || tq_reply_totals(reply, 9, bucket, TQ_DURATION_BUCKETS + 1) != 0
        || tq_reply_totals(reply, 9 + TQ_DURATION_BUCKETS + 1, last, 7) != 0)
    {
        return -1;
    }

    if (queues > TQ_REDIS_REPLY_ITEMS_MAX || workers > TQ_REDIS_REPLY_ITEMS_MAX
        || reply->elements != TQ_STATS_HEAD
                              + (size_t) queues * TQ_STATS_QUEUE
                              + (size_t) workers * TQ_STATS_WORKER
                              + TQ_STATS_TAIL
        || tq_reply_totals(reply, reply->elements - TQ_STATS_TAIL, tail,
                         TQ_STATS_TAIL) != 0)
    {
        return -1;
    }

    at = TQ_STATS_HEAD;

    for (i = 0; i < (size_t) queues; i++, at += TQ_STATS_QUEUE) {
        if (tq_reply_queue(reply, at, &queue) != 0) {
            return -1;
        }
    }

    for (i = 0; i < (size_t) workers; i++, at += TQ_STATS_WORKER) {
        if (tq_reply_worker(reply, at, &worker) != 0) {
            return -1;
        }
    }

    out->queues = (unsigned) queues;
    out->workers = (unsigned) workers;

    return 0;
}


/* A queue at this place. 0, or -1. */
static int
tq_reply_queue(const redisReply *reply, size_t at, tq_queue_stats_t *out)
{
    int64_t *const  to[] = {
        &out->received, &out->waiting, &out->scheduled, &out->running,
        &out->dead, &out->oldest_ms
    };

    return tq_reply_str(reply->element[at], &out->name) == 0
           ? tq_reply_totals(reply, at + 1, to, 6) : -1;
}


void
tq_stats_queue(const tq_result_t *res, unsigned i, tq_queue_stats_t *out)
{
    (void) tq_reply_queue(res->from,
        TQ_STATS_HEAD + (size_t) i * TQ_STATS_QUEUE, out);
}


/* A worker at this place. 0, or -1. */
static int
tq_reply_worker(const redisReply *reply, size_t at, tq_worker_stats_t *out)
{
    redisReply  **item = reply->element + at;

    return (tq_reply_str(item[0], &out->id) == 0
            && tq_reply_str(item[1], &out->name) == 0
            && tq_reply_count(item[2], INT64_MAX, &out->seen_ms) == 0
            && tq_reply_str(item[3], &out->info) == 0) ? 0 : -1;
}


void
tq_stats_worker(const tq_result_t *res, unsigned i, tq_worker_stats_t *out)
{
    (void) tq_reply_worker(res->from, TQ_STATS_HEAD
        + (size_t) res->stats.queues * TQ_STATS_QUEUE
        + (size_t) i * TQ_STATS_WORKER, out);
}


tq_call_t *
tq_probe_call(const tq_ns_t *ns, tq_done_cb done, void *data)
{
    return tq_op_done(tq_op_new(&tq_script_probe, ns, tq_probe_decode, done,
        data));
}


static int
tq_probe_decode(const tq_op_t *op, const redisReply *reply, tq_result_t *res)
{
    int             i;
    int64_t         v;
    tq_probe_t     *out = &res->probe;
    int            *full[] = { &out->bytes_full, &out->memory_full };
    int64_t *const  to[] = { &out->waiting, &out->workers };

    (void) op;

    if (tq_reply_totals(reply, 0, to, 2) != 0 || reply->elements < 3
        || tq_reply_int(reply->element[2], &v) != 0 || v < -1 || v > 1)
    {
        return -1;
    }

    out->noeviction = (int) v;

    for (i = 0; i < 2; i++) {
        *full[i] = -1;

        if (tq_reply_array(reply, (size_t) i + 4) == 0
            && tq_reply_count(reply->element[3 + i], INT_MAX, &v) == 0)
        {
            *full[i] = (int) v;
        }
    }

    return 0;
}
