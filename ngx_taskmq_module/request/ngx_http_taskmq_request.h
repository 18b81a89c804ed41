/*
 * ngx_http_taskmq_request.h: from an HTTP request to the handler of its
 * endpoint, and back to an answer. What every request goes through is here;
 * what an endpoint does is its API's (api/), whose table of routes a location
 * is given when the configuration is read.
 *
 * A handler either answers and returns what nginx is to finalize the request
 * with, or has the request wait for Redis and returns NGX_DONE: then the
 * call's done() answers and finalizes.
 */

#ifndef NGX_HTTP_TASKMQ_REQUEST_H
#define NGX_HTTP_TASKMQ_REQUEST_H

#include "ngx_http_taskmq_module.h"
#include "ngx_http_taskmq_redis.h"
#include "ngx_http_taskmq_reply.h"
#include "ngx_http_taskmq_stats.h"

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

/* The value of a query argument, unescaped; NULL data: not there. NGX_OK, or
 * NGX_ERROR (out of memory). */
ngx_int_t ngx_http_taskmq_arg(ngx_http_request_t *r, const char *name,
    ngx_str_t *value);

/* ---- ngx_http_taskmq_route.c ---- */

/* Of an exact location's name that ends with an endpoint's path (the longest
 * one): the length of what is before that. 0: it does not. */
size_t ngx_http_taskmq_route_base(const ngx_http_taskmq_route_t *routes,
    ngx_str_t *name);

/* ---- ngx_http_taskmq_wait.c ---- */

/* Sends a call for a request, which waits for its end; tq's data must be call,
 * which may be NULL (out of memory). NGX_DONE, or the rc of a 503. */
ngx_int_t ngx_http_taskmq_wait(ngx_http_request_t *r,
    ngx_http_taskmq_call_t *call, tq_call_t *tq);

/* The same for a call about one job, which build() makes; done() finds its id
 * in call->id. */
typedef tq_call_t *(*ngx_http_taskmq_job_pt)(const tq_ns_t *ns, int64_t id,
    tq_done_cb done, void *data);

ngx_int_t ngx_http_taskmq_wait_job(ngx_http_request_t *r, int64_t id,
    ngx_http_taskmq_job_pt build, ngx_http_taskmq_done_pt done);

/* Ends such a call. The request to answer from the result; or NULL: it has
 * gone, or the call brought none and that was answered. */
ngx_http_request_t *ngx_http_taskmq_wait_end(ngx_http_taskmq_call_t *call,
    const tq_result_t *res);

/* Answers a call that brought no result. */
ngx_int_t ngx_http_taskmq_error_call(ngx_http_request_t *r,
    const tq_result_t *res);

#endif /* NGX_HTTP_TASKMQ_REQUEST_H */
