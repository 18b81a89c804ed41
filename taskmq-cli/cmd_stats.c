/*
 * cmd_stats.c: `taskmq stats`: the namespace at a glance.
 */

#include <string.h>

#include "tc.h"


static void
number(tq_buf_t *b, const char *name, int64_t v, int comma)
{
    tq_buf_addf(b, "\"%s\":%lld%s", name, (long long) v, comma ? "," : "");
}


static void
json_queue(tq_buf_t *b, const tq_queue_stats_t *q)
{
    char  t[TQ_TIME_ISO_LEN + 1];

    tq_buf_adds(b, "{\"handler\":");
    tq_buf_add_json(b, q->name.p, q->name.len);
    tq_buf_addc(b, ',');
    number(b, "received", q->received, 1);
    number(b, "waiting", q->waiting, 1);
    number(b, "scheduled", q->scheduled, 1);
    number(b, "running", q->running, 1);
    number(b, "dead", q->dead, 1);

    if (q->oldest_ms != 0) {
        tq_buf_addf(b, "\"oldest\":\"%s\"}", tc_time(q->oldest_ms, t));
    } else {
        tq_buf_adds(b, "\"oldest\":null}");
    }
}


/* A worker's info is JSON that it wrote itself: shown only if it is. */
static void
json_worker(tq_buf_t *b, tq_str_t id, tq_str_t name, int64_t seen_ms,
    tq_str_t info)
{
    char           t[TQ_TIME_ISO_LEN + 1];
    tq_json_err_t  err;
    tq_json_val_t  val;

    tq_buf_adds(b, "{\"id\":");
    tq_buf_add_json(b, id.p, id.len);
    tq_buf_adds(b, ",\"name\":");
    tq_buf_add_json(b, name.p, name.len);
    tq_buf_addf(b, ",\"seen\":\"%s\",\"info\":", tc_time(seen_ms, t));

    if (tq_json_parse(info.p, info.len, &val, &err) == 0) {
        tq_buf_add(b, val.raw.p, val.raw.len);
    } else {
        tq_buf_adds(b, "null");
    }

    tq_buf_addc(b, '}');
}


static void
json_totals(tq_buf_t *b, const tq_stats_t *s)
{
    char  t[TQ_TIME_ISO_LEN + 1];

    tq_buf_addf(b, "{\"now\":\"%s\",\"jobs\":{", tc_time(s->now_ms, t));
    number(b, "waiting", s->waiting, 1);
    number(b, "scheduled", s->scheduled, 1);
    number(b, "running", s->running, 1);
    number(b, "dead", s->dead, 1);
    number(b, "finished", s->finished, 1);
    number(b, "finished_bytes", s->finished_bytes, 1);
    number(b, "finished_max_bytes", s->finished_max_bytes, 0);

    tq_buf_adds(b, "},\"totals\":{");
    number(b, "received", s->received, 1);
    number(b, "success", s->success, 1);
    number(b, "failed", s->failed, 1);
    number(b, "cancelled", s->cancelled, 1);
    number(b, "retries", s->retries, 1);
    number(b, "crashes", s->crashes, 1);
    number(b, "dead_dropped", s->dead_dropped, 1);
    number(b, "finished_dropped", s->finished_dropped, 1);
    number(b, "duration_ms", s->duration_sum_ms, 0);
    tq_buf_addc(b, '}');
}


static int
print_json(tc_t *tc, const tq_stats_t *s, const redisReply *reply)
{
    int64_t           seen;
    unsigned          i;
    tq_buf_t          b = { 0 };
    tq_str_t          id, name, info;
    tq_queue_stats_t  q;

    json_totals(&b, s);
    tq_buf_adds(&b, ",\"queues\":[");

    for (i = 0; i < s->queues; i++) {
        if (tq_stats_queue(reply, i, &q) != 0) {
            goto bad;
        }

        if (i != 0) {
            tq_buf_addc(&b, ',');
        }
        json_queue(&b, &q);
    }

    tq_buf_adds(&b, "],\"workers\":[");

    for (i = 0; i < s->workers; i++) {
        if (tq_stats_worker(reply, i, &id, &name, &seen, &info) != 0) {
            goto bad;
        }

        if (i != 0) {
            tq_buf_addc(&b, ',');
        }
        json_worker(&b, id, name, seen, info);
    }

    tq_buf_adds(&b, "]}");
    return tc_print_json(tc, &b);

bad:

    tq_buf_free(&b);
    return tc_bad_reply(tc);
}


static int
print_people(tc_t *tc, const tq_stats_t *s, const redisReply *reply)
{
    int64_t           seen;
    unsigned          i;
    tq_buf_t          b = { 0 };
    tq_str_t          id, name, info;
    tq_queue_stats_t  q;

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
        tq_buf_addf(&b, "dropped  %lld finished jobs before their time, because "
                    "they took too much\n", (long long) s->finished_dropped);
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
        if (tq_stats_queue(reply, i, &q) != 0) {
            goto bad;
        }

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
        if (tq_stats_worker(reply, i, &id, &name, &seen, &info) != 0) {
            goto bad;
        }

        tq_text_add(&b, name.p, name.len);
        tq_buf_addf(&b, "  seen %.1f s ago\n",
                    (double) (s->now_ms - seen) / 1000);
    }

    return tc_print(tc, &b);

bad:

    tq_buf_free(&b);
    return tc_bad_reply(tc);
}


static int
cmd_stats(tc_t *tc, int argc, char **argv)
{
    int                n, code;
    tq_stats_t         stats;
    const redisReply  *reply;

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

    reply = tc_run(tc, tq_stats_call(&tc->ns, NULL, NULL), &code);
    if (reply == NULL) {
        return code;
    }

    if (tq_stats_result(reply, &stats) != 0) {
        return tc_bad_reply(tc);
    }

    return tc->json ? print_json(tc, &stats, reply)
           : print_people(tc, &stats, reply);
}


const tc_command_t  tc_stats_commands[] = {
    { "stats", cmd_stats, "show queues, totals and workers",
      "usage: taskmq stats\n"
      "\n"
      "Prints how many jobs there are in which state, per handler too, the\n"
      "totals since the namespace was made, and the workers seen lately.\n" },
    { NULL, NULL, NULL, NULL }
};
