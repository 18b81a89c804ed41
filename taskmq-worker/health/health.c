/* health.c: what this worker says of itself. See health.h. */

#include "health_int.h"
#include "pool.h"

/* A claim is made at least every TQ_WAKE_MAX_MS. */
#define STUCK_MS  (6 * TQ_WAKE_MAX_MS)

/* Longer than one call may take: it was asked on a second connection. */
#define UNANSWERED_MS  (2 * TQ_REDIS_TIMEOUT_MS + 1000)

static int
has_free(const tw_worker_t *w)
{
    unsigned  i;

    if (w->busy >= w->o->concurrency) {
        return 0;
    }

    for (i = 0; i < w->npools; i++) {
        if (w->pools[i]->n == 0 || w->pools[i]->idle > w->pools[i]->waiting) {
            return 1;
        }
    }

    return 0;
}

int
tw_health_stuck(const tw_worker_t *w)
{
    return w->phase == TW_RUNNING && tw_rconn_ready(w->redis)
           && w->session.gate == 0 && w->claim.refusals == 0 && has_free(w)
           && tw_now(w) - w->claim.last_ok_ms > STUCK_MS
           && tw_now(w) - w->lease.connected_ms > STUCK_MS;
}

/* A claim waits for its answer, or, on a connection that is new, for its turn
 * to be asked again. */
static int
unanswered(const tw_worker_t *w)
{
    return w->claim.unanswered_ms != 0
           && tw_now(w) - w->claim.unanswered_ms > UNANSWERED_MS
           && (w->claim.in_flight != 0 || (w->claim.want && has_free(w)));
}

static unsigned
active(const tw_pool_t *p)
{
    unsigned  i, n = 0;

    for (i = 0; i < p->n; i++) {
        n += p->inst[i].state == TW_INST_BUSY;
    }

    return n;
}

static int
all_failing(const tw_worker_t *w)
{
    unsigned    i;
    tw_pool_t  *p;

    for (i = 0; i < w->npools; i++) {
        p = w->pools[i];
        if (p->fails == 0 || p->idle != 0 || active(p) != 0) {
            return 0;         /* fewer than there should be, but some */
        }
    }

    return 1;
}

const char *
tw_health_why(const tw_worker_t *w)
{
    if (w->phase > TW_RUNNING) {
        return "stopping";
    }
    if (!tw_rconn_ready(w->redis)) {
        return "Redis is away";
    }
    if (w->session.gate != 0) {
        return "Redis is not ready for work";
    }
    if (w->claim.refusals != 0) {
        return "Redis refuses claims";
    }
    if (tw_health_stuck(w) || unanswered(w)) {
        return "no claim was answered for a while";
    }
    if (all_failing(w)) {
        return "no handler can start";
    }

    return NULL;
}

cJSON *
tw_health_pools(const tw_worker_t *w)
{
    cJSON      *pools = cJSON_CreateObject(), *pool;
    unsigned    i;
    tw_pool_t  *p;

    for (i = 0; i < w->npools; i++) {
        p = w->pools[i];
        if (p->n == 0) {
            continue;         /* a builtin has no instances */
        }

        pool = tq_doc_object({ "active", tq_doc_int(active(p)) },
                             { "idle", tq_doc_int(p->idle) });
        if (p->fails != 0) {
            tq_doc_add(&pool, "failing", cJSON_CreateTrue());
        }
        if (p->conf->kind == TW_KIND_URL) {
            tq_doc_add(&pool, "url", cJSON_CreateTrue());
        }
        tq_doc_add(&pools, p->conf->name, pool);
    }

    return pools;
}

/* The sentence of tw_health_why(), and what Redis has to do with it. */
static cJSON *
why_doc(const tw_worker_t *w, const char *why)
{
    cJSON       *doc;
    tq_buf_t     text = {0};
    const char  *redis = "";

    if (w->phase <= TW_RUNNING) {
        if (!tw_rconn_ready(w->redis)) {
            redis = tw_rconn_why(w->redis);
        } else if (w->redis_err != TQ_ERR_NONE
                   && (w->session.gate != 0 || w->claim.refusals != 0))
        {
            redis = tq_redis_err_text(w->redis_err);
        }
    }

    tq_buf_addf(&text, "%s%s%s", why, redis[0] != '\0' ? ": " : "", redis);
    doc = text.failed ? NULL : tq_doc_str((tq_str_t) { text.p, text.len });
    tq_buf_free(&text);

    return doc;
}

void
tw_health_json(tq_buf_t *b, const tw_worker_t *w)
{
    cJSON       *doc;
    const char  *why = tw_health_why(w);

    doc = tq_doc_object(
        { "status", tq_doc_text(why == NULL ? "ok" : "error") });
    if (why != NULL) {
        tq_doc_add(&doc, "detail", why_doc(w, why));
    }
    tq_doc_add(&doc, "worker", tq_doc_text(w->name));
    tq_doc_add(&doc, "running", tq_doc_int(w->busy));
    tq_doc_add(&doc, "concurrency", tq_doc_int(w->o->concurrency));
    tq_doc_add(&doc, "pools", tw_health_pools(w));
    tq_doc_print(b, doc);
    tq_buf_addc(b, '\n');
}

static void
redis_metrics(tq_buf_t *b, const tw_worker_t *w)
{
    static const char  *errors = "taskmq_worker_redis_errors_total";
    tq_redis_err_t      e;

    tq_metrics_head(b, "taskmq_worker_redis_up", "gauge",
        "1 while the connection to Redis is ready");
    tq_metrics_value(b, "taskmq_worker_redis_up", tw_rconn_ready(w->redis));

    tq_metrics_head(b, errors, "counter",
        "Calls and connections that Redis refused or lost");
    for (e = TQ_ERR_NONE + 1; e < TQ_ERR_N; e++) {
        tq_metrics_value1(b, errors, "reason",
            tq_metrics_text(tq_redis_err_word(e)),
            (int64_t) w->redis_errors[e]);
    }
}

void
tw_health_metrics(tq_buf_t *b, const tw_worker_t *w)
{
    static const char  *jobs = "taskmq_worker_jobs_total";
    static const char  *names[] = { "succeeded", "failed", "given_back",
                                    "cancelled", "lost", "refused" };
    const uint64_t      values[] = { w->counts.succeeded, w->counts.failed,
        w->counts.released, w->counts.cancelled, w->counts.lost,
        w->counts.refused };
    unsigned            i;

    tq_metrics_head(b, "taskmq_worker_claimed_total", "counter",
        "Jobs this worker claimed");
    tq_metrics_value(b, "taskmq_worker_claimed_total",
        (int64_t) w->counts.claimed);

    tq_metrics_head(b, jobs, "counter", "What became of them: given_back is "
        "uncounted, cancelled may be deleted, lost is a lease taken away, "
        "refused an outcome that came too late");
    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        tq_metrics_value1(b, jobs, "result", tq_metrics_text(names[i]),
            (int64_t) values[i]);
    }

    tq_metrics_head(b, "taskmq_worker_running", "gauge",
        "Jobs this worker runs now");
    tq_metrics_value(b, "taskmq_worker_running", w->busy);
    tq_metrics_head(b, "taskmq_worker_concurrency", "gauge",
        "Jobs it may run at a time");
    tq_metrics_value(b, "taskmq_worker_concurrency", w->o->concurrency);
    tq_metrics_head(b, "taskmq_worker_healthy", "gauge",
        "1 when /healthz says ok");
    tq_metrics_value(b, "taskmq_worker_healthy", tw_health_why(w) == NULL);

    redis_metrics(b, w);
}
