/*
 * ngx_http_taskmq_stats.h: what nginx itself counts, in a small zone of shared
 * memory: all nginx workers add to it with atomics, no locks, and a reload
 * keeps it. May be called at any time in a worker.
 */

#ifndef NGX_HTTP_TASKMQ_STATS_H
#define NGX_HTTP_TASKMQ_STATS_H

#include "ngx_http_taskmq_module.h"
#include "tq_queue.h"

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

/* Adds the zone to the configuration. NULL: out of memory. */
ngx_shm_zone_t *ngx_http_taskmq_stats_zone(ngx_conf_t *cf);

/* Before anything else in a worker. */
void ngx_http_taskmq_stats_start(ngx_shm_zone_t *zone);

/* A request was answered. endpoint: ngx_http_taskmq_route_t.endpoint. */
void ngx_http_taskmq_stats_request(ngx_uint_t endpoint, ngx_uint_t status);

/* The request ended before its answer: counted as 499. */
void ngx_http_taskmq_stats_gone(ngx_http_request_t *r);

/* A call of Redis ended after us microseconds. */
void ngx_http_taskmq_stats_call(const tq_result_t *res, uint64_t us);

/* Redis refused or lost something. */
void ngx_http_taskmq_stats_error(tq_redis_err_t e);

/* Appends the counters as Prometheus text. */
void ngx_http_taskmq_stats_add(tq_buf_t *b);

#endif /* NGX_HTTP_TASKMQ_STATS_H */
