/*
 * change_many.c: the same change for all jobs that match: pages of the list,
 * newest first, and the changes of a page are over before the next is read.
 */

#include <string.h>

#include "tc_change.h"

typedef struct {
    tc_change_t   *work;
    tq_list_t      query;
    const char    *status, *handler, *error;
    int64_t        older_s;      /* -1: of any age */
    int64_t        until_ms;     /* … that is: created by then */
    int            all;          /* replay-dead */
    int            dry;          /* --dry-run */
    int64_t        ids[TQ_LIST_MAX];     /* of this page */
    unsigned       n;
    int64_t        top;          /* the first id that was walked */
} many_t;


static int
matches(const many_t *m, const tq_job_info_t *job)
{
    if (m->work->change == TC_CANCEL && job->state != TQ_STATE_PENDING
        && job->state != TQ_STATE_RUNNING)
    {
        return 0;
    }

    if (m->older_s >= 0 && job->created_ms > m->until_ms) {
        return 0;
    }

    return m->error == NULL
           || (job->error.len != 0
               && memmem(job->error.p, job->error.len, m->error,
                         strlen(m->error)) != NULL);
}


/* The ids of one page that match. */
static int
read_page(many_t *m)
{
    int                 code;
    tc_t               *tc = m->work->tc;
    unsigned            i;
    tq_job_info_t       job;
    const tq_result_t  *res;

    m->n = 0;

    res = tc_run(tc, tq_list_call(&tc->ns, &m->query, NULL, NULL), &code);
    if (res == NULL) {
        return code;
    }

    m->query.before = res->page.cursor;

    for (i = 0; i < res->page.jobs; i++) {
        tq_list_job(res, i, &job);

        /* the list is walked from the newest id down */
        if (m->top == 0) {
            m->top = job.id;
        }

        if (matches(m, &job)) {
            m->ids[m->n++] = job.id;
        }
    }

    return TC_OK;
}


/* "jobs deleted". */
static const char *
jobs_done(const many_t *m)
{
    static const char  *const texts[] = {
        "jobs cancelled", "jobs retried", "jobs deleted", "jobs replayed",
        "jobs replayed"
    };

    return texts[m->work->change];
}


static int
say_dry(many_t *m)
{
    tc_t        *tc = m->work->tc;
    char         would[32];
    tq_buf_t     b = { 0 };
    unsigned     i;

    snprintf(would, sizeof(would), "would be %s",
             jobs_done(m) + sizeof("jobs ") - 1);

    for (i = 0; i < m->n; i++) {
        if (tc->json) {
            tc_add_doc(&b, tq_doc_object({ "job_id", tq_doc_int(m->ids[i]) },
                                         { "status", tq_doc_text(would) }));
        } else {
            tq_buf_addf(&b, "%lld %s\n", (long long) m->ids[i], would);
        }
    }

    m->work->done += m->n;

    return tc_print(tc, &b);
}


/* Copies get ids above all that are walked, so none is met again. */
static int
walk(many_t *m)
{
    int             code;
    unsigned        i;
    tc_change_t    *w = m->work;
    tc_progress_t   bar;

    tc_progress_start(w->tc, &bar, 0);

    do {
        code = read_page(m);

        if (code == TC_OK && m->dry) {
            code = say_dry(m);

        } else if (code == TC_OK) {
            for (i = 0; code == TC_OK && i < m->n; i++) {
                code = tc_change_start(w, m->ids[i]);
            }

            if (code == TC_OK) {
                code = tc_change_land(w);
            }
        }

        if (m->top == 0) {
            m->top = m->query.before;
        }

        bar.total = m->top;
        tc_progress(&bar, bar.total - m->query.before, jobs_done(m),
                    w->done);

    } while (code == TC_OK && m->query.before != 0 && !tc_stop_asked());

    tc_progress_end(&bar);

    if (code == TC_OK && tc_stop_asked()) {
        code = tc_error(w->tc, 128 + tc_stop_asked(), "stopped by signal %d "
                        "(%s): jobs below %lld were not looked at",
                        tc_stop_asked(), strsignal(tc_stop_asked()),
                        (long long) m->query.before);
    }

    if (!w->tc->json) {
        fprintf(stderr, "jobs %s%s: %lld\n", m->dry ? "that would be " : "",
                jobs_done(m) + sizeof("jobs ") - 1, (long long) w->done);

        if (w->gone != 0) {
            fprintf(stderr, "jobs that changed meanwhile and were left: "
                    "%lld\n", (long long) w->gone);
        }
    }

    return (code == TC_OK && w->refused != 0) ? TC_FAILED : code;
}


/* What status a change can have to do with. */
static int
check_status(many_t *m)
{
    int    status;
    tc_t  *tc = m->work->tc;

    if (tc_choice(tc, m->status, m->handler, &m->query) != TC_OK) {
        return TC_USAGE;
    }

    status = m->query.status;

    switch (m->work->change) {

    case TC_RETRY:
    case TC_REPLAY_DEAD:
        if (status != -1 && status != TQ_STATE_FAILED) {
            return tc_usage(tc, "only dead jobs can be retried, not \"%s\" "
                            "ones", m->status);
        }

        m->query.status = TQ_STATE_FAILED;
        break;

    case TC_CANCEL:
        if (status == TQ_STATE_RUNNING && !m->work->force) {
            return tc_usage(tc, "running jobs are stopped with --force only");
        }

        if (status != -1 && status != TQ_STATE_PENDING
            && status != TQ_LIST_SCHEDULED && status != TQ_STATE_RUNNING)
        {
            return tc_usage(tc, "only pending, scheduled and running jobs can "
                            "be cancelled, not \"%s\" ones", m->status);
        }

        if (status == -1 && !m->work->force) {
            m->query.status = TQ_STATE_PENDING;
        }
        break;

    default:
        break;
    }

    return TC_OK;
}


/* Ages count from Redis' clock, as everything there does. */
static int
resolve_older(many_t *m)
{
    int                 code;
    tc_t               *tc = m->work->tc;
    const tq_result_t  *res;

    if (m->older_s < 0) {
        return TC_OK;
    }

    res = tc_run(tc, tq_stats_call(&tc->ns, NULL, NULL), &code);
    if (res == NULL) {
        return code;
    }

    m->until_ms = res->stats.now_ms - m->older_s * 1000;

    return TC_OK;
}


static int
change_chosen(many_t *m)
{
    int  code;

    code = check_status(m);

    if (code == TC_OK) {
        code = tc_connect(m->work->tc);
    }

    if (code == TC_OK) {
        code = resolve_older(m);
    }

    if (code != TC_OK) {
        return code;
    }

    m->work->chosen = 1;
    tc_stop_watch();

    return walk(m);
}


int
tc_change(tc_t *tc, int argc, char **argv, tc_change_kind_t change)
{
    int          n, chosen;
    tc_change_t  w = { .tc = tc, .change = change };
    many_t       m = { .work = &w, .query = { .limit = TQ_LIST_MAX },
                       .older_s = -1 };

    const tc_opt_t  opts[] = {
        { "handler", TC_TEXT, &m.handler, 0, 0 },
        { "error", TC_TEXT, &m.error, 0, 0 },
        { "older", TC_SECONDS, &m.older_s, 0, 100LL * 365 * 86400 },
        { "dry-run", TC_FLAG, &m.dry, 0, 0 },
        { change == TC_REPLAY_DEAD ? "all" : "status",
          change == TC_REPLAY_DEAD ? TC_FLAG : TC_TEXT,
          change == TC_REPLAY_DEAD ? (void *) &m.all : (void *) &m.status,
          0, 0 },
        { change == TC_CANCEL ? "force" : NULL, TC_FLAG, &w.force, 0, 0 },
        { NULL, TC_FLAG, NULL, 0, 0 }
    };

    n = tc_args(tc, argc, argv, opts);
    if (n < 0) {
        return TC_USAGE;
    }

    chosen = m.status != NULL || m.handler != NULL || m.error != NULL
             || m.older_s >= 0 || m.all;

    if (n > 0 && (chosen || m.dry)) {
        return tc_usage(tc, "either job ids or a choice of jobs, not both");
    }

    if (chosen) {
        return change_chosen(&m);
    }

    return n > 0 ? tc_change_ids(&w, n, argv)
           : tc_usage(tc, "which job ids? (or a choice of jobs: --handler, "
                      "...)");
}
