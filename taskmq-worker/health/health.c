/* health.c: what this worker says of itself. See health.h. */

#include "health_int.h"
#include "tq_doc.h"

const char *
tw_health_why(const tw_queue_t *q)
{
    const char  *why;

    if (q->run->phase > TW_RUNNING) {
        return "stopping";
    }

    why = tw_queue_why(q);

    return why != NULL ? why
           : tw_pools_all_fail(q->run) ? "no handler can start" : NULL;
}

/* The sentence of tw_health_why(), and what Redis has to do with it. */
static cJSON *
why_doc(const tw_queue_t *q, const char *why)
{
    cJSON       *doc;
    tq_buf_t     text = {0};
    const char  *redis;

    redis = q->run->phase <= TW_RUNNING ? tw_queue_redis_why(q) : "";
    tq_buf_addf(&text, "%s%s%s", why, redis[0] != '\0' ? ": " : "", redis);
    doc = text.failed ? NULL : tq_doc_str((tq_str_t) { text.p, text.len });
    tq_buf_free(&text);

    return doc;
}

void
tw_health_json(tq_buf_t *b, const tw_queue_t *q)
{
    cJSON       *doc;
    const char  *why = tw_health_why(q);

    doc = tq_doc_object(
        { "status", tq_doc_text(why == NULL ? "ok" : "error") });
    if (why != NULL) {
        tq_doc_add(&doc, "detail", why_doc(q, why));
    }
    tq_doc_add(&doc, "worker", tq_doc_text(q->name));
    tq_doc_add(&doc, "running", tq_doc_int(q->run->busy));
    tq_doc_add(&doc, "concurrency", tq_doc_int(q->o->concurrency));
    tq_doc_add(&doc, "pools", tw_pools_doc(q->run));
    tq_doc_print(b, doc);
    tq_buf_addc(b, '\n');
}

static void
redis_metrics(tq_buf_t *b, const tw_queue_t *q)
{
    static const char  *errors = "taskmq_worker_redis_errors_total";
    tq_redis_err_t      e;

    tq_metrics_head(b, "taskmq_worker_redis_up", "gauge",
        "1 while the connection to Redis is ready");
    tq_metrics_value(b, "taskmq_worker_redis_up", tw_queue_is_ready(q));

    tq_metrics_head(b, errors, "counter",
        "Calls and connections that Redis refused or lost");
    for (e = TQ_ERR_NONE + 1; e < TQ_ERR_N; e++) {
        tq_metrics_value1(b, errors, "reason",
            tq_metrics_text(tq_redis_err_word(e)),
            (int64_t) q->redis_errors[e]);
    }
}

void
tw_health_metrics(tq_buf_t *b, const tw_queue_t *q)
{
    static const char  *jobs = "taskmq_worker_jobs_total";
    static const char  *names[] = { "succeeded", "failed", "given_back",
                                    "cancelled", "lost", "refused" };
    const tw_counts_t  *n = &q->run->counts;
    const uint64_t      values[] = { n->succeeded, n->failed, n->released,
                                     n->cancelled, n->lost, n->refused };
    unsigned            i;

    tq_metrics_head(b, "taskmq_worker_claimed_total", "counter",
        "Jobs this worker claimed");
    tq_metrics_value(b, "taskmq_worker_claimed_total",
        (int64_t) n->claimed);

    tq_metrics_head(b, jobs, "counter", "What became of them: given_back is "
        "uncounted, cancelled may be deleted, lost is a lease taken away, "
        "refused an outcome that came too late");
    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        tq_metrics_value1(b, jobs, "result", tq_metrics_text(names[i]),
            (int64_t) values[i]);
    }

    tq_metrics_head(b, "taskmq_worker_running", "gauge",
        "Jobs this worker runs now");
    tq_metrics_value(b, "taskmq_worker_running", q->run->busy);
    tq_metrics_head(b, "taskmq_worker_concurrency", "gauge",
        "Jobs it may run at a time");
    tq_metrics_value(b, "taskmq_worker_concurrency", q->o->concurrency);
    tq_metrics_head(b, "taskmq_worker_healthy", "gauge",
        "1 when /healthz says ok");
    tq_metrics_value(b, "taskmq_worker_healthy", tw_health_why(q) == NULL);

    redis_metrics(b, q);
}
