/*
 * ngx_http_taskmq_stats.c: counters of the nginx side. Each nginx worker adds
 * to a slot of its own, so that workers do not fight for cache lines; a slot
 * may be shared after a reload or with many workers, hence atomics. Readers
 * add the slots up.
 */

#include "ngx_http_taskmq_stats.h"
#include "tq_queue.h"

#define NGX_HTTP_TASKMQ_SLOTS    16
#define NGX_HTTP_TASKMQ_ZONE     (256 * 1024)

/* bump when the layout changes: a reload with another layout starts anew */
#define NGX_HTTP_TASKMQ_ZONE_NAME  "taskmq_stats_2"

const char  *ngx_http_taskmq_endpoints[NGX_HTTP_TASKMQ_ENDPOINTS] = {
    "/add-job", "/add-jobs", "/job/{id}", "/jobs", "/queues", "/cancel",
    "/retry", "/health", "/monitor/metrics", "/queue", "/api/tasks/{id}",
    "/api/tasks", "/api/tasks/{id}/redrive", "/metrics", "/api/metrics",
    "docs", "other"
};

/* The last one is for all others. */
static const ngx_uint_t  ngx_http_taskmq_codes[] = {
    200, 204, 400, 401, 403, 404, 405, 409, 413, 415, 422, 429, 499, 500, 503,
    504, 0
};

#define NGX_HTTP_TASKMQ_CODES                                                 \
    (sizeof(ngx_http_taskmq_codes) / sizeof(ngx_uint_t))

static const char  *ngx_http_taskmq_results[] = {
    [TQ_OK] = "ok", [TQ_REFUSED] = "error", [TQ_NOT_SENT] = "not_sent",
    [TQ_UNKNOWN] = "unknown"
};

#define NGX_HTTP_TASKMQ_RESULTS  4

/* Upper bounds, microseconds. */
static const int64_t  ngx_http_taskmq_bounds_us[] = {
    100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000,
    500000, 1000000, 2500000, 5000000
};

#define NGX_HTTP_TASKMQ_BUCKETS                                               \
    (sizeof(ngx_http_taskmq_bounds_us) / sizeof(int64_t))

typedef struct {
    ngx_atomic_t  requests[NGX_HTTP_TASKMQ_ENDPOINTS][NGX_HTTP_TASKMQ_CODES];
    ngx_atomic_t  calls[NGX_HTTP_TASKMQ_RESULTS];
    ngx_atomic_t  errors[TQ_ERR_N];
    ngx_atomic_t  buckets[NGX_HTTP_TASKMQ_BUCKETS + 1];
    ngx_atomic_t  sum_us;
    ngx_atomic_t  pad[8];
} ngx_http_taskmq_slot_t;

static ngx_http_taskmq_slot_t  *ngx_http_taskmq_slots;
static ngx_http_taskmq_slot_t  *ngx_http_taskmq_slot;

static ngx_int_t ngx_http_taskmq_stats_init(ngx_shm_zone_t *zone, void *data);

ngx_shm_zone_t *
ngx_http_taskmq_stats_zone(ngx_conf_t *cf)
{
    ngx_str_t        name = ngx_string(NGX_HTTP_TASKMQ_ZONE_NAME);
    ngx_shm_zone_t  *zone;

    zone = ngx_shared_memory_add(cf, &name, NGX_HTTP_TASKMQ_ZONE,
                                 &ngx_http_taskmq_module);
    if (zone == NULL) {
        return NULL;
    }

    zone->init = ngx_http_taskmq_stats_init;

    return zone;
}

static ngx_int_t
ngx_http_taskmq_stats_init(ngx_shm_zone_t *zone, void *data)
{
    ngx_slab_pool_t  *pool;

    if (data) {
        zone->data = data;
        return NGX_OK;
    }

    pool = (ngx_slab_pool_t *) zone->shm.addr;

    if (zone->shm.exists) {
        zone->data = pool->data;
        return NGX_OK;
    }

    pool->data = ngx_slab_calloc(pool, NGX_HTTP_TASKMQ_SLOTS
                                       * sizeof(ngx_http_taskmq_slot_t));
    if (pool->data == NULL) {
        return NGX_ERROR;
    }

    zone->data = pool->data;

    return NGX_OK;
}

void
ngx_http_taskmq_stats_start(ngx_shm_zone_t *zone)
{
    ngx_uint_t  n;

    n = ngx_process == NGX_PROCESS_WORKER ? (ngx_uint_t) ngx_worker : 0;

    ngx_http_taskmq_slots = zone->data;
    ngx_http_taskmq_slot = &ngx_http_taskmq_slots[n % NGX_HTTP_TASKMQ_SLOTS];
}

void
ngx_http_taskmq_stats_request(ngx_uint_t endpoint, ngx_uint_t status)
{
    ngx_uint_t  i;

    if (ngx_http_taskmq_slot == NULL) {
        return;
    }

    for (i = 0; i < NGX_HTTP_TASKMQ_CODES - 1; i++) {
        if (ngx_http_taskmq_codes[i] == status) {
            break;
        }
    }

    (void) ngx_atomic_fetch_add(&ngx_http_taskmq_slot->requests[endpoint][i],
                                1);
}

void
ngx_http_taskmq_stats_gone(ngx_http_request_t *r)
{
    ngx_http_taskmq_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_taskmq_module);

    if (ctx && ctx->route) {
        ngx_http_taskmq_stats_request(ctx->endpoint,
                                      NGX_HTTP_CLIENT_CLOSED_REQUEST);
    }
}

void
ngx_http_taskmq_stats_call(const tq_result_t *res, uint64_t us)
{
    ngx_uint_t               i;
    ngx_http_taskmq_slot_t  *slot;

    slot = ngx_http_taskmq_slot;

    if (slot == NULL) {
        return;
    }

    i = res->odd ? TQ_OK : res->status;

    (void) ngx_atomic_fetch_add(&slot->calls[i], 1);

    if (res->status == TQ_NOT_SENT || res->status == TQ_UNKNOWN) {
        return;
    }

    for (i = 0; i < NGX_HTTP_TASKMQ_BUCKETS; i++) {
        if ((int64_t) us <= ngx_http_taskmq_bounds_us[i]) {
            break;
        }
    }

    (void) ngx_atomic_fetch_add(&slot->buckets[i], 1);
    (void) ngx_atomic_fetch_add(&slot->sum_us, (ngx_atomic_int_t) us);
}

void
ngx_http_taskmq_stats_error(tq_redis_err_t e)
{
    if (ngx_http_taskmq_slot) {
        (void) ngx_atomic_fetch_add(&ngx_http_taskmq_slot->errors[e], 1);
    }
}

/* ngx_http_taskmq_stats_sum adds up one counter, at an offset, of all
 * slots. */
static uint64_t
ngx_http_taskmq_stats_sum(ngx_atomic_t *counter)
{
    u_char      *p;
    uint64_t     sum;
    ngx_uint_t   i;

    p = (u_char *) counter;

    for (sum = 0, i = 0; i < NGX_HTTP_TASKMQ_SLOTS; i++) {
        sum += *(ngx_atomic_t *) p;
        p += sizeof(ngx_http_taskmq_slot_t);
    }

    return sum;
}

static void
ngx_http_taskmq_stats_add_errors(tq_buf_t *b, ngx_http_taskmq_slot_t *slot)
{
    ngx_uint_t  i;

    tq_metrics_head(b, "taskmq_redis_errors_total", "counter",
                    "Calls and connections that Redis refused or lost");

    for (i = TQ_ERR_NONE + 1; i < TQ_ERR_N; i++) {
        tq_metrics_value1(b, "taskmq_redis_errors_total", "reason",
                          tq_metrics_text(tq_redis_err_word(i)),
                          (int64_t) ngx_http_taskmq_stats_sum(
                              &slot->errors[i]));
    }
}

void
ngx_http_taskmq_stats_add(tq_buf_t *b)
{
    char                     code[NGX_INT_T_LEN + 1];
    uint64_t                 v;
    int64_t                  buckets[NGX_HTTP_TASKMQ_BUCKETS + 1];
    ngx_uint_t               i, k;
    ngx_http_taskmq_slot_t  *slot;

    slot = ngx_http_taskmq_slots;

    if (slot == NULL) {
        return;
    }

    tq_metrics_head(b, "taskmq_http_requests_total", "counter",
                    "HTTP requests answered by this nginx");

    for (i = 0; i < NGX_HTTP_TASKMQ_ENDPOINTS; i++) {
        for (k = 0; k < NGX_HTTP_TASKMQ_CODES; k++) {

            v = ngx_http_taskmq_stats_sum(&slot->requests[i][k]);

            if (v == 0) {
                continue;
            }

            *ngx_sprintf((u_char *) code, "%ui", ngx_http_taskmq_codes[k])
                = '\0';

            tq_metrics_value2(b, "taskmq_http_requests_total",
                              "endpoint", tq_metrics_text(
                                  ngx_http_taskmq_endpoints[i]),
                              "code", tq_metrics_text(
                                  ngx_http_taskmq_codes[k] ? code : "other"),
                              (int64_t) v);
        }
    }

    tq_metrics_head(b, "taskmq_redis_calls_total", "counter",
                    "Calls of Redis by this nginx");

    for (i = 0; i < NGX_HTTP_TASKMQ_RESULTS; i++) {
        tq_metrics_value1(b, "taskmq_redis_calls_total", "result",
                          tq_metrics_text(ngx_http_taskmq_results[i]),
                          (int64_t) ngx_http_taskmq_stats_sum(
                              &slot->calls[i]));
    }

    ngx_http_taskmq_stats_add_errors(b, slot);

    for (i = 0; i <= NGX_HTTP_TASKMQ_BUCKETS; i++) {
        buckets[i] = (int64_t) ngx_http_taskmq_stats_sum(&slot->buckets[i]);
    }

    tq_metrics_head(b, "taskmq_redis_call_seconds", "histogram",
                    "Time from handing a call over to its reply");
    tq_metrics_histogram(b, "taskmq_redis_call_seconds",
                         ngx_http_taskmq_bounds_us, NGX_HTTP_TASKMQ_BUCKETS,
                         buckets,
                         (int64_t) ngx_http_taskmq_stats_sum(&slot->sum_us),
                         6);
}
