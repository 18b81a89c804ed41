/*
 * tw_queue.h: this worker and the queue in Redis: what it holds there, what it
 * asks for and what it tells. The room's public header.
 *
 *   redis_uv ──┬── connection  comes, goes, and what it logs
 *              ├── session     what must be true before claiming
 *              ├── lease       extend, heartbeat, reap, recover
 *              ├── claim       asks for as many jobs as are free
 *              ├── payload     … and for those payloads that do not come along
 *              ├── wake        blocks until there may be some
 *              ├── restart     learns whose processes are to be replaced
 *              └── outcomes    repeated until taken
 */

#ifndef TW_QUEUE_H
#define TW_QUEUE_H

#include "tq_queue.h"
#include "tw_run.h"

typedef struct tw_queue_s  tw_queue_t;
typedef struct tw_rconn_s  tw_rconn_t;
typedef struct tw_batch_s  tw_batch_t;

/* What it tells its owner. */
typedef struct {
    void  (*connected)(void *data);   /* each time, before anything is asked */
    void  (*hopeless)(void *data);    /* this Redis would lose jobs: logged */
    void  (*gone)(void *data);        /* tw_queue_goodbye() was answered */
} tw_queue_events_t;

/* Why claiming waits: bits of tw_session_t.gate. */
#define TW_GATE_POLICY   1    /* eviction policy not checked yet */
#define TW_GATE_UUID     2    /* key of the task ids not known yet */
#define TW_GATE_RECOVER  4    /* leases of a lost claim not given back yet */

typedef struct {
    unsigned       gate;
    int            checked;   /* the policy was fine once */
    int            seeded;    /* the namespace's settings, or it is under way */
    uv_timer_t     retry;
    unsigned char  key[TQ_UUID_KEY_LEN];      /* of the task ids */
    int            key_known;
    int64_t        key_checked_ms;
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
    unsigned       refusals;  /* in a row */
    uv_timer_t     again;     /* … so that it is tried again */
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
} tw_outcomes_t;

/* What Redis may refuse by itself; for trouble.c. */
typedef enum {
    TW_CALL_CONNECTION, TW_CALL_SESSION, TW_CALL_CLAIM, TW_CALL_PAYLOAD,
    TW_CALL_EXTEND, TW_CALL_REAP, TW_CALL_SWEEP, TW_CALL_OUTCOME, TW_CALL_WAKE,
    TW_CALL_N
} tw_call_kind_t;

struct tw_queue_s {
    uv_loop_t                *loop;
    const tw_options_t       *o;
    tw_run_t                 *run;
    const tw_queue_events_t  *events;
    void                     *data;        /* theirs */

    tq_ns_t              ns;
    char                 id[TQ_WORKER_ID_LEN + 1];
    char                 name[TQ_WORKER_NAME_MAX + 1];

    tw_rconn_t          *redis;
    int                  was_ready;   /* the connection was, until it ended … */
    int                  idle;        /* … and nothing waited for an answer */
    unsigned             trouble[TW_CALL_N];  /* trouble.c's: bits of causes */
    unsigned             denied;      /* … and of calls that lacked a right */
    uint64_t             redis_errors[TQ_ERR_N];      /* by kind, since the
                                         start */
    tq_redis_err_t       redis_err;   /* the last one */
    int64_t              forgot_ms;   /* Redis had forgotten a script: logged */

    tw_session_t         session;
    tw_claim_t           claim;
    tw_wake_t            wake;
    tw_lease_t           lease;
    tw_outcomes_t        outcomes;
};

/* Also gives the worker its name and id, and takes the events of run. 0, or -1:
 * out of memory, or a namespace that is none. */
int tw_queue_init(tw_queue_t *q, tw_run_t *run,
    const tw_queue_events_t *events, void *data);

/* One turn of the loop: outcomes, leases, claims, the wake-up, in this
 * order. */
void tw_queue_turn(tw_queue_t *q);

/* What was queued leaves, in one write per connection. */
void tw_queue_flush(tw_queue_t *q);

/* Claims when possible: something changed. */
void tw_queue_want(tw_queue_t *q);

/* What is served has changed: tells Redis, and claims. */
void tw_queue_changed(tw_queue_t *q);

/* Outcomes not answered yet, as jobs. */
unsigned tw_queue_outcomes(tw_queue_t *q);

/* The connection is there. */
int tw_queue_is_ready(const tw_queue_t *q);

/* Why jobs are not claimed, static text; NULL: they are. */
const char *tw_queue_why(const tw_queue_t *q);

/* What Redis has to do with that; "": nothing. */
const char *tw_queue_redis_why(const tw_queue_t *q);

/* 1: jobs could be claimed and are not: only a restart helps. */
int tw_queue_is_stuck(const tw_queue_t *q);

/* Asks for the namespace's totals. 0, or -1: not now. */
int tw_queue_stats(tw_queue_t *q, tq_done_cb done, void *data);

/* Tells Redis that the worker goes. */
void tw_queue_goodbye(tw_queue_t *q);

/* Ends all calls: their callbacks still find the queue whole. */
void tw_queue_close(tw_queue_t *q);

#endif /* TW_QUEUE_H */
