/*
 * worker.h: the map of the worker: its types, who owns what, and the one
 * order in which a turn of the loop does things.
 *
 *   Redis ── redis_uv ──┬── session   what must be true before claiming
 *                       ├── lease     extend, heartbeat, reap, recover
 *                       ├── claim     asks for as many jobs as are free
 *                       ├── wake      blocks until there may be some
 *                       └── done      outcomes, repeated until taken
 *                             ▲
 *   claim ──► slot (a job) ───┘
 *               │
 *             inst (a handler's place) ── child (a process) ── spawn
 *               │
 *             pool (all places of one handler)
 *
 * Everything runs on one thread. tw_turn() runs before the loop sleeps and
 * after it woke: outcomes, then claims, then the wake-up, then one write per
 * connection. So what one turn finished leaves in the same write as the claim
 * for what it freed.
 */

#ifndef TW_WORKER_H
#define TW_WORKER_H

#include <uv.h>

#include "config.h"
#include "options.h"
#include "redis_uv.h"
#include "tq_ops.h"
#include "tq_uuid.h"

typedef struct tw_worker_s  tw_worker_t;
typedef struct tw_pool_s    tw_pool_t;
typedef struct tw_inst_s    tw_inst_t;
typedef struct tw_slot_s    tw_slot_t;
typedef struct tw_child_s   tw_child_t;
typedef struct tw_batch_s   tw_batch_t;

/* The worker's life; only forward. */
typedef enum {
    TW_STARTING,              /* never connected yet */
    TW_RUNNING,
    TW_DRAINING,              /* TERM: no claims, running jobs may finish */
    TW_STOPPING,              /* grace is over: jobs are given back */
    TW_LEAVING,               /* nothing left: says goodbye to Redis */
    TW_CLOSED
} tw_phase_t;

/* Why claiming waits: bits of tw_session_t.gate. */
#define TW_GATE_POLICY   1    /* eviction policy not checked yet */
#define TW_GATE_UUID     2    /* key of the task ids not known yet */
#define TW_GATE_RECOVER  4    /* leases of a lost claim not given back yet */

typedef struct {
    unsigned       gate;
    int            checked;   /* the policy was fine once */
    int            seeded;    /* namespace settings were set and compared */
    uv_timer_t     retry;
    int64_t        looked_ms; /* at the key of the task ids */
    int            full;      /* the last probe said so */
    int            noeviction;        /* … and this of the policy; -2: nothing
                                         yet */
} tw_session_t;

typedef struct {
    unsigned       in_flight; /* calls; two when the queue is deep */
    uint64_t       calls;     /* made so far: numbers them, and is the first
                                 part of their jobs' lease token */
    unsigned       asked;     /* jobs asked for by them */
    int            want;      /* something changed: claim when possible */
    int            hungry;    /* the last reply was full */
    int64_t        wait_until_ms;     /* Redis refused: not before this */
    unsigned       refusals;  /* in a row */
    uv_timer_t     due;       /* the earliest scheduled job; also refusals */
    int            is_due;    /* it has come */
    int64_t        reading_bytes;     /* payloads on their way */
    int64_t        last_ok_ms;        /* claiming works: seen by health */
    int64_t        ahead_ms;          /* Redis' clock before ours, by the last
                                         claim; 0: unknown */
    int64_t        unanswered_ms;     /* since when claims were asked in vain,
                                         on whatever connection; 0: they are
                                         answered */
} tw_claim_t;

typedef struct {
    tw_rconn_t    *conn;
    int64_t        client_id; /* 0: not known … */
    int            asking;    /* … but asked for */
    int64_t        ask_at_ms; /* … or not before this */
    int            blocked;   /* a blocking read is under way */
    unsigned       keys;      /* handlers it waits for */
    int            unblocking;
    int64_t        idle_since_ms;     /* not blocked since */
} tw_wake_t;

typedef struct {
    uv_timer_t     beat;
    uv_timer_t     reap;
    int64_t        connected_ms;      /* since when nobody could reap us */
    int            extend_soon;       /* a cancel may wait */
    int            extending;         /* one call at a time */
    int            reaping;
    int            sweeping;
    int64_t        asked_ms;          /* when the call under way left */
    int64_t        ahead_ms;          /* Redis' clock before ours; 0: unknown */
} tw_lease_t;

typedef struct {
    tw_batch_t    *open[3];   /* being filled in this turn, per kind */
    tw_batch_t    *first, **last;     /* complete: waiting or sent */
    tw_batch_t    *spare;
    unsigned       batches;
    int64_t        wait_until_ms;
    uv_timer_t     retry;
} tw_done_t;

/* What Redis may refuse by itself; for trouble.c. */
typedef enum {
    TW_ASK_CONNECTION, TW_ASK_SESSION, TW_ASK_CLAIM, TW_ASK_PAYLOAD,
    TW_ASK_EXTEND, TW_ASK_REAP, TW_ASK_OUTCOME, TW_ASK_WAKE, TW_ASK_N
} tw_ask_t;

typedef struct {
    uint64_t       claimed, succeeded, failed, released, cancelled, lost,
                   refused;
} tw_counts_t;

struct tw_worker_s {
    uv_loop_t      loop;
    tw_options_t  *o;
    tw_conf_t      conf;

    tq_ns_t        ns;
    char           id[TQ_WORKER_ID_LEN + 1];
    char           name[TQ_WORKER_NAME_MAX + 1];
    unsigned char  uuid_key[TQ_UUID_KEY_LEN];
    int            uuid_known;

    tw_phase_t     phase;
    int            exit_code;
    int            abandoned; /* a thread did not end in time */
    tw_rconn_t    *redis;
    int            was_ready; /* the connection was, until it ended … */
    int            idle;      /* … and nothing waited for an answer */
    unsigned       trouble[TW_ASK_N];         /* trouble.c's: bits of causes */
    uint64_t       redis_errors[TQ_ERR_N];    /* by kind, since the start */
    tq_redis_err_t redis_err; /* the last one */
    int64_t        forgot_ms; /* Redis had forgotten a script: logged */
    const char    *cgroup_why;        /* why cgroups are not used; NULL: are */
    tw_session_t   session;
    tw_claim_t     claim;
    tw_wake_t      wake;
    tw_lease_t     lease;
    tw_done_t      done;
    tw_counts_t    counts;

    tw_slot_t     *slots;     /* o->concurrency of them */
    tw_slot_t     *free_slots;
    unsigned       busy;      /* slots in use */

    tw_pool_t    **pools;     /* what is served; room for the most there may
                                 be */
    unsigned       npools;
    tw_pool_t     *retired;   /* replaced by a reload, not empty yet */
    int            reloading;
    int            reload_again;      /* another HUP came meanwhile */

    uv_prepare_t   prepare;
    uv_check_t     check;
    uv_signal_t    term, intr, hup;
    uv_timer_t     grace;     /* end of draining; then of leaving */
    uv_timer_t     watchdog;  /* systemd's */
};

static inline int64_t
tw_now(const tw_worker_t *w)
{
    return (int64_t) uv_now(&w->loop);
}

/* ---- worker.c ---- */

/* Runs until the worker has stopped; returns the exit code. */
int tw_run(tw_options_t *o, tw_conf_t *conf);

/* The first TERM (drain) and what comes after (stop now). */
void tw_stop(tw_worker_t *w, int now);

/* Ends the worker with exit code 1 because it cannot do its work. */
void tw_die(tw_worker_t *w);

/* ---- trouble.c ---- */

/* Redis refuses this, or is away, for that reason. 1: it is news, log it. */
int tw_trouble(tw_worker_t *w, tw_ask_t ask, tq_redis_err_t e);
/* The same of a call that was refused; logs it as text, if it is news. */
void tw_refused(tw_worker_t *w, tw_ask_t ask, const tq_result_t *res,
    const char *text);
/* It works: logs that whatever was wrong is over, if that is news. */
void tw_trouble_over(tw_worker_t *w, tw_ask_t ask);

/* ---- session.c ---- */

int tw_session_init(tw_worker_t *w);
void tw_session_ready(tw_worker_t *w);

/* Looks at the key of the task ids, in the next call on the connection, unless
 * that was done a moment ago: a namespace that was emptied (FLUSHALL, an empty
 * replica) has another one, and its ids begin at 1 again. 0, or -1: not
 * possible now. When there is no key the gate is shut until there is. */
int tw_session_look(tw_worker_t *w);

/* The namespace was emptied: the gate is shut until its key is known. */
void tw_session_emptied(tw_worker_t *w);
void tw_session_lost(tw_worker_t *w);

/* tw_lease_recover() is done, or was refused, or (res NULL) could not go on. */
void tw_session_recovered(tw_worker_t *w, const tq_result_t *res);
void tw_session_close(tw_worker_t *w);

/* ---- claim.c ---- */

int tw_claim_init(tw_worker_t *w);
void tw_claim_turn(tw_worker_t *w);
void tw_claim_close(tw_worker_t *w);

/* The next call's token. */
tq_token_t tw_claim_token(tw_worker_t *w);

/* What came cannot be worked on: the next call is made in ms. */
void tw_claim_pause(tw_worker_t *w, int64_t ms);

/* ---- payload.c ---- */

/* Reads the payloads that slots wait for, as many as may be read at a time. */
void tw_payload_turn(tw_worker_t *w);

/* ---- wake.c ---- */

int tw_wake_init(tw_worker_t *w);
void tw_wake_turn(tw_worker_t *w);
void tw_wake_close(tw_worker_t *w);

/* ---- lease.c ---- */

int tw_lease_init(tw_worker_t *w);
void tw_lease_ready(tw_worker_t *w);
void tw_lease_turn(tw_worker_t *w);

/* Extends all leases now, whatever is under way, and ends those of this worker
 * that it does not hold (a claim whose reply was lost); no claim may be under
 * way. 0, or -1: not sent. */
int tw_lease_recover(tw_worker_t *w);
void tw_lease_goodbye(tw_worker_t *w, tq_done_cb done);
void tw_lease_close(tw_worker_t *w);

/* ---- done.c ---- */

typedef enum { TW_DONE_COMPLETE, TW_DONE_FAIL, TW_DONE_RELEASE } tw_done_kind_t;

int tw_done_init(tw_worker_t *w);

/* Takes a copy of the outcome and of everything it points at. It leaves at the
 * end of this turn. */
void tw_done_add(tw_worker_t *w, tw_done_kind_t kind, const tq_outcome_t *o);

void tw_done_turn(tw_worker_t *w);

/* The connection was lost: what was sent without an answer is sent again. */
void tw_done_ready(tw_worker_t *w);

/* Calls f for every outcome that Redis has not answered. */
void tw_done_each(tw_worker_t *w,
    void (*f)(void *data, int64_t id, const tq_token_t *token), void *data);

/* Outcomes not answered yet, as jobs. */
unsigned tw_done_count(tw_worker_t *w);

void tw_done_close(tw_worker_t *w);

/* ---- reload.c ---- */

/* Reads handlers.toml again, beside the loop, and applies what changed. */
void tw_reload(tw_worker_t *w);

/* Moves on what a reload began. */
void tw_reload_turn(tw_worker_t *w);

#endif /* TW_WORKER_H */
