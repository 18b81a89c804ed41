/*
 * instance.h: the room's own side: an instance (a place at which one handler
 * runs one job at a time), and what slots, pools and instances tell each other.
 */

#ifndef TW_INSTANCE_H
#define TW_INSTANCE_H

#include "tw_http.h"
#include "tw_process.h"
#include "tw_run.h"

typedef enum {
    TW_INSTANCE_DOWN,         /* no child; the pool starts one */
    TW_INSTANCE_STARTING,     /* forked, exec not seen yet */
    TW_INSTANCE_IDLE,         /* may be given a task */
    TW_INSTANCE_BUSY,         /* one task in flight */
    TW_INSTANCE_ENDING        /* its child is being killed */
} tw_instance_state_t;

/* Lines logged in this second. */
typedef struct {
    int64_t   since_ms;
    unsigned  lines, dropped;
} tw_rate_t;

struct tw_instance_s {
    tw_instance_state_t   state;
    unsigned              no;         /* place in the pool */
    tw_http_t            *http;       /* a url handler's, instead of child */
    tw_pool_t            *pool;
    tw_child_t           *child;      /* not in DOWN */
    tw_child_t           *next;       /* planned replacement, starting */
    int                   next_ready;
    int64_t               born_ms;    /* of child */
    int64_t               forked_ms;  /* … it may have been the next one then */
    int64_t               next_ms;    /* the same of next */
    uint64_t              tasks;      /* answered by child */
    char                  ended[TQ_UUID_LEN + 1]; /* the last task that a line
                                         without its id has ended: another
                                         with it may still come */
    tw_slot_t            *slot;       /* BUSY, maybe ENDING: what it works
                                         on */
    uv_timer_t            timer;      /* the task's timeout */

    unsigned         skipped;         /* stdout lines during this task */
    const char      *skipped_why;     /* of the last; static text */

    tq_buf_t         err_line;        /* unfinished stderr line */
    tw_rate_t        err_rate, out_rate;
};

/* ---- run.c ---- */

/* A slot, or a place for one, has become free. */
void tw_run_free_place(tw_run_t *run);

/* ---- slot.c ---- */

/* 0, or -1: out of memory. */
int tw_slots_init(tw_run_t *run);
void tw_slots_free(tw_run_t *run);

/* Gives the waiting jobs of a pool, the oldest first, the places there are. */
void tw_slots_place(tw_run_t *run, tw_pool_t *pool);

/* Gives all waiting jobs of a pool back. */
void tw_slots_release_waiting(tw_run_t *run, tw_pool_t *pool);

void tw_slot_answer(tw_run_t *run, tw_slot_t *s, const tw_answer_t *a);

/* Decides the job's outcome now; the caller kills the child. text may be NULL
 * for DROP and RELEASE. */
void tw_slot_end(tw_slot_t *s, tw_end_t end, const char *text);

/* Its child is dead. untouched: it never read the task. why: for people. */
void tw_slot_died(tw_run_t *run, tw_slot_t *s, int untouched,
    const char *why);

void tw_slot_stderr(tw_slot_t *s, const char *p, size_t len);

/* ---- pool.c ---- */

/* The idle instance that is next, or NULL. */
tw_instance_t *tw_pool_pick(tw_pool_t *p);

/* A child that was started then never became useful: why, for people. Its
 * instance has it no more, or has told it to end. */
void tw_pool_start_failed(tw_pool_t *p, int64_t forked_ms, const char *why);

/* Without a job, a life tells that starting works again: one that is much
 * longer than those that ended in a failure. */
void tw_pool_check_life(tw_pool_t *p);

/* A child that was born then has answered, or lived: it counts when that was
 * after the last failure. (An old one says nothing of how starting goes.) */
void tw_pool_started_well(tw_pool_t *p, int64_t born_ms);

/* 1: nothing failed, or so long ago that one more try is due. */
int tw_pool_may_start(const tw_pool_t *p);

/* Wants the instances that are DOWN started again, now or after the
 * back-off. */
void tw_pool_start_soon(tw_pool_t *p);

/* ---- instance.c ---- */

void tw_instance_init(tw_pool_t *p, tw_instance_t *instance, unsigned no);
void tw_instance_set_state(tw_instance_t *instance, tw_instance_state_t to);

/* The task in flight was answered: the instance is IDLE, the slot is told. */
void tw_instance_answered(tw_instance_t *instance, const tw_answer_t *a);

/* DOWN: starts a child. 0, or -1 (the pool was told). */
int tw_instance_start(tw_instance_t *instance);

/* Runs the slot's task. -1: this instance turned out to be no longer IDLE. */
int tw_instance_run(tw_instance_t *instance, tw_slot_t *slot);

/* The time of its task begins now. */
void tw_instance_start_timer(tw_instance_t *instance);

/* Ends the child of a task whose outcome is decided (slot.h). */
void tw_instance_kill(tw_instance_t *instance, int hard);

void tw_instance_stop(tw_instance_t *instance, tw_stop_t how);

/* Starts the planned replacement of an instance that is IDLE or BUSY. */
void tw_instance_replace(tw_instance_t *instance);

/* ---- instance_answer.c: what its child writes to stdout ---- */

/* A line, and one that is too long (of which first is the first byte). */
void tw_instance_line(tw_instance_t *instance, tw_child_t *c, tq_str_t line);
void tw_instance_long_line(tw_instance_t *instance, tw_child_t *c, char first,
    size_t len);

/* Between two tasks: the next child takes over when it runs; when this one has
 * had as many as it may, the next one is started. */
void tw_instance_replace_if_due(tw_instance_t *instance);

/* ---- instance_log.c ---- */

/* A line on stdout that is no answer; bytes: its length, of which line may be
 * only the beginning. why: static text. */
void tw_instance_skip(tw_instance_t *instance, tq_str_t line, size_t bytes,
    const char *why);

void tw_instance_stderr(tw_instance_t *instance, pid_t pid, const char *p,
    size_t len);

/* ---- instance_http.c: the same for `url` handlers ---- */

int tw_instance_http_start(tw_instance_t *instance);
int tw_instance_http_run(tw_instance_t *instance, tw_slot_t *slot);

/* Ends the request; the slot is told in the next turn, as if a child died. */
void tw_instance_http_kill(tw_instance_t *instance);

static inline const tw_handler_conf_t *
tw_instance_conf(const tw_instance_t *instance)
{
    return instance->pool->conf;
}

#endif /* TW_INSTANCE_H */
