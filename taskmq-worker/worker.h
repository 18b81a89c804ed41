/*
 * worker.h: the map of the worker: its rooms, who owns what, and the one order
 * in which a turn of the loop does things.
 *
 *   worker.c, reload.c, main.c
 *     health       what it says of itself, over HTTP
 *       queue      what it holds in Redis, asks for and tells
 *         run      jobs (slots) and the places where they run (pools)
 *           process, http      handlers: processes, HTTP targets
 *             config           handlers.toml, options
 *               base           log, systemd, the loop's clock
 *
 * A room uses those below it and no other; what it needs of one above comes
 * through a struct of functions (tw_run_events_t, tw_queue_events_t).
 *
 * Everything runs on one thread. turn() runs before the loop sleeps and after
 * it woke: pools, outcomes, leases, claims, the wake-up, then one write per
 * connection. So what one turn finished leaves in the same write as the claim
 * for what it freed.
 */

#ifndef TW_WORKER_H
#define TW_WORKER_H

#include "tw_base.h"
#include "tw_config.h"
#include "tw_health.h"
#include "tw_http.h"
#include "tw_process.h"
#include "tw_queue.h"
#include "tw_run.h"

typedef struct {
    uv_loop_t      loop;
    tw_options_t  *o;
    tw_conf_t      conf;
    tw_run_t       run;
    tw_queue_t     queue;

    int            exit_code;
    int            abandoned; /* a thread did not end in time */
    int            reloading;
    int            reload_again;      /* another HUP came meanwhile */

    uv_prepare_t   prepare;
    uv_check_t     check;
    uv_signal_t    term, intr, hup;
    uv_timer_t     grace;     /* end of draining; then of leaving */
    uv_timer_t     watchdog;  /* systemd's */
} tw_worker_t;

/* ---- worker.c ---- */

/* Runs until the worker has stopped; returns the exit code. */
int tw_work(tw_options_t *o, tw_conf_t *conf);

/* The first TERM (drain) and what comes after (stop now). */
void tw_stop(tw_worker_t *w, int now);

/* ---- reload.c ---- */

/* Reads handlers.toml again, beside the loop, and applies what changed. */
void tw_reload(tw_worker_t *w);

/* Moves on what a reload began. */
void tw_reload_turn(tw_worker_t *w);

#endif /* TW_WORKER_H */
