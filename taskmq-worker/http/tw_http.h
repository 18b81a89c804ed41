/*
 * tw_http.h: `url` handlers: a job's payload is POSTed, the status tells
 * what became of it. libcurl's multi interface on the worker's loop, so
 * connections are kept and shared, and nothing blocks.
 *
 *   2xx            success; the body, when it is JSON, is the result (another
 *                  one is kept as a string, none is null). A Content-Encoding
 *                  is not asked for; one that comes all the same is taken
 *                  off, or the job has failed for good where that cannot be
 *   429, 503       retried, not before Retry-After
 *   other 4xx      failed for good
 *   3xx            307 and 308 to the same host are followed; else for good
 *   other, network retried
 *   too long       (the body, or headers and trailers) failed for good
 *
 * What stands before the @ of a URL is sent as Basic authentication, and is in
 * no error text.
 */

#ifndef TW_HTTP_H
#define TW_HTTP_H

#include "tw_base.h"
#include "tw_process.h"

typedef struct tw_http_s  tw_http_t;

/* A request: everything is copied. */
typedef struct {
    const char  *url;
    tq_str_t     body;
    const char  *task_id;
    const char  *key;         /* for Idempotency-Key */
    const char  *handler;
    int64_t      job_id;
    int          attempt;
} tw_http_request_t;

/* The end of a request; a is only valid inside. */
typedef void (*tw_http_cb)(void *data, const tw_answer_t *a);

/* Once per worker, after tw_curl_load(). 0, or -1. */
int tw_http_init(uv_loop_t *loop);
void tw_http_close(void);

/* One place for a request at a time. NULL: out of memory. */
tw_http_t *tw_http_new(tw_http_cb cb, void *data);
void tw_http_free(tw_http_t *h);

/* 0, or -1: out of memory. */
int tw_http_start(tw_http_t *h, const tw_http_request_t *r);

/* Ends a request without a callback. */
void tw_http_abort(tw_http_t *h);

/* Retry-After: seconds or a date. -1: neither. */
int64_t tw_http_retry_after_ms(const char *text, int64_t now_s);

#endif /* TW_HTTP_H */
