/*
 * ngx_http_taskmq_api_totals.c: what is told of a namespace as a whole: queues,
 * metrics, health. All pages are made from one shared reading of Redis
 * (ngx_http_taskmq_totals.c).
 */

#include "ngx_http_taskmq_api_int.h"
#include "tq_queue.h"
#include "tq_base.h"

/* Answers a request from the shared reading, which went well. Returns an rc. */
typedef ngx_int_t (*ngx_http_taskmq_totals_pt)(ngx_http_request_t *r,
    ngx_http_taskmq_redis_t *redis, const tq_result_t *res);

static ngx_int_t ngx_http_taskmq_read_wait(ngx_http_request_t *r,
    ngx_http_taskmq_redis_t *redis, ngx_uint_t value,
    ngx_int_t (*wait)(ngx_http_taskmq_call_t *call),
    ngx_http_taskmq_done_pt done);
static ngx_int_t ngx_http_taskmq_totals(ngx_http_request_t *r,
    ngx_http_taskmq_ctx_t *ctx, ngx_uint_t page);
static ngx_int_t ngx_http_taskmq_totals_reply(ngx_http_request_t *r,
    ngx_http_taskmq_redis_t *redis, ngx_uint_t page, const tq_result_t *res);
static void ngx_http_taskmq_totals_answer(ngx_http_taskmq_call_t *call,
    const tq_result_t *res);
static ngx_int_t ngx_http_taskmq_queues_page(ngx_http_request_t *r,
    ngx_http_taskmq_redis_t *redis, const tq_result_t *res);
static ngx_int_t ngx_http_taskmq_metrics_page(ngx_http_request_t *r,
    ngx_http_taskmq_redis_t *redis, const tq_result_t *res);
static ngx_int_t ngx_http_taskmq_summary_page(ngx_http_request_t *r,
    ngx_http_taskmq_redis_t *redis, const tq_result_t *res);
static ngx_int_t ngx_http_taskmq_health_reply(ngx_http_request_t *r,
    ngx_http_taskmq_redis_t *redis, ngx_uint_t taskmq, const char *why);
static void ngx_http_taskmq_health_answer(ngx_http_taskmq_call_t *call,
    const tq_result_t *res);

/* ngx_http_taskmq_read_wait has a request wait for a shared reading; value is
 * for done(). NGX_DONE; NGX_DECLINED: there is none to wait for; NGX_ERROR. */
static ngx_int_t
ngx_http_taskmq_read_wait(ngx_http_request_t *r,
    ngx_http_taskmq_redis_t *redis, ngx_uint_t value,
    ngx_int_t (*wait)(ngx_http_taskmq_call_t *call),
    ngx_http_taskmq_done_pt done)
{
    ngx_http_taskmq_call_t  *call;

    call = ngx_http_taskmq_call_new(r, redis, done);

    if (call == NULL) {
        return NGX_ERROR;
    }

    call->value = value;

    if (wait(call) != NGX_OK) {
        (void) ngx_http_taskmq_call_end(call);
        return NGX_DECLINED;
    }

    return NGX_DONE;
}

/* ---- GET /queues, the metrics, GET /api/metrics ---- */

enum {
    NGX_HTTP_TASKMQ_QUEUES_PAGE,
    NGX_HTTP_TASKMQ_METRICS_PAGE,
    NGX_HTTP_TASKMQ_SUMMARY_PAGE
};

static const ngx_http_taskmq_totals_pt  ngx_http_taskmq_totals_pages[] = {
    ngx_http_taskmq_queues_page,
    ngx_http_taskmq_metrics_page,
    ngx_http_taskmq_summary_page
};

/* ngx_http_taskmq_totals answers from the last reading, or has the request wait
 * for the one under way. */
static ngx_int_t
ngx_http_taskmq_totals(ngx_http_request_t *r, ngx_http_taskmq_ctx_t *ctx,
    ngx_uint_t page)
{
    ngx_int_t                 rc;
    const tq_result_t        *last;
    ngx_http_taskmq_redis_t  *redis;

    redis = ctx->conf->redis;
    last = ngx_http_taskmq_totals_last(redis);

    if (last) {
        return ngx_http_taskmq_totals_reply(r, redis, page, last);
    }

    rc = ngx_http_taskmq_read_wait(r, redis, page, ngx_http_taskmq_totals_wait,
                                   ngx_http_taskmq_totals_answer);

    return rc != NGX_DECLINED ? rc
                              : ngx_http_taskmq_error_call(r, &tq_not_sent);
}

static ngx_int_t
ngx_http_taskmq_totals_reply(ngx_http_request_t *r,
    ngx_http_taskmq_redis_t *redis, ngx_uint_t page, const tq_result_t *res)
{
    return res->status == TQ_OK
           ? ngx_http_taskmq_totals_pages[page](r, redis, res)
           : ngx_http_taskmq_error_call(r, res);
}

static void
ngx_http_taskmq_totals_answer(ngx_http_taskmq_call_t *call,
    const tq_result_t *res)
{
    ngx_uint_t                page;
    ngx_http_request_t       *r;
    ngx_http_taskmq_redis_t  *redis;

    page = call->value;
    redis = call->redis;
    r = ngx_http_taskmq_call_end(call);

    if (r) {
        ngx_http_taskmq_finalize(r,
            ngx_http_taskmq_totals_reply(r, redis, page, res));
    }
}

ngx_int_t
ngx_http_taskmq_queues(ngx_http_request_t *r, ngx_http_taskmq_ctx_t *ctx,
    tq_str_t body)
{
    return ngx_http_taskmq_totals(r, ctx, NGX_HTTP_TASKMQ_QUEUES_PAGE);
}

static ngx_int_t
ngx_http_taskmq_queues_page(ngx_http_request_t *r,
    ngx_http_taskmq_redis_t *redis, const tq_result_t *res)
{
    char              oldest[TQ_TIME_ISO_LEN + 1];
    tq_buf_t          b;
    unsigned          i;
    tq_queue_stats_t  q;

    ngx_memzero(&b, sizeof(tq_buf_t));
    tq_buf_adds(&b, "{\"queues\":[");

    for (i = 0; i < res->stats.queues; i++) {
        tq_stats_queue(res, i, &q);

        tq_buf_adds(&b, i ? ",{\"handler\":" : "{\"handler\":");
        tq_buf_add_json(&b, q.name.p, q.name.len);
        tq_buf_addf(&b, ",\"waiting\":%lld,\"scheduled\":%lld,"
                        "\"running\":%lld,\"dead\":%lld,\"oldest\":",
                    (long long) q.waiting, (long long) q.scheduled,
                    (long long) q.running, (long long) q.dead);

        if (q.oldest_ms > 0) {
            tq_time_format(q.oldest_ms, oldest);
            tq_buf_addf(&b, "\"%s\"}", oldest);

        } else {
            tq_buf_adds(&b, "null}");
        }
    }

    tq_buf_adds(&b, "]}");

    return ngx_http_taskmq_reply_buf(r, NGX_HTTP_OK, NULL, &b);
}

ngx_int_t
ngx_http_taskmq_metrics(ngx_http_request_t *r, ngx_http_taskmq_ctx_t *ctx,
    tq_str_t body)
{
    /* its reply comes before that of the totals */

    if (ngx_http_taskmq_redis_ready(ctx->conf->redis)) {
        ngx_http_taskmq_health_refresh(ctx->conf->redis);
    }

    return ngx_http_taskmq_totals(r, ctx, NGX_HTTP_TASKMQ_METRICS_PAGE);
}

static ngx_int_t
ngx_http_taskmq_metrics_page(ngx_http_request_t *r,
    ngx_http_taskmq_redis_t *redis, const tq_result_t *res)
{
    tq_buf_t  b;

    ngx_memzero(&b, sizeof(tq_buf_t));
    tq_metrics_namespace(&b, res);

    /* what nginx counts itself is of this moment */

    ngx_http_taskmq_stats_add(&b);
    ngx_http_taskmq_health_metrics(redis, &b);

    return ngx_http_taskmq_reply_buf(r, NGX_HTTP_OK, TQ_METRICS_TYPE, &b);
}

ngx_int_t
ngx_http_taskmq_summary(ngx_http_request_t *r, ngx_http_taskmq_ctx_t *ctx,
    tq_str_t body)
{
    return ngx_http_taskmq_totals(r, ctx, NGX_HTTP_TASKMQ_SUMMARY_PAGE);
}

static ngx_int_t
ngx_http_taskmq_summary_page(ngx_http_request_t *r,
    ngx_http_taskmq_redis_t *redis, const tq_result_t *res)
{
    tq_buf_t           b;
    const tq_stats_t  *s;

    s = &res->stats;

    ngx_memzero(&b, sizeof(tq_buf_t));
    tq_buf_addf(&b, "{\"tasks_received\":%lld,"
                    "\"tasks_processed_success\":%lld,"
                    "\"tasks_processed_failed\":%lld,\"queue_size\":%lld,"
                    "\"daemon_healthy\":%s}",
                (long long) s->received, (long long) s->success,
                (long long) s->failed, (long long) s->waiting,
                redis->health.known && redis->health.why ? "false" : "true");

    return ngx_http_taskmq_reply_buf(r, NGX_HTTP_OK, NULL, &b);
}

/* ---- GET /health ---- */

static ngx_int_t
ngx_http_taskmq_health_reply(ngx_http_request_t *r,
    ngx_http_taskmq_redis_t *redis, ngx_uint_t taskmq, const char *why)
{
    char                       now[TQ_TIME_ISO_LEN + 1];
    tq_buf_t                   b;
    ngx_time_t                *tp;
    ngx_uint_t                 status;
    const char                *warning;
    ngx_http_taskmq_health_t  *health;

    ngx_memzero(&b, sizeof(tq_buf_t));

    health = &redis->health;
    status = why ? NGX_HTTP_SERVICE_UNAVAILABLE : NGX_HTTP_OK;

    if (why) {
        tq_buf_adds(&b, taskmq ? "{\"status\":\"error\",\"detail\":"
                               : "{\"status\":\"unhealthy\",\"error\":");
        tq_buf_add_json(&b, why, ngx_strlen(why));
        tq_buf_addc(&b, '}');

        return ngx_http_taskmq_reply_buf(r, status, NULL, &b);
    }

    if (taskmq) {
        tq_buf_addf(&b, "{\"status\":\"ok\",\"waiting\":%lld,\"workers\":%lld",
                    (long long) health->jobs, (long long) health->workers);

    } else {
        tp = ngx_timeofday();
        tq_time_format((int64_t) tp->sec * 1000 + (int64_t) tp->msec, now);
        tq_buf_addf(&b, "{\"status\":\"healthy\",\"queue_size\":%lld,"
                        "\"workers\":%lld,\"timestamp\":\"%s\"",
                    (long long) health->jobs, (long long) health->workers,
                    now);
    }

    warning = ngx_http_taskmq_health_warning(redis);

    if (warning) {
        tq_buf_adds(&b, ",\"warning\":");
        tq_buf_add_json(&b, warning, ngx_strlen(warning));
    }

    tq_buf_addc(&b, '}');

    return ngx_http_taskmq_reply_buf(r, status, NULL, &b);
}

ngx_int_t
ngx_http_taskmq_health(ngx_http_request_t *r, ngx_http_taskmq_ctx_t *ctx,
    tq_str_t body)
{
    ngx_int_t                 rc;
    ngx_uint_t                taskmq;
    ngx_http_taskmq_redis_t  *redis;

    redis = ctx->conf->redis;
    taskmq = ctx->conf->api == NGX_HTTP_TASKMQ_TASKMQ;

    if (!ngx_http_taskmq_redis_ready(redis)) {
        return ngx_http_taskmq_health_reply(r, redis, taskmq,
                                            ngx_http_taskmq_redis_why(redis));
    }

    if (ngx_http_taskmq_health_fresh(redis)) {
        return ngx_http_taskmq_health_reply(r, redis, taskmq,
                                            redis->health.why);
    }

    rc = ngx_http_taskmq_read_wait(r, redis, taskmq,
                                   ngx_http_taskmq_health_wait,
                                   ngx_http_taskmq_health_answer);

    return rc != NGX_DECLINED
           ? rc
           : ngx_http_taskmq_health_reply(r, redis, taskmq,
                                          "too many calls wait for Redis");
}

static void
ngx_http_taskmq_health_answer(ngx_http_taskmq_call_t *call,
    const tq_result_t *res)
{
    ngx_uint_t                taskmq;
    ngx_http_request_t       *r;
    ngx_http_taskmq_redis_t  *redis;

    redis = call->redis;
    taskmq = call->value;
    r = ngx_http_taskmq_call_end(call);

    if (r == NULL) {
        return;
    }

    ngx_http_taskmq_finalize(r,
        ngx_http_taskmq_health_reply(r, redis, taskmq, redis->health.why));
}
