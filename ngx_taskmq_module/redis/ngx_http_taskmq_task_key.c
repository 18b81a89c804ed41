/*
 * ngx_http_taskmq_task_key.c: the namespace's key for task ids
 * (libtaskmq/base/tq_uuid.h). It is fetched once per connection, with every
 * call that gives ids, and before every one that takes one.
 */

#include <openssl/rand.h>

#include "ngx_http_taskmq_redis.h"

static void ngx_http_taskmq_task_key_done(ngx_http_taskmq_call_t *call,
    const tq_result_t *res);
static void ngx_http_taskmq_task_key_learn(ngx_http_taskmq_redis_t *redis,
    const u_char *key);
static void ngx_http_taskmq_task_key_error(ngx_http_taskmq_redis_t *redis,
    const tq_result_t *res);

void
ngx_http_taskmq_task_key_need(ngx_http_taskmq_redis_t *redis)
{
    if (!redis->task_key.known && !redis->task_key.reading.asking
        && ngx_current_msec - redis->task_key.at >= TQ_HEALTH_MS)
    {
        (void) ngx_http_taskmq_task_key_fetch(redis);
    }
}

ngx_int_t
ngx_http_taskmq_task_key_fetch(ngx_http_taskmq_redis_t *redis)
{
    ngx_http_taskmq_call_t      *call;
    ngx_http_taskmq_task_key_t  *task_key;

    task_key = &redis->task_key;

    if (!task_key->fresh_known) {
        if (RAND_bytes(task_key->fresh, sizeof(task_key->fresh)) != 1) {
            return NGX_ERROR;
        }

        task_key->fresh_known = 1;
    }

    task_key->at = ngx_current_msec;

    call = ngx_http_taskmq_call_new(NULL, redis,
                                    ngx_http_taskmq_task_key_done);

    return ngx_http_taskmq_reading_start(&task_key->reading, call,
                                         tq_uuid_key_call(&redis->ns,
                                                   task_key->fresh,
                                                   ngx_http_taskmq_redis_done,
                                                   call));
}

ngx_int_t
ngx_http_taskmq_task_key_wait(ngx_http_taskmq_call_t *call)
{
    ngx_http_taskmq_reading_t  *reading;

    reading = &call->redis->task_key.reading;

    /* one for which nobody waits may be older than the task id */

    return ngx_http_taskmq_reading_wait(reading, call,
                                        reading->waiting != NULL,
                                        ngx_http_taskmq_task_key_fetch);
}

static void
ngx_http_taskmq_task_key_done(ngx_http_taskmq_call_t *call,
    const tq_result_t *res)
{
    ngx_http_taskmq_redis_t  *redis;

    redis = call->redis;
    (void) ngx_http_taskmq_call_end(call);

    redis->task_key.failed = res->status != TQ_OK;

    if (!redis->stopping) {

        if (redis->task_key.failed) {
            ngx_http_taskmq_task_key_error(redis, res);

        } else {
            ngx_http_taskmq_task_key_learn(redis, res->key);
        }

        ngx_http_taskmq_redis_started(redis);
    }

    ngx_http_taskmq_reading_end(&redis->task_key.reading, redis, res);
}

void
ngx_http_taskmq_task_id(const ngx_http_taskmq_redis_t *redis, int64_t id,
    char dst[TQ_UUID_LEN + 1])
{
    tq_uuid_format(redis->task_key.key, id, dst);
}

int
ngx_http_taskmq_task_id_parse(const ngx_http_taskmq_redis_t *redis,
    const u_char *p, size_t len, int64_t *id)
{
    return tq_uuid_parse(redis->task_key.key, (const char *) p, len, id);
}

static void
ngx_http_taskmq_task_key_learn(ngx_http_taskmq_redis_t *redis,
    const u_char *key)
{
    if (redis->task_key.known
        && ngx_memcmp(redis->task_key.key, key, TQ_UUID_KEY_LEN) != 0)
    {
        ngx_log_error(NGX_LOG_WARN, &redis->log, 0,
                      "taskmq: the namespace is another one than before "
                      "(FLUSHALL, or an empty replica?): task ids given until "
                      "now mean nothing any more");
    }

    /* one that is in use is not offered to the next namespace */

    if (ngx_memcmp(redis->task_key.fresh, key, TQ_UUID_KEY_LEN) == 0) {
        redis->task_key.fresh_known = 0;
    }

    ngx_memcpy(redis->task_key.key, key, TQ_UUID_KEY_LEN);
    redis->task_key.known = 1;
    redis->task_key.logged = 0;
}

static void
ngx_http_taskmq_task_key_error(ngx_http_taskmq_redis_t *redis,
    const tq_result_t *res)
{
    /* what the connection has is logged with it */

    if (redis->task_key.logged || redis->task_key.known) {
        return;
    }

    redis->task_key.logged = 1;

    ngx_log_error(NGX_LOG_ERR, &redis->log, 0,
                  "taskmq: the key for task ids could not be read: %s",
                  res->status != TQ_REFUSED ? "Redis did not answer"
                                            : tq_redis_err_text(res->err));
}
