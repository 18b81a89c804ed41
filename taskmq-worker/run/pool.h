/*
 * pool.h: the places ("instances") at which one handler runs jobs, and which
 * of them is next. pool.c chooses and starts, inst.c is the life of one.
 *
 * An instance keeps its place when its child is replaced. A handler that
 * cannot start (exec fails, or the child dies without ever having read a
 * task) backs off and claims nothing meanwhile: its jobs stay in Redis.
 */

#ifndef TW_POOL_H
#define TW_POOL_H

#include "child.h"
#include "slot.h"
#include "target_http.h"
#include "worker.h"

typedef enum {
    TW_INST_DOWN,             /* no child; the pool starts one */
    TW_INST_STARTING,         /* forked, exec not seen yet */
    TW_INST_IDLE,             /* may be given a task */
    TW_INST_BUSY,             /* one task in flight */
    TW_INST_ENDING            /* its child is being killed */
} tw_inst_state_t;

/* Lines logged in this second. */
typedef struct {
    int64_t   since_ms;
    unsigned  lines, dropped;
} tw_rate_t;

struct tw_inst_s {
    tw_inst_state_t  state;
    unsigned         no;              /* place in the pool */
    tw_http_t       *http;            /* a url handler's, instead of child */
    tw_pool_t       *pool;
    tw_child_t      *child;           /* not in DOWN */
    tw_child_t      *next;            /* planned replacement, starting */
    int              next_ready;
    int64_t          born_ms;         /* of child */
    int64_t          forked_ms;       /* … it may have been the next one then */
    int64_t          next_ms;         /* the same of next */
    uint64_t         tasks;           /* answered by child */
    char             ended[TQ_UUID_LEN + 1];  /* the last task that a line
                                         without its id has ended: another
                                         with it may still come */
    tw_slot_t       *slot;            /* BUSY, maybe ENDING: what it works
                                         on */
    uv_timer_t       timer;           /* the task's timeout */

    unsigned         skipped;         /* stdout lines during this task */
    const char      *skipped_why;     /* of the last; static text */

    tq_buf_t         err_line;        /* unfinished stderr line */
    tw_rate_t        err_rate, out_rate;
};

struct tw_pool_s {
    tw_worker_t             *w;
    tw_handler_conf_t       *conf;    /* its own */
    size_t                   name_len;
    tw_inst_t               *inst;
    unsigned                 n;       /* instances; 0: builtin */
    unsigned                 idle;    /* of them IDLE */
    unsigned                 waiting; /* slots WAITING for one: */
    tw_slot_t               *wait_first, *wait_last;
    uint64_t                 refused; /* claims up to this one brought more
                                         jobs than there are places: the rest
                                         of them goes back, or it would
                                         overtake */
    unsigned                 asked;   /* slots of claims in flight */
    unsigned                 last;    /* round-robin */
    unsigned                 fails;   /* starts that failed in a row */
    int64_t                  failed_ms;       /* the last of them */
    int64_t                  lived_ms;        /* the longest life of them */
    int                      watched; /* in the blocking read's keys */
    int                      woken;   /* its marker may have been taken, and
                                         no claim has put it back */
    char                   **envp;
    uv_timer_t               timer;   /* the next start */
    int                      stopping;

    /* reload.c: a changed handler's next pool starts beside it, and takes
     * over when it can run its first job */
    tw_pool_t               *successor;

    /* restart.c: Redis' time; processes from before it are replaced */
    int64_t                  restart_ms;
    int64_t                  restarted_ms;    /* … all of them are */
    int                      restarting;
    int                      useful;  /* an instance was IDLE once */
    tw_pool_t               *next;    /* of those that were replaced */
    unsigned                 handles; /* to be closed before it is freed */
};

/* NULL: out of memory (conf is the caller's again). Starts its children. */
tw_pool_t *tw_pool_new(tw_worker_t *w, tw_handler_conf_t *conf);

/* How many more jobs it could run, not counting those already asked for. */
unsigned tw_pool_free(const tw_pool_t *p);

/* A handler's pool by name; NULL: not served. */
tw_pool_t *tw_pool_find(tw_worker_t *w, const char *name, size_t len);

/* The idle instance that is next, or NULL. */
tw_inst_t *tw_pool_pick(tw_pool_t *p);

/* Gives waiting jobs the places that became free. */
void tw_pools_turn(tw_worker_t *w);

/* Stops all children; no new ones are started. */
void tw_pools_stop(tw_worker_t *w, tw_stop_t how);

/* Starts no more children, gives back what waits, ends those that are idle. */
void tw_pool_stop(tw_pool_t *p, tw_stop_t how);

/* 1: no child, no job, no claim under way needs it any more. */
int tw_pool_is_done(const tw_pool_t *p);

/* After that: closes its timers, and frees it when they are closed. */
void tw_pool_close(tw_pool_t *p);

/* ---- pool.c for inst.c ---- */

/* A child that was started then never became useful: why, for people. Its
 * instance has it no more, or has told it to end. */
void tw_pool_start_failed(tw_pool_t *p, int64_t forked_ms, const char *why);

/* A child that was born then has answered, or lived: it counts when that was
 * after the last failure. (An old one says nothing of how starting goes.) */
void tw_pool_started_well(tw_pool_t *p, int64_t born_ms);

/* 1: nothing failed, or so long ago that one more try is due. */
int tw_pool_may_start(const tw_pool_t *p);

/* Wants the instances that are DOWN started again, now or after the
 * back-off. */
void tw_pool_start_soon(tw_pool_t *p);

/* There will be a turn in TQ_START_OK_MS, if not earlier. */
void tw_pool_turn_later(tw_pool_t *p);

/* ---- inst.c ---- */

void tw_inst_init(tw_pool_t *p, tw_inst_t *inst, unsigned no);
void tw_inst_set_state(tw_inst_t *inst, tw_inst_state_t to);

/* The task in flight was answered: the instance is IDLE, the slot is told. */
void tw_inst_answered(tw_inst_t *inst, const tw_answer_t *a);

/* DOWN: starts a child. 0, or -1 (the pool was told). */
int tw_inst_start(tw_inst_t *inst);

/* Runs the slot's task. -1: this instance turned out to be no longer IDLE. */
int tw_inst_run(tw_inst_t *inst, tw_slot_t *slot);

/* The time of its task begins now. */
void tw_inst_start_timer(tw_inst_t *inst);

/* Ends the child of a task whose outcome is decided (slot.h). */
void tw_inst_kill(tw_inst_t *inst, int hard);

void tw_inst_stop(tw_inst_t *inst, tw_stop_t how);

/* Starts the planned replacement of an instance that is IDLE or BUSY. */
void tw_inst_replace(tw_inst_t *inst);

/* ---- restart.c ---- */

/* Asks Redis which handlers are to be restarted: with each heartbeat. */
void tw_restart_ask(tw_worker_t *w);

/* 1: this one's process is older than the last restart. */
int tw_restart_due(const tw_inst_t *inst);

/* One step, at the end of each turn. */
void tw_restart_turn(tw_pool_t *p);

/* ---- instance_answer.c: what its child writes to stdout ---- */

/* A line, and one that is too long (of which first is the first byte). */
void tw_inst_line(tw_inst_t *inst, tw_child_t *c, tq_str_t line);
void tw_inst_long_line(tw_inst_t *inst, tw_child_t *c, char first, size_t len);

/* Between two tasks: the next child takes over when it runs; when this one has
 * had as many as it may, the next one is started. */
void tw_inst_replace_if_due(tw_inst_t *inst);

/* ---- inst_log.c ---- */

/* A line on stdout that is no answer; bytes: its length, of which line may be
 * only the beginning. why: static text. */
void tw_inst_skip(tw_inst_t *inst, tq_str_t line, size_t bytes,
    const char *why);

void tw_inst_stderr(tw_inst_t *inst, pid_t pid, const char *p, size_t len);

/* ---- inst_http.c: the same for `url` handlers ---- */

int tw_inst_http_start(tw_inst_t *inst);
int tw_inst_http_run(tw_inst_t *inst, tw_slot_t *slot);

/* Ends the request; the slot is told in the next turn, as if a child died. */
void tw_inst_http_kill(tw_inst_t *inst);

#endif /* TW_POOL_H */
