/*
 * run.h: what this worker runs: its slots (jobs) and pools (handlers). Knows
 * nothing of Redis: where jobs come from, and where their outcomes go, is
 * behind tw_run_events_t.
 */

#ifndef TW_RUN_STATE_H
#define TW_RUN_STATE_H

#include "tq_queue.h"
#include "tw_config.h"

typedef struct tw_run_s       tw_run_t;
typedef struct tw_pool_s      tw_pool_t;
typedef struct tw_instance_s  tw_instance_t;
typedef struct tw_slot_s      tw_slot_t;

/* The worker's life; only forward. */
typedef enum {
    TW_STARTING,              /* never connected yet */
    TW_RUNNING,
    TW_DRAINING,              /* TERM: no claims, running jobs may finish */
    TW_STOPPING,              /* grace is over: jobs are given back */
    TW_LEAVING,               /* nothing left: says goodbye to Redis */
    TW_CLOSED
} tw_phase_t;

typedef enum {
    TW_OUTCOME_COMPLETE, TW_OUTCOME_FAIL, TW_OUTCOME_RELEASE
} tw_outcome_kind_t;

/* What it needs of others. */
typedef struct {
    /* The end of a job here; copies o and everything it points at. */
    void  (*outcome)(void *data, tw_outcome_kind_t kind,
        const tq_outcome_t *o);

    /* A slot, or a place for one, has become free. */
    void  (*free)(void *data);
} tw_run_events_t;

/* What became of the jobs; claimed and refused are the queue's. */
typedef struct {
    uint64_t  claimed, succeeded, failed, released, cancelled, lost, refused;
} tw_counts_t;

struct tw_run_s {
    uv_loop_t              *loop;
    const tw_options_t     *o;
    const tw_run_events_t  *events;
    void                   *data;     /* theirs */

    tw_phase_t     phase;     /* set by worker.c alone */
    tw_counts_t    counts;

    tw_slot_t     *slots;     /* o->concurrency of them */
    tw_slot_t     *free_slots;
    unsigned       busy;      /* slots in use */

    tw_pool_t    **pools;     /* what is served; room for the most there may
                                 be */
    unsigned       npools;
    tw_pool_t     *retired;   /* replaced by a reload, not empty yet */
};

/* 0, or -1: out of memory. */
int tw_run_init(tw_run_t *run, uv_loop_t *loop, const tw_options_t *o);

/* Once, before there are jobs. */
void tw_run_listen(tw_run_t *run, const tw_run_events_t *events, void *data);

/* When all pools are closed: frees the rest. */
void tw_run_free(tw_run_t *run);

#endif /* TW_RUN_STATE_H */
