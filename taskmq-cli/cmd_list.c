/*
 * cmd_list.c: `taskmq list` and `taskmq list-dead`: jobs, newest first.
 */

#include <string.h>

#include "tc.h"

#define LIST_DEFAULT    20
#define LIST_MAX_JOBS   10000000

typedef struct {
    tc_t      *tc;
    tq_list_t  query;
    int64_t    left;         /* jobs still wanted */
    int64_t    shown;
    int        dead;         /* list-dead: shows the error */
    int        running;      /* --status running: since when, and where */
    int        scheduled;    /* --status scheduled: when they are due */
} list_t;


static void
add_error_start(tq_buf_t *b, tq_str_t error)
{
    tq_str_t     line;
    const char  *nl;

    line = error;
    nl = memchr(error.p, '\n', error.len);

    if (nl != NULL) {
        line.len = (size_t) (nl - error.p);
    }

    line.len = tq_text_cut(line.p, line.len, 60);
    tq_text_add(b, line.p, line.len);
}


static void
add_job(list_t *l, tq_buf_t *b, const tq_job_info_t *job)
{
    char  t[TQ_TIME_ISO_LEN + 1];

    if (l->tc->json) {
        if (l->shown != 0) {
            tq_buf_addc(b, ',');
        }
        tq_job_add_json(b, job);
        return;
    }

    if (l->dead) {
        tq_buf_addf(b, "%-10lld %-20s %-24s ", (long long) job->id,
                    job->job.handler, tc_time(job->finished_ms, t));
        if (job->error.len != 0) {
            add_error_start(b, job->error);
        }
        tq_buf_addc(b, '\n');
        return;
    }

    if (l->running) {
        tq_buf_addf(b, "%-10lld %-20s %8d %8d  %-24s ", (long long) job->id,
                    job->job.handler, job->job.priority, job->attempts,
                    tc_time(job->started_ms, t));
        tq_text_add(b, job->worker.p, job->worker.len);
        tq_buf_addc(b, '\n');
        return;
    }

    if (l->scheduled) {
        tq_buf_addf(b, "%-10lld %-20s %8d %8d  %-24s ", (long long) job->id,
                    job->job.handler, job->job.priority, job->attempts,
                    tc_time(job->due_ms, t));
        tq_buf_addf(b, "%s\n", tc_time(job->created_ms, t));
        return;
    }

    tq_buf_addf(b, "%-10lld ", (long long) job->id);
    tc_add_word(b, 10, job->state == TQ_STATE_PENDING && job->due_ms != 0
                       ? "SCHEDULED" : tq_state_name(job->state));
    tq_buf_addf(b, " %-20s %8d %8d  %s\n", job->job.handler,
                job->job.priority, job->attempts, tc_time(job->created_ms, t));
}


/* One page. *more: there may be another. */
static int
list_page(list_t *l, int *more)
{
    int                 code;
    unsigned            i;
    tq_buf_t            b = { 0 };
    tq_job_info_t       job;
    const tq_result_t  *res;

    l->query.limit = l->left > TQ_LIST_MAX ? TQ_LIST_MAX
                     : (unsigned) l->left;

    res = tc_run(l->tc, tq_list_call(&l->tc->ns, &l->query, NULL, NULL),
                 &code);
    if (res == NULL) {
        return code;
    }

    for (i = 0; i < res->page.jobs; i++) {
        tq_list_job(res, i, &job);
        add_job(l, &b, &job);
        l->shown++;
    }

    l->left -= res->page.jobs;
    l->query.before = res->page.cursor;
    *more = l->query.before != 0 && l->left > 0;

    return tc_print(l->tc, &b);
}


static int
list_all(list_t *l)
{
    int  code, more;

    if (l->tc->json) {
        fputs("{\"jobs\":[", stdout);

    } else if (l->dead) {
        printf("%-10s %-20s %-24s %s\n", "ID", "HANDLER", "DIED", "ERROR");

    } else if (l->running) {
        printf("%-10s %-20s %8s %8s  %-24s %s\n", "ID", "HANDLER", "PRIORITY",
               "FAILURES", "SINCE", "WORKER");

    } else if (l->scheduled) {
        printf("%-10s %-20s %8s %8s  %-24s %s\n", "ID", "HANDLER", "PRIORITY",
               "FAILURES", "DUE", "CREATED");

    } else {
        printf("%-10s %-10s %-20s %8s %8s  %s\n", "ID", "STATUS", "HANDLER",
               "PRIORITY", "FAILURES", "CREATED");
    }

    do {
        code = list_page(l, &more);
    } while (code == TC_OK && more);

    if (code != TC_OK) {
        return code;
    }

    if (l->tc->json) {
        fputs("],\"cursor\":", stdout);

        if (l->query.before != 0) {
            printf("%lld}\n", (long long) l->query.before);
        } else {
            fputs("null}\n", stdout);
        }

    } else if (l->query.before != 0) {
        fprintf(stderr, "older ones: --before %lld\n",
                (long long) l->query.before);
    }

    return TC_OK;
}


static int
list_command(tc_t *tc, int argc, char **argv, int dead)
{
    int          n, code;
    list_t       l = { .tc = tc, .left = LIST_DEFAULT, .dead = dead };
    const char  *status = NULL, *handler = NULL;

    const tc_opt_t  opts[] = {
        { "handler", TC_TEXT, &handler, 0, 0 },
        { "limit", TC_NUMBER, &l.left, 1, LIST_MAX_JOBS },
        { "before", TC_NUMBER, &l.query.before, 1, TQ_ID_MAX },
        { dead ? NULL : "status", TC_TEXT, &status, 0, 0 },
        { NULL, TC_FLAG, NULL, 0, 0 }
    };

    n = tc_args(tc, argc, argv, opts);
    if (n < 0) {
        return TC_USAGE;
    }

    if (n > 0) {
        return tc_usage(tc, "unexpected argument \"%s\"", argv[0]);
    }

    if (tc_choice(tc, dead ? "dead" : status, handler, &l.query) != TC_OK) {
        return TC_USAGE;
    }

    l.running = l.query.status == TQ_STATE_RUNNING;
    l.scheduled = l.query.status == TQ_LIST_SCHEDULED;

    code = tc_connect(tc);
    return code == TC_OK ? list_all(&l) : code;
}


static int
cmd_list(tc_t *tc, int argc, char **argv)
{
    return list_command(tc, argc, argv, 0);
}


static int
cmd_list_dead(tc_t *tc, int argc, char **argv)
{
    return list_command(tc, argc, argv, 1);
}


const tc_command_t  tc_list_commands[] = {
    { "list", cmd_list, "list jobs, newest first",
      "usage: taskmq list [--status S] [--handler H] [--limit N] "
      "[--before ID]\n"
      "\n"
      "  --status S   pending (scheduled ones, too), scheduled, running,\n"
      "               success, failed (or dead: the same) or cancelled\n"
      "  --handler H  only this handler's\n"
      "  --limit N    how many; 20 unless given\n"
      "  --before ID  only older ones than this job\n"
      "\n"
      "Of running jobs it shows since when they run, and where; of scheduled\n"
      "ones when they are due.\n"
      "\n"
      "--json prints {\"jobs\":[...],\"cursor\":ID}; the cursor is the next\n"
      "page's --before, null at the end.\n" },
    { "list-dead", cmd_list_dead, "list the dead-letter set, newest first",
      "usage: taskmq list-dead [--handler H] [--limit N] [--before ID]\n"
      "\n"
      "Lists the jobs that failed for good, with the error that ended them.\n"
      "See taskmq list --help for the options.\n" },
    { NULL, NULL, NULL, NULL }
};
