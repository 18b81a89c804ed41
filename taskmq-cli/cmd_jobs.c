/*
 * cmd_jobs.c: commands that read one job: get-job, inspect, logs.
 */

#include <stdarg.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tc.h"

#define POLL_MIN_MS  20
#define POLL_MAX_MS  500


/* The one argument of such a command, a job; opens the connection. TC_OK, or
 * an exit code after saying why. */
static int
only_id(tc_t *tc, int n, char **argv, int64_t *id)
{
    int  code;

    if (n != 1) {
        return n < 0 ? TC_USAGE
               : tc_usage(tc, "%s", n == 0 ? "which job id?"
                          : "one job id at a time");
    }

    if (tc_id(tc, argv[0], id) != 0) {
        return TC_USAGE;
    }

    code = tc_connect(tc);

    return code == TC_OK ? tc_id_find(tc, argv[0], id) : code;
}


static int
no_such_job(tc_t *tc, int64_t id)
{
    return tc_error(tc, TC_FAILED, "there is no job %lld", (long long) id);
}


static int
fetch(tc_t *tc, int64_t id, tq_job_info_t *job)
{
    int                 code;
    const tq_result_t  *res;

    res = tc_run(tc, tq_get_call(&tc->ns, id, NULL, NULL), &code);
    if (res == NULL) {
        return code;
    }

    if (!res->found) {
        return no_such_job(tc, id);
    }

    *job = res->job;

    return TC_OK;
}


static int
is_over(const tq_job_info_t *job)
{
    return job->state != TQ_STATE_PENDING && job->state != TQ_STATE_RUNNING;
}


/* Fetches until the job has ended or the time is over. */
static int
wait_for_end(tc_t *tc, int64_t id, int64_t wait_s, tq_job_info_t *job)
{
    int              code;
    int64_t          end, pause_ms;
    struct timespec  ts;

    end = tc_now_ms() + wait_s * 1000;
    pause_ms = POLL_MIN_MS;

    for ( ;; ) {
        code = fetch(tc, id, job);
        if (code != TC_OK || is_over(job)) {
            return code;
        }

        if (tc_now_ms() >= end) {
            return tc_error(tc, TC_FAILED, "job %lld is still %s after %lld "
                            "s", (long long) id, tq_state_name(job->state),
                            (long long) wait_s);
        }

        ts.tv_sec = 0;
        ts.tv_nsec = (long) pause_ms * 1000000;
        nanosleep(&ts, NULL);

        pause_ms = (pause_ms * 3 / 2 > POLL_MAX_MS) ? POLL_MAX_MS
                   : pause_ms * 3 / 2;
    }
}


static int
cmd_get_job(tc_t *tc, int argc, char **argv)
{
    int            code, wait;
    int64_t        id, wait_s;
    tq_buf_t       out = { 0 };
    tq_job_info_t  job;

    wait = 0;
    wait_s = -1;

    const tc_opt_t  opts[] = {
        { "wait", TC_FLAG, &wait, 0, 0 },
        { "timeout", TC_SECONDS, &wait_s, 0, TQ_TIMEOUT_MAX_S },
        { NULL, TC_FLAG, NULL, 0, 0 }
    };

    code = only_id(tc, tc_args(tc, argc, argv, opts), argv, &id);
    if (code != TC_OK) {
        return code;
    }

    if (!wait && wait_s >= 0) {
        return tc_usage(tc, "--timeout needs --wait");
    }

    code = wait ? wait_for_end(tc, id, wait_s < 0 ? TQ_TIMEOUT_MAX_S : wait_s,
                               &job)
           : fetch(tc, id, &job);
    if (code != TC_OK) {
        return code;
    }

    tq_job_add_json(&out, &job);
    code = tc_print_json(tc, &out);

    if (code == TC_OK && wait && job.state != TQ_STATE_SUCCESS) {
        return TC_FAILED;
    }

    return code;
}


static void
row(tq_buf_t *b, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void
row(tq_buf_t *b, const char *name, const char *fmt, ...)
{
    char     text[256];
    va_list  args;

    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);

    tq_buf_addf(b, "%-12s %s\n", name, text);
}


static void
row_text(tq_buf_t *b, const char *name, tq_str_t s)
{
    tq_buf_addf(b, "%-12s ", name);

    if (s.len == 0) {
        tq_buf_addc(b, '-');
    } else {
        tq_text_add(b, s.p, s.len);
    }

    tq_buf_addc(b, '\n');
}


static const char *
policy_name(char policy)
{
    return policy == 'e' ? "exponential" : policy == 'n' ? "none" : "fixed";
}


/* What the namespace's settings allow a job without a number of its own. */
typedef struct {
    int64_t  taskmq, taskdaemon;         /* retries; -1: not known */
} budget_t;


static int
read_budget(tc_t *tc, budget_t *budget)
{
    int                 code;
    unsigned            i;
    int64_t            *dst;
    tq_str_t            name, value;
    const tq_result_t  *res;

    budget->taskmq = budget->taskdaemon = -1;

    res = tc_run(tc, tq_config_get_call(&tc->ns, NULL, NULL), &code);
    if (res == NULL) {
        return code;
    }

    for (i = 0; tq_config_pair(res, i, &name, &value); i++) {
        dst = tq_str_eq(name, "max_retries") ? &budget->taskmq
              : tq_str_eq(name, "daemon_max_retries") ? &budget->taskdaemon
              : NULL;

        if (dst != NULL && value.len != 0 && value.len < 10) {
            for (*dst = 0; value.len != 0; value.p++, value.len--) {
                *dst = *dst * 10 + (*value.p - '0');
            }
        }
    }

    return TC_OK;
}


static void
row_failures(tq_buf_t *b, const tq_job_info_t *job, const budget_t *budget)
{
    int64_t      max = job->job.max_retries;
    const char  *policy = policy_name(job->job.policy);

    if (max < 0) {
        max = job->job.api == TQ_API_TASKDAEMON ? budget->taskdaemon
              : budget->taskmq;
    }

    if (job->job.policy == 'n' || max == 0) {
        row(b, "failures", "%d (no retries)", job->attempts);

    } else if (max < 0) {
        row(b, "failures", "%d (retries: the namespace's setting, %s)",
            job->attempts, policy);

    } else {
        row(b, "failures", "%d (at most %lld %s, %s)", job->attempts,
            (long long) max, max == 1 ? "retry" : "retries", policy);
    }
}


static void
inspect(tq_buf_t *b, const tq_job_info_t *job, const char *task,
    const budget_t *budget)
{
    char  t[TQ_TIME_ISO_LEN + 1];

    row(b, "job", "%lld", (long long) job->id);
    row(b, "task id", "%s", task[0] != '\0' ? task : "-");
    tq_buf_addf(b, "%-12s ", "state");
    tc_add_word(b, 0, tq_state_name(job->state));
    tq_buf_adds(b, job->state == TQ_STATE_PENDING && job->due_ms != 0
                ? " (scheduled)\n" : "\n");
    row(b, "handler", "%s", job->job.handler);
    row(b, "priority", "%d", job->job.priority);
    row(b, "api", "%s", job->job.api == TQ_API_TASKDAEMON ? "taskdaemon"
        : "taskmq");

    row_failures(b, job, budget);
    row(b, "crashes", "%d of %d", job->crashes, TQ_CRASHES_MAX);

    if (job->job.interval_s != 0) {
        row(b, "interval", "%lld s, %lld runs finished",
            (long long) job->job.interval_s, (long long) job->runs);
    }

    if (job->job.timeout_s != 0) {
        row(b, "timeout", "%lld s", (long long) job->job.timeout_s);
    }

    if (job->job.retention_s != 0) {
        row(b, "retention", "%lld s", (long long) job->job.retention_s);
    }

    row(b, "created", "%s", tc_time(job->created_ms, t));
    row(b, "due", "%s", tc_time(job->due_ms, t));
    row(b, "started", "%s", tc_time(job->started_ms, t));
    row(b, "finished", "%s", tc_time(job->finished_ms, t));

    row_text(b, "worker", job->worker);
    row_text(b, "payload", job->job.payload);
    row_text(b, "result", job->result);
    row_text(b, "error", job->error);
}


static int
cmd_inspect(tc_t *tc, int argc, char **argv)
{
    int            code;
    char           task[TQ_UUID_LEN + 1];
    int64_t        id;
    budget_t       budget;
    tq_buf_t       out = { 0 };
    tq_job_info_t  job;

    code = only_id(tc, tc_args(tc, argc, argv, NULL), argv, &id);
    if (code == TC_OK && !tc->json) {
        code = tc_task_id(tc, id, task);
    }

    if (code == TC_OK && !tc->json) {
        code = read_budget(tc, &budget);
    }

    if (code == TC_OK) {
        code = fetch(tc, id, &job);
    }

    if (code != TC_OK) {
        return code;
    }

    if (tc->json) {
        tq_job_add_json(&out, &job);
        return tc_print_json(tc, &out);
    }

    inspect(&out, &job, task, &budget);
    return tc_print(tc, &out);
}


/* The length of a colour (ESC [ 1 ; 31 m) at the start of s, 0: none. */
static size_t
colour_len(tq_str_t s)
{
    size_t  n;

    if (s.len < 3 || s.p[0] != '\x1b' || s.p[1] != '[') {
        return 0;
    }

    for (n = 2; n < s.len && ((s.p[n] >= '0' && s.p[n] <= '9')
                              || s.p[n] == ';' || s.p[n] == ':'); n++)
    {
        /* void */
    }

    return n < s.len && s.p[n] == 'm' ? n + 1 : 0;
}


/* What a handler wrote may be what somebody sent it: to a terminal go its
 * lines and colours, and nothing else that a terminal obeys. */
static void
add_coloured(tq_buf_t *b, tq_str_t log)
{
    size_t       n;
    const char  *esc;

    while (log.len != 0) {
        n = colour_len(log);

        if (n != 0) {
            tq_buf_add(b, log.p, n);

        } else {
            esc = log.len > 1 ? memchr(log.p + 1, '\x1b', log.len - 1) : NULL;
            n = esc != NULL ? (size_t) (esc - log.p) : log.len;
            tq_text_add_lines(b, log.p, n);
        }

        log.p += n;
        log.len -= n;
    }

    tq_buf_adds(b, "\x1b[m");
}


static int
cmd_logs(tc_t *tc, int argc, char **argv)
{
    int                 code;
    int64_t             id;
    tq_str_t            log;
    tq_buf_t            out = { 0 };
    const tq_result_t  *res;

    code = only_id(tc, tc_args(tc, argc, argv, NULL), argv, &id);
    if (code != TC_OK) {
        return code;
    }

    res = tc_run(tc, tq_logs_call(&tc->ns, id, NULL, NULL), &code);
    if (res == NULL) {
        return code;
    }

    if (!res->found) {
        return no_such_job(tc, id);
    }

    log = res->log;

    if (tc->json) {
        tc_add_doc(&out, tq_doc_object({ "id", tq_doc_int(id) },
                                       { "log", tq_doc_str(log) }));
        return tc_print(tc, &out);
    }

    if (log.len == 0) {
        fprintf(stderr, "taskmq: job %lld: no log (it is stored when a run "
                "ends)\n", (long long) id);
    }

    if (isatty(STDOUT_FILENO)) {
        add_coloured(&out, log);
    } else {
        tq_buf_add(&out, log.p, log.len);
    }

    if (log.len != 0 && log.p[log.len - 1] != '\n') {
        tq_buf_addc(&out, '\n');
    }

    return tc_print(tc, &out);
}


const tc_command_t  tc_jobs_commands[] = {
    { "get-job", cmd_get_job, "show a job as JSON, --wait for its end",
      "usage: taskmq get-job [--wait [--timeout TIME]] ID\n"
      "\n"
      "Prints the job as GET /job/{id} does; payload and result are the bytes\n"
      "that were sent. In a terminal it is indented. ID is a job id, or the\n"
      "task id that the TaskDaemon API and handlers know the job by, here as\n"
      "in all commands.\n"
      "\n"
      "  --wait          until the job has ended; the exit status is then 0\n"
      "                  only for SUCCESS\n"
      "  --timeout TIME  with --wait: give up after this long, status 1\n" },
    { "inspect", cmd_inspect, "show all that is known of a job",
      "usage: taskmq inspect ID\n"
      "\n"
      "Prints everything known of a job, one line each. --json is that of\n"
      "get-job.\n" },
    { "logs", cmd_logs, "show what a job's handler wrote to stderr",
      "usage: taskmq logs ID\n"
      "\n"
      "Prints the last part of what the handler wrote to stderr in the job's\n"
      "last run. A terminal gets its lines and colours, other control\n"
      "characters as \\x1b; a file or pipe gets the handler's own bytes.\n" },
    { NULL, NULL, NULL, NULL }
};
