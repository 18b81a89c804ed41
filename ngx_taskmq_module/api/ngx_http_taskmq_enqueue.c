/*
 * ngx_http_taskmq_enqueue.c: how the jobs of a request are stored, in both
 * APIs: whether more may wait, the batch, and the answer when they were not.
 */

#include "ngx_http_taskmq_api_int.h"

static uint64_t ngx_http_taskmq_hash(tq_str_t body);
static ngx_int_t ngx_http_taskmq_admit(ngx_http_taskmq_ctx_t *ctx, unsigned n);
static ngx_int_t ngx_http_taskmq_count_first(ngx_http_request_t *r,
    ngx_http_taskmq_ctx_t *ctx, tq_str_t body);
static ngx_int_t ngx_http_taskmq_enqueue_error(ngx_http_request_t *r,
    int64_t outcome, const char *field);
static void ngx_http_taskmq_counted(ngx_http_taskmq_call_t *call,
    const tq_result_t *res);

/* FNV-1a; it tells apart the bodies that one client sends with one key. */
static uint64_t
ngx_http_taskmq_hash(tq_str_t body)
{
    size_t    i;
    uint64_t  h;

    h = 0xcbf29ce484222325;

    for (i = 0; i < body.len; i++) {
        h = (h ^ (u_char) body.p[i]) * 0x100000001b3;
    }

    return h;
}

/*
 * ngx_http_taskmq_admit: may n more jobs wait? NGX_OK, NGX_BUSY, or NGX_AGAIN:
 * by the last look they may not, but it is old, or only what was added since
 * says so, of which some may have ended: another look decides.
 */
static ngx_int_t
ngx_http_taskmq_admit(ngx_http_taskmq_ctx_t *ctx, unsigned n)
{
    int64_t                   bound;
    ngx_http_taskmq_redis_t  *redis;

    bound = ctx->conf->max_pending - (int64_t) n;
    redis = ctx->conf->redis;

    if (!ctx->counted) {
        ngx_http_taskmq_health_refresh(redis);
    }

    if (ngx_http_taskmq_health_waiting(redis) <= bound) {
        return NGX_OK;      /* also where the number is not known */
    }

    return ctx->counted || (ngx_http_taskmq_health_fresh(redis)
                           && redis->health.jobs > bound)
           ? NGX_BUSY : NGX_AGAIN;
}

/* ngx_http_taskmq_count_first has the handler called again when Redis has
 * told how many jobs wait. */
static ngx_int_t
ngx_http_taskmq_count_first(ngx_http_request_t *r, ngx_http_taskmq_ctx_t *ctx,
    tq_str_t body)
{
    ngx_http_taskmq_call_t  *call;

    call = ngx_http_taskmq_call_new(r, ctx->conf->redis,
                                    ngx_http_taskmq_counted);

    if (call && ngx_http_taskmq_health_wait(call) == NGX_OK) {
        ctx->counted = 1;
        ctx->kept = body;

        return NGX_DONE;
    }

    if (call) {
        (void) ngx_http_taskmq_call_end(call);
    }

    return ngx_http_taskmq_error_call(r, &tq_not_sent);
}

static void
ngx_http_taskmq_counted(ngx_http_taskmq_call_t *call,
    const tq_result_t *res)
{
    ngx_int_t               rc;
    ngx_http_request_t     *r;
    ngx_http_taskmq_ctx_t  *ctx;

    /* not sent is all that is known of these jobs */

    r = ngx_http_taskmq_wait_end(call, res->status == TQ_UNKNOWN ? &tq_not_sent
                                                                : res);
    if (r == NULL) {
        return;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_taskmq_module);
    rc = ctx->route->handler(r, ctx, ctx->kept);

    if (rc != NGX_DONE) {
        ngx_http_taskmq_finalize(r, rc);
    }
}

ngx_int_t
ngx_http_taskmq_enqueue(ngx_http_request_t *r, ngx_http_taskmq_ctx_t *ctx,
    tq_str_t body, const tq_job_t *jobs, unsigned n,
    ngx_http_taskmq_done_pt done)
{
    uint64_t                     hash;
    ngx_http_taskmq_call_t      *call;
    ngx_http_taskmq_loc_conf_t  *conf;

    conf = ctx->conf;

    if (conf->max_pending) {

        switch (ngx_http_taskmq_admit(ctx, n)) {

        case NGX_AGAIN:
            return ngx_http_taskmq_count_first(r, ctx, body);

        case NGX_BUSY:
            return ngx_http_taskmq_error_later(r, NGX_HTTP_TOO_MANY_REQUESTS,
                                               "Too many jobs are waiting");
        }
    }

    hash = 0;

    if (ctx->idempotency_key.len) {
        hash = ngx_http_taskmq_hash(body);

    } else {
        ctx->subject.len = 0;
    }

    call = ngx_http_taskmq_call_new(r, conf->redis, done);

    if (call
        && ngx_http_taskmq_batch_add(call, conf, ctx->subject,
                                     ctx->idempotency_key, hash, jobs, n)
           == NGX_OK)
    {
        return NGX_DONE;
    }

    if (call) {
        (void) ngx_http_taskmq_call_end(call);
    }

    return ngx_http_taskmq_error_later(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                       "Out of memory");
}

ngx_http_request_t *
ngx_http_taskmq_enqueue_end(ngx_http_taskmq_call_t *call,
    const tq_result_t *res, const char *field, int64_t *id)
{
    ngx_http_request_t  *r;

    *id = 0;

    if (res->status == TQ_OK) {
        *id = tq_enqueued(res, (unsigned) call->group);
    }

    if (*id > 0) {
        call->redis->health.added += (int64_t) call->value;
    }

    r = ngx_http_taskmq_wait_end(call, res);

    if (r && *id < 0) {
        ngx_http_taskmq_finalize(r,
            ngx_http_taskmq_enqueue_error(r, *id, field));
        return NULL;
    }

    return r;
}

/* ngx_http_taskmq_enqueue_error answers a request whose jobs were not stored:
 * a TQ_ENQUEUE_… says why. */
static ngx_int_t
ngx_http_taskmq_enqueue_error(ngx_http_request_t *r, int64_t outcome,
    const char *field)
{
    ngx_http_taskmq_ctx_t  *ctx;

    switch (outcome) {

    case TQ_ENQUEUE_CONFLICT:

        /* a 422 in both APIs: nothing is wrong with this body alone */

        ctx = ngx_http_get_module_ctx(r, ngx_http_taskmq_module);

        if (ctx->conf->api == NGX_HTTP_TASKMQ_TASKDAEMON) {
            return ngx_http_taskmq_error(r, NGX_HTTP_TASKMQ_UNPROCESSABLE,
                                         "Idempotency-Key: already used with "
                                         "another body");
        }

        return ngx_http_taskmq_error_field(r, "header", "Idempotency-Key",
                                           "already used with another body",
                                           "value_error");

    case TQ_ENQUEUE_HANDLERS:
        return ngx_http_taskmq_error_field(r, "body", field,
                                           "too many handler names in use",
                                           "value_error");

    case TQ_ENQUEUE_UNKNOWN_HANDLER:
        return ngx_http_taskmq_error_field(r, "body", field,
                                           "no worker serves this handler",
                                           "value_error");

    default:                      /* TQ_ENQUEUE_PAYLOAD */
        return ngx_http_taskmq_error_later(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                           "The payload did not reach Redis "
                                           "in time: send the request again");
    }
}
