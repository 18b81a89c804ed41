/*
 * slot.h: one claimed job in this worker, from its claim to its outcome.
 *
 *   FREE ──► WAITING ──► RUNNING ──► FREE      answered, or its child died
 *              │  ▲         │ │
 *              │  └─────────┘ └────► ENDING ──► FREE
 *              └──► FREE
 *
 * A slot is free again when its outcome was handed to done.c; that the child
 * of an ENDING job is dead before its outcome leaves is what keeps a job from
 * running twice at a time.
 */

#ifndef TW_SLOT_H
#define TW_SLOT_H

#include "child.h"
#include "proto.h"
#include "worker.h"

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
    int64_t          payload_bytes;   /* to be read first (payload.c); 0: is
                                         there */
    int              reading;         /* that is under way */
    int64_t          timeout_ms;
    int64_t          started_ms;      /* RUNNING since; loop clock */
    tw_pool_t       *pool;
    tw_inst_t       *inst;            /* RUNNING, ENDING */
    tw_end_t         end;
    tq_buf_t         line;            /* the task, as sent; kept to send again;
                                         for a url the payload alone */
    tq_buf_t         log;             /* tail of stderr */
    tq_buf_t         error;           /* ENDING */
    tw_slot_t       *next;            /* of the free ones, or of those WAITING
                                         for the same pool */
};

int tw_slots_init(tw_worker_t *w);
void tw_slots_close(tw_worker_t *w);

/* Takes a job into a free slot (there must be one) and runs it, or lets it
 * wait for a place of its handler. */
void tw_slot_take(tw_worker_t *w, tw_pool_t *pool, const tq_claimed_t *job);

/* WAITING: its payload has come. */
void tw_slot_payload(tw_worker_t *w, tw_slot_t *s, tq_str_t payload);

/* WAITING: it can never run, why (for people): it is dead, even a periodic one,
 * unless it was deleted meanwhile. */
void tw_slot_no_payload(tw_worker_t *w, tw_slot_t *s, const char *why);

/* WAITING: it will not run here. */
void tw_slot_give_back(tw_worker_t *w, tw_slot_t *s);

/* Gives the waiting jobs of a pool, the oldest first, the places there are. */
void tw_slots_place(tw_worker_t *w, tw_pool_t *pool);

/* Gives all waiting jobs of a pool back. */
void tw_slots_release_waiting(tw_worker_t *w, tw_pool_t *pool);

/* ---- called by the place that runs the job ---- */

void tw_slot_answer(tw_worker_t *w, tw_slot_t *s, const tw_answer_t *a);

/* Decides the job's outcome now; the caller kills the child. text may be NULL
 * for DROP and RELEASE. */
void tw_slot_end(tw_slot_t *s, tw_end_t end, const char *text);

/* Its child is dead. untouched: it never read the task. why: for people. */
void tw_slot_died(tw_worker_t *w, tw_slot_t *s, int untouched,
    const char *why);

void tw_slot_stderr(tw_slot_t *s, const char *p, size_t len);

/* ---- called by lease and stop ---- */

/* The lease is lost, or the job is given back: waiting jobs at once, running
 * ones after their child is dead. hard: KILL, not TERM. */
void tw_slot_abort(tw_worker_t *w, tw_slot_t *s, tw_end_t end, int hard);

#endif /* TW_SLOT_H */
