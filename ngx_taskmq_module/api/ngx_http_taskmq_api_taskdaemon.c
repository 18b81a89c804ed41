/*
 * ngx_http_taskmq_api_taskdaemon.c: TaskDaemon's endpoints that add, show and
 * change tasks. A task is a job; its id here is a UUID that only this
 * namespace's key can make (libtaskmq/base/tq_uuid.h).
 */

#include "ngx_http_taskmq_api_int.h"

static void ngx_http_taskmq_queue_done(ngx_http_taskmq_call_t *call,
    const tq_result_t *res);
static void ngx_http_taskmq_get_task_done(ngx_http_taskmq_call_t *call,
    const tq_result_t *res);
static void ngx_http_taskmq_delete_task_done(ngx_http_taskmq_call_t *call,
    const tq_result_t *res);
static void ngx_http_taskmq_redrive_done(ngx_http_taskmq_call_t *call,
    const tq_result_t *res);

/* ---- POST /queue ---- */

ngx_int_t
ngx_http_taskmq_queue(ngx_http_request_t *r, ngx_http_taskmq_ctx_t *ctx,
    tq_str_t body)
{
    tq_job_t         job;
    tq_field_errs_t  errs;

    if (tq_job_read(TQ_API_TASKDAEMON, body, ctx->conf->max_payload, &job,
                    &errs)
        != 0)
    {
        return ngx_http_taskmq_error_fields(r, &errs);
    }

    return ngx_http_taskmq_enqueue(r, ctx, body, &job, 1,
                                   ngx_http_taskmq_queue_done);
}

static void
ngx_http_taskmq_queue_done(ngx_http_taskmq_call_t *call,
    const tq_result_t *res)
{
    char                      uuid[TQ_UUID_LEN + 1];
    u_char                    text[64], *p;
    int64_t                   id;
    ngx_http_request_t       *r;
    ngx_http_taskmq_redis_t  *redis;

    redis = call->redis;
    r = ngx_http_taskmq_enqueue_end(call, res, "type", &id);

    if (r == NULL) {
        return;
    }

    ngx_http_taskmq_task_id(redis, id, uuid);
    p = ngx_sprintf(text, "{\"task_id\":\"%s\"}", uuid);

    ngx_http_taskmq_finalize(r,
        ngx_http_taskmq_reply_copy(r, NGX_HTTP_OK, (char *) text,
                                   (size_t) (p - text)));
}

/* ---- GET and DELETE /api/tasks/{id}, POST /api/tasks/{id}/redrive ---- */

static ngx_int_t
ngx_http_taskmq_task(ngx_http_request_t *r, ngx_http_taskmq_ctx_t *ctx,
    ngx_http_taskmq_job_pt build, ngx_http_taskmq_done_pt done)
{
    int64_t  id;

    if (ngx_http_taskmq_task_id_parse(ctx->conf->redis, ctx->param.data,
                                      ctx->param.len, &id)
        != 0)
    {
        return ngx_http_taskmq_error(r, NGX_HTTP_NOT_FOUND, "Task not found");
    }

    return ngx_http_taskmq_wait_job(r, id, build, done);
}

ngx_int_t
ngx_http_taskmq_get_task(ngx_http_request_t *r, ngx_http_taskmq_ctx_t *ctx,
    tq_str_t body)
{
    return ngx_http_taskmq_task(r, ctx, tq_get_call,
                                ngx_http_taskmq_get_task_done);
}

ngx_int_t
ngx_http_taskmq_delete_task(ngx_http_request_t *r, ngx_http_taskmq_ctx_t *ctx,
    tq_str_t body)
{
    return ngx_http_taskmq_task(r, ctx, tq_delete_call,
                                ngx_http_taskmq_delete_task_done);
}

ngx_int_t
ngx_http_taskmq_redrive(ngx_http_request_t *r, ngx_http_taskmq_ctx_t *ctx,
    tq_str_t body)
{
    return ngx_http_taskmq_task(r, ctx, tq_retry_call,
                                ngx_http_taskmq_redrive_done);
}

static void
ngx_http_taskmq_get_task_done(ngx_http_taskmq_call_t *call,
    const tq_result_t *res)
{
    char                      uuid[TQ_UUID_LEN + 1];
    tq_buf_t                  b;
    ngx_int_t                 rc;
    ngx_http_request_t       *r;
    ngx_http_taskmq_redis_t  *redis;

    redis = call->redis;
    r = ngx_http_taskmq_wait_end(call, res);

    if (r == NULL) {
        return;
    }

    if (res->found) {
        ngx_memzero(&b, sizeof(tq_buf_t));
        ngx_http_taskmq_task_id(redis, res->job.id, uuid);
        tq_job_add_task_json(&b, &res->job, uuid);
        rc = ngx_http_taskmq_reply_buf(r, NGX_HTTP_OK, NULL, &b);

    } else {
        rc = ngx_http_taskmq_error(r, NGX_HTTP_NOT_FOUND, "Task not found");
    }

    ngx_http_taskmq_finalize(r, rc);
}

static void
ngx_http_taskmq_delete_task_done(ngx_http_taskmq_call_t *call,
    const tq_result_t *res)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = ngx_http_taskmq_wait_end(call, res);

    if (r == NULL) {
        return;
    }

    if (res->change.verdict == TQ_CHANGE_NOT_FOUND) {
        rc = ngx_http_taskmq_error(r, NGX_HTTP_NOT_FOUND, "Task not found");

    } else {
        rc = ngx_http_taskmq_reply_empty(r, NGX_HTTP_NO_CONTENT);
    }

    ngx_http_taskmq_finalize(r, rc);
}

static void
ngx_http_taskmq_redrive_done(ngx_http_taskmq_call_t *call,
    const tq_result_t *res)
{
    char                      uuid[TQ_UUID_LEN + 1];
    u_char                    text[96], *p;
    int64_t                   id;
    ngx_int_t                 rc;
    ngx_http_request_t       *r;
    ngx_http_taskmq_redis_t  *redis;

    id = call->id;
    redis = call->redis;
    r = ngx_http_taskmq_wait_end(call, res);

    if (r == NULL) {
        return;
    }

    switch (res->change.verdict) {

    case TQ_CHANGE_NOT_FOUND:
        rc = ngx_http_taskmq_error(r, NGX_HTTP_NOT_FOUND, "Task not found");
        break;

    case TQ_CHANGE_CONFLICT:
        rc = ngx_http_taskmq_error(r, NGX_HTTP_NOT_FOUND,
                                   "Task is not failed");
        break;

    default:
        ngx_http_taskmq_task_id(redis, id, uuid);
        p = ngx_sprintf(text, "{\"task_id\":\"%s\",\"status\":\"pending\"}",
                        uuid);
        rc = ngx_http_taskmq_reply_copy(r, NGX_HTTP_OK, (char *) text,
                                        (size_t) (p - text));
    }

    ngx_http_taskmq_finalize(r, rc);
}
