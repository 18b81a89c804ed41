/*
 * ngx_http_taskmq_batch.c: the enqueues of one event-loop turn leave in one
 * script call, a group per request, each with an outcome of its own. A call
 * costs Redis as much as some five of its jobs, so only a few are on their way
 * at a time: what comes meanwhile leaves with the next answer, in one call, as
 * a database commits in groups. Alone, a request waits for nothing but the end
 * of the turn it came in.
 */

#include "ngx_http_taskmq_redis.h"

static void ngx_http_taskmq_batch_flush(ngx_http_taskmq_redis_t *redis);
static void ngx_http_taskmq_batch_drop(ngx_http_taskmq_redis_t *redis);
static void ngx_http_taskmq_batch_done(ngx_http_taskmq_call_t *call,
    const tq_result_t *res);
static void ngx_http_taskmq_batch_end(ngx_http_taskmq_call_t *member,
    const tq_result_t *res);

ngx_int_t
ngx_http_taskmq_batch_add(ngx_http_taskmq_call_t *call,
    ngx_http_taskmq_loc_conf_t *conf, tq_str_t scope, tq_str_t key,
    uint64_t body_hash, const tq_job_t *jobs, unsigned n)
{
    int                       group;
    ngx_msec_t                deadline;
    ngx_http_taskmq_batch_t  *batch;

    batch = &call->redis->batch;

    if (batch->first
        && (batch->enqueue.jobs + n > TQ_BULK_MAX_JOBS
            || batch->enqueue.bytes > TQ_BATCH_BYTES))
    {
        ngx_http_taskmq_batch_flush(call->redis);
    }

    if (batch->first == NULL) {

        /* as much as the last one took: it will not have to grow */

        (void) tq_buf_reserve(&batch->enqueue.args, batch->size);
    }

    group = tq_enqueue_add(&batch->enqueue, &call->redis->ns, scope, key,
                           body_hash, conf->known_handlers ? 1 : 0, jobs, n);

    if (group < 0) {

        ngx_http_taskmq_batch_drop(call->redis);
        return NGX_ERROR;
    }

    deadline = ngx_current_msec + conf->redis_timeout;

    if (batch->first == NULL) {
        batch->last = &batch->first;
        batch->deadline = deadline;

    } else if ((ngx_msec_int_t) (deadline - batch->deadline) < 0) {
        batch->deadline = deadline;
    }

    call->group = group;
    call->value = n;
    call->next = NULL;

    *batch->last = call;
    batch->last = &call->next;

    ngx_http_taskmq_redis_touch(call->redis);

    return NGX_OK;
}

void
ngx_http_taskmq_batch_turn(ngx_http_taskmq_redis_t *redis)
{
    if (redis->batch.in_flight < TQ_BATCHES_IN_FLIGHT) {
        ngx_http_taskmq_batch_flush(redis);
    }
}

void
ngx_http_taskmq_batch_tick(ngx_http_taskmq_redis_t *redis)
{
    if (redis->batch.first
        && (ngx_msec_int_t) (redis->batch.deadline - ngx_current_msec) <= 0)
    {
        ngx_http_taskmq_batch_drop(redis);
    }
}

static void
ngx_http_taskmq_batch_flush(ngx_http_taskmq_redis_t *redis)
{
    tq_call_t                *tq;
    ngx_msec_int_t            left;
    ngx_http_taskmq_call_t   *call, *members;
    ngx_http_taskmq_batch_t  *batch;

    batch = &redis->batch;
    members = batch->first;

    if (members == NULL) {
        return;
    }

    /* the time that they waited here counts; what is late already would cost
     * the connection, and with it the calls of others */

    left = (ngx_msec_int_t) (batch->deadline - ngx_current_msec);

    if (left <= 0) {
        ngx_http_taskmq_batch_drop(redis);
        return;
    }

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, &redis->log, 0,
                   "taskmq batch: %ui jobs of %ui requests",
                   (ngx_uint_t) batch->enqueue.jobs,
                   (ngx_uint_t) batch->enqueue.groups);

    /* the answer comes before the ids do */

    if (redis->uuid && ngx_http_taskmq_task_key_fetch(redis) != NGX_OK) {
        ngx_http_taskmq_batch_drop(redis);
        return;
    }

    call = ngx_http_taskmq_call_new(NULL, redis, ngx_http_taskmq_batch_done);

    if (call == NULL) {
        ngx_http_taskmq_batch_drop(redis);
        return;
    }

    batch->first = NULL;
    batch->size = ngx_min(batch->enqueue.args.len, TQ_BATCH_BYTES);
    call->members = members;

    tq = tq_enqueue_call(&batch->enqueue, &redis->ns,
                         ngx_http_taskmq_redis_done, call);

    if (ngx_http_taskmq_redis_send(call, tq, (ngx_msec_t) left) != NGX_OK) {
        (void) ngx_http_taskmq_call_end(call);
        ngx_http_taskmq_batch_end(members, &tq_not_sent);
        return;
    }

    batch->in_flight++;
}

/* ngx_http_taskmq_batch_drop: nobody's jobs leave with this batch, because
 * memory ran out while it was built, or time while it waited. */
static void
ngx_http_taskmq_batch_drop(ngx_http_taskmq_redis_t *redis)
{
    ngx_http_taskmq_call_t   *members;
    ngx_http_taskmq_batch_t  *batch;

    batch = &redis->batch;

    members = batch->first;
    batch->first = NULL;

    tq_enqueue_drop(&batch->enqueue);

    ngx_http_taskmq_batch_end(members, &tq_not_sent);
}

void
ngx_http_taskmq_batch_stop(ngx_http_taskmq_redis_t *redis)
{
    ngx_http_taskmq_call_t  *member;

    for (member = redis->batch.first; member; member = member->next) {
        ngx_http_taskmq_call_forget(member);
    }

    ngx_http_taskmq_batch_drop(redis);
}

static void
ngx_http_taskmq_batch_done(ngx_http_taskmq_call_t *call,
    const tq_result_t *res)
{
    ngx_http_taskmq_call_t   *members;
    ngx_http_taskmq_redis_t  *redis;

    redis = call->redis;
    redis->batch.in_flight--;

    if (redis->batch.first && !redis->stopping) {
        ngx_http_taskmq_redis_touch(redis);
    }

    members = call->members;
    (void) ngx_http_taskmq_call_end(call);

    ngx_http_taskmq_batch_end(members, res);
}

static void
ngx_http_taskmq_batch_end(ngx_http_taskmq_call_t *member,
    const tq_result_t *res)
{
    ngx_http_taskmq_call_t  *next;

    for ( /* void */ ; member; member = next) {
        next = member->next;
        member->done(member, res);
    }
}
