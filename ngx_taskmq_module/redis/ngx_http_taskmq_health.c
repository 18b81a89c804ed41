/*
 * ngx_http_taskmq_health.c: could a job be stored now, and how many wait? One
 * probe answers all who ask within TQ_HEALTH_MS, and those who ask while it is
 * under way share it. Also fetches the namespace's key for task ids, because
 * that, too, is needed once per connection and not per request.
 *
 * taskmq_max_pending is measured against the last probe's number plus what
 * this nginx worker has added since. Jobs that other nginx workers add show
 * with the next probe; while requests come there is one every TQ_HEALTH_MS, so
 * the bound may be passed by what others add in that time. What was claimed
 * since the probe makes the sum too large: nobody is refused for the sum alone,
 * or by an old number, without another probe.
 */

#include <openssl/rand.h>

#include "ngx_http_taskmq_redis.h"
#include "ngx_http_taskmq_stats.h"
#include "tq_metrics.h"

static ngx_int_t ngx_http_taskmq_health_ask(ngx_http_taskmq_redis_t *redis);
static void ngx_http_taskmq_health_done(ngx_http_taskmq_call_t *call,
    const tq_result_t *res);
static void ngx_http_taskmq_health_learn(ngx_http_taskmq_redis_t *redis,
    const tq_probe_t *probe);
static void ngx_http_taskmq_health_uuid_learn(ngx_http_taskmq_redis_t *redis,
    const u_char *key);
static void ngx_http_taskmq_health_uuid_error(ngx_http_taskmq_redis_t *redis,
    const tq_result_t *res);
static void ngx_http_taskmq_health_uuid_done(ngx_http_taskmq_call_t *call,
    const tq_result_t *res);

void
ngx_http_taskmq_health_ready(ngx_http_taskmq_redis_t *redis)
{
    redis->health.known = 0;
    ngx_http_taskmq_sums_drop(redis);    /* it may be another Redis */

    redis->refused &= ~ngx_http_taskmq_health_bit(TQ_ERR_NOPERM);

    (void) ngx_http_taskmq_health_ask(redis);

    /* a key that is known stays in use until this Redis has told its own */

    if (redis->uuid && ngx_http_taskmq_health_ask_uuid(redis) == NGX_OK) {
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
    ngx_http_taskmq_health_t  *health;

    health = &call->redis->health;

    if (!health->asking && ngx_http_taskmq_health_ask(call->redis) != NGX_OK) {
        return NGX_ERROR;
    }

    call->next = health->waiting;
    health->waiting = call;

    return NGX_OK;
}

void
ngx_http_taskmq_health_refresh(ngx_http_taskmq_redis_t *redis)
{
    if (!ngx_http_taskmq_health_fresh(redis) && !redis->health.asking) {
        (void) ngx_http_taskmq_health_ask(redis);
    }
}

int64_t
ngx_http_taskmq_health_jobs(ngx_http_taskmq_redis_t *redis)
{
    return redis->health.jobs < 0 ? -1
                                  : redis->health.jobs + redis->health.added;
}

static ngx_int_t
ngx_http_taskmq_health_ask(ngx_http_taskmq_redis_t *redis)
{
    ngx_http_taskmq_call_t  *call;

    call = ngx_http_taskmq_call_new(NULL, redis, ngx_http_taskmq_health_done);

    if (call == NULL) {
        return NGX_ERROR;
    }

    if (ngx_http_taskmq_redis_send(call,
                                   tq_probe_call(&redis->ns,
                                                 ngx_http_taskmq_redis_done,
                                                 call),
                                   redis->timeout)
        != NGX_OK)
    {
        (void) ngx_http_taskmq_call_end(call);
        return NGX_ERROR;
    }

    redis->health.asking = 1;

    return NGX_OK;
}

static void
ngx_http_taskmq_health_done(ngx_http_taskmq_call_t *call,
    const tq_result_t *res)
{
    ngx_http_taskmq_call_t    *waiting, *next;
    ngx_http_taskmq_redis_t   *redis;
    ngx_http_taskmq_health_t  *health;

    redis = call->redis;
    health = &redis->health;

    (void) ngx_http_taskmq_call_end(call);

    health->asking = 0;
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
        ngx_http_taskmq_health_connected(redis);
    }

    waiting = health->waiting;
    health->waiting = NULL;

    for ( /* void */ ; waiting; waiting = next) {
        next = waiting->next;

        if (redis->stopping) {
            ngx_http_taskmq_call_forget(waiting);
        }

        waiting->done(waiting, res);
    }
}

/* ngx_http_taskmq_health_learn: a job could be stored. */
static void
ngx_http_taskmq_health_learn(ngx_http_taskmq_redis_t *redis,
    const tq_probe_t *probe)
{
    unsigned                   noperm;
    ngx_http_taskmq_health_t  *health;

    health = &redis->health;

    /* a right that this look does not need may still be missing */

    noperm = ngx_http_taskmq_health_bit(TQ_ERR_NOPERM);

    if (redis->refused & ~noperm) {
        redis->refused &= noperm;
        ngx_log_error(NGX_LOG_NOTICE, &redis->log, 0,
                      "taskmq: Redis takes jobs again");
    }

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

void
ngx_http_taskmq_health_error(void *host, tq_redis_err_t e)
{
    ngx_http_taskmq_redis_t  *redis = host;

    unsigned  bit;

    if (redis->stopping) {
        return;
    }

    ngx_http_taskmq_stats_error(e);

    if (e != TQ_ERR_NOSCRIPT) {
        redis->ended = e;
    }

    switch (e) {

    case TQ_ERR_NOSCRIPT:

        /* a flush forgets all of them: one line */

        if (!redis->forgot
            || ngx_current_msec - redis->forgot_at > TQ_HEALTH_MS)
        {
            ngx_log_error(NGX_LOG_WARN, &redis->log, 0,
                          "taskmq: Redis had forgotten its scripts (SCRIPT "
                          "FLUSH?); they are sent again");
        }

        redis->forgot = 1;
        redis->forgot_at = ngx_current_msec;
        break;

    case TQ_ERR_CONNECTION:       /* the connection ends, and that is logged */
        redis->lost_calls = tq_redis_pending(redis->core) != 0;
        break;

    case TQ_ERR_OTHER:            /* logged with its text by who asked */
    case TQ_ERR_TIMEOUT:          /* as above */
        break;

    default:

        if (tq_redis_state(redis->core) != TQ_REDIS_READY) {
            break;
        }

        bit = ngx_http_taskmq_health_bit(e);

        if (!((redis->refused | redis->down) & bit)) {
            ngx_log_error(NGX_LOG_ERR, &redis->log, 0,
                          "taskmq: Redis refuses a call: %s",
                          tq_redis_err_text(e));
        }

        redis->refused |= bit;
    }
}

unsigned
ngx_http_taskmq_health_bit(tq_redis_err_t e)
{
    return 1u << (e == TQ_ERR_TIMEOUT ? TQ_ERR_CONNECTION : e);
}

void
ngx_http_taskmq_health_connected(ngx_http_taskmq_redis_t *redis)
{
    if (redis->down) {
        redis->down = 0;
        ngx_log_error(NGX_LOG_NOTICE, &redis->log, 0,
                      "taskmq: connected to Redis");
    }
}

ngx_uint_t
ngx_http_taskmq_health_odd(ngx_http_taskmq_redis_t *redis,
    const tq_result_t *res)
{
    uint32_t    crc;
    ngx_uint_t  news;

    /* its first word: numbers and names may follow */

    crc = ngx_crc32_short((u_char *) res->text, strcspn(res->text, " "));

    news = crc != redis->odd
           || ngx_current_msec - redis->odd_at > TQ_ODD_AGAIN_MS;

    redis->odd = crc;
    redis->odd_at = ngx_current_msec;

    return news;
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

void
ngx_http_taskmq_health_uuid(ngx_http_taskmq_redis_t *redis)
{
    if (!redis->uuid_known && !redis->uuid_asking
        && ngx_current_msec - redis->uuid_at >= TQ_HEALTH_MS)
    {
        (void) ngx_http_taskmq_health_ask_uuid(redis);
    }
}

ngx_int_t
ngx_http_taskmq_health_ask_uuid(ngx_http_taskmq_redis_t *redis)
{
    ngx_http_taskmq_call_t  *call;

    if (!redis->fresh_known) {
        if (RAND_bytes(redis->fresh, sizeof(redis->fresh)) != 1) {
            return NGX_ERROR;
        }

        redis->fresh_known = 1;
    }

    call = ngx_http_taskmq_call_new(NULL, redis,
                                    ngx_http_taskmq_health_uuid_done);
    if (call == NULL) {
        return NGX_ERROR;
    }

    redis->uuid_at = ngx_current_msec;

    if (ngx_http_taskmq_redis_send(call,
                                   tq_uuid_key_call(&redis->ns, redis->fresh,
                                                    ngx_http_taskmq_redis_done,
                                                    call),
                                   redis->timeout)
        != NGX_OK)
    {
        (void) ngx_http_taskmq_call_end(call);
        return NGX_ERROR;
    }

    redis->uuid_asking++;

    return NGX_OK;
}

ngx_int_t
ngx_http_taskmq_health_uuid_wait(ngx_http_taskmq_call_t *call)
{
    ngx_http_taskmq_redis_t  *redis;

    redis = call->redis;

    if (redis->uuid_waiting == NULL
        && ngx_http_taskmq_health_ask_uuid(redis) != NGX_OK)
    {
        return NGX_ERROR;
    }

    call->next = redis->uuid_waiting;
    redis->uuid_waiting = call;

    return NGX_OK;
}

static void
ngx_http_taskmq_health_uuid_done(ngx_http_taskmq_call_t *call,
    const tq_result_t *res)
{
    ngx_http_taskmq_call_t   *waiting, *next;
    ngx_http_taskmq_redis_t  *redis;

    redis = call->redis;
    (void) ngx_http_taskmq_call_end(call);

    redis->uuid_asking--;
    redis->uuid_failed = res->status != TQ_OK;

    if (!redis->stopping) {

        if (redis->uuid_failed) {
            ngx_http_taskmq_health_uuid_error(redis, res);

        } else {
            ngx_http_taskmq_health_uuid_learn(redis, res->key);
        }

        ngx_http_taskmq_redis_started(redis);
    }

    waiting = redis->uuid_waiting;
    redis->uuid_waiting = NULL;

    for ( /* void */ ; waiting; waiting = next) {
        next = waiting->next;

        if (redis->stopping) {
            ngx_http_taskmq_call_forget(waiting);
        }

        waiting->done(waiting, res);
    }
}

static void
ngx_http_taskmq_health_uuid_learn(ngx_http_taskmq_redis_t *redis,
    const u_char *key)
{
    if (redis->uuid_known
        && ngx_memcmp(redis->uuid_key, key, TQ_UUID_KEY_LEN) != 0)
    {
        ngx_log_error(NGX_LOG_WARN, &redis->log, 0,
                      "taskmq: the namespace is another one than before "
                      "(FLUSHALL, or an empty replica?): task ids given until "
                      "now mean nothing any more");
    }

    /* one that is in use is not offered to the next namespace */

    if (ngx_memcmp(redis->fresh, key, TQ_UUID_KEY_LEN) == 0) {
        redis->fresh_known = 0;
    }

    ngx_memcpy(redis->uuid_key, key, TQ_UUID_KEY_LEN);
    redis->uuid_known = 1;
    redis->uuid_logged = 0;
}

static void
ngx_http_taskmq_health_uuid_error(ngx_http_taskmq_redis_t *redis,
    const tq_result_t *res)
{
    /* what the connection has is logged with it */

    if (redis->uuid_logged || redis->uuid_known) {
        return;
    }

    redis->uuid_logged = 1;

    ngx_log_error(NGX_LOG_ERR, &redis->log, 0,
                  "taskmq: the key for task ids could not be read: %s",
                  res->status != TQ_REFUSED ? "Redis did not answer"
                                            : tq_redis_err_text(res->err));
}
