/*
 * cmd_change.c: commands that change jobs: cancel, retry, delete, replay,
 * replay-dead; here for the ids named, in change_many.c for a choice of jobs.
 *
 * Calls are pipelined a page at a time; every job gets a line of its own.
 */

#include <stdlib.h>
#include <string.h>

#include "tc_change.h"

typedef struct {
    tc_change_t    *work;
    int64_t         id;
} one_t;

static const char  *const past[] = {
    "cancelled", "retrying", "deleted", "replayed", "replayed"
};


static const char *
refusal(tc_change_kind_t change, tq_change_t verdict)
{
    if (verdict == TQ_CHANGE_NOT_FOUND) {
        return "Job not found";
    }

    if (verdict == TQ_CHANGE_CONFLICT) {
        return change == TC_CANCEL ? "Job is not pending" : "Job is not failed";
    }

    return "unknown verdict";
}


/* A line of the answer: JSON, or for people (refusals on stderr). */
static void
say(tc_change_t *w, int64_t id, const char *error, int64_t new_id)
{
    cJSON     *doc;
    tq_buf_t  *b = &w->out;

    if (error != NULL && !w->tc->json) {
        fprintf(stderr, "taskmq: job %lld: %s\n", (long long) id, error);
        return;
    }

    if (!w->tc->json) {
        tq_buf_addf(b, "%lld %s", (long long) id, past[w->change]);

        if (new_id != 0) {
            tq_buf_addf(b, " as %lld", (long long) new_id);
        }

        tq_buf_addc(b, '\n');
        return;
    }

    doc = tq_doc_object(
        { "job_id", tq_doc_int(id) },
        { error != NULL ? "error" : "status",
          tq_doc_text(error != NULL ? error : past[w->change]) });

    if (new_id != 0) {
        tq_doc_add(&doc, "new_job_id", tq_doc_int(new_id));
    }

    tc_add_doc(b, doc);
}


static void
changed(void *data, const tq_result_t *res)
{
    one_t        *o = data;
    int64_t       id = o->id;
    tc_change_t  *w = o->work;
    tq_change_t   verdict;

    free(o);

    switch (res->status) {

    case TQ_OK:
        break;

    case TQ_REFUSED:
        if (res->odd) {
            w->refused++;
        } else if (res->half) {
            w->unknown++;
        } else {
            w->lost++;
        }
        say(w, id, res->odd ? TC_ODD : tq_redis_err_text(res->cause), 0);
        return;

    case TQ_NOT_SENT:
        w->lost++;
        say(w, id, "not done: the connection to Redis is gone", 0);
        return;

    case TQ_UNKNOWN:
        w->unknown++;
        say(w, id, "no reply came: the outcome is unknown", 0);
        return;
    }

    verdict = res->change.verdict;

    if (verdict == TQ_CHANGE_OK
        || (verdict == TQ_CHANGE_ALREADY && w->change == TC_CANCEL))
    {
        w->done++;
        say(w, id, NULL, w->change >= TC_REPLAY ? res->change.new_id : 0);
        return;
    }

    if (w->chosen) {
        /* it was one of those when they were listed, and is no more */
        w->gone++;
        return;
    }

    w->refused++;

    if (verdict == TQ_CHANGE_CONFLICT && !w->tc->json
        && w->n_conflicts < TQ_LIST_MAX)
    {
        /* what it is instead is asked when this page is over */
        w->conflicts[w->n_conflicts++] = id;
        return;
    }

    say(w, id, refusal(w->change, verdict), 0);
}


/* Says why a job in this state was refused. */
static void
explain(const tc_change_t *w, int64_t id, tq_state_t state)
{
    const char  *name = tq_state_name(state);

    fprintf(stderr, "taskmq: job %lld ", (long long) id);

    if (w->change != TC_CANCEL) {
        fprintf(stderr, state == TQ_STATE_FAILED
                ? "was not FAILED; it is now\n"
                : state == TQ_STATE_RUNNING || state == TQ_STATE_PENDING
                ? "is %s, not FAILED\n"
                : "is %s, not FAILED; taskmq replay adds a copy\n", name);

    } else if (state == TQ_STATE_RUNNING) {
        fputs("is running; --force stops it\n", stderr);

    } else if (state == TQ_STATE_PENDING) {
        fputs("was running; it is PENDING now\n", stderr);

    } else {
        fprintf(stderr, "has ended (%s)\n", name);
    }
}


static void
explain_conflicts(tc_change_t *w)
{
    int                 code;
    int64_t             id;
    unsigned            i;
    const tq_result_t  *res;

    for (i = 0; i < w->n_conflicts; i++) {
        id = w->conflicts[i];
        res = tc_run(w->tc, tq_get_call(&w->tc->ns, id, NULL, NULL), &code);

        if (res != NULL && res->found) {
            explain(w, id, res->job.state);
        } else {
            say(w, id, refusal(w->change, res != NULL ? TQ_CHANGE_NOT_FOUND
                               : TQ_CHANGE_CONFLICT), 0);
        }
    }

    w->n_conflicts = 0;
}


static tq_call_t *
build(tc_change_t *w, int64_t id, one_t *o)
{
    const tq_ns_t  *ns = &w->tc->ns;

    switch (w->change) {
    case TC_CANCEL:
        return tq_cancel_call(ns, id, w->force, changed, o);
    case TC_RETRY:
        return tq_retry_call(ns, id, changed, o);
    case TC_DELETE:
        return tq_delete_call(ns, id, changed, o);
    default:
        return tq_replay_call(ns, id, w->change == TC_REPLAY_DEAD, changed, o);
    }
}


/* Starts one change. TC_OK, or an exit code after saying why. */
int
tc_change_start(tc_change_t *w, int64_t id)
{
    one_t      *o;
    tq_call_t  *call;

    o = malloc(sizeof(one_t));
    if (o == NULL) {
        return tc_error(w->tc, TC_FAILED, "out of memory");
    }

    o->work = w;
    o->id = id;

    call = build(w, id, o);
    if (call == NULL) {
        free(o);
        return tc_error(w->tc, TC_FAILED, "out of memory");
    }

    if (tq_sync_start(w->tc->redis, call) != 0) {
        free(o);
        return tc_error(w->tc, TC_UNAVAILABLE, "job %lld: %s",
                        (long long) id, tq_sync_why(w->tc->redis));
    }

    return TC_OK;
}


/* Waits for what was started and prints it. */
int
tc_change_land(tc_change_t *w)
{
    int  code;

    (void) tq_sync_wait_all(w->tc->redis);

    code = tc_print(w->tc, &w->out);
    memset(&w->out, 0, sizeof(w->out));

    explain_conflicts(w);

    if (code != TC_OK) {
        return code;
    }

    if (w->unknown != 0) {
        return TC_UNKNOWN;
    }

    if (w->lost != 0) {
        return TC_UNAVAILABLE;
    }

    return TC_OK;
}


int
tc_change_ids(tc_change_t *w, int n, char **argv)
{
    int       i, code;
    int64_t   id;

    /* All are checked before the first is touched. */
    for (i = 0; i < n; i++) {
        if (tc_id(w->tc, argv[i], &id) != 0) {
            return TC_USAGE;
        }
    }

    code = tc_connect(w->tc);

    for (i = 0; i < n && code == TC_OK; i++) {
        code = tc_id_find(w->tc, argv[i], &id);
    }

    for (i = 0; i < n && code == TC_OK; i++) {
        (void) tc_id_find(w->tc, argv[i], &id);
        code = tc_change_start(w, id);

        if (code == TC_OK && (i % TQ_LIST_MAX == TQ_LIST_MAX - 1)) {
            code = tc_change_land(w);
        }
    }

    if (w->tc->redis != NULL) {
        i = tc_change_land(w);
        code = (code == TC_OK) ? i : code;
    }

    if (code == TC_OK && w->refused != 0) {
        code = TC_FAILED;
    }

    return code;
}


static int
cmd_cancel(tc_t *tc, int argc, char **argv)
{
    return tc_change(tc, argc, argv, TC_CANCEL);
}


static int
cmd_retry(tc_t *tc, int argc, char **argv)
{
    return tc_change(tc, argc, argv, TC_RETRY);
}


static int
cmd_delete(tc_t *tc, int argc, char **argv)
{
    return tc_change(tc, argc, argv, TC_DELETE);
}


static int
cmd_replay(tc_t *tc, int argc, char **argv)
{
    return tc_change(tc, argc, argv, TC_REPLAY);
}


static int
cmd_replay_dead(tc_t *tc, int argc, char **argv)
{
    return tc_change(tc, argc, argv, TC_REPLAY_DEAD);
}


#define CHOICE                                                                \
    "  --handler H   only this handler's\n"                                    \
    "  --error TEXT  only those whose error has this text in it\n"             \
    "  --older TIME  only those added longer ago than 90, 10m, 24h, 7d\n"      \
    "  --dry-run     only say which\n"

const tc_command_t  tc_change_commands[] = {
    { "cancel", cmd_cancel, "cancel waiting jobs, --force running ones",
      "usage: taskmq cancel [--force] ID ...\n"
      "       taskmq cancel [--force] [--status S] [--handler H] "
      "[--error TEXT]\n"
      "                     [--older TIME] [--dry-run]\n"
      "\n"
      "Cancels jobs that wait; a periodic one ends after the run it is in.\n"
      "Cancelling a cancelled job again is fine. The second form takes all\n"
      "jobs that match.\n"
      "\n"
      "  --force       running jobs too: their handlers are stopped\n"
      "  --status S    pending (scheduled ones, too), scheduled, or with\n"
      "                --force running\n"
      CHOICE },
    { "retry", cmd_retry, "run failed jobs again",
      "usage: taskmq retry ID ...\n"
      "       taskmq retry [--status dead] [--handler H] [--error TEXT]\n"
      "                    [--older TIME] [--dry-run]\n"
      "\n"
      "Takes failed jobs out of the dead-letter set and runs them again, with\n"
      "a new retry budget. The second form takes all that match.\n"
      "\n"
      "  --status S    dead (or failed: the same): all of them\n"
      CHOICE },
    { "delete", cmd_delete, "remove jobs, with their results and logs",
      "usage: taskmq delete ID ...\n"
      "       taskmq delete [--status S] [--handler H] [--error TEXT]\n"
      "                     [--older TIME] [--dry-run]\n"
      "\n"
      "Removes jobs in any state. A running one's handler is stopped and its\n"
      "result dropped. The second form takes all jobs that match when they\n"
      "are listed, a hundred at a time.\n"
      "\n"
      "  --status S    pending (scheduled ones, too), scheduled, running,\n"
      "                success, failed (or dead: the same) or cancelled\n"
      CHOICE },
    { "replay", cmd_replay, "add copies of jobs as new jobs",
      "usage: taskmq replay ID ...\n"
      "       taskmq replay [--status S] [--handler H] [--error TEXT]\n"
      "                     [--older TIME] [--dry-run]\n"
      "\n"
      "Adds a new job for each of the jobs, in any state; the old ones stay.\n"
      "The second form takes all jobs that match.\n"
      "\n"
      "  --status S    pending (scheduled ones, too), scheduled, running,\n"
      "                success, failed (or dead: the same) or cancelled\n"
      CHOICE },
    { "replay-dead", cmd_replay_dead, "add copies of dead jobs as new jobs",
      "usage: taskmq replay-dead ID ...\n"
      "       taskmq replay-dead --all | [--handler H] [--error TEXT]\n"
      "                          [--older TIME] [--dry-run]\n"
      "\n"
      "Adds a new job for each of the jobs in the dead-letter set; they stay\n"
      "there. (taskmq retry runs the same job again instead.)\n"
      "\n"
      "  --all         all dead jobs\n"
      CHOICE },
    { NULL, NULL, NULL, NULL }
};
