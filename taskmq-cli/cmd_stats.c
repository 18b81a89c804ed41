/*
 * cmd_stats.c: `taskmq stats`: the namespace at a glance.
 */

#include <string.h>

#include "tc.h"


static cJSON *
queue_doc(const tq_queue_stats_t *q)
{
    char  t[TQ_TIME_ISO_LEN + 1];

    return tq_doc_object(
        { "handler", tq_doc_str(q->name) },
        { "received", tq_doc_int(q->received) },
        { "waiting", tq_doc_int(q->waiting) },
        { "scheduled", tq_doc_int(q->scheduled) },
        { "running", tq_doc_int(q->running) },
        { "dead", tq_doc_int(q->dead) },
        { "oldest", tq_doc_text(q->oldest_ms != 0 ? tc_time(q->oldest_ms, t)
                                : NULL) });
}


/* A worker's info is JSON that it wrote itself: shown only if it is. */
static cJSON *
worker_doc(const tq_worker_stats_t *w)
{
    char           t[TQ_TIME_ISO_LEN + 1];
    tq_json_err_t  err;
    tq_json_val_t  val;

    return tq_doc_object(
        { "id", tq_doc_str(w->id) },
        { "name", tq_doc_str(w->name) },
        { "seen", tq_doc_text(tc_time(w->seen_ms, t)) },
        { "info", tq_json_parse(w->info.p, w->info.len, &val, &err) == 0
                  ? tq_doc_raw(val.raw) : cJSON_CreateNull() });
}


static cJSON *
stats_doc(const tq_stats_t *s, cJSON *queues, cJSON *workers)
{
    char    t[TQ_TIME_ISO_LEN + 1];
    cJSON  *jobs, *totals;

    jobs = tq_doc_object(
        { "waiting", tq_doc_int(s->waiting) },
        { "scheduled", tq_doc_int(s->scheduled) },
        { "running", tq_doc_int(s->running) },
        { "dead", tq_doc_int(s->dead) },
        { "finished", tq_doc_int(s->finished) },
        { "finished_bytes", tq_doc_int(s->finished_bytes) },
        { "finished_max_bytes", tq_doc_int(s->finished_max_bytes) });

    totals = tq_doc_object(
        { "received", tq_doc_int(s->received) },
        { "success", tq_doc_int(s->success) },
        { "failed", tq_doc_int(s->failed) },
        { "cancelled", tq_doc_int(s->cancelled) },
        { "retries", tq_doc_int(s->retries) },
        { "crashes", tq_doc_int(s->crashes) },
        { "dead_dropped", tq_doc_int(s->dead_dropped) },
        { "finished_dropped", tq_doc_int(s->finished_dropped) },
        { "duration_ms", tq_doc_int(s->duration_sum_ms) });

    return tq_doc_object({ "now", tq_doc_text(tc_time(s->now_ms, t)) },
                         { "jobs", jobs }, { "totals", totals },
                         { "queues", queues }, { "workers", workers });
}


static int
print_json(tc_t *tc, const tq_result_t *res)
{
    cJSON              *queues, *workers;
    unsigned            i;
    tq_queue_stats_t    q;
    tq_worker_stats_t   w;

    queues = cJSON_CreateArray();
    workers = cJSON_CreateArray();

    for (i = 0; i < res->stats.queues; i++) {
        tq_stats_queue(res, i, &q);
        tq_doc_add(&queues, NULL, queue_doc(&q));
    }

    for (i = 0; i < res->stats.workers; i++) {
        tq_stats_worker(res, i, &w);
        tq_doc_add(&workers, NULL, worker_doc(&w));
    }

    return tc_print_doc(tc, stats_doc(&res->stats, queues, workers));
}


static int
print_people(tc_t *tc, const tq_result_t *res)
{
    unsigned            i;
    tq_buf_t            b = { 0 };
    tq_queue_stats_t    q;
    tq_worker_stats_t   w;
    const tq_stats_t   *s = &res->stats;

    tq_buf_addf(&b, "now      %lld waiting, %lld scheduled, %lld running, "
                "%lld dead, %lld finished\n",
                (long long) s->waiting, (long long) s->scheduled,
                (long long) s->running, (long long) s->dead,
                (long long) s->finished);
    tq_buf_addf(&b, "in all   %lld received, %lld succeeded, %lld failed, "
                "%lld cancelled, %lld retries, %lld crashes\n",
                (long long) s->received, (long long) s->success,
                (long long) s->failed, (long long) s->cancelled,
                (long long) s->retries, (long long) s->crashes);

    if (s->finished_max_bytes != 0) {
        tq_buf_addf(&b, "bytes    %lld of finished and dead jobs, %lld %% of "
                    "finished_max_bytes\n", (long long) s->finished_bytes,
                    (long long) (s->finished_bytes * 100
                                 / s->finished_max_bytes));
    }

    if (s->finished_dropped != 0) {
        tq_buf_addf(&b, "dropped  %lld finished jobs before their time, "
                    "because they took too much\n",
                    (long long) s->finished_dropped);
    }

    if (s->dead_dropped != 0) {
        tq_buf_addf(&b, "dropped  %lld dead jobs, because there were too "
                    "many\n", (long long) s->dead_dropped);
    }

    if (s->queues != 0) {
        tq_buf_addf(&b, "\n%-24s %9s %9s %9s %9s %9s\n", "HANDLER",
                    "WAITING", "SCHEDULED", "RUNNING", "DEAD", "OLDEST");
    }

    for (i = 0; i < s->queues; i++) {
        tq_stats_queue(res, i, &q);
        tc_add_cell(&b, 24, q.name);
        tq_buf_addf(&b, "%9lld %9lld %9lld %9lld ", (long long) q.waiting,
                    (long long) q.scheduled, (long long) q.running,
                    (long long) q.dead);

        if (q.oldest_ms != 0) {
            tq_buf_addf(&b, "%7lld s\n",
                        (long long) (s->now_ms - q.oldest_ms) / 1000);
        } else {
            tq_buf_addf(&b, "%9s\n", "-");
        }
    }

    tq_buf_addf(&b, "\n%u worker%s\n", s->workers,
                s->workers == 1 ? "" : "s");

    for (i = 0; i < s->workers; i++) {
        tq_stats_worker(res, i, &w);
        tq_text_add(&b, w.name.p, w.name.len);
        tq_buf_addf(&b, "  seen %.1f s ago\n",
                    (double) (s->now_ms - w.seen_ms) / 1000);
    }

    return tc_print(tc, &b);
}


static int
cmd_stats(tc_t *tc, int argc, char **argv)
{
    int                 n, code;
    const tq_result_t  *res;

    n = tc_args(tc, argc, argv, NULL);
    if (n < 0) {
        return TC_USAGE;
    }

    if (n > 0) {
        return tc_usage(tc, "unexpected argument \"%s\"", argv[0]);
    }

    code = tc_connect(tc);
    if (code != TC_OK) {
        return code;
    }

    res = tc_run(tc, tq_stats_call(&tc->ns, NULL, NULL), &code);
    if (res == NULL) {
        return code;
    }

    return tc->json ? print_json(tc, res) : print_people(tc, res);
}


const tc_command_t  tc_stats_commands[] = {
    { "stats", cmd_stats, "show queues, totals and workers",
      "usage: taskmq stats\n"
      "\n"
      "Prints how many jobs there are in which state, per handler too, the\n"
      "totals since the namespace was made, and the workers seen lately.\n" },
    { NULL, NULL, NULL, NULL }
};
