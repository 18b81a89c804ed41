/*
 * tq_metrics.c: Prometheus' text format, and a namespace's metrics in it.
 */

#include <stdio.h>
#include <string.h>

#include "tq_json.h"
#include "tq_metrics.h"

/* Handlers' instances, summed over all workers. */
typedef struct {
    char      handler[TQ_HANDLER_MAX + 1];
    int64_t   active;
    int64_t   idle;
} tq_pool_sum_t;

typedef struct {
    tq_pool_sum_t  *p;
    size_t          n;
    tq_buf_t        mem;
} tq_pool_totals_t;

static void tq_metrics_label(tq_buf_t *b, const char *label, tq_str_t value);
static void tq_metrics_end(tq_buf_t *b, int64_t v);
static void tq_metrics_totals(tq_buf_t *b, const tq_stats_t *s);
static void tq_metrics_queues(tq_buf_t *b, const tq_result_t *res);
static void tq_metrics_oldest(tq_buf_t *b, const tq_result_t *res);
static void tq_metrics_pools(tq_buf_t *b, const tq_result_t *res);
static void tq_metrics_pool_info(tq_pool_totals_t *sums, tq_str_t info);
static tq_pool_sum_t *tq_metrics_pool(tq_pool_totals_t *sums, const char *name);
static void tq_metrics_daemon(tq_buf_t *b, const tq_stats_t *s);


tq_str_t
tq_metrics_text(const char *cstr)
{
    return (tq_str_t) { cstr, strlen(cstr) };
}


void
tq_metrics_head(tq_buf_t *b, const char *name, const char *type,
    const char *help)
{
    tq_buf_addf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}


static void
tq_metrics_label(tq_buf_t *b, const char *label, tq_str_t value)
{
    char    c;
    size_t  i;

    tq_buf_adds(b, label);
    tq_buf_adds(b, "=\"");

    for (i = 0; i < value.len; i++) {
        c = value.p[i];

        if (c == '\n') {
            tq_buf_adds(b, "\\n");
            continue;
        }

        if (c == '\\' || c == '"') {
            tq_buf_addc(b, '\\');
        }

        tq_buf_addc(b, c);
    }

    tq_buf_addc(b, '"');
}


static void
tq_metrics_end(tq_buf_t *b, int64_t v)
{
    tq_buf_addc(b, ' ');
    tq_buf_addi(b, v);
    tq_buf_addc(b, '\n');
}


void
tq_metrics_value(tq_buf_t *b, const char *name, int64_t v)
{
    tq_buf_adds(b, name);
    tq_metrics_end(b, v);
}


void
tq_metrics_value1(tq_buf_t *b, const char *name, const char *label,
    tq_str_t value, int64_t v)
{
    tq_buf_adds(b, name);
    tq_buf_addc(b, '{');
    tq_metrics_label(b, label, value);
    tq_buf_addc(b, '}');
    tq_metrics_end(b, v);
}


void
tq_metrics_value2(tq_buf_t *b, const char *name, const char *label1,
    tq_str_t value1, const char *label2, tq_str_t value2, int64_t v)
{
    tq_buf_adds(b, name);
    tq_buf_addc(b, '{');
    tq_metrics_label(b, label1, value1);
    tq_buf_addc(b, ',');
    tq_metrics_label(b, label2, value2);
    tq_buf_addc(b, '}');
    tq_metrics_end(b, v);
}


void
tq_metrics_decimal(tq_buf_t *b, int64_t v, int digits)
{
    int      i, n;
    char     text[24];
    int64_t  unit;

    for (unit = 1, i = 0; i < digits; i++) {
        unit *= 10;
    }

    tq_buf_addi(b, v / unit);

    if (v % unit == 0) {
        return;
    }

    n = snprintf(text, sizeof(text), ".%0*lld", digits,
        (long long) (v % unit));

    while (n > 0 && text[n - 1] == '0') {
        n--;
    }

    tq_buf_add(b, text, (size_t) n);
}


void
tq_metrics_histogram(tq_buf_t *b, const char *name, const int64_t *bounds,
    size_t n, const int64_t *buckets, int64_t sum, int digits)
{
    size_t   i;
    int64_t  count;

    for (count = 0, i = 0; i < n; i++) {
        count += buckets[i];
        tq_buf_addf(b, "%s_bucket{le=\"", name);
        tq_metrics_decimal(b, bounds[i], digits);
        tq_buf_adds(b, "\"}");
        tq_metrics_end(b, count);
    }

    count += buckets[n];
    tq_buf_addf(b, "%s_bucket{le=\"+Inf\"}", name);
    tq_metrics_end(b, count);

    tq_buf_addf(b, "%s_sum ", name);
    tq_metrics_decimal(b, sum, digits);
    tq_buf_addf(b, "\n%s_count", name);
    tq_metrics_end(b, count);
}


void
tq_metrics_namespace(tq_buf_t *b, const tq_result_t *res)
{
    tq_metrics_totals(b, &res->stats);
    tq_metrics_queues(b, res);
    tq_metrics_oldest(b, res);
    tq_metrics_daemon(b, &res->stats);
    tq_metrics_pools(b, res);
}


static void
tq_metrics_totals(tq_buf_t *b, const tq_stats_t *s)
{
    static const char  jobs[] = "taskmq_jobs_total";

    tq_metrics_head(b, jobs, "counter",
        "Jobs that ended; a periodic job's runs count one by one");
    tq_metrics_value1(b, jobs, "status", tq_str("success"), s->success);
    tq_metrics_value1(b, jobs, "status", tq_str("failed"), s->failed);
    tq_metrics_value1(b, jobs, "status", tq_str("cancelled"), s->cancelled);

    tq_metrics_head(b, "taskmq_job_duration_seconds", "histogram",
        "Duration of successful runs");
    tq_metrics_histogram(b, "taskmq_job_duration_seconds",
        tq_duration_bounds_ms, TQ_DURATION_BUCKETS, s->duration,
        s->duration_sum_ms, 3);

    tq_metrics_head(b, "taskmq_retries_total", "counter",
        "Runs that failed and were scheduled again");
    tq_metrics_value(b, "taskmq_retries_total", s->retries);

    tq_metrics_head(b, "taskmq_crashes_total", "counter",
        "Runs that were lost with their worker");
    tq_metrics_value(b, "taskmq_crashes_total", s->crashes);

    tq_metrics_head(b, "taskmq_dead_dropped_total", "counter",
        "Dead-letter jobs that were dropped to keep the set bounded");
    tq_metrics_value(b, "taskmq_dead_dropped_total", s->dead_dropped);

    tq_metrics_head(b, "taskmq_finished_bytes", "gauge",
        "Bytes of finished and dead jobs, where finished_max_bytes is set");
    tq_metrics_value(b, "taskmq_finished_bytes", s->finished_bytes);

    tq_metrics_head(b, "taskmq_finished_max_bytes", "gauge",
        "The setting finished_max_bytes, 0: no bound");
    tq_metrics_value(b, "taskmq_finished_max_bytes", s->finished_max_bytes);

    tq_metrics_head(b, "taskmq_finished_dropped_total", "counter",
        "Finished jobs that were dropped before their time to keep the bound");
    tq_metrics_value(b, "taskmq_finished_dropped_total", s->finished_dropped);

    tq_metrics_head(b, "taskmq_workers", "gauge", "Live workers");
    tq_metrics_value(b, "taskmq_workers", s->workers);
}


static void
tq_metrics_queues(tq_buf_t *b, const tq_result_t *res)
{
    unsigned          i;
    tq_queue_stats_t  q;

    static const char  name[] = "taskmq_queue_depth";

    tq_metrics_head(b, name, "gauge", "Jobs by handler and state");

    for (i = 0; i < res->stats.queues; i++) {
        tq_stats_queue(res, i, &q);

        tq_metrics_value2(b, name, "handler", q.name,
            "state", tq_str("waiting"), q.waiting);
        tq_metrics_value2(b, name, "handler", q.name,
            "state", tq_str("scheduled"), q.scheduled);
        tq_metrics_value2(b, name, "handler", q.name,
            "state", tq_str("running"), q.running);
        tq_metrics_value2(b, name, "handler", q.name,
            "state", tq_str("dead"), q.dead);
    }
}


static void
tq_metrics_oldest(tq_buf_t *b, const tq_result_t *res)
{
    unsigned          i;
    int64_t           age, now_ms = res->stats.now_ms;
    tq_queue_stats_t  q;

    static const char  name[] = "taskmq_oldest_pending_seconds";

    tq_metrics_head(b, name, "gauge",
        "Age of the waiting job that was created first");

    for (i = 0; i < res->stats.queues; i++) {
        tq_stats_queue(res, i, &q);

        age = (q.oldest_ms > 0 && q.oldest_ms < now_ms)
              ? now_ms - q.oldest_ms : 0;

        tq_buf_addf(b, "%s{", name);
        tq_metrics_label(b, "handler", q.name);
        tq_buf_adds(b, "} ");
        tq_metrics_decimal(b, age, 3);
        tq_buf_addc(b, '\n');
    }
}


/* TaskDaemon's names for the same. */
static void
tq_metrics_daemon(tq_buf_t *b, const tq_stats_t *s)
{
    tq_metrics_head(b, "tasks_received_total", "counter",
        "Total tasks received");
    tq_metrics_value(b, "tasks_received_total", s->received);

    tq_metrics_head(b, "tasks_processed_total", "counter",
        "Total tasks processed");
    tq_metrics_value1(b, "tasks_processed_total", "status",
        tq_str("success"), s->success);
    tq_metrics_value1(b, "tasks_processed_total", "status",
        tq_str("failed"), s->failed);

    tq_metrics_head(b, "task_processing_seconds", "histogram",
        "Duration of successful tasks");
    tq_metrics_histogram(b, "task_processing_seconds",
        tq_duration_bounds_ms, TQ_DURATION_BUCKETS, s->duration,
        s->duration_sum_ms, 3);

    tq_metrics_head(b, "queue_size", "gauge", "Current queue size");
    tq_metrics_value(b, "queue_size", s->waiting);

    tq_metrics_head(b, "daemon_health", "gauge",
        "1 when the queue answers");
    tq_metrics_value(b, "daemon_health", 1);
}


/*
 * A worker's info tells its instances by handler:
 * {"pools":{"resize":{"active":8,"idle":2},…},…}
 */
static void
tq_metrics_pools(tq_buf_t *b, const tq_result_t *res)
{
    size_t             i;
    unsigned           w;
    tq_pool_totals_t   sums;
    tq_worker_stats_t  worker;

    memset(&sums, 0, sizeof(sums));

    for (w = 0; w < res->stats.workers; w++) {
        tq_stats_worker(res, w, &worker);
        tq_metrics_pool_info(&sums, worker.info);
    }

    tq_metrics_head(b, "container_pool_active", "gauge",
        "Active containers per handler");
    for (i = 0; i < sums.n; i++) {
        tq_metrics_value1(b, "container_pool_active", "handler",
            tq_metrics_text(sums.p[i].handler), sums.p[i].active);
    }

    tq_metrics_head(b, "container_pool_idle", "gauge",
        "Idle containers per handler");
    for (i = 0; i < sums.n; i++) {
        tq_metrics_value1(b, "container_pool_idle", "handler",
            tq_metrics_text(sums.p[i].handler), sums.p[i].idle);
    }

    b->failed |= sums.mem.failed;
    tq_buf_free(&sums.mem);
}


/* Adds one worker's instances. Info that is not understood is left out. */
static void
tq_metrics_pool_info(tq_pool_totals_t *sums, tq_str_t info)
{
    char              name[TQ_HANDLER_MAX + 1];
    size_t            pos;
    int64_t           v;
    tq_json_err_t     err;
    tq_json_val_t     top, pools, count;
    tq_pool_sum_t    *sum;
    tq_json_member_t  m;

    if (tq_json_parse(info.p, info.len, &top, &err) != 0
        || top.type != TQ_JSON_OBJECT
        || !tq_json_find(top.raw, "pools", &pools)
        || pools.type != TQ_JSON_OBJECT)
    {
        return;
    }

    for (pos = 0; tq_json_next_member(pools.raw, &pos, &m); /* void */ ) {

        (void) tq_json_key_text(m.key, name, sizeof(name));
        sum = tq_metrics_pool(sums, name);

        if (sum == NULL || m.val.type != TQ_JSON_OBJECT) {
            continue;
        }

        if (tq_json_find(m.val.raw, "active", &count)
            && tq_json_int64(&count, &v) == 0)
        {
            sum->active += v;
        }

        if (tq_json_find(m.val.raw, "idle", &count)
            && tq_json_int64(&count, &v) == 0)
        {
            sum->idle += v;
        }
    }
}


/* The sum for a handler, new or known. NULL: out of memory. */
static tq_pool_sum_t *
tq_metrics_pool(tq_pool_totals_t *sums, const char *name)
{
    size_t         i;
    tq_pool_sum_t  fresh;

    for (i = 0; i < sums->n; i++) {
        if (strcmp(sums->p[i].handler, name) == 0) {
            return &sums->p[i];
        }
    }

    memset(&fresh, 0, sizeof(fresh));
    snprintf(fresh.handler, sizeof(fresh.handler), "%s", name);
    tq_buf_add(&sums->mem, &fresh, sizeof(fresh));

    if (sums->mem.failed) {
        return NULL;
    }

    sums->p = (tq_pool_sum_t *) (void *) sums->mem.p;

    return &sums->p[sums->n++];
}
