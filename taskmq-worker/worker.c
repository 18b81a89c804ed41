/*
 * worker.c: the worker's life: start, the turn of the loop, signals, draining
 * and leaving. See worker.h for the map.
 */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cgroup.h"
#include "container.h"
#include "fence.h"
#include "guard.h"
#include "health.h"
#include "log.h"
#include "notify.h"
#include "pool.h"
#include "tq_fail.h"

#define IDLE_PING_MS  15000
#define LEAVE_MS      1000    /* for the goodbye */
#define REFUSED_MS    3000    /* after the grace time, for what Redis refuses */
#define FORGOT_MS     1000    /* one line of log for one SCRIPT FLUSH */

static void
set_phase(tw_worker_t *w, tw_phase_t to)
{
    static const char  *names[] = { "starting", "running", "draining",
                                    "stopping", "leaving", "closed" };

    if (to > w->phase) {
        w->phase = to;
        TW_LOG(TW_INFO, names[to], tw_fi("running_jobs", w->busy));
        tw_notify_status(names[to]);
    }
}

/* ---- the connection ---- */

static void
on_state(void *data, int ready, const char *why)
{
    int           news;
    char          where[512];
    tw_worker_t  *w = data;

    (void) tq_url_show(&w->o->url, where, sizeof(where));

    if (!ready) {
        /* once for each cause, not for every attempt to come back, not when
         * Redis closes what is idle, and of a missing right when the next
         * attempt has found out which */
        news = !w->idle && !(w->was_ready && w->redis_err == TQ_ERR_NOPERM)
               && tw_trouble(w, TW_ASK_CONNECTION, w->redis_err);
        TW_LOG(news ? TW_WARN : TW_DEBUG, "Redis is away",
            tw_fs("redis", where), tw_fs("why", why),
            tw_fi("running_jobs", w->busy));
        if (news) {
            tw_notify_status("Redis is away");
        }
        w->idle = 0;
        w->was_ready = 0;
        tw_session_lost(w);
        return;
    }

    w->was_ready = 1;
    w->redis_err = TQ_ERR_NONE;
    tw_notify_status("running");
    TW_LOG(w->phase == TW_STARTING ? TW_INFO : TW_DEBUG, "connected",
        tw_fs("redis", where));
    if (w->phase == TW_STARTING) {
        set_phase(w, TW_RUNNING);
    }

    tw_lease_ready(w);
    tw_done_ready(w);
    /* outcomes and leases first: they are older than anything asked below */
    tw_done_turn(w);
    tw_lease_turn(w);
    tw_session_ready(w);
}

static void
on_error(void *data, tq_redis_err_t e)
{
    tw_worker_t  *w = data;

    w->redis_errors[e]++;
    w->redis_err = e;
    w->idle = e == TQ_ERR_CONNECTION && w->was_ready
              && tw_rconn_pending(w->redis) == 0;

    /* a flush forgets all of them: one line */
    if (e == TQ_ERR_NOSCRIPT
        && (w->forgot_ms == 0 || tw_now(w) - w->forgot_ms > FORGOT_MS))
    {
        w->forgot_ms = tw_now(w);
        TW_LOG(TW_WARN, "Redis had forgotten its scripts (SCRIPT FLUSH?); "
            "they are sent again");
    }
}

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
 * its exit status. */
static void
close_signals(tw_worker_t *w)
{
    uv_close((uv_handle_t *) &w->term, NULL);
    (void) signal(SIGTERM, SIG_IGN);
    uv_close((uv_handle_t *) &w->intr, NULL);
    (void) signal(SIGINT, SIG_IGN);
    uv_close((uv_handle_t *) &w->hup, NULL);
    (void) signal(SIGHUP, SIG_IGN);
}

static void
close_all(tw_worker_t *w)
{
    unsigned    i;
    tw_pool_t  *p;

    if (w->phase == TW_CLOSED) {
        return;
    }

    set_phase(w, TW_CLOSED);
    tw_health_close();

    /* ends all calls: their callbacks still find the worker whole */
    if (w->redis != NULL) {
        tw_rconn_close(w->redis);
    }
    tw_wake_close(w);
    tw_claim_close(w);
    tw_lease_close(w);
    tw_session_close(w);
    tw_done_close(w);

    for (i = 0; i < w->npools; i++) {
        if (w->pools[i]->successor != NULL) {
            tw_pool_close(w->pools[i]->successor);
        }
        tw_pool_close(w->pools[i]);
    }

    while ((p = w->retired) != NULL) {
        w->retired = p->next;
        tw_pool_close(p);
    }

    w->npools = 0;
    tw_http_close();
    tw_children_close();
    uv_close((uv_handle_t *) &w->prepare, NULL);
    uv_close((uv_handle_t *) &w->check, NULL);
    uv_close((uv_handle_t *) &w->watchdog, NULL);
    close_signals(w);

    /* not waited for, but it ends the wait for a thread (DNS, a file) */
    (void) uv_timer_start(&w->grace, on_abandon, LEAVE_MS, 0);
    uv_unref((uv_handle_t *) &w->grace);
}

static void
on_leave_timeout(uv_timer_t *t)
{
    close_all(t->data);
}

static void
on_goodbye(void *data, const tq_result_t *res)
{
    tw_worker_t  *w = data;

    (void) res;

    /* not from inside the connection's callback */
    (void) uv_timer_start(&w->grace, on_leave_timeout, 0, 0);
}

/* Everything is done, or given up: says goodbye and goes. */
static void
leave(tw_worker_t *w)
{
    unsigned  n = tw_done_count(w);

    if (n != 0) {
        TW_LOG(TW_ERROR, "leaving with outcomes that Redis does not know; "
            "these jobs will run again", tw_fi("jobs", n));
    }

    set_phase(w, TW_LEAVING);
    (void) uv_timer_start(&w->grace, on_leave_timeout, LEAVE_MS, 0);

    if (tw_rconn_ready(w->redis)) {
        tw_lease_goodbye(w, on_goodbye);
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
    if (w->phase == TW_DRAINING && w->busy == 0) {
        tw_pools_stop(w, TW_STOP_EOF);
        if (tw_children_count() == 0 && tw_done_count(w) == 0) {
            leave(w);
        }

    } else if (w->phase == TW_STOPPING && w->busy == 0) {
        tw_pools_stop(w, TW_STOP_KILL);
        if (tw_children_count() != 0) {
            return;
        }

        if (tw_done_count(w) == 0 || !tw_rconn_ready(w->redis)) {
            leave(w);
        } else if (!uv_is_active((uv_handle_t *) &w->grace)) {
            (void) uv_timer_start(&w->grace, on_refused, REFUSED_MS, 0);
        }
    }
}

static void
abort_all(tw_worker_t *w, int hard)
{
    unsigned  i;

    for (i = 0; i < w->o->concurrency; i++) {
        tw_slot_abort(w, &w->slots[i], TW_END_RELEASE, hard);
    }
}

static void
on_grace(uv_timer_t *t)
{
    tw_worker_t  *w = t->data;

    TW_LOG(TW_WARN, "grace time is over, running jobs are given back",
        tw_fi("running_jobs", w->busy));
    set_phase(w, TW_STOPPING);
    abort_all(w, 0);
}

static void
release_waiting(tw_worker_t *w)
{
    unsigned  i;

    for (i = 0; i < w->o->concurrency; i++) {
        if (w->slots[i].state == TW_SLOT_WAITING) {
            tw_slot_abort(w, &w->slots[i], TW_END_RELEASE, 0);
        }
    }
}

void
tw_stop(tw_worker_t *w, int now)
{
    if (w->phase >= TW_LEAVING) {
        return;
    }

    tw_notify_stopping();

    if (now || w->phase >= TW_DRAINING) {
        if (w->phase != TW_STOPPING) {
            (void) uv_timer_stop(&w->grace);
        }
        set_phase(w, TW_STOPPING);
        abort_all(w, 1);
        return;
    }

    set_phase(w, TW_DRAINING);
    TQ_FAIL("draining");
    release_waiting(w);
    (void) uv_timer_start(&w->grace, on_grace, (uint64_t) w->o->grace_ms, 0);
}

void
tw_die(tw_worker_t *w)
{
    w->exit_code = 1;
    tw_stop(w, 1);
}

static void
on_signal(uv_signal_t *s, int signum)
{
    TW_LOG(TW_INFO, "signal", tw_fs("signal", strsignal(signum)));

    if (signum == SIGHUP) {
        tw_reload(s->data);
    } else {
        tw_stop(s->data, 0);
    }
}

/* Only while the loop turns and claiming works: systemd restarts the rest. */
static void
on_watchdog(uv_timer_t *t)
{
    if (!tw_health_stuck(t->data)) {
        tw_notify_watchdog();
    }
}

/* ---- the turn ---- */

static void
turn(tw_worker_t *w)
{
    if (w->phase == TW_CLOSED) {
        return;
    }

    tw_reload_turn(w);
    tw_pools_turn(w);
    tw_done_turn(w);
    tw_lease_turn(w);
    tw_claim_turn(w);
    tw_wake_turn(w);
    check_stop(w);

    tw_rconn_flush(w->redis);
    tw_rconn_flush(w->wake.conn);
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
make_identity(tw_worker_t *w)
{
    unsigned char  r[TQ_WORKER_ID_LEN / 2];
    char           host[TQ_WORKER_NAME_MAX + 1 - (sizeof(":1234567890") - 1)];
    unsigned       i;

    if (uv_random(NULL, NULL, r, sizeof(r), 0, NULL) != 0) {
        return -1;
    }

    for (i = 0; i < sizeof(r); i++) {
        (void) snprintf(w->id + 2 * i, 3, "%02x", r[i]);
    }

    if (gethostname(host, sizeof(host)) != 0) {
        (void) snprintf(host, sizeof(host), "localhost");
    }
    host[sizeof(host) - 1] = '\0';

    for (i = 0; host[i] != '\0'; i++) {
        if ((unsigned char) host[i] <= ' ' || (unsigned char) host[i] > '~') {
            host[i] = '-';
        }
    }

    (void) snprintf(w->name, sizeof(w->name), "%s:%d", host, (int) getpid());

    return 0;
}

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
start_redis(tw_worker_t *w)
{
    tw_rconn_conf_t  conf = {0};

    conf.url = &w->o->url;
    conf.client_name = w->name;
    conf.scripts = tq_ops_scripts;
    conf.greet = &tq_greet_worker;
    conf.greets = &w->ns;
    conf.timeout_ms = TQ_REDIS_TIMEOUT_MS;
    conf.idle_ping_ms = IDLE_PING_MS;
    conf.on_state = on_state;
    conf.on_error = on_error;
    conf.data = w;

    w->redis = tw_rconn_new(&w->loop, &conf);

    return w->redis == NULL ? -1 : 0;
}

/* Cgroups are looked for only when somebody wants them: it may move the worker
 * into another one. */
static void
start_limits(tw_worker_t *w)
{
    unsigned  i;

    w->cgroup_why = "no handler had a memory_limit at the worker's start";

    for (i = 0; i < w->conf.n; i++) {
        if (w->conf.h[i]->memory_bytes != 0
            && w->conf.h[i]->kind != TW_KIND_IMAGE)
        {
            if (tw_cgroup_init(tw_guard_pid(), &w->cgroup_why) == 0) {
                w->cgroup_why = NULL;
            }
            return;
        }
    }
}

static int
start_pools(tw_worker_t *w)
{
    unsigned  i;

    w->pools = calloc(TQ_HANDLERS_MAX + 1, sizeof(*w->pools));
    if (w->pools == NULL) {
        return -1;
    }

    start_limits(w);
    tw_fence_start(&w->loop);
    tw_container_sweep(w);

    for (i = 0; i < w->conf.n; i++) {
        w->pools[i] = tw_pool_new(w, w->conf.h[i]);
        if (w->pools[i] == NULL) {
            return -1;
        }
        w->conf.h[i] = NULL;
        w->npools++;
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
    if (tq_ns_init(&w->ns, w->o->ns, strlen(w->o->ns)) != 0
        || make_identity(w) != 0 || start_loop(w) != 0
        || tw_slots_init(w) != 0 || tw_session_init(w) != 0
        || tw_claim_init(w) != 0 || tw_lease_init(w) != 0
        || tw_done_init(w) != 0 || start_redis(w) != 0
        || tw_wake_init(w) != 0
        || (w->o->listen != NULL && tw_health_listen(w, w->o->listen) != 0)
        || start_pools(w) != 0)
    {
        return -1;
    }

    start_watchdog(w);

    TW_LOG(TW_INFO, "worker starts", tw_fs("name", w->name),
        tw_fs("id", w->id), tw_fs("namespace", w->o->ns),
        tw_fi("handlers", w->npools), tw_fi("concurrency",
        w->o->concurrency), tw_fi("lease_ms", w->o->lease_ms));

    return 0;
}

int
tw_run(tw_options_t *o, tw_conf_t *conf)
{
    int                 code;
    static tw_worker_t  worker;
    tw_worker_t        *w = &worker;

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
    TW_LOG(TW_INFO, "ended", tw_fi("claimed", (int64_t) w->counts.claimed),
        tw_fi("succeeded", (int64_t) w->counts.succeeded),
        tw_fi("failed", (int64_t) w->counts.failed),
        tw_fi("given_back", (int64_t) w->counts.released));

    tw_notify_close();
    tw_guard_stop();
    tw_cgroup_close();
    free(w->pools);
    tw_slots_close(w);
    tw_conf_free(&w->conf);

    uv_close((uv_handle_t *) &w->grace, NULL);
    (void) uv_run(&w->loop, UV_RUN_NOWAIT);
    if (uv_loop_close(&w->loop) != 0 && w->abandoned) {
        _exit(code);          /* exit() would wait for the thread, too */
    }
    uv_library_shutdown();

    return code;
}
