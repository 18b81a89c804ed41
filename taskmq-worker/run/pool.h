/*
 * pool.h: the places ("instances") at which one handler runs jobs, and which
 * of them is next. pool.c chooses and starts, instance.c is the life of one.
 *
 * An instance keeps its place when its child is replaced. A handler that
 * cannot start (exec fails, or the child dies without ever having read a
 * task) backs off and claims nothing meanwhile: its jobs stay in Redis.
 */

#ifndef TW_POOL_H
#define TW_POOL_H

#include "slot.h"
#include "tq_doc.h"
#include "tw_base.h"
#include "tw_process.h"

struct tw_pool_s {
    tw_run_t                *run;
    tw_handler_conf_t       *conf;    /* its own */
    size_t                   name_len;
    tw_instance_t           *instances;
    unsigned                 n;       /* instances; 0: builtin */
    unsigned                 idle;    /* of them IDLE */
    unsigned                 waiting; /* slots WAITING for one: */
    tw_slot_t               *wait_first, *wait_last;
    unsigned                 last;    /* round-robin */
    unsigned                 fails;   /* starts that failed in a row */
    int64_t                  failed_ms;       /* the last of them */
    int64_t                  lived_ms;        /* the longest life of them */
    char                   **envp;
    uv_timer_t               timer;   /* the next start */
    int                      stopping;

    /* reload.c: a changed handler's next pool starts beside it, and takes
     * over when it can run its first job */
    tw_pool_t               *successor;
    int                      useful;  /* an instance was IDLE once */
    tw_pool_t               *next;    /* of those that were replaced */
    unsigned                 handles; /* to be closed before it is freed */

    /* Notes of the queue. */
    unsigned                 asked;   /* slots of claims in flight */
    uint64_t                 refused; /* claims up to this one brought more
                                         jobs than there are places: the rest
                                         of them goes back, or it would
                                         overtake */
    int                      watched; /* in the blocking read's keys */
    int                      woken;   /* its marker may have been taken, and
                                         no claim has put it back */
    int64_t                  restart_ms;      /* Redis' time; processes from
                                         before it are replaced */
    int64_t                  restarted_ms;    /* … all of them are */
    int                      restarting;
};

/* NULL: out of memory (conf is the caller's again). Starts its children. */
tw_pool_t *tw_pool_new(tw_run_t *run, tw_handler_conf_t *conf);

/* How many more jobs it could run, not counting those already asked for. */
unsigned tw_pool_free(const tw_pool_t *p);

/* Starts no more children, gives back what waits, ends those that are idle. */
void tw_pool_stop(tw_pool_t *p, tw_stop_t how);

/* 1: no child, no job, no claim under way needs it any more. */
int tw_pool_is_done(const tw_pool_t *p);

/* After that: closes its timers, and frees it when they are closed. */
void tw_pool_close(tw_pool_t *p);

/* 1: instances have processes that were started before that (the loop's
 * clock). */
int tw_pool_has_older(const tw_pool_t *p, int64_t ms);

/* Starts the replacement of one of them. */
void tw_pool_replace_older(tw_pool_t *p, int64_t ms);

/* 1: all are up, none is being replaced, and each has answered a task or lived
 * a while: one that dies at once is the only one. After a failure the life must
 * be longer, or it is time for the next try. 0: there will be a turn when it
 * may have become so. */
int tw_pool_is_well(tw_pool_t *p);

/* ---- pools.c: all of them ---- */

/* A handler's pool by name; NULL: not served. */
tw_pool_t *tw_pool_find(tw_run_t *run, const char *name, size_t len);

/* Serves one more handler. 0, or -1 as tw_pool_new(). */
int tw_pools_add(tw_run_t *run, tw_handler_conf_t *conf);

/* Gives waiting jobs the places that became free. */
void tw_pools_turn(tw_run_t *run);

/* Stops all children; no new ones are started. */
void tw_pools_stop(tw_run_t *run, tw_stop_t how);

/* Closes all of them. */
void tw_pools_close(tw_run_t *run);

/* 1: a job more could run now. */
int tw_pools_have_room(const tw_run_t *run);

/* 1: no handler can start. */
int tw_pools_all_fail(const tw_run_t *run);

/* {NAME: {"active": N, "idle": N}, …}; NULL: out of memory. */
cJSON *tw_pools_doc(const tw_run_t *run);

static inline const tw_handler_conf_t *
tw_slot_conf(const tw_slot_t *s)
{
    return s->pool->conf;
}

static inline int64_t
tw_pool_now(const tw_pool_t *p)
{
    return tw_now(p->run->loop);
}

#endif /* TW_POOL_H */
