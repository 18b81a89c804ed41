/*
 * ngx_http_taskmq_api_int.h: the endpoints' handlers (each an
 * ngx_http_taskmq_handler_pt), and what they share.
 */

#ifndef NGX_HTTP_TASKMQ_API_INT_H
#define NGX_HTTP_TASKMQ_API_INT_H

#include "ngx_http_taskmq_api.h"

/* ---- ngx_http_taskmq_api_taskmq.c ---- */

ngx_int_t ngx_http_taskmq_add_job(ngx_http_request_t *r,
    ngx_http_taskmq_ctx_t *ctx, tq_str_t body);
ngx_int_t ngx_http_taskmq_add_jobs(ngx_http_request_t *r,
    ngx_http_taskmq_ctx_t *ctx, tq_str_t body);
ngx_int_t ngx_http_taskmq_get_job(ngx_http_request_t *r,
    ngx_http_taskmq_ctx_t *ctx, tq_str_t body);
ngx_int_t ngx_http_taskmq_cancel(ngx_http_request_t *r,
    ngx_http_taskmq_ctx_t *ctx, tq_str_t body);
ngx_int_t ngx_http_taskmq_retry(ngx_http_request_t *r,
    ngx_http_taskmq_ctx_t *ctx, tq_str_t body);
ngx_int_t ngx_http_taskmq_delete(ngx_http_request_t *r,
    ngx_http_taskmq_ctx_t *ctx, tq_str_t body);

/* ---- ngx_http_taskmq_api_list.c, ngx_http_taskmq_api_totals.c ---- */

ngx_int_t ngx_http_taskmq_jobs(ngx_http_request_t *r,
    ngx_http_taskmq_ctx_t *ctx, tq_str_t body);
ngx_int_t ngx_http_taskmq_tasks(ngx_http_request_t *r,
    ngx_http_taskmq_ctx_t *ctx, tq_str_t body);
ngx_int_t ngx_http_taskmq_queues(ngx_http_request_t *r,
    ngx_http_taskmq_ctx_t *ctx, tq_str_t body);
ngx_int_t ngx_http_taskmq_metrics(ngx_http_request_t *r,
    ngx_http_taskmq_ctx_t *ctx, tq_str_t body);
ngx_int_t ngx_http_taskmq_summary(ngx_http_request_t *r,
    ngx_http_taskmq_ctx_t *ctx, tq_str_t body);
ngx_int_t ngx_http_taskmq_health(ngx_http_request_t *r,
    ngx_http_taskmq_ctx_t *ctx, tq_str_t body);

/* ---- ngx_http_taskmq_api_taskdaemon.c ---- */

ngx_int_t ngx_http_taskmq_queue(ngx_http_request_t *r,
    ngx_http_taskmq_ctx_t *ctx, tq_str_t body);
ngx_int_t ngx_http_taskmq_get_task(ngx_http_request_t *r,
    ngx_http_taskmq_ctx_t *ctx, tq_str_t body);
ngx_int_t ngx_http_taskmq_delete_task(ngx_http_request_t *r,
    ngx_http_taskmq_ctx_t *ctx, tq_str_t body);
ngx_int_t ngx_http_taskmq_redrive(ngx_http_request_t *r,
    ngx_http_taskmq_ctx_t *ctx, tq_str_t body);

/* ---- ngx_http_taskmq_docs.c: the reference pages (docs/web.md) ---- */

/* For the paths /openapi.json, /docs, /docs/{name}, /redoc, /redoc/{name};
 * /swagger-ui, /swagger-ui/{name}. {name} may be empty. No role. */
ngx_int_t ngx_http_taskmq_docs(ngx_http_request_t *r,
    ngx_http_taskmq_ctx_t *ctx, tq_str_t body);

/* ---- what both APIs share (ngx_http_taskmq_wait.c) ---- */

/*
 * Enqueues n jobs for a request whose body they were read from; done() gets
 * the batch's result. NGX_DONE, or an answer's rc (429, 503).
 */
ngx_int_t ngx_http_taskmq_enqueue(ngx_http_request_t *r,
    ngx_http_taskmq_ctx_t *ctx, tq_str_t body, const tq_job_t *jobs,
    unsigned n, ngx_http_taskmq_done_pt done);

/*
 * Ends an enqueue's call. The request whose jobs were stored, *id the first's;
 * or NULL: it has gone, or was answered that they were not. field: what the API
 * calls the handler's name.
 */
ngx_http_request_t *ngx_http_taskmq_enqueue_end(ngx_http_taskmq_call_t *call,
    const tq_result_t *res, const char *field, int64_t *id);

#endif /* NGX_HTTP_TASKMQ_API_INT_H */
