/*
 * ngx_http_taskmq_trouble.c: what Redis refuses and why it is away: counted,
 * and logged once for each cause until that is over.
 */

#include "ngx_http_taskmq_redis.h"
#include "ngx_http_taskmq_stats.h"

void
ngx_http_taskmq_trouble(void *host, tq_redis_err_t e)
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

        bit = ngx_http_taskmq_trouble_bit(e);

        /* the next attempt to connect says which right it is; if that finds
         * none missing, the next call that is refused is news */

        if (e == TQ_ERR_NOPERM && !redis->denied) {
            redis->denied = 1;
            break;
        }

        if (!((redis->refused | redis->down) & bit)) {
            ngx_log_error(NGX_LOG_ERR, &redis->log, 0,
                          "taskmq: Redis refuses a call: %s",
                          tq_redis_err_text(e));
        }

        redis->refused |= bit;
    }
}

unsigned
ngx_http_taskmq_trouble_bit(tq_redis_err_t e)
{
    return 1u << (e == TQ_ERR_TIMEOUT ? TQ_ERR_CONNECTION : e);
}

void
ngx_http_taskmq_trouble_over(ngx_http_taskmq_redis_t *redis, ngx_uint_t takes)
{
    unsigned  noperm;

    /* a right that no probe needs may still be missing */

    noperm = ngx_http_taskmq_trouble_bit(TQ_ERR_NOPERM);

    if (takes && redis->refused & ~noperm) {
        redis->refused &= noperm;
        ngx_log_error(NGX_LOG_NOTICE, &redis->log, 0,
                      "taskmq: Redis takes jobs again");

    } else if (redis->down) {
        ngx_log_error(NGX_LOG_NOTICE, &redis->log, 0,
                      "taskmq: connected to Redis");
    }

    redis->down = 0;
}

ngx_uint_t
ngx_http_taskmq_trouble_odd(ngx_http_taskmq_redis_t *redis,
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
