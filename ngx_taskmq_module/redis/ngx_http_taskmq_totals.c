/*
 * ngx_http_taskmq_totals.c: the namespace's totals, as they were last read.
 *
 * They cost Redis milliseconds, and the metrics need no token: they are read
 * at most once every TQ_STATS_MS, by one call that is shared by all who ask
 * meanwhile, for whatever page.
 */

#include "ngx_http_taskmq_redis.h"

static ngx_int_t ngx_http_taskmq_totals_fetch(ngx_http_taskmq_redis_t *redis);
static void ngx_http_taskmq_totals_done(ngx_http_taskmq_call_t *call,
    const tq_result_t *res);

const tq_result_t *
ngx_http_taskmq_totals_last(const ngx_http_taskmq_redis_t *redis)
{
    return redis->totals.last && ngx_current_msec - redis->totals.at
                                 < TQ_STATS_MS
           ? redis->totals.last : NULL;
}

ngx_int_t
ngx_http_taskmq_totals_wait(ngx_http_taskmq_call_t *call)
{
    ngx_http_taskmq_reading_t  *reading;

    reading = &call->redis->totals.reading;

    return ngx_http_taskmq_reading_wait(reading, call, reading->asking,
                                        ngx_http_taskmq_totals_fetch);
}

static ngx_int_t
ngx_http_taskmq_totals_fetch(ngx_http_taskmq_redis_t *redis)
{
    ngx_http_taskmq_call_t  *call;

    call = ngx_http_taskmq_call_new(NULL, redis, ngx_http_taskmq_totals_done);

    return ngx_http_taskmq_reading_start(&redis->totals.reading, call,
                                         tq_stats_call(&redis->ns,
                                                   ngx_http_taskmq_redis_done,
                                                   call));
}

/* ngx_http_taskmq_totals_done: the reading has ended. An error of Redis is kept
 * as long as totals are: it, too, may cost as much. */
static void
ngx_http_taskmq_totals_done(ngx_http_taskmq_call_t *call,
    const tq_result_t *res)
{
    ngx_http_taskmq_redis_t  *redis;

    redis = call->redis;
    (void) ngx_http_taskmq_call_end(call);

    ngx_http_taskmq_totals_drop(redis);

    if (res->status == TQ_OK || res->status == TQ_REFUSED) {
        redis->totals.last = tq_result_keep(res);
        redis->totals.at = ngx_current_msec;
    }

    ngx_http_taskmq_reading_end(&redis->totals.reading, redis, res);
}

void
ngx_http_taskmq_totals_drop(ngx_http_taskmq_redis_t *redis)
{
    tq_result_free(redis->totals.last);
    redis->totals.last = NULL;
}
