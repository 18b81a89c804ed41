/*
 * slot.h: one claimed job in this worker, from its claim to its outcome.
 *
 *   FREE ──► WAITING ──► RUNNING ──► FREE      answered, or its child died
 *              │  ▲         │ │
 *              │  └─────────┘ └────► ENDING ──► FREE
 *              └──► FREE
 *
 * A slot is free again when its outcome was handed over; that the child
 * of an ENDING job is dead before its outcome leaves is what keeps a job from
 * running twice at a time.
 */

#ifndef TW_SLOT_H
#define TW_SLOT_H

#include "run.h"

typedef enum {
    TW_SLOT_FREE,             /* no job */
    TW_SLOT_WAITING,          /* claimed; its handler has no place right now,
                                 or its payload is still being read */
    TW_SLOT_RUNNING,          /* the handler has it */
    TW_SLOT_ENDING            /* outcome decided, its child is being killed */
} tw_slot_state_t;

/* What an ENDING job becomes when its child is dead. */
typedef enum {
    TW_END_NONE,
    TW_END_FAIL,              /* s->error, retryable */
    TW_END_FAIL_FOR_GOOD,     /* s->error, not retryable */
    TW_END_DROP,              /* the lease is lost: no outcome of ours */
    TW_END_RELEASE            /* given back, nothing counted */
} tw_end_t;

struct tw_slot_s {
    tw_slot_state_t  state;
    uint32_t         generation;      /* counts jobs, for late verdicts */
    int64_t          id;
    char             task_id[TQ_UUID_LEN + 1];
    int              periodic;
    int              cancelled;       /* or deleted: why its lease was lost */
    int              keep_log;        /* cancelled: the job is still there */
    tq_token_t       token;
    int              attempt;         /* from 1 */
    int              priority;
    int64_t          payload_bytes;   /* to be read first; 0: is there */
    int              reading;         /* that is under way */
    int64_t          timeout_ms;
    int64_t          started_ms;      /* RUNNING since; loop clock */
    tw_pool_t       *pool;
    tw_instance_t   *instance;        /* RUNNING, ENDING */
    tw_end_t         end;
    tq_buf_t         line;            /* the task, as sent; kept to send again;
                                         for a url the payload alone */
    tq_buf_t         log;             /* tail of stderr */
    tq_buf_t         error;           /* ENDING */
    tw_slot_t       *next;            /* of the free ones, or of those WAITING
                                         for the same pool */
};

/* Takes a job into a free slot (there must be one) and runs it, or lets it
 * wait for its payload, or a place of its handler. key: of the task ids. The
 * result is tw_slot_payload()'s. */
int tw_slot_take(tw_run_t *run, tw_pool_t *pool, const tq_claimed_t *job,
    const unsigned char *key);

/* WAITING: its payload has come. 0, or -1: its pool has fewer places than jobs,
 * and this one was given back with those after it. */
int tw_slot_payload(tw_run_t *run, tw_slot_t *s, tq_str_t payload);

/* WAITING: it can never run, why (for people): it is dead, even a periodic one,
 * unless it was deleted meanwhile. */
void tw_slot_no_payload(tw_run_t *run, tw_slot_t *s, const char *why);

/* WAITING: it will not run here. */
void tw_slot_give_back(tw_run_t *run, tw_slot_t *s);

/* The lease is lost, or the job is given back: waiting jobs at once, running
 * ones after their child is dead. hard: KILL, not TERM. */
void tw_slot_abort(tw_run_t *run, tw_slot_t *s, tw_end_t end, int hard);

/* Gives all jobs back, those that run when their children are dead. */
void tw_slots_abort(tw_run_t *run, int hard);

/* Gives those back that are WAITING. */
void tw_slots_give_back(tw_run_t *run);

#endif /* TW_SLOT_H */
