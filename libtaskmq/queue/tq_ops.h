/*
 * tq_ops.h: what a queue can do; plain structs in and out. Nothing above this
 * file builds a Redis command or looks into a reply.
 *
 * Per operation one function builds the call, for tq_redis_call(): NULL when
 * memory ran out. How it ended is told once, as a tq_result_t: its status, in
 * which every failure of every operation looks the same, and with TQ_OK the
 * operation's own part, which is whole and within its bounds. Where that has
 * many items (jobs, verdicts, queues), functions below read them one by one
 * out of the answer: nothing is copied, and nothing can fail any more.
 *
 * A result, and all slices in it, are the callback's for as long as it runs;
 * tq_result_keep() is for those who need one longer.
 *
 * The scripts are in lua/, their arguments and replies in docs/redis-schema.md.
 */

#ifndef TQ_OPS_H
#define TQ_OPS_H

#include "tq_job.h"
#include "tq_redis.h"
#include "tq_base.h"

/* All scripts, NULL-terminated, for tq_redis_conf_t.scripts. */
extern const tq_script_t  *tq_ops_scripts[];

/* A namespace's key prefix, "{name}:". */
typedef struct {
    char    prefix[TQ_NAMESPACE_MAX + 4];
    size_t  len;
} tq_ns_t;

/* 0, or -1 when name is not [A-Za-z0-9_.-]{1,64}. */
int tq_ns_init(tq_ns_t *ns, const char *name, size_t len);

/* ---- how operations end ---- */

typedef enum {
    TQ_OK,                    /* done, or read */
    TQ_REFUSED,               /* answered otherwise: err and text say why */
    TQ_NOT_SENT,              /* surely never reached Redis: nothing was done */
    TQ_UNKNOWN                /* was sent, in part or whole; no answer came */
} tq_status_t;

typedef struct tq_result_s  tq_result_t;

/* data: as given to the builder. */
typedef void (*tq_done_cb)(void *data, const tq_result_t *res);

/* For calls that were never made. */
extern const tq_result_t  tq_not_sent;

/* Makes a result (the callback's own, not another copy) last until
 * tq_result_free(). NULL: out of memory, or it is none of a call. */
tq_result_t *tq_result_keep(const tq_result_t *res);
void tq_result_free(tq_result_t *kept);      /* NULL is fine */

/* Who is told. */
typedef struct {
    tq_done_cb  cb;           /* NULL: nobody */
    void       *data;
} tq_done_t;

/* For a host that stands between a call, not handed over yet, and who made it:
 * from now on `with` is told. Returns who was told until now. */
tq_done_t tq_done_swap(tq_call_t *call, tq_done_t with);

#define TQ_WORKER_ID_LEN  16      /* hex of 64 random bits */
#define TQ_COUNTER_LEN    12      /* hex claim counter */
#define TQ_LEASE_TOKEN_LEN  (TQ_COUNTER_LEN + TQ_WORKER_ID_LEN)

/* A lease token: claim counter, then worker id. Not NUL-terminated. */
typedef struct {
    char  t[TQ_LEASE_TOKEN_LEN];
} tq_token_t;

/* ---- enqueue: many independent groups in one call ---- */

/* A batch under construction; zero it to start. */
typedef struct {
    tq_buf_t    args;          /* starts with a gap for what is known last */
    tq_call_t  *aside;         /* large payloads, stored before the jobs */
    size_t      bytes;         /* args and these, about */
    unsigned    nargs;
    unsigned    groups;
    unsigned    jobs;
} tq_enqueue_t;

/*
 * Adds one group: n jobs, all or none. scope/key/body_hash for idempotency:
 * key.len 0 means none; scope is the JWT's subject or "". known: refuse
 * handlers that no live worker serves. Returns the group's place, or -1 when
 * memory ran out (the batch must then be dropped).
 */
int tq_enqueue_add(tq_enqueue_t *e, const tq_ns_t *ns, tq_str_t scope,
    tq_str_t key, uint64_t body_hash, int known, const tq_job_t *jobs,
    unsigned n);

/* Ends a batch that is not wanted; it may be used again. */
void tq_enqueue_drop(tq_enqueue_t *e);

/* Turns the batch into a call and empties it. */
tq_call_t *tq_enqueue_call(tq_enqueue_t *e, const tq_ns_t *ns, tq_done_cb done,
    void *data);

/* What became of a group of the call, from 0: > 0 the first job id (a group's
 * ids follow each other), or one of these. */
int64_t tq_enqueued(const tq_result_t *res, unsigned group);

#define TQ_ENQUEUE_CONFLICT   (-1)   /* idempotency key with another body */
#define TQ_ENQUEUE_HANDLERS   (-2)   /* TQ_HANDLERS_MAX names in use */
#define TQ_ENQUEUE_UNKNOWN_HANDLER (-3)  /* known: no worker serves it */
#define TQ_ENQUEUE_PAYLOAD    (-4)   /* its payload did not get there in time:
                                        not stored, may be repeated */

/* ---- claim ---- */

typedef struct {
    tq_str_t  handler;
    unsigned  free;           /* slots */
} tq_claim_want_t;

typedef struct {
    int64_t     id;
    tq_token_t  token;
    tq_job_t    job;          /* payload: a slice; not read yet where
                                 aside_bytes is not 0: tq_payload_call() */
    int         attempts;     /* failures so far; the attempt is this + 1 */
} tq_claimed_t;

/*
 * token: worker id and a number that this worker has not used before: the token
 * of all jobs that the call brings. woken: this worker may have taken a
 * handler's marker (tq_wake_call()), so that those of handlers with jobs left
 * are put back.
 */
tq_call_t *tq_claim_call(const tq_ns_t *ns, const tq_token_t *token,
    const char *worker_name, int64_t lease_ms, unsigned total, int woken,
    const tq_claim_want_t *want, unsigned nwant, tq_done_cb done, void *data);

/* Has the jobs that are due put among those that wait right before this claim:
 * for one that is made once the due time that another told has come. Where
 * memory runs out, the claim tells that time again. */
void tq_due_before(tq_call_t *claim, const tq_ns_t *ns, tq_done_cb done,
    void *data);

typedef struct {
    int64_t     now_ms;       /* Redis' clock */
    int64_t     due_ms;       /* earliest scheduled job, 0: none; it may be
                                 past */
    unsigned    jobs;
    tq_token_t  token;        /* theirs */
} tq_claims_t;

/* Job i of them. 0, or -1: it could not be read; where id is not 0 it can still
 * be failed by id and token, which are set, with TQ_UNREADABLE. */
int tq_claim_job(const tq_result_t *res, unsigned i, tq_claimed_t *out);

/* Reads a payload that is stored apart, bytes long (job.aside_bytes). !found:
 * it is not there (the job may have been deleted). */
tq_call_t *tq_payload_call(const tq_ns_t *ns, int64_t id, int64_t bytes,
    tq_done_cb done, void *data);

typedef struct {
    int       damaged;        /* what is there is no payload of this length */
    tq_str_t  bytes;
} tq_payload_t;

/* ---- transitions of leased jobs: many per call, a verdict each ---- */

typedef enum {
    TQ_VERDICT_OK = 0,
    TQ_VERDICT_ALREADY = 1,   /* the same transition, repeated: fine */
    TQ_VERDICT_STALE = 2,     /* not leased under this token any more */
    TQ_VERDICT_GONE = 3,      /* no such job */
    TQ_VERDICT_CANCELLED = 4  /* extend: cancelled while running */
} tq_verdict_t;

typedef struct {
    int64_t     id;
    tq_token_t  token;
    tq_str_t    result;       /* complete: JSON; empty: null */
    tq_str_t    error;        /* fail: text, cut by the caller to the limit */
    tq_str_t    log;          /* tail of stderr; empty: keep what is there */
    int         retryable;    /* fail: 1, 0, or -1: dead, even a periodic
                                 job, for no run of it can go well */
    int64_t     wait_ms;      /* fail: -1, or a wait asked for (Retry-After) */
} tq_outcome_t;

/* Costs least when outcomes of one token follow each other, and those with a
 * log. */
tq_call_t *tq_complete_call(const tq_ns_t *ns, const tq_outcome_t *o,
    unsigned n, tq_done_cb done, void *data);
tq_call_t *tq_fail_call(const tq_ns_t *ns, const tq_outcome_t *o,
    unsigned n, uint64_t jitter, tq_done_cb done, void *data);
tq_call_t *tq_release_call(const tq_ns_t *ns, const tq_outcome_t *o,
    unsigned n, tq_done_cb done, void *data);

/* What a worker tells of itself. */
typedef struct {
    const char      *worker_id;
    const char      *worker_name;
    tq_str_t         info;        /* JSON text shown by `taskmq stats` */
    const tq_str_t  *handlers;    /* that it serves */
    unsigned         nhandlers;
    int64_t          lease_ms;
    int              all;         /* leases of this worker that are not named
                                     end, too (a claim whose reply was lost):
                                     only while no claim is under way */
} tq_heartbeat_t;

/* So many jobs. */
typedef struct {
    unsigned  jobs;
    int       more;           /* call again */
} tq_some_t;

/* Heartbeat of the worker and one lease extension for all its jobs (only id
 * and token are read; those of one lease follow each other). A job under one of
 * these leases that is not named is given back: res->given_back. n may be 0. */
tq_call_t *tq_extend_call(const tq_ns_t *ns, const tq_heartbeat_t *beat,
    const tq_outcome_t *o, unsigned n, tq_done_cb done, void *data);

/* On the call's outcome i: of complete, fail, release and extend. */
tq_verdict_t tq_verdict(const tq_result_t *res, unsigned i);

/* Ends the heartbeat of a worker that stops. */
tq_call_t *tq_goodbye_call(const tq_ns_t *ns, const char *worker_id,
    tq_done_cb done, void *data);

typedef struct {
    int64_t   now_ms;
    unsigned  requeued;       /* crash counted */
    unsigned  failed;         /* the last crash allowed */
    int       more;           /* call again soon */
} tq_reaped_t;

/*
 * not_after_ms (Redis' clock): run later than that, it does nothing and only
 * tells the time; -1: no bound. A call may wait in the socket of a Redis that
 * is stopped and run when that goes on, before the living could extend. So a
 * worker calls twice: with 0 to learn the time, then with that time and
 * TQ_REAP_FRESH_MS.
 */
tq_call_t *tq_reap_call(const tq_ns_t *ns, int64_t not_after_ms,
    tq_done_cb done, void *data);

/* Removes jobs whose time is over: res->swept. */
tq_call_t *tq_sweep_call(const tq_ns_t *ns, tq_done_cb done, void *data);

/* ---- reading ---- */

/* res->job; !found: no such job. */
tq_call_t *tq_get_call(const tq_ns_t *ns, int64_t id, tq_done_cb done,
    void *data);

/* res->log, which may be empty; !found: no such job. */
tq_call_t *tq_logs_call(const tq_ns_t *ns, int64_t id, tq_done_cb done,
    void *data);

#define TQ_LIST_NOT_SUCCESS  100    /* failed or cancelled */
#define TQ_LIST_SCHEDULED    101    /* pending, and not due yet */

typedef struct {
    int64_t     before;       /* ids below this; 0: from the newest */
    int         status;       /* a tq_state_t, TQ_LIST_…, or -1: any */
    tq_str_t    handler;      /* empty: any */
    unsigned    limit;        /* 1..TQ_LIST_MAX */
} tq_list_t;

tq_call_t *tq_list_call(const tq_ns_t *ns, const tq_list_t *l, tq_done_cb done,
    void *data);

typedef struct {
    int64_t     cursor;       /* `before` of the next page, 0: the end */
    unsigned    jobs;         /* on this one */
} tq_page_t;

/* Job i of res->page. */
void tq_list_job(const tq_result_t *res, unsigned i, tq_job_info_t *out);

typedef struct {
    tq_str_t  name;
    int64_t   received, waiting, scheduled, running, dead;
    int64_t   oldest_ms;      /* created time of the oldest waiting, 0: none */
} tq_queue_stats_t;

#define TQ_DURATION_BUCKETS  14   /* and +Inf */
extern const int64_t  tq_duration_bounds_ms[TQ_DURATION_BUCKETS];

typedef struct {
    int64_t   now_ms;
    int64_t   received, success, failed, cancelled, retries, crashes,
              dead_dropped;
    int64_t   duration_sum_ms;
    int64_t   duration[TQ_DURATION_BUCKETS + 1];  /* not cumulative */
    int64_t   waiting, scheduled, running, dead, finished;
    int64_t   finished_bytes; /* of finished and dead jobs, where bounded */
    int64_t   finished_max_bytes;     /* the bound, 0: none */
    int64_t   finished_dropped;       /* finished jobs, to keep it */
    unsigned  workers;
    unsigned  queues;
} tq_stats_t;

typedef struct {
    tq_str_t  id, name;
    int64_t   seen_ms;        /* last */
    tq_str_t  info;           /* JSON, unless the worker lies */
} tq_worker_stats_t;

tq_call_t *tq_stats_call(const tq_ns_t *ns, tq_done_cb done, void *data);
/* Queue and worker i of res->stats. */
void tq_stats_queue(const tq_result_t *res, unsigned i, tq_queue_stats_t *out);
void tq_stats_worker(const tq_result_t *res, unsigned i,
    tq_worker_stats_t *out);

/* ---- changes by people ---- */

/* What became of cancel, retry, delete and replay: res->change. */
typedef enum {
    TQ_CHANGE_OK = 0,
    TQ_CHANGE_ALREADY = 1,    /* cancel: was cancelled before */
    TQ_CHANGE_CONFLICT = 2,   /* not pending / not failed */
    TQ_CHANGE_NOT_FOUND = 3
} tq_change_t;

typedef struct {
    tq_change_t  verdict;
    int64_t      new_id;      /* replay: the copy's; 0: there is none */
} tq_changed_t;

tq_call_t *tq_cancel_call(const tq_ns_t *ns, int64_t id, int force,
    tq_done_cb done, void *data);
tq_call_t *tq_retry_call(const tq_ns_t *ns, int64_t id, tq_done_cb done,
    void *data);
tq_call_t *tq_delete_call(const tq_ns_t *ns, int64_t id, tq_done_cb done,
    void *data);
/* dead_only: only a job in the dead-letter set. */
tq_call_t *tq_replay_call(const tq_ns_t *ns, int64_t id, int dead_only,
    tq_done_cb done, void *data);

/* ---- settings and health ---- */

/* Reads all settings. */
tq_call_t *tq_config_get_call(const tq_ns_t *ns, tq_done_cb done, void *data);
/* Setting i, with the defaults of those that were not set. 1, or 0: no more. */
int tq_config_pair(const tq_result_t *res, unsigned i, tq_str_t *name,
    tq_str_t *value);
/* Handlers whose processes are to be replaced: 1 with the handler and Redis'
 * time; 0: i is another setting; -1: no more. */
int tq_config_restart(const tq_result_t *res, unsigned i, tq_str_t *handler,
    int64_t *at_ms);
/* seed: set only where the namespace has no value yet (res->kept: it has).
 * value NULL: as if it had never been set. */
tq_call_t *tq_config_set_call(const tq_ns_t *ns, const char *name,
    const char *value, int seed, tq_done_cb done, void *data);
/* Processes of this handler that were started before this time, in seconds of
 * Redis' clock, are to be replaced. */
tq_call_t *tq_config_restart_call(const tq_ns_t *ns, const char *handler,
    int64_t at_s, tq_done_cb done, void *data);
/* Checks a setting before it is sent; value NULL: only its name. NULL: fine,
 * else a static sentence. */
const char *tq_config_check(const char *name, const char *value);

/* "Could a job be stored now": a script that writes nothing but may write. When
 * it is refused, res->cause says why not. */
tq_call_t *tq_probe_call(const tq_ns_t *ns, tq_done_cb done, void *data);

typedef struct {
    int64_t  waiting;         /* jobs in all */
    int64_t  workers;         /* live ones */
    int      noeviction;      /* the eviction policy is: 1, 0, or -1: cannot
                                 be read */
    int      bytes_full;      /* percent of finished_max_bytes … */
    int      memory_full;     /* … and Redis' maxmemory in use; -1: there is
                                 no such bound, or it is not known */
} tq_probe_t;

/* The namespace's random key for task ids, made on first use: res->key. */
tq_call_t *tq_uuid_key_call(const tq_ns_t *ns,
    const unsigned char fresh[TQ_UUID_KEY_LEN], tq_done_cb done, void *data);

/* The same key; !found: the namespace has none. Costs Redis as little as can
 * be. */
tq_call_t *tq_uuid_peek_call(const tq_ns_t *ns, tq_done_cb done, void *data);

/* Whether this program may use the namespace, a tq_ns_t: Redis lets it do what
 * redis-acl.example lists for it, and the namespace's schema is ours, or it is
 * new and gets ours; else why not, and what to do. */
extern const tq_greet_t  tq_greet_nginx;
extern const tq_greet_t  tq_greet_worker;
extern const tq_greet_t  tq_greet_cli;

/* ---- wake-up (a worker's blocking connection) ---- */

typedef enum {
    TQ_WAKE_TIMEOUT,
    TQ_WAKE_HANDLER,          /* handler has a waiting job */
    TQ_WAKE_OWN,              /* the worker's own key: a cancel */
    TQ_WAKE_ENDED             /* by Redis, which has become a replica */
} tq_wake_kind_t;

typedef struct {
    tq_wake_kind_t  kind;
    tq_str_t        handler;  /* TQ_WAKE_HANDLER */
} tq_wake_t;

/* BZPOPMIN over the handlers' wake keys and the worker's own. ns must live as
 * long as the call. */
tq_call_t *tq_wake_call(const tq_ns_t *ns, const char *worker_id,
    const tq_str_t *handlers, unsigned n, int64_t timeout_ms, tq_done_cb done,
    void *data);

/* The connection's own number, for tq_unblock_call(): res->client_id. */
tq_call_t *tq_client_id_call(tq_done_cb done, void *data);

/* Ends another connection's blocking read as if it had timed out:
 * res->unblocked, or it did not read. */
tq_call_t *tq_unblock_call(int64_t client_id, tq_done_cb done, void *data);

/* ---- the result of any of these ---- */

struct tq_result_s {
    tq_status_t         status;

    /* with TQ_REFUSED; else TQ_ERR_NONE, "" and 0 */
    tq_redis_err_t      err;        /* what kind */
    tq_redis_err_t      cause;      /* the same, or TQ_ERR_NOPERM where a script
                                       was stopped on its way by what it may not
                                       do (it may have written before) */
    const char         *text;       /* what Redis said; not to be trusted */
    unsigned            odd:1;      /* it did not refuse: its answer is none of
                                       this operation's (then TQ_ERR_OTHER) */
    unsigned            script:1;   /* a script of ours failed on its way, at
                                       what it was given */
    unsigned            half:1;     /* one was stopped on its way: a part may
                                       have been done */

    /* with TQ_OK */
    unsigned            found:1;    /* where there may be none */
    union {
        tq_claims_t     claims;
        tq_payload_t    payload;
        tq_some_t       given_back; /* extend: jobs that it did not hold */
        tq_reaped_t     reaped;
        tq_some_t       swept;
        tq_job_info_t   job;
        tq_str_t        log;
        tq_page_t       page;
        tq_stats_t      stats;
        tq_changed_t    change;
        int             kept;
        tq_probe_t      probe;
        unsigned char   key[TQ_UUID_KEY_LEN];
        tq_wake_t       wake;
        int64_t         client_id;
        int             unblocked;
    };

    /* tq_ops' own */
    tq_call_t                *call;
    const struct redisReply  *from;   /* what items are read from */
    unsigned                  first;  /* … at this place */
};

#endif /* TQ_OPS_H */
