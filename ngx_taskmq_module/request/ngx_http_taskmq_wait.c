/*
 * ngx_http_taskmq_wait.c: requests that wait for Redis: for the connection,
 * for the key of task ids, or for the answer to their call.
 */

#include "ngx_http_taskmq_request_int.h"

static ngx_uint_t ngx_http_taskmq_takes_task_id(ngx_http_taskmq_ctx_t *ctx);
static ngx_int_t ngx_http_taskmq_wait_for_key(ngx_http_request_t *r,
    ngx_http_taskmq_ctx_t *ctx);
static ngx_int_t ngx_http_taskmq_park(ngx_http_request_t *r,
    ngx_http_taskmq_ctx_t *ctx);
static void ngx_http_taskmq_unpark(ngx_http_taskmq_call_t *call,
    const tq_result_t *res);

ngx_int_t
ngx_http_taskmq_wait(ngx_http_request_t *r, ngx_http_taskmq_call_t *call,
    tq_call_t *tq)
{
    ngx_http_taskmq_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_taskmq_module);

    if (call
        && ngx_http_taskmq_redis_send(call, tq, ctx->conf->redis_timeout)
           == NGX_OK)
    {
        return NGX_DONE;
    }

    if (call) {
        (void) ngx_http_taskmq_call_end(call);

    } else {
        tq_call_free(tq);
    }

    return ngx_http_taskmq_error_call(r, &tq_not_sent);
}

ngx_int_t
ngx_http_taskmq_wait_job(ngx_http_request_t *r, int64_t id,
    ngx_http_taskmq_job_pt build, ngx_http_taskmq_done_pt done)
{
    tq_call_t                *tq;
    ngx_http_taskmq_ctx_t    *ctx;
    ngx_http_taskmq_call_t   *call;
    ngx_http_taskmq_redis_t  *redis;

    ctx = ngx_http_get_module_ctx(r, ngx_http_taskmq_module);
    redis = ctx->conf->redis;

    call = ngx_http_taskmq_call_new(r, redis, done);
    tq = NULL;

    if (call) {
        call->id = id;
        tq = build(&redis->ns, id, ngx_http_taskmq_redis_done, call);
    }

    return ngx_http_taskmq_wait(r, call, tq);
}

ngx_http_request_t *
ngx_http_taskmq_wait_end(ngx_http_taskmq_call_t *call, const tq_result_t *res)
{
    ngx_http_request_t  *r;

    r = ngx_http_taskmq_call_end(call);

    if (r && res->status != TQ_OK) {
        ngx_http_taskmq_finalize(r, ngx_http_taskmq_error_call(r, res));
        return NULL;
    }

    return r;
}

ngx_int_t
ngx_http_taskmq_error_call(ngx_http_request_t *r, const tq_result_t *res)
{
    const char             *why;
    ngx_http_taskmq_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_taskmq_module);
    why = ngx_http_taskmq_redis_why(ctx->conf->redis);

    return ngx_http_taskmq_error_redis(r, res,
                                       *why ? why : "too many calls wait");
}

ngx_int_t
ngx_http_taskmq_check_redis(ngx_http_request_t *r, ngx_http_taskmq_ctx_t *ctx)
{
    ngx_http_taskmq_redis_t  *redis;

    redis = ctx->conf->redis;

    if (ctx->route->flags & (NGX_HTTP_TASKMQ_REDIS|NGX_HTTP_TASKMQ_START)
        && ngx_http_taskmq_redis_starting(redis)
        && !ctx->parked)
    {
        return ngx_http_taskmq_park(r, ctx);
    }

    if (!(ctx->route->flags & NGX_HTTP_TASKMQ_REDIS)) {
        return NGX_DECLINED;
    }

    if (!ngx_http_taskmq_redis_ready(redis)) {
        return ngx_http_taskmq_error_redis(r, &tq_not_sent,
                                           ngx_http_taskmq_redis_why(redis));
    }

    if (ctx->route->flags & NGX_HTTP_TASKMQ_UUID && !redis->task_key.known) {
        ngx_http_taskmq_task_key_need(redis);

        return ngx_http_taskmq_error_later(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                           "The key for task ids is not "
                                           "known yet");
    }

    if (!ngx_http_taskmq_takes_task_id(ctx)) {
        return NGX_DECLINED;
    }

    if (!ctx->keyed) {
        return ngx_http_taskmq_wait_for_key(r, ctx);
    }

    if (redis->task_key.failed) {
        return ngx_http_taskmq_error_later(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                           "The key for task ids cannot be "
                                           "read");
    }

    return NGX_DECLINED;
}
/* ngx_http_taskmq_takes_task_id: the request names a job by its task id, or
 * its answer does. (A job that is added gets the key with its id.) */
static ngx_uint_t
ngx_http_taskmq_takes_task_id(ngx_http_taskmq_ctx_t *ctx)
{
    int64_t  id;

    if (ctx->route->body != NGX_HTTP_TASKMQ_BODY_NONE) {
        return 0;
    }

    return ctx->route->flags & NGX_HTTP_TASKMQ_UUID
           || (ctx->conf->redis->uuid
               && ctx->endpoint == NGX_HTTP_TASKMQ_EP_JOB
               && tq_id_parse((char *) ctx->param.data, ctx->param.len, &id)
                  != 0);
}

/* ngx_http_taskmq_wait_for_key: the request goes on, from the checks, when the
 * key of this moment is there. */
static ngx_int_t
ngx_http_taskmq_wait_for_key(ngx_http_request_t *r, ngx_http_taskmq_ctx_t *ctx)
{
    ngx_http_taskmq_call_t  *call;

    call = ngx_http_taskmq_call_new(r, ctx->conf->redis,
                                    ngx_http_taskmq_unpark);
    if (call == NULL) {
        return NGX_ERROR;
    }

    if (ngx_http_taskmq_task_key_wait(call) != NGX_OK) {
        (void) ngx_http_taskmq_call_end(call);

        return ngx_http_taskmq_error_call(r, &tq_not_sent);
    }

    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "taskmq waits for the key of task ids");

    ctx->keyed = 1;
    r->main->count++;

    return NGX_DONE;
}

/* ngx_http_taskmq_park: this nginx worker has just started, and will have its
 * connection in a moment. The request goes on from here then. */
static ngx_int_t
ngx_http_taskmq_park(ngx_http_request_t *r, ngx_http_taskmq_ctx_t *ctx)
{
    ngx_http_taskmq_call_t  *call;

    call = ngx_http_taskmq_call_new(r, ctx->conf->redis,
                                    ngx_http_taskmq_unpark);
    if (call == NULL) {
        return NGX_ERROR;
    }

    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "taskmq waits for the first connection");

    ctx->parked = 1;
    r->main->count++;

    ngx_http_taskmq_redis_park(call);

    return NGX_DONE;
}

static void
ngx_http_taskmq_unpark(ngx_http_taskmq_call_t *call,
    const tq_result_t *res)
{
    ngx_int_t               rc;
    ngx_http_request_t     *r;
    ngx_http_taskmq_ctx_t  *ctx;

    r = ngx_http_taskmq_call_end(call);

    if (r == NULL) {
        return;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_taskmq_module);

    rc = ngx_http_taskmq_check_redis(r, ctx);

    if (rc == NGX_DECLINED) {
        rc = ngx_http_taskmq_run(r, ctx);
    }

    /* what nginx does with what a content handler returns */

    ngx_http_taskmq_finalize(r, rc);
}
