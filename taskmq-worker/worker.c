/*
 * worker.c: the worker's life: start, the turn of the loop, signals, draining
 * and leaving. See worker.h for the map.
 */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "worker.h"

#define LEAVE_MS    1000      /* for the goodbye */
#define REFUSED_MS  3000      /* after the grace time, for what Redis refuses */

static void
set_phase(tw_worker_t *w, tw_phase_t to)
{
    static const char  *names[] = { "starting", "running", "draining",
                                    "stopping", "leaving", "closed" };

    if (to > w->run.phase) {
        w->run.phase = to;
        TW_LOG(TW_INFO, names[to], tw_fi("running_jobs", w->run.busy));
        tw_notify_status(names[to]);
    }
}

/* ---- what the queue tells ---- */

static void
on_connected(void *data)
{
    tw_worker_t  *w = data;

    tw_notify_status("running");
    if (w->run.phase == TW_STARTING) {
        set_phase(w, TW_RUNNING);
    }
}

/* Ends with exit code 1: it cannot do its work. */
static void
on_hopeless(void *data)
{
    tw_worker_t  *w = data;

    w->exit_code = 1;
    tw_stop(w, 1);
}

static void on_leave_timeout(uv_timer_t *t);

static void
on_gone(void *data)
{
    tw_worker_t  *w = data;

    /* not from inside the connection's callback */
    (void) uv_timer_start(&w->grace, on_leave_timeout, 0, 0);
}

static const tw_queue_events_t  queue_events = {
    .connected = on_connected,
    .hopeless = on_hopeless,
    .gone = on_gone,
};

/* ---- the end ---- */

static void
on_abandon(uv_timer_t *t)
{
    tw_worker_t  *w = t->data;

    w->abandoned = 1;
    TW_LOG(TW_WARN, "leaving while a name or a file is being looked up");
    uv_stop(&w->loop);
}

/* Whoever asks once more, of a worker that is on its way out, has no effect on
 * its exit status. So the handles stay: libuv gives a signal back its default,
 * which is the end, before anything else could be said of it. */
static void
ignore_signals(tw_worker_t *w)
{
    (void) signal(SIGTERM, SIG_IGN);
    (void) signal(SIGINT, SIG_IGN);
    (void) signal(SIGHUP, SIG_IGN);

    uv_unref((uv_handle_t *) &w->term);
    uv_unref((uv_handle_t *) &w->intr);
    uv_unref((uv_handle_t *) &w->hup);
}

static void
close_all(tw_worker_t *w)
{
    if (w->run.phase == TW_CLOSED) {
        return;
    }

    set_phase(w, TW_CLOSED);
    tw_health_close();

    /* first the calls: their callbacks still find the pools */
    tw_queue_close(&w->queue);
    tw_pools_close(&w->run);
    tw_http_close();
    tw_children_close();
    uv_close((uv_handle_t *) &w->prepare, NULL);
    uv_close((uv_handle_t *) &w->check, NULL);
    uv_close((uv_handle_t *) &w->watchdog, NULL);
    ignore_signals(w);

    /* not waited for, but it ends the wait for a thread (DNS, a file) */
    (void) uv_timer_start(&w->grace, on_abandon, LEAVE_MS, 0);
    uv_unref((uv_handle_t *) &w->grace);
}

static void
on_leave_timeout(uv_timer_t *t)
{
    close_all(t->data);
}

/* Everything is done, or given up: says goodbye and goes. */
static void
leave(tw_worker_t *w)
{
    unsigned  n = tw_queue_outcomes(&w->queue);

    if (n != 0) {
        TW_LOG(TW_ERROR, "leaving with outcomes that Redis does not know; "
            "these jobs will run again", tw_fi("jobs", n));
    }

    set_phase(w, TW_LEAVING);
    (void) uv_timer_start(&w->grace, on_leave_timeout, LEAVE_MS, 0);

    if (tw_queue_is_ready(&w->queue)) {
        tw_queue_goodbye(&w->queue);
    } else {
        (void) uv_timer_start(&w->grace, on_leave_timeout, 0, 0);
    }
}

static void
on_refused(uv_timer_t *t)
{
    leave(t->data);
}

/* Children that have nothing to do see the end of their input. */
static void
check_stop(tw_worker_t *w)
{
    if (w->run.phase == TW_DRAINING && w->run.busy == 0) {
        tw_pools_stop(&w->run, TW_STOP_EOF);
        if (tw_children_count() == 0 && tw_queue_outcomes(&w->queue) == 0) {
            leave(w);
        }

    } else if (w->run.phase == TW_STOPPING && w->run.busy == 0) {
        tw_pools_stop(&w->run, TW_STOP_KILL);
        if (tw_children_count() != 0) {
            return;
        }

        if (tw_queue_outcomes(&w->queue) == 0
            || !tw_queue_is_ready(&w->queue))
        {
            leave(w);
        } else if (!uv_is_active((uv_handle_t *) &w->grace)) {
            (void) uv_timer_start(&w->grace, on_refused, REFUSED_MS, 0);
        }
    }
}

static void
on_grace(uv_timer_t *t)
{
    tw_worker_t  *w = t->data;

    TW_LOG(TW_WARN, "grace time is over, running jobs are given back",
        tw_fi("running_jobs", w->run.busy));
    set_phase(w, TW_STOPPING);
    tw_slots_abort(&w->run, 0);
}

void
tw_stop(tw_worker_t *w, int now)
{
    if (w->run.phase >= TW_LEAVING) {
        return;
    }

    tw_notify_stopping();

    if (now || w->run.phase >= TW_DRAINING) {
        if (w->run.phase != TW_STOPPING) {
            (void) uv_timer_stop(&w->grace);
        }
        set_phase(w, TW_STOPPING);
        tw_slots_abort(&w->run, 1);
        return;
    }

    set_phase(w, TW_DRAINING);
    TQ_FAIL("draining");
    tw_slots_give_back(&w->run);
    (void) uv_timer_start(&w->grace, on_grace, (uint64_t) w->o->grace_ms, 0);
}

static void
on_signal(uv_signal_t *s, int signum)
{
    tw_worker_t  *w = s->data;

    if (w->run.phase == TW_CLOSED) {
        return;
    }

    TW_LOG(TW_INFO, "signal", tw_fs("signal", strsignal(signum)));

    if (signum == SIGHUP) {
        tw_reload(w);
    } else {
        tw_stop(w, 0);
    }
}

/* Only while the loop turns and claiming works: systemd restarts the rest. */
static void
on_watchdog(uv_timer_t *t)
{
    tw_worker_t  *w = t->data;

    if (!tw_queue_is_stuck(&w->queue)) {
        tw_notify_watchdog();
    }
}

/* ---- the turn ---- */

static void
turn(tw_worker_t *w)
{
    if (w->run.phase == TW_CLOSED) {
        return;
    }

    tw_reload_turn(w);
    tw_pools_turn(&w->run);
    tw_queue_turn(&w->queue);
    check_stop(w);

    tw_queue_flush(&w->queue);
}

static void
on_prepare(uv_prepare_t *h)
{
    turn(h->data);
}

static void
on_check(uv_check_t *h)
{
    turn(h->data);
}

/* ---- the start ---- */

static int
start_signals(tw_worker_t *w)
{
    (void) signal(SIGPIPE, SIG_IGN);

    if (uv_signal_init(&w->loop, &w->term) != 0
        || uv_signal_init(&w->loop, &w->intr) != 0
        || uv_signal_init(&w->loop, &w->hup) != 0
        || uv_signal_start(&w->term, on_signal, SIGTERM) != 0
        || uv_signal_start(&w->intr, on_signal, SIGINT) != 0
        || uv_signal_start(&w->hup, on_signal, SIGHUP) != 0)
    {
        return -1;
    }

    w->term.data = w;
    w->intr.data = w;
    w->hup.data = w;

    return tw_children_init(&w->loop);
}

static int
start_loop(tw_worker_t *w)
{
    if (uv_loop_init(&w->loop) != 0
        || uv_prepare_init(&w->loop, &w->prepare) != 0
        || uv_check_init(&w->loop, &w->check) != 0
        || uv_timer_init(&w->loop, &w->grace) != 0
        || uv_timer_init(&w->loop, &w->watchdog) != 0)
    {
        return -1;
    }

    w->prepare.data = w;
    w->check.data = w;
    w->grace.data = w;
    w->watchdog.data = w;
    (void) uv_prepare_start(&w->prepare, on_prepare);
    (void) uv_check_start(&w->check, on_check);

    return start_signals(w);
}

static int
start_pools(tw_worker_t *w)
{
    unsigned  i;

    tw_launch_limits(&w->conf);
    tw_fence_start(&w->loop);
    tw_container_sweep(&w->loop, &w->conf);

    for (i = 0; i < w->conf.n; i++) {
        if (tw_pools_add(&w->run, w->conf.h[i]) != 0) {
            return -1;
        }
        w->conf.h[i] = NULL;
    }

    return 0;
}

static void
start_watchdog(tw_worker_t *w)
{
    uint64_t  ms = (uint64_t) tw_notify_watchdog_ms();

    if (ms != 0) {
        (void) uv_timer_start(&w->watchdog, on_watchdog, ms, ms);
    }

    tw_notify_ready();
}

static int
start(tw_worker_t *w)
{
    if (start_loop(w) != 0 || tw_run_init(&w->run, &w->loop, w->o) != 0
        || tw_queue_init(&w->queue, &w->run, &queue_events, w) != 0
        || (w->o->listen != NULL
            && tw_health_listen(&w->queue, w->o->listen) != 0)
        || start_pools(w) != 0)
    {
        return -1;
    }

    start_watchdog(w);

    TW_LOG(TW_INFO, "worker starts", tw_fs("name", w->queue.name),
        tw_fs("id", w->queue.id), tw_fs("namespace", w->o->ns),
        tw_fi("handlers", w->run.npools), tw_fi("concurrency",
        w->o->concurrency), tw_fi("lease_ms", w->o->lease_ms));

    return 0;
}

int
tw_work(tw_options_t *o, tw_conf_t *conf)
{
    int                 code;
    static tw_worker_t  worker;
    tw_worker_t        *w = &worker;
    const tw_counts_t  *n = &w->run.counts;

    w->o = o;
    w->conf = *conf;
    memset(conf, 0, sizeof(*conf));

    if (start(w) != 0) {
        /* no job was claimed: the process ends, nothing to save */
        TW_LOG(TW_ERROR, "cannot start");
        return 1;
    }

    (void) uv_run(&w->loop, UV_RUN_DEFAULT);

    code = w->exit_code;
    TW_LOG(TW_INFO, "ended", tw_fi("claimed", (int64_t) n->claimed),
        tw_fi("succeeded", (int64_t) n->succeeded),
        tw_fi("failed", (int64_t) n->failed),
        tw_fi("given_back", (int64_t) n->released));

    tw_notify_close();
    tw_guard_stop();
    tw_cgroup_close();
    tw_run_free(&w->run);
    tw_conf_free(&w->conf);

    /* the loop stays: it has the signals' handles */
    if (w->abandoned) {
        _exit(code);          /* exit() would wait for the thread, too */
    }
    uv_library_shutdown();

    return code;
}
