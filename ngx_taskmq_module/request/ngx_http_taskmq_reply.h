/*
 * ngx_http_taskmq_reply.h: answers. Each function sends one whole answer and
 * returns the rc that the request is to be finalized with (never a status:
 * nginx would send its own page). Where the answer comes from a Redis reply
 * and not from the content handler, pass that rc to _finalize().
 */

#ifndef NGX_HTTP_TASKMQ_REPLY_H
#define NGX_HTTP_TASKMQ_REPLY_H

#include "ngx_http_taskmq_module.h"
#include "tq_queue.h"

/* JSON in memory that lives as long as the request. */
ngx_int_t ngx_http_taskmq_reply(ngx_http_request_t *r, ngx_uint_t status,
    const char *p, size_t len);

/* The same from a short buffer, which is copied. */
ngx_int_t ngx_http_taskmq_reply_copy(ngx_http_request_t *r,
    ngx_uint_t status, const char *p, size_t len);

/* Takes the buffer's memory. type: NULL for JSON. */
ngx_int_t ngx_http_taskmq_reply_buf(ngx_http_request_t *r, ngx_uint_t status,
    const char *type, tq_buf_t *b);

/* An answer without a body (204). */
ngx_int_t ngx_http_taskmq_reply_empty(ngx_http_request_t *r,
    ngx_uint_t status);

/* {"detail":text}, or {"error":text} in the TaskDaemon API. */
ngx_int_t ngx_http_taskmq_error(ngx_http_request_t *r, ngx_uint_t status,
    const char *text);

/* The same with "Retry-After: 1". */
ngx_int_t ngx_http_taskmq_error_later(ngx_http_request_t *r,
    ngx_uint_t status, const char *text);

/* Wrong fields: 422, or 400 in the TaskDaemon API; 413 and 503 where errs say
 * so. */
ngx_int_t ngx_http_taskmq_error_fields(ngx_http_request_t *r,
    const tq_field_errs_t *errs);

/* One wrong field; place: "body", "query", "header". The same statuses, but
 * 422 for a header in both. */
ngx_int_t ngx_http_taskmq_error_field(ngx_http_request_t *r,
    const char *place, const char *field, const char *msg, const char *type);

/* A call that brought no result: 503 when surely nothing was done, 504 when
 * that is not known, with the reason. why: tq_redis_why(). */
ngx_int_t ngx_http_taskmq_error_redis(ngx_http_request_t *r,
    const tq_result_t *res, const char *why);

/* Adds a header. value must live as long as the request. NGX_OK or
 * NGX_ERROR. */
ngx_int_t ngx_http_taskmq_header(ngx_http_request_t *r, const char *name,
    const char *value);

/* The Content-Type of an answer, with its parameters; type lives as long as
 * the request. */
void ngx_http_taskmq_content_type(ngx_http_request_t *r, const char *type);

/* Adds Cache-Control, so that nginx's "expires" replaces it. NGX_OK or
 * NGX_ERROR. */
ngx_int_t ngx_http_taskmq_cache_control(ngx_http_request_t *r,
    const char *value);

/* Ends a request that waited for Redis. */
void ngx_http_taskmq_finalize(ngx_http_request_t *r, ngx_int_t rc);

#endif /* NGX_HTTP_TASKMQ_REPLY_H */
