/*
 * ngx_http_taskmq_health.c: could a job be stored now, and how many wait? One
 * probe answers all who ask within TQ_HEALTH_MS, and those who ask while it is
 * under way share it.
 *
 * taskmq_max_pending is measured against the last probe's number plus what
 * this nginx worker has added since. Jobs that other nginx workers add show
 * with the next probe; while requests come there is one every TQ_HEALTH_MS, so
 * the bound may be passed by what others add in that time. What was claimed
 * since the probe makes the sum too large: nobody is refused for the sum alone,
 * or by an old number, without another probe.
 */

#include "ngx_http_taskmq_redis.h"
#include "ngx_http_taskmq_stats.h"
#include "tq_queue.h"

static ngx_int_t ngx_http_taskmq_health_probe(ngx_http_taskmq_redis_t *redis);
static void ngx_http_taskmq_health_done(ngx_http_taskmq_call_t *call,
    const tq_result_t *res);
static void ngx_http_taskmq_health_learn(ngx_http_taskmq_redis_t *redis,
    const tq_probe_t *probe);

void
ngx_http_taskmq_health_ready(ngx_http_taskmq_redis_t *redis)
{
    redis->health.known = 0;
    ngx_http_taskmq_totals_drop(redis);    /* it may be another Redis */

    /* the handshake said what was missing, and it is there again */

    if (redis->down & ngx_http_taskmq_trouble_bit(TQ_ERR_NOPERM)) {
        redis->refused &= ~ngx_http_taskmq_trouble_bit(TQ_ERR_NOPERM);
        redis->denied = 0;
    }

    (void) ngx_http_taskmq_health_probe(redis);

    /* a key that is known stays in use until this Redis has told its own */

    if (redis->uuid && ngx_http_taskmq_task_key_fetch(redis) == NGX_OK) {
        return;
    }

    ngx_http_taskmq_redis_started(redis);
}

ngx_uint_t
ngx_http_taskmq_health_fresh(ngx_http_taskmq_redis_t *redis)
{
    return redis->health.known
           && tq_redis_state(redis->core) == TQ_REDIS_READY
           && ngx_current_msec - redis->health.at < TQ_HEALTH_MS;
}

ngx_int_t
ngx_http_taskmq_health_wait(ngx_http_taskmq_call_t *call)
{
    ngx_http_taskmq_reading_t  *reading;

    reading = &call->redis->health.reading;

    return ngx_http_taskmq_reading_wait(reading, call, reading->asking,
                                        ngx_http_taskmq_health_probe);
}

void
ngx_http_taskmq_health_refresh(ngx_http_taskmq_redis_t *redis)
{
    if (!ngx_http_taskmq_health_fresh(redis) && !redis->health.reading.asking) {
        (void) ngx_http_taskmq_health_probe(redis);
    }
}

int64_t
ngx_http_taskmq_health_waiting(ngx_http_taskmq_redis_t *redis)
{
    return redis->health.jobs < 0 ? -1
                                  : redis->health.jobs + redis->health.added;
}

static ngx_int_t
ngx_http_taskmq_health_probe(ngx_http_taskmq_redis_t *redis)
{
    ngx_http_taskmq_call_t  *call;

    call = ngx_http_taskmq_call_new(NULL, redis, ngx_http_taskmq_health_done);

    return ngx_http_taskmq_reading_start(&redis->health.reading, call,
                                         tq_probe_call(&redis->ns,
                                                   ngx_http_taskmq_redis_done,
                                                   call));
}

static void
ngx_http_taskmq_health_done(ngx_http_taskmq_call_t *call,
    const tq_result_t *res)
{
    ngx_http_taskmq_redis_t   *redis;
    ngx_http_taskmq_health_t  *health;

    redis = call->redis;
    health = &redis->health;

    (void) ngx_http_taskmq_call_end(call);

    health->known = 1;
    health->at = ngx_current_msec;

    switch (res->status) {

    case TQ_OK:
        ngx_http_taskmq_health_learn(redis, &res->probe);
        break;

    case TQ_REFUSED:
        health->why = res->odd ? "Redis gave an unexpected answer"
                               : tq_redis_err_text(res->cause);
        break;

    default:
        health->why = "Redis did not answer";
    }

    if ((res->status == TQ_OK || res->status == TQ_REFUSED)
        && res->err != TQ_ERR_READONLY && !redis->stopping)
    {
        ngx_http_taskmq_trouble_over(redis, res->status == TQ_OK);
    }

    ngx_http_taskmq_reading_end(&health->reading, redis, res);
}

/* ngx_http_taskmq_health_learn: a job could be stored. */
static void
ngx_http_taskmq_health_learn(ngx_http_taskmq_redis_t *redis,
    const tq_probe_t *probe)
{
    ngx_http_taskmq_health_t  *health;

    health = &redis->health;

    if (probe->noeviction == 0 && health->noeviction != 0) {
        ngx_log_error(NGX_LOG_WARN, &redis->log, 0,
                      "taskmq: Redis' maxmemory-policy is not noeviction: it "
                      "may drop jobs when it is full");
    }

    if (probe->noeviction == 1 && health->noeviction == 0) {
        ngx_log_error(NGX_LOG_NOTICE, &redis->log, 0,
                      "taskmq: Redis' maxmemory-policy is noeviction again");
    }

    health->why = NULL;
    health->jobs = probe->waiting;
    health->workers = probe->workers;
    health->noeviction = probe->noeviction;
    health->bytes_full = probe->bytes_full;
    health->memory_full = probe->memory_full;
    health->added = 0;
}

_Static_assert(TQ_FULL_WARN_PERCENT == 90, "the texts below name it");

const char *
ngx_http_taskmq_health_warning(ngx_http_taskmq_redis_t *redis)
{
    if (redis->health.noeviction == 0) {
        return "Redis may drop jobs when it is full: its maxmemory-policy is "
               "not noeviction";
    }

    if (redis->health.memory_full >= TQ_FULL_WARN_PERCENT) {
        return "Redis is nearly full: its maxmemory is used to 90 % or more, "
               "and no job is stored when it is full; a finished_max_bytes, or "
               "a shorter retention_s, makes room";
    }

    if (redis->health.bytes_full >= TQ_FULL_WARN_PERCENT) {
        return "Finished and dead jobs take 90 % or more of "
               "finished_max_bytes: the first to go are dropped before their "
               "time";
    }

    if (redis->forgot
        && ngx_current_msec - redis->forgot_at < TQ_FORGOT_SHOWN_MS)
    {
        return "Redis had forgotten its scripts within the last minute "
               "(SCRIPT FLUSH?); they were sent again";
    }

    return NULL;
}

void
ngx_http_taskmq_health_metrics(ngx_http_taskmq_redis_t *redis, tq_buf_t *b)
{
    tq_metrics_head(b, "taskmq_accepting", "gauge",
                    "1 when a job could be stored at the last look");
    tq_metrics_value(b, "taskmq_accepting",
                     redis->health.known && redis->health.why == NULL);

    if (redis->health.noeviction >= 0) {
        tq_metrics_head(b, "taskmq_redis_noeviction", "gauge",
                        "1 when Redis' maxmemory-policy keeps all jobs");
        tq_metrics_value(b, "taskmq_redis_noeviction",
                         redis->health.noeviction);
    }
}
