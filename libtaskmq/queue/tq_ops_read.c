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

static int tq_reply_job(int64_t id, redisReply **item, tq_job_info_t *out);


tq_call_t *
tq_get_call(const tq_ns_t *ns, int64_t id, tq_call_cb cb, void *data)
{
    tq_call_t  *call;

    call = tq_op_new(&tq_script_get, ns, cb, data);

    if (call != NULL) {
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


int
tq_get_result(const redisReply *reply, int64_t id, tq_job_info_t *out)
{
    if (reply != NULL && reply->type == REDIS_REPLY_NIL) {
        return 0;
    }

    if (tq_reply_array(reply, 3) != 0
        || tq_reply_job(id, reply->element, out) != 0)
    {
        return -1;
    }

    return 1;
}


tq_call_t *
tq_logs_call(const tq_ns_t *ns, int64_t id, tq_call_cb cb, void *data)
{
    tq_call_t  *call;

    call = tq_op_new(&tq_script_logs, ns, cb, data);

    if (call != NULL) {
        tq_call_argi(call, id);
    }

    return tq_op_done(call);
}


int
tq_logs_result(const redisReply *reply, tq_str_t *log)
{
    if (reply != NULL && reply->type == REDIS_REPLY_NIL) {
        return 0;
    }

    return (tq_reply_str(reply, log) == 0) ? 1 : -1;
}


tq_call_t *
tq_list_call(const tq_ns_t *ns, const tq_list_t *l, tq_call_cb cb, void *data)
{
    char        letter;
    unsigned    limit;
    tq_call_t  *call;

    call = tq_op_new(&tq_script_list, ns, cb, data);
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


int
tq_list_head(const redisReply *reply, int64_t *cursor, unsigned *n)
{
    size_t  items;

    if (tq_reply_array(reply, TQ_LIST_HEAD) != 0
        || tq_reply_count(reply->element[0], TQ_ID_MAX, cursor) != 0)
    {
        return -1;
    }

    items = reply->elements - TQ_LIST_HEAD;
    if (items % TQ_LIST_ITEM != 0) {
        return -1;
    }

    *n = (unsigned) (items / TQ_LIST_ITEM);

    return 0;
}


int
tq_list_job(const redisReply *reply, unsigned i, tq_job_info_t *out)
{
    size_t    at;
    int64_t   id;

    at = TQ_LIST_HEAD + (size_t) i * TQ_LIST_ITEM;

    if (tq_reply_array(reply, at + TQ_LIST_ITEM) != 0
        || tq_reply_id(reply->element[at], &id) != 0)
    {
        return -1;
    }

    return tq_reply_job(id, reply->element + at + 1, out);
}


tq_call_t *
tq_stats_call(const tq_ns_t *ns, tq_call_cb cb, void *data)
{
    return tq_op_done(tq_op_new(&tq_script_stats, ns, cb, data));
}


int
tq_stats_result(const redisReply *reply, tq_stats_t *out)
{
    size_t          i;
    int64_t         queues, workers, *bucket[TQ_DURATION_BUCKETS + 1];
    int64_t *const  first[] = {
        &out->now_ms, &out->received, &out->success, &out->failed,
        &out->cancelled, &out->retries, &out->crashes, &out->dead_dropped,
        &out->duration_sum_ms
    };
    int64_t *const  last[] = {
        &out->waiting, &out->scheduled, &out->running, &out->dead,
        &out->finished, &queues, &workers
    };
    int64_t *const  tail[] = {
        &out->finished_bytes, &out->finished_max_bytes, &out->finished_dropped
    };

    for (i = 0; i <= TQ_DURATION_BUCKETS; i++) {
        bucket[i] = &out->duration[i];
    }

    if (tq_reply_counts(reply, 0, first, 9) != 0
        || tq_reply_counts(reply, 9, bucket, TQ_DURATION_BUCKETS + 1) != 0
        || tq_reply_counts(reply, 9 + TQ_DURATION_BUCKETS + 1, last, 7) != 0)
    {
        return -1;
    }

    if (queues > TQ_REDIS_REPLY_ITEMS_MAX || workers > TQ_REDIS_REPLY_ITEMS_MAX
        || reply->elements != TQ_STATS_HEAD
                              + (size_t) queues * TQ_STATS_QUEUE
                              + (size_t) workers * TQ_STATS_WORKER
                              + TQ_STATS_TAIL
        || tq_reply_counts(reply, reply->elements - TQ_STATS_TAIL, tail,
                           TQ_STATS_TAIL) != 0)
    {
        return -1;
    }

    out->queues = (unsigned) queues;
    out->workers = (unsigned) workers;

    return 0;
}


int
tq_stats_queue(const redisReply *reply, unsigned i, tq_queue_stats_t *out)
{
    size_t          at;
    int64_t         queues;
    int64_t *const  to[] = {
        &out->received, &out->waiting, &out->scheduled, &out->running,
        &out->dead, &out->oldest_ms
    };

    if (tq_reply_array(reply, TQ_STATS_HEAD) != 0
        || tq_reply_count(reply->element[TQ_STATS_QUEUES],
               TQ_REDIS_REPLY_ITEMS_MAX, &queues) != 0
        || (int64_t) i >= queues)
    {
        return -1;
    }

    at = TQ_STATS_HEAD + (size_t) i * TQ_STATS_QUEUE;

    if (tq_reply_counts(reply, at + 1, to, 6) != 0) {
        return -1;
    }

    return tq_reply_str(reply->element[at], &out->name);
}


int
tq_stats_worker(const redisReply *reply, unsigned i, tq_str_t *id,
    tq_str_t *name, int64_t *seen_ms, tq_str_t *info)
{
    size_t       at;
    int64_t      queues;
    redisReply **item;

    if (tq_reply_array(reply, TQ_STATS_HEAD) != 0
        || tq_reply_count(reply->element[TQ_STATS_QUEUES],
               TQ_REDIS_REPLY_ITEMS_MAX, &queues) != 0)
    {
        return -1;
    }

    at = TQ_STATS_HEAD + (size_t) queues * TQ_STATS_QUEUE
         + (size_t) i * TQ_STATS_WORKER;

    if (tq_reply_array(reply, at + TQ_STATS_WORKER) != 0) {
        return -1;
    }

    item = reply->element + at;

    if (tq_reply_str(item[0], id) != 0 || tq_reply_str(item[1], name) != 0
        || tq_reply_count(item[2], INT64_MAX, seen_ms) != 0
        || tq_reply_str(item[3], info) != 0)
    {
        return -1;
    }

    return 0;
}


tq_call_t *
tq_probe_call(const tq_ns_t *ns, tq_call_cb cb, void *data)
{
    return tq_op_done(tq_op_new(&tq_script_probe, ns, cb, data));
}


int
tq_probe_result(const redisReply *reply, int64_t *waiting, int64_t *workers,
    int *noeviction)
{
    int64_t         v;
    int64_t *const  to[] = { waiting, workers };

    if (tq_reply_counts(reply, 0, to, 2) != 0 || reply->elements < 3
        || tq_reply_int(reply->element[2], &v) != 0 || v < -1 || v > 1)
    {
        return -1;
    }

    *noeviction = (int) v;

    return 0;
}


void
tq_probe_full(const redisReply *reply, int *bytes, int *memory)
{
    int      i;
    int64_t  v;
    int     *to[] = { bytes, memory };

    for (i = 0; i < 2; i++) {
        *to[i] = -1;

        if (tq_reply_array(reply, (size_t) i + 4) == 0
            && tq_reply_count(reply->element[3 + i], INT_MAX, &v) == 0)
        {
            *to[i] = (int) v;
        }
    }
}
