/*
 * ngx_http_taskmq_api.h: from an HTTP request to an answer: the table of
 * endpoints, reading bodies, and the handlers of both APIs. A handler either
 * answers and returns what nginx is to finalize the request with, or starts a
 * call and returns NGX_DONE: then the call's done() answers and finalizes.
 */

#ifndef NGX_HTTP_TASKMQ_API_H
#define NGX_HTTP_TASKMQ_API_H

#include "ngx_http_taskmq_module.h"
#include "ngx_http_taskmq_redis.h"

/* Label values of taskmq_http_requests_total, in this order. */
typedef enum {
    NGX_HTTP_TASKMQ_EP_ADD_JOB,
    NGX_HTTP_TASKMQ_EP_ADD_JOBS,
    NGX_HTTP_TASKMQ_EP_JOB,
    NGX_HTTP_TASKMQ_EP_JOBS,
    NGX_HTTP_TASKMQ_EP_QUEUES,
    NGX_HTTP_TASKMQ_EP_CANCEL,
    NGX_HTTP_TASKMQ_EP_RETRY,
    NGX_HTTP_TASKMQ_EP_HEALTH,
    NGX_HTTP_TASKMQ_EP_MONITOR,
    NGX_HTTP_TASKMQ_EP_QUEUE,
    NGX_HTTP_TASKMQ_EP_TASK,
    NGX_HTTP_TASKMQ_EP_TASKS,
    NGX_HTTP_TASKMQ_EP_REDRIVE,
    NGX_HTTP_TASKMQ_EP_METRICS,
    NGX_HTTP_TASKMQ_EP_API_METRICS,
    NGX_HTTP_TASKMQ_EP_DOCS,
    NGX_HTTP_TASKMQ_EP_OTHER,
    NGX_HTTP_TASKMQ_ENDPOINTS
} ngx_http_taskmq_endpoint_t;

extern const char *ngx_http_taskmq_endpoints[NGX_HTTP_TASKMQ_ENDPOINTS];

/* body: the whole request body; p NULL without one. */
typedef ngx_int_t (*ngx_http_taskmq_handler_pt)(ngx_http_request_t *r,
    ngx_http_taskmq_ctx_t *ctx, tq_str_t body);

/* What limits an endpoint's body. */
typedef enum {
    NGX_HTTP_TASKMQ_BODY_NONE,
    NGX_HTTP_TASKMQ_BODY_SMALL,       /* TQ_ENVELOPE_BYTES */
    NGX_HTTP_TASKMQ_BODY_JOB,         /* taskmq_max_payload and that */
    NGX_HTTP_TASKMQ_BODY_BULK         /* taskmq_max_bulk */
} ngx_http_taskmq_body_t;

struct ngx_http_taskmq_route_s {
    ngx_str_t                   path;     /* below the location */
    const char                 *suffix;   /* after {id}; NULL: no {id} */
    ngx_uint_t                  method;   /* NGX_HTTP_GET … */
    ngx_uint_t                  roles;    /* any of these; 0: everybody */
    ngx_http_taskmq_body_t      body;
    ngx_uint_t                  flags;
    ngx_http_taskmq_endpoint_t  endpoint;
    ngx_http_taskmq_handler_pt  handler;
};

#define NGX_HTTP_TASKMQ_REDIS  0x01   /* 503 at once when it is away */
#define NGX_HTTP_TASKMQ_UUID   0x02   /* needs the key for task ids */
#define NGX_HTTP_TASKMQ_WRITE  0x04   /* a mirror must not do it again */
#define NGX_HTTP_TASKMQ_START  0x08   /* waits for the first connection */

/* ---- ngx_http_taskmq_request.c ---- */

/* The content handler of a location with an API. */
ngx_int_t ngx_http_taskmq_handler(ngx_http_request_t *r);

/* ---- ngx_http_taskmq_route.c ---- */

/* Finds ctx->route and ctx->param. NGX_OK, or NGX_DECLINED: no such path
 * (*allowed 0), or not with this method. */
ngx_int_t ngx_http_taskmq_route(ngx_http_request_t *r,
    ngx_http_taskmq_ctx_t *ctx, ngx_uint_t *allowed);

/* Of an exact location's name that ends with an endpoint's path (the longest
 * one): the length of what is before that. 0: it does not. */
size_t ngx_http_taskmq_route_base(ngx_uint_t api, ngx_str_t *name);

/* Adds the Allow header. NGX_OK or NGX_ERROR. */
ngx_int_t ngx_http_taskmq_allow(ngx_http_request_t *r, ngx_uint_t methods);

/* ---- ngx_http_taskmq_body.c ---- */

/*
 * Reads the request's body, then runs the route's handler. Returns what the
 * content handler is to return. A body over ctx->max_body is a 413.
 */
ngx_int_t ngx_http_taskmq_body_read(ngx_http_request_t *r,
    ngx_http_taskmq_ctx_t *ctx);

/* Before an answer that does not depend on the body. NGX_OK, or an rc. */
ngx_int_t ngx_http_taskmq_body_discard(ngx_http_request_t *r);

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

/* ---- ngx_http_taskmq_api_list.c, ngx_http_taskmq_api_sums.c ---- */

ngx_int_t ngx_http_taskmq_jobs(ngx_http_request_t *r,
    ngx_http_taskmq_ctx_t *ctx, tq_str_t body);
ngx_int_t ngx_http_taskmq_tasks(ngx_http_request_t *r,
    ngx_http_taskmq_ctx_t *ctx, tq_str_t body);
ngx_int_t ngx_http_taskmq_queues(ngx_http_request_t *r,
    ngx_http_taskmq_ctx_t *ctx, tq_str_t body);
ngx_int_t ngx_http_taskmq_metrics(ngx_http_request_t *r,
    ngx_http_taskmq_ctx_t *ctx, tq_str_t body);
ngx_int_t ngx_http_taskmq_sums(ngx_http_request_t *r,
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

/* ---- ngx_http_taskmq_docs.c: the API's reference pages ---- */

ngx_int_t ngx_http_taskmq_docs(ngx_http_request_t *r,
    ngx_http_taskmq_ctx_t *ctx, tq_str_t body);

/* ---- what both APIs share (ngx_http_taskmq_ask.c) ---- */

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

/* Sends a call for a request; tq's data must be call, which may be NULL (out
 * of memory). NGX_DONE, or the rc of a 503. */
ngx_int_t ngx_http_taskmq_ask(ngx_http_request_t *r,
    ngx_http_taskmq_call_t *call, tq_call_t *tq);

/* Ends such a call. The request to answer from the result; or NULL: it has
 * gone, or the call brought none and that was answered. */
ngx_http_request_t *ngx_http_taskmq_ask_end(ngx_http_taskmq_call_t *call,
    const tq_result_t *res);

/* Answers a call that brought no result. */
ngx_int_t ngx_http_taskmq_ask_error(ngx_http_request_t *r,
    const tq_result_t *res);

/* The value of a query argument, unescaped; NULL data: not there. NGX_OK, or
 * NGX_ERROR (out of memory). */
ngx_int_t ngx_http_taskmq_arg(ngx_http_request_t *r, const char *name,
    ngx_str_t *value);

#endif /* NGX_HTTP_TASKMQ_API_H */
