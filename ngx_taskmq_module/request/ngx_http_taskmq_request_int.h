/*
 * ngx_http_taskmq_request_int.h: what the files of this room share.
 */

#ifndef NGX_HTTP_TASKMQ_REQUEST_INT_H
#define NGX_HTTP_TASKMQ_REQUEST_INT_H

#include "ngx_http_taskmq_request.h"

/* ---- ngx_http_taskmq_request.c ---- */

/* All checks were passed: reads the body and runs the route's handler. Returns
 * what the content handler is to return. */
ngx_int_t ngx_http_taskmq_run(ngx_http_request_t *r,
    ngx_http_taskmq_ctx_t *ctx);

/* ---- ngx_http_taskmq_wait.c ---- */

/* Whether Redis is at hand for this route. NGX_DECLINED: it is. NGX_DONE: the
 * request waits, and runs later. Else the rc of an answer. */
ngx_int_t ngx_http_taskmq_check_redis(ngx_http_request_t *r,
    ngx_http_taskmq_ctx_t *ctx);

/* ---- ngx_http_taskmq_route.c ---- */

/* Finds ctx->route and ctx->param. NGX_OK, or NGX_DECLINED: no such path
 * (*allowed 0), or not with this method. */
ngx_int_t ngx_http_taskmq_route(ngx_http_request_t *r,
    ngx_http_taskmq_ctx_t *ctx, ngx_uint_t *allowed);

/* Adds the Allow header. NGX_OK or NGX_ERROR. */
ngx_int_t ngx_http_taskmq_allow(ngx_http_request_t *r, ngx_uint_t methods);

/* ---- ngx_http_taskmq_body.c ---- */

/*
 * Reads the request's body, then runs the route's handler. Returns what the
 * content handler is to return. A body over ctx->max_body is a 413.
 */
ngx_int_t ngx_http_taskmq_body_read(ngx_http_request_t *r,
    ngx_http_taskmq_ctx_t *ctx);

/* Before an answer of ours; nothing where the body was read. NGX_OK, or an
 * rc. */
ngx_int_t ngx_http_taskmq_body_discard(ngx_http_request_t *r);

/* Before a page of nginx's takes the request over: it has the body whole, or
 * can read it, or there is none. */
void ngx_http_taskmq_body_hand_over(ngx_http_request_t *r, ngx_uint_t status);

#endif /* NGX_HTTP_TASKMQ_REQUEST_INT_H */
