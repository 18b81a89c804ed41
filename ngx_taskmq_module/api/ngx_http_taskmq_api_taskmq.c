/*
 * ngx_http_taskmq_api_taskmq.c: TaskMQ's endpoints that add, show and change
 * jobs.
 */

#include "ngx_http_taskmq_api_int.h"

static void ngx_http_taskmq_add_job_done(ngx_http_taskmq_call_t *call,
    const tq_result_t *res);
static void ngx_http_taskmq_add_jobs_done(ngx_http_taskmq_call_t *call,
    const tq_result_t *res);
static ngx_int_t ngx_http_taskmq_job(ngx_http_request_t *r,
    ngx_http_taskmq_ctx_t *ctx, ngx_http_taskmq_job_pt build,
    ngx_http_taskmq_done_pt done);
static void ngx_http_taskmq_get_job_done(ngx_http_taskmq_call_t *call,
    const tq_result_t *res);
static void ngx_http_taskmq_cancel_done(ngx_http_taskmq_call_t *call,
    const tq_result_t *res);
static void ngx_http_taskmq_retry_done(ngx_http_taskmq_call_t *call,
    const tq_result_t *res);
static void ngx_http_taskmq_delete_done(ngx_http_taskmq_call_t *call,
    const tq_result_t *res);

/* ---- POST /add-job, POST /add-jobs ---- */

ngx_int_t
ngx_http_taskmq_add_job(ngx_http_request_t *r, ngx_http_taskmq_ctx_t *ctx,
    tq_str_t body)
{
    tq_job_t         job;
    tq_field_errs_t  errs;

    if (tq_job_read(TQ_API_TASKMQ, body, ctx->conf->max_payload, &job, &errs)
        != 0)
    {
        return ngx_http_taskmq_error_fields(r, &errs);
    }

    return ngx_http_taskmq_enqueue(r, ctx, body, &job, 1,
                                   ngx_http_taskmq_add_job_done);
}

static void
ngx_http_taskmq_add_job_done(ngx_http_taskmq_call_t *call,
    const tq_result_t *res)
{
    u_char              *p;
    u_char               text[sizeof("{\"status\":\"ok\",\"job_id\":}")
                              + NGX_INT64_LEN];
    int64_t              id;
    ngx_http_request_t  *r;

    r = ngx_http_taskmq_enqueue_end(call, res, "handler", &id);

    if (r == NULL) {
        return;
    }

    p = ngx_cpymem(text, "{\"status\":\"ok\",\"job_id\":",
                   sizeof("{\"status\":\"ok\",\"job_id\":") - 1);
    p = ngx_sprintf(p, "%L}", id);

    ngx_http_taskmq_finalize(r,
        ngx_http_taskmq_reply_copy(r, NGX_HTTP_OK, (char *) text,
                                   (size_t) (p - text)));
}

ngx_int_t
ngx_http_taskmq_add_jobs(ngx_http_request_t *r, ngx_http_taskmq_ctx_t *ctx,
    tq_str_t body)
{
    int               n;
    tq_job_t         *jobs;
    ngx_int_t         rc;
    tq_field_errs_t   errs;

    jobs = ngx_alloc(TQ_BULK_MAX_JOBS * sizeof(tq_job_t),
                     r->connection->log);
    if (jobs == NULL) {
        return ngx_http_taskmq_error_later(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                           "Out of memory");
    }

    n = tq_job_read_bulk(body, ctx->conf->max_payload, jobs, TQ_BULK_MAX_JOBS,
                         &errs);

    if (n < 0) {
        rc = ngx_http_taskmq_error_fields(r, &errs);

    } else {
        rc = ngx_http_taskmq_enqueue(r, ctx, body, jobs, (unsigned) n,
                                     ngx_http_taskmq_add_jobs_done);
    }

    ngx_free(jobs);

    return rc;
}

static void
ngx_http_taskmq_add_jobs_done(ngx_http_taskmq_call_t *call,
    const tq_result_t *res)
{
    int64_t              id;
    tq_buf_t             b;
    ngx_uint_t           i, n;
    ngx_http_request_t  *r;

    n = call->value;
    r = ngx_http_taskmq_enqueue_end(call, res, "handler", &id);

    if (r == NULL) {
        return;
    }

    ngx_memzero(&b, sizeof(tq_buf_t));
    tq_buf_adds(&b, "{\"status\":\"ok\",\"job_ids\":[");

    for (i = 0; i < n; i++) {
        if (i) {
            tq_buf_addc(&b, ',');
        }
        tq_buf_addi(&b, id + (int64_t) i);
    }

    tq_buf_adds(&b, "]}");

    ngx_http_taskmq_finalize(r,
        ngx_http_taskmq_reply_buf(r, NGX_HTTP_OK, NULL, &b));
}

/* ---- GET /job/{id} ---- */

/* ngx_http_taskmq_job asks about the path's job, which is named by its id, or
 * by its task id where this nginx has the TaskDaemon API, too, and so the
 * key. */
static ngx_int_t
ngx_http_taskmq_job(ngx_http_request_t *r, ngx_http_taskmq_ctx_t *ctx,
    ngx_http_taskmq_job_pt build, ngx_http_taskmq_done_pt done)
{
    char                     *p;
    int64_t                   id;
    ngx_http_taskmq_redis_t  *redis;

    p = (char *) ctx->param.data;
    redis = ctx->conf->redis;

    if (tq_id_parse(p, ctx->param.len, &id) == 0
        || (redis->task_key.known
            && ngx_http_taskmq_task_id_parse(redis, ctx->param.data,
                                             ctx->param.len, &id)
               == 0))
    {
        return ngx_http_taskmq_wait_job(r, id, build, done);
    }

    return ngx_http_taskmq_error(r, NGX_HTTP_NOT_FOUND, "Job not found");
}

ngx_int_t
ngx_http_taskmq_get_job(ngx_http_request_t *r, ngx_http_taskmq_ctx_t *ctx,
    tq_str_t body)
{
    return ngx_http_taskmq_job(r, ctx, tq_get_call,
                               ngx_http_taskmq_get_job_done);
}

static void
ngx_http_taskmq_get_job_done(ngx_http_taskmq_call_t *call,
    const tq_result_t *res)
{
    tq_buf_t             b;
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = ngx_http_taskmq_wait_end(call, res);

    if (r == NULL) {
        return;
    }

    if (res->found) {
        ngx_memzero(&b, sizeof(tq_buf_t));
        tq_job_add_json(&b, &res->job);
        rc = ngx_http_taskmq_reply_buf(r, NGX_HTTP_OK, NULL, &b);

    } else {
        rc = ngx_http_taskmq_error(r, NGX_HTTP_NOT_FOUND, "Job not found");
    }

    ngx_http_taskmq_finalize(r, rc);
}

/* ---- POST /cancel, POST /retry, DELETE /job/{id} ---- */

static tq_call_t *
ngx_http_taskmq_cancel_call(const tq_ns_t *ns, int64_t id, tq_done_cb done,
    void *data)
{
    return tq_cancel_call(ns, id, 0, done, data);
}

static tq_call_t *
ngx_http_taskmq_force_call(const tq_ns_t *ns, int64_t id, tq_done_cb done,
    void *data)
{
    return tq_cancel_call(ns, id, 1, done, data);
}

ngx_int_t
ngx_http_taskmq_cancel(ngx_http_request_t *r, ngx_http_taskmq_ctx_t *ctx,
    tq_str_t body)
{
    int              force;
    int64_t          id;
    tq_field_errs_t  errs;

    force = 0;

    if (tq_job_read_id(body, &id, &force, &errs) != 0) {
        return ngx_http_taskmq_error_fields(r, &errs);
    }

    return ngx_http_taskmq_wait_job(r, id,
                                    force ? ngx_http_taskmq_force_call
                                          : ngx_http_taskmq_cancel_call,
                                    ngx_http_taskmq_cancel_done);
}

ngx_int_t
ngx_http_taskmq_retry(ngx_http_request_t *r, ngx_http_taskmq_ctx_t *ctx,
    tq_str_t body)
{
    int64_t          id;
    tq_field_errs_t  errs;

    if (tq_job_read_id(body, &id, NULL, &errs) != 0) {
        return ngx_http_taskmq_error_fields(r, &errs);
    }

    return ngx_http_taskmq_wait_job(r, id, tq_retry_call,
                                    ngx_http_taskmq_retry_done);
}

ngx_int_t
ngx_http_taskmq_delete(ngx_http_request_t *r, ngx_http_taskmq_ctx_t *ctx,
    tq_str_t body)
{
    return ngx_http_taskmq_job(r, ctx, tq_delete_call,
                               ngx_http_taskmq_delete_done);
}

/* ngx_http_taskmq_changed answers all three. done: the word for it; conflict:
 * what a 409 says. */
static void
ngx_http_taskmq_changed(ngx_http_taskmq_call_t *call, const tq_result_t *res,
    const char *done, const char *conflict)
{
    u_char               text[128], *p;
    int64_t              id;
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    id = call->id;
    r = ngx_http_taskmq_wait_end(call, res);

    if (r == NULL) {
        return;
    }

    switch (res->change.verdict) {

    case TQ_CHANGE_NOT_FOUND:
        rc = ngx_http_taskmq_error(r, NGX_HTTP_NOT_FOUND, "Job not found");
        break;

    case TQ_CHANGE_CONFLICT:
        rc = ngx_http_taskmq_error(r, NGX_HTTP_CONFLICT, conflict);
        break;

    default:
        p = ngx_sprintf(text, "{\"status\":\"%s\",\"job_id\":%L}", done, id);
        rc = ngx_http_taskmq_reply_copy(r, NGX_HTTP_OK, (char *) text,
                                        (size_t) (p - text));
    }

    ngx_http_taskmq_finalize(r, rc);
}

static void
ngx_http_taskmq_cancel_done(ngx_http_taskmq_call_t *call,
    const tq_result_t *res)
{
    ngx_http_taskmq_changed(call, res, "cancelled",
                            "Job is not pending");
}

static void
ngx_http_taskmq_retry_done(ngx_http_taskmq_call_t *call,
    const tq_result_t *res)
{
    ngx_http_taskmq_changed(call, res, "retrying",
                            "Job is not failed");
}

static void
ngx_http_taskmq_delete_done(ngx_http_taskmq_call_t *call,
    const tq_result_t *res)
{
    ngx_http_taskmq_changed(call, res, "deleted",
                            "Job cannot be deleted");
}
