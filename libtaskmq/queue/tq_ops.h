/*
 * tq_ops.h: what a queue can do. Per operation one function that builds the
 * call and one that decodes its reply; plain structs in and out. Nothing above
 * this file builds a Redis command or looks into a redisReply itself.
 *
 * Builders return a call for tq_redis_call(), or NULL when memory ran out.
 * Decoders return 0, or -1 when the reply is not what the script returns (a
 * REDIS_REPLY_ERROR included: ask tq_redis_err() first). Slices in decoded
 * structs point into the reply and live as long as it does.
 *
 * The scripts are in lua/, their arguments and replies in docs/redis-schema.md.
 */

#ifndef TQ_OPS_H
#define TQ_OPS_H

#include "tq_job.h"
#include "tq_redis.h"

/* All scripts, NULL-terminated, for tq_redis_conf_t.scripts. */
extern const tq_script_t  *tq_ops_scripts[];

/* A namespace's key prefix, "{name}:". */
typedef struct {
    char    prefix[TQ_NAMESPACE_MAX + 4];
    size_t  len;
} tq_ns_t;

/* 0, or -1 when name is not [A-Za-z0-9_.-]{1,64}. */
int tq_ns_init(tq_ns_t *ns, const char *name, size_t len);

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
    tq_buf_t   args;          /* starts with a gap for what is known last */
    tq_call_t *aside;         /* large payloads, stored before the jobs */
    size_t     bytes;         /* args and these, about */
    unsigned   nargs;
    unsigned   groups;
    unsigned   jobs;
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
tq_call_t *tq_enqueue_call(tq_enqueue_t *e, const tq_ns_t *ns, tq_call_cb cb,
    void *data);

/* Per group: >0 the first job id (a group's ids follow each other), or */
#define TQ_ENQUEUE_CONFLICT   (-1)   /* idempotency key with another body */
#define TQ_ENQUEUE_HANDLERS   (-2)   /* TQ_HANDLERS_MAX names in use */
#define TQ_ENQUEUE_UNKNOWN_HANDLER (-3)  /* known: no worker serves it */
#define TQ_ENQUEUE_PAYLOAD    (-4)   /* its payload did not get there in time:
                                        not stored, may be repeated */
/* 0, or -1: the reply is none of enqueue's, or has no such group. */
int tq_enqueue_result(const redisReply *reply, unsigned group, int64_t *out);

/* ---- claim ---- */

typedef struct {
    tq_str_t  handler;
    unsigned  free;           /* slots */
} tq_claim_want_t;

typedef struct {
    int64_t     id;
    tq_token_t  token;
    tq_job_t    job;          /* payload: slice of the reply */
    int         attempts;     /* failures so far; the attempt is this + 1 */
} tq_claimed_t;

/*
 * token: worker id and a number that this worker has not used before: the token
 * of all jobs that the call brings. woken: this worker may have taken a handler's
 * marker (tq_wake_result()), so that those of handlers with jobs left are put
 * back.
 */
tq_call_t *tq_claim_call(const tq_ns_t *ns, const tq_token_t *token,
    const char *worker_name, int64_t lease_ms, unsigned total, int woken,
    const tq_claim_want_t *want, unsigned nwant, tq_call_cb cb, void *data);

typedef struct {
    int64_t   now_ms;         /* Redis' clock */
    int64_t   due_ms;         /* earliest scheduled job, 0: none */
    unsigned  jobs;
} tq_claim_head_t;

int tq_claim_head(const redisReply *reply, tq_claim_head_t *out);
/* token: the one the call was made with. -1 with out->id set: only the record
 * could not be read, and with id and token the job can still be failed, with
 * TQ_UNREADABLE; with id 0: the reply is not a claim's. Where job.aside_bytes is
 * not 0 the payload is read by the next call. */
int tq_claim_job(const redisReply *reply, const tq_token_t *token, unsigned i,
    tq_claimed_t *out);

/* Reads a payload that is stored apart. */
tq_call_t *tq_payload_call(const tq_ns_t *ns, int64_t id, tq_call_cb cb,
    void *data);
/* bytes: job.aside_bytes. 1 found, 0 not there (the job may have been deleted),
 * -1 the reply is no payload of this length. */
int tq_payload_result(const redisReply *reply, int64_t bytes,
    tq_str_t *payload);

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
    unsigned n, tq_call_cb cb, void *data);
tq_call_t *tq_fail_call(const tq_ns_t *ns, const tq_outcome_t *o,
    unsigned n, uint64_t jitter, tq_call_cb cb, void *data);
tq_call_t *tq_release_call(const tq_ns_t *ns, const tq_outcome_t *o,
    unsigned n, tq_call_cb cb, void *data);

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

/* Heartbeat of the worker and one lease extension for all its jobs (only id
 * and token are read; those of one lease follow each other). A job under one of
 * these leases that is not named is given back. n may be 0. */
tq_call_t *tq_extend_call(const tq_ns_t *ns, const tq_heartbeat_t *beat,
    const tq_outcome_t *o, unsigned n, tq_call_cb cb, void *data);
/* given_back: jobs that this worker did not hold; more: call again. */
int tq_extend_result(const redisReply *reply, unsigned *given_back, int *more);
int tq_extend_verdict(const redisReply *reply, unsigned i, tq_verdict_t *out);

/* For complete, fail and release. */
int tq_verdict(const redisReply *reply, unsigned i, tq_verdict_t *out);

/* Ends the heartbeat of a worker that stops. */
tq_call_t *tq_goodbye_call(const tq_ns_t *ns, const char *worker_id,
    tq_call_cb cb, void *data);

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
    tq_call_cb cb, void *data);
int tq_reap_result(const redisReply *reply, tq_reaped_t *out);

/* Removes jobs whose time is over; more: call again soon. */
tq_call_t *tq_sweep_call(const tq_ns_t *ns, tq_call_cb cb, void *data);
int tq_sweep_result(const redisReply *reply, unsigned *swept, int *more);

/* ---- reading ---- */

tq_call_t *tq_get_call(const tq_ns_t *ns, int64_t id, tq_call_cb cb,
    void *data);
/* 1 found, 0 no such job, -1 bad reply. */
int tq_get_result(const redisReply *reply, int64_t id, tq_job_info_t *out);

tq_call_t *tq_logs_call(const tq_ns_t *ns, int64_t id, tq_call_cb cb,
    void *data);
/* 1 found (log may be empty), 0 no such job, -1 bad reply. */
int tq_logs_result(const redisReply *reply, tq_str_t *log);

#define TQ_LIST_NOT_SUCCESS  100    /* failed or cancelled */
#define TQ_LIST_SCHEDULED    101    /* pending, and not due yet */

typedef struct {
    int64_t     before;       /* ids below this; 0: from the newest */
    int         status;       /* a tq_state_t, TQ_LIST_…, or -1: any */
    tq_str_t    handler;      /* empty: any */
    unsigned    limit;        /* 1..TQ_LIST_MAX */
} tq_list_t;

tq_call_t *tq_list_call(const tq_ns_t *ns, const tq_list_t *l, tq_call_cb cb,
    void *data);
/* cursor: `before` of the next page, 0: the end. n: jobs on this page. */
int tq_list_head(const redisReply *reply, int64_t *cursor, unsigned *n);
int tq_list_job(const redisReply *reply, unsigned i, tq_job_info_t *out);

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

tq_call_t *tq_stats_call(const tq_ns_t *ns, tq_call_cb cb, void *data);
int tq_stats_result(const redisReply *reply, tq_stats_t *out);
int tq_stats_queue(const redisReply *reply, unsigned i, tq_queue_stats_t *out);
/* Worker i: id, name, when last seen, its info JSON. */
int tq_stats_worker(const redisReply *reply, unsigned i, tq_str_t *id,
    tq_str_t *name, int64_t *seen_ms, tq_str_t *info);

/* ---- changes by people ---- */

/* One reply for cancel, retry, delete and replay. */
typedef enum {
    TQ_CHANGE_OK = 0,
    TQ_CHANGE_ALREADY = 1,    /* cancel: was cancelled before */
    TQ_CHANGE_CONFLICT = 2,   /* not pending / not failed */
    TQ_CHANGE_NOT_FOUND = 3
} tq_change_t;

tq_call_t *tq_cancel_call(const tq_ns_t *ns, int64_t id, int force,
    tq_call_cb cb, void *data);
tq_call_t *tq_retry_call(const tq_ns_t *ns, int64_t id, tq_call_cb cb,
    void *data);
tq_call_t *tq_delete_call(const tq_ns_t *ns, int64_t id, tq_call_cb cb,
    void *data);
/* dead_only: only a job in the dead-letter set. new_id: the copy's. */
tq_call_t *tq_replay_call(const tq_ns_t *ns, int64_t id, int dead_only,
    tq_call_cb cb, void *data);
/* *new_id (may be NULL) is 0 where there is none. */
int tq_change_result(const redisReply *reply, tq_change_t *out,
    int64_t *new_id);

/* ---- settings and health ---- */

/* Reads all settings: the reply is decoded by tq_config_pair(), which adds the
 * defaults of those that were not set. */
tq_call_t *tq_config_get_call(const tq_ns_t *ns, tq_call_cb cb, void *data);
/* seed: set only where the namespace has no value yet. value NULL: as if it had
 * never been set. */
tq_call_t *tq_config_set_call(const tq_ns_t *ns, const char *name,
    const char *value, int seed, tq_call_cb cb, void *data);
/* After set: 0 done (or kept, when seeding: *kept = 1). */
int tq_config_set_result(const redisReply *reply, int *kept);
/* 1: pair i; 0: no more; -1: bad reply. */
int tq_config_pair(const redisReply *reply, unsigned i, tq_str_t *name,
    tq_str_t *value);
/* Handlers whose processes are to be replaced: pair i of the reply to get. 1
 * with the handler and Redis' time; 0: another setting; -1: no more, or a bad
 * reply. */
int tq_config_restart(const redisReply *reply, unsigned i, tq_str_t *handler,
    int64_t *at_ms);
/* Processes of this handler that were started before this time, in seconds of
 * Redis' clock, are to be replaced; tq_config_set_result() reads the reply. */
tq_call_t *tq_config_restart_call(const tq_ns_t *ns, const char *handler,
    int64_t at_s, tq_call_cb cb, void *data);
/* Checks a setting before it is sent; value NULL: only its name. NULL fine, else
 * a static sentence. */
const char *tq_config_check(const char *name, const char *value);

/* "Could a job be stored now": a script that writes nothing but may write. An
 * error reply says why not. */
tq_call_t *tq_probe_call(const tq_ns_t *ns, tq_call_cb cb, void *data);
/* waiting jobs in all, live workers, eviction policy is noeviction (1/0/-1
 * when it cannot be read). */
int tq_probe_result(const redisReply *reply, int64_t *waiting,
    int64_t *workers, int *noeviction);
/* How full finished_max_bytes and Redis' maxmemory are, in percent; -1: there
 * is no such bound, or it is not known. */
void tq_probe_full(const redisReply *reply, int *bytes, int *memory);

/* The namespace's random key for task ids (32 bytes), made on first use. */
tq_call_t *tq_uuid_key_call(const tq_ns_t *ns, const unsigned char fresh[32],
    tq_call_cb cb, void *data);
int tq_uuid_key_result(const redisReply *reply, unsigned char key[32]);

/* The same key, and nothing (a nil reply, a -1 of the decoder) where the
 * namespace has none: costs Redis as little as can be. */
tq_call_t *tq_uuid_peek_call(const tq_ns_t *ns, tq_call_cb cb, void *data);

/* Whether this program may use the namespace: its schema is ours, or it is new
 * and gets ours. For tq_redis_conf_t.greet and .greeted. */
tq_call_t *tq_open_call(const void *ns);   /* a tq_ns_t */
/* NULL: it may; else why not, and what to do (static text). */
const char *tq_open_why(const redisReply *reply);

/* ---- wake-up (a worker's blocking connection) ---- */

/* BZPOPMIN over the handlers' wake keys and the worker's own. The reply: 1
 * with *handler (empty: the worker's own key, a cancel), 0 timed out. */
tq_call_t *tq_wake_call(const tq_ns_t *ns, const char *worker_id,
    const tq_str_t *handlers, unsigned n, int64_t timeout_ms, tq_call_cb cb,
    void *data);
int tq_wake_result(const redisReply *reply, const tq_ns_t *ns,
    tq_str_t *handler);

/* The connection's own number, for tq_unblock_call(). The reply: > 0, or -1. */
tq_call_t *tq_client_id_call(tq_call_cb cb, void *data);
int64_t tq_client_id_result(const redisReply *reply);

/* Ends another connection's blocking read as if it had timed out. */
tq_call_t *tq_unblock_call(int64_t client_id, tq_call_cb cb, void *data);

#endif /* TQ_OPS_H */
