/*
 * ngx_http_taskmq_redis.h: an nginx worker's connection to one Redis and
 * namespace, and the calls that requests make on it.
 *
 * A call is one wait for one reply. It is made for a request (or for none),
 * handed to _send() or to the batch, and its done() runs exactly once, later,
 * from the event loop, with what tq_redis found out; done() then calls
 * ngx_http_taskmq_call_end(), which gives back the request, or NULL when the
 * client has gone meanwhile. Nothing else may touch the request.
 */

#ifndef NGX_HTTP_TASKMQ_REDIS_H
#define NGX_HTTP_TASKMQ_REDIS_H

#include "ngx_http_taskmq_module.h"
#include "tq_queue.h"
#include "tq_base.h"

typedef void (*ngx_http_taskmq_done_pt)(ngx_http_taskmq_call_t *call,
    const tq_result_t *res);

struct ngx_http_taskmq_call_s {
    ngx_http_request_t       *request;   /* NULL: none, or it has ended */
    ngx_http_cleanup_t       *cleanup;   /* the request's way to say so */
    ngx_http_taskmq_redis_t  *redis;
    ngx_http_taskmq_done_pt   done;
    ngx_http_taskmq_call_t   *next;      /* list: batch, health, free ones */
    ngx_http_taskmq_call_t   *members;   /* a batch's call: who is in it */
    uint64_t                  start_us;  /* monotonic, of a sent call */
    ngx_int_t                 group;     /* place in the batch */
    int64_t                   id;        /* done()'s own: a job */
    ngx_uint_t                value;     /* done()'s own: a count, a flag */
};

/* Enqueues that will leave together. */
typedef struct {
    tq_enqueue_t              enqueue;
    ngx_http_taskmq_call_t   *first;
    ngx_http_taskmq_call_t  **last;
    ngx_msec_t                deadline;  /* the earliest of them */
    ngx_uint_t                in_flight; /* batches that wait for Redis */
    size_t                    size;      /* of the last one, bytes */
} ngx_http_taskmq_batch_t;

/* A call whose answer is shared by all that wait for it meanwhile. */
typedef struct {
    ngx_http_taskmq_call_t   *waiting;
    ngx_uint_t                asking;    /* calls under way */
} ngx_http_taskmq_reading_t;

/* What the last probe said: could a job be stored? */
typedef struct {
    ngx_http_taskmq_reading_t  reading;
    ngx_msec_t                 at;        /* ngx_current_msec of the answer */
    int64_t                    jobs;      /* waiting jobs; -1: not known */
    int64_t                    workers;
    int64_t                    added;     /* by this nginx worker since */
    const char                *why;       /* NULL: it could */
    int                        bytes_full;  /* percent, -1: no bound: of */
    int                        memory_full; /* finished_max_bytes, maxmemory */
    int                        noeviction; /* the policy: 1 keeps jobs, 0 does
                                             not, -1 not known */
    unsigned                   known:1;   /* there was an answer */
} ngx_http_taskmq_health_t;

/* The namespace's totals as they were last read, for all pages. */
typedef struct {
    ngx_http_taskmq_reading_t  reading;
    tq_result_t               *last;      /* NULL: not read yet */
    ngx_msec_t                 at;        /* ngx_current_msec of the answer */
} ngx_http_taskmq_totals_t;

/* The namespace's key for task ids. */
typedef struct {
    ngx_http_taskmq_reading_t  reading;
    u_char                     key[TQ_UUID_KEY_LEN];
    u_char                     fresh[TQ_UUID_KEY_LEN];  /* for a namespace that
                                            has no key yet */
    ngx_msec_t                 at;        /* last asked */
    unsigned                   known:1;
    unsigned                   failed:1;  /* the last call did */
    unsigned                   fresh_known:1;
    unsigned                   logged:1;
} ngx_http_taskmq_task_key_t;

struct ngx_http_taskmq_redis_s {
    /* the configuration's; read only */
    tq_url_t                  url;       /* but for the password … */
    char                     *password;  /* … which is in a tq_secret.h */
    ngx_str_t                 name;      /* without password, for logs */
    ngx_addr_t               *addrs;
    ngx_uint_t                naddrs;
    tq_ns_t                   ns;
    ngx_msec_t                timeout;
    unsigned                  uuid:1;    /* the TaskDaemon API is served */

    /* this worker's */
    tq_redis_t               *core;      /* NULL: not started, or stopped */
    ngx_connection_t         *connection;
    ngx_uint_t                addr;      /* to try next */
    ngx_log_t                 log;
    ngx_log_t                 quiet;     /* for attempts: how they ended is
                                            logged here */
    ngx_event_t               timer;     /* for tq_redis_tick() */
    ngx_event_t               flush;     /* posted: ends the turn */
    ngx_uint_t                flush_put_off;
    ngx_http_taskmq_batch_t   batch;
    ngx_http_taskmq_health_t  health;
    ngx_http_taskmq_totals_t  totals;
    ngx_http_taskmq_task_key_t  task_key;
    ngx_http_taskmq_call_t   *parked;    /* requests that came before the first
                                            attempt to connect had ended */
    /* one line of log each, until Redis is well again; bits of
     * tq_redis_err_t (ngx_http_taskmq_trouble_bit()) */
    unsigned                  refused;   /* what Redis says to calls */
    unsigned                  down;      /* why it is away */
    tq_redis_err_t            ended;     /* why the connection did, or was not
                                            made */
    uint32_t                  odd;       /* CRC of a reply nobody expects … */
    ngx_msec_t                odd_at;    /* … when it came last */
    ngx_msec_t                forgot_at; /* Redis had forgotten a script */
    unsigned                  forgot:1;  /* … at that time, ever */
    unsigned                  denied:1;  /* a call lacked a right, which is not
                                            logged yet */
    unsigned                  started:1;  /* the first attempt has ended */
    unsigned                  connecting:1;
    unsigned                  stopping:1;
    unsigned                  was_ready:1;
    unsigned                  lost_calls:1;  /* … when the connection ended */
};

/* ---- while the configuration is read (ngx_http_taskmq_redis_conf.c) ---- */

/* The connection of a location, shared with those that mean the same Redis,
 * user, database and namespace. Resolves names. NULL: the reason was logged. */
ngx_http_taskmq_redis_t *ngx_http_taskmq_redis_conf(ngx_conf_t *cf,
    ngx_http_taskmq_loc_conf_t *conf);

/* ---- in a worker (ngx_http_taskmq_redis.c) ---- */

/* Begins to connect, and keeps connected. NGX_OK or NGX_ERROR. */
ngx_int_t ngx_http_taskmq_redis_start(ngx_http_taskmq_redis_t *redis,
    ngx_cycle_t *cycle);

/* Closes the connection; waiting calls are dropped, not answered. */
void ngx_http_taskmq_redis_stop(ngx_http_taskmq_redis_t *redis);

/* 1 when calls can be made now: they leave now, or when a connection that was
 * lost a moment ago is there again; at most TQ_PATIENCE_MS later they end with
 * TQ_NOT_SENT. */
ngx_uint_t ngx_http_taskmq_redis_ready(ngx_http_taskmq_redis_t *redis);

/* Why they cannot, for logs and /health. */
const char *ngx_http_taskmq_redis_why(ngx_http_taskmq_redis_t *redis);

/*
 * Hands a Redis call over; it leaves at the end of this event-loop turn.
 * tq may be NULL (out of memory). NGX_OK: done() will run. NGX_ERROR: refused,
 * nothing was sent, done() will not run; the call is still the caller's.
 */
ngx_int_t ngx_http_taskmq_redis_send(ngx_http_taskmq_call_t *call,
    tq_call_t *tq, ngx_msec_t timeout);

/* The callback for calls whose data is an ngx_http_taskmq_call_t. */
void ngx_http_taskmq_redis_done(void *data, const tq_result_t *res);

/* Makes sure that the end of this turn looks at the connection. */
void ngx_http_taskmq_redis_touch(ngx_http_taskmq_redis_t *redis);

/* Does what the core wants next, and sets the timer. */
void ngx_http_taskmq_redis_turn(ngx_http_taskmq_redis_t *redis);

/* The core's clock. */
static ngx_inline int64_t
ngx_http_taskmq_redis_now(void)
{
    return (int64_t) ngx_current_msec;
}

/* ---- the socket (ngx_http_taskmq_redis_io.c), for _turn() ---- */

/* Begins to connect; the core is told how it ends. */
void ngx_http_taskmq_redis_connect(ngx_http_taskmq_redis_t *redis);

/* Closes, if there is something to close, and tells the core why. */
void ngx_http_taskmq_redis_close(ngx_http_taskmq_redis_t *redis,
    const char *why);

/* Writes what the core has to send. 1: ask the core again, everything is out
 * or the connection is gone; 0: the socket is full. */
ngx_uint_t ngx_http_taskmq_redis_write_out(ngx_http_taskmq_redis_t *redis);

/* ---- calls (ngx_http_taskmq_call.c) ---- */

/* r may be NULL. NULL: out of memory. */
ngx_http_taskmq_call_t *ngx_http_taskmq_call_new(ngx_http_request_t *r,
    ngx_http_taskmq_redis_t *redis, ngx_http_taskmq_done_pt done);

/* Ends the call and frees it. The request to answer, or NULL. */
ngx_http_request_t *ngx_http_taskmq_call_end(ngx_http_taskmq_call_t *call);

/* The process ends: gives back the memory of free calls. */
void ngx_http_taskmq_call_exit(void);

/*
 * 1 while the first attempt to connect is under way: a worker takes requests
 * before it has a connection, and a reload must not refuse any. Such requests
 * are parked; their calls' done() runs when the attempt has ended, well or
 * not, with tq_not_sent.
 */
ngx_uint_t ngx_http_taskmq_redis_starting(ngx_http_taskmq_redis_t *redis);
void ngx_http_taskmq_redis_park(ngx_http_taskmq_call_t *call);

/* The first attempt has ended. */
void ngx_http_taskmq_redis_started(ngx_http_taskmq_redis_t *redis);

/* Cuts a call and its members from their requests, which end otherwise. */
void ngx_http_taskmq_call_forget(ngx_http_taskmq_call_t *call);

/* Sends the call that the reading is to come from; call and tq as for _send(),
 * and either may be NULL (out of memory). NGX_OK, or NGX_ERROR: call has
 * ended. */
ngx_int_t ngx_http_taskmq_reading_start(ngx_http_taskmq_reading_t *reading,
    ngx_http_taskmq_call_t *call, tq_call_t *tq);

/* Has a call wait for a reading, which fetch() begins, unless one is under way
 * that will do. NGX_OK: done() will run. NGX_ERROR: as for _send(). */
ngx_int_t ngx_http_taskmq_reading_wait(ngx_http_taskmq_reading_t *reading,
    ngx_http_taskmq_call_t *call, ngx_uint_t under_way,
    ngx_int_t (*fetch)(ngx_http_taskmq_redis_t *redis));

/* The call that _reading_start() was given has its result: runs the done() of
 * all that wait. */
void ngx_http_taskmq_reading_end(ngx_http_taskmq_reading_t *reading,
    ngx_http_taskmq_redis_t *redis, const tq_result_t *res);

/* ---- the batch (ngx_http_taskmq_batch.c) ---- */

/*
 * Adds the n jobs of one request, all or none, to the next script call.
 * scope and key: of the Idempotency-Key, key.len 0 without. done() gets the
 * batch's result: tq_enqueued(res, call->group). NGX_OK, or NGX_ERROR: as for
 * _redis_send().
 */
ngx_int_t ngx_http_taskmq_batch_add(ngx_http_taskmq_call_t *call,
    ngx_http_taskmq_loc_conf_t *conf, tq_str_t scope, tq_str_t key,
    uint64_t body_hash, const tq_job_t *jobs, unsigned n);

/* The end of a turn: sends what was added, unless TQ_BATCHES_IN_FLIGHT are on
 * their way; then the next answer does. */
void ngx_http_taskmq_batch_turn(ngx_http_taskmq_redis_t *redis);

/* Ends what waits to be sent and is past its deadline. */
void ngx_http_taskmq_batch_tick(ngx_http_taskmq_redis_t *redis);

/* The process ends: forgets what was added. */
void ngx_http_taskmq_batch_stop(ngx_http_taskmq_redis_t *redis);

/* ---- could a job be stored? (ngx_http_taskmq_health.c) ---- */

/* The connection has become READY. */
void ngx_http_taskmq_health_ready(ngx_http_taskmq_redis_t *redis);

/* 1 when the last probe's answer is not older than TQ_HEALTH_MS, and of this
 * connection. */
ngx_uint_t ngx_http_taskmq_health_fresh(ngx_http_taskmq_redis_t *redis);

/* Waits for the next probe's answer, which is shared: done() runs with the
 * reply when redis->health has it. NGX_OK or NGX_ERROR as above. */
ngx_int_t ngx_http_taskmq_health_wait(ngx_http_taskmq_call_t *call);

/* Asks in the background when the answer is old, so that the number of
 * waiting jobs is known. */
void ngx_http_taskmq_health_refresh(ngx_http_taskmq_redis_t *redis);

/* What an operator should know though jobs are accepted, or NULL. */
const char *ngx_http_taskmq_health_warning(ngx_http_taskmq_redis_t *redis);

/* Adds what the last probe said to the metrics. */
void ngx_http_taskmq_health_metrics(ngx_http_taskmq_redis_t *redis,
    tq_buf_t *b);

/* Waiting jobs: the last probe's number and what this nginx worker added
 * since. -1: not known yet. */
int64_t ngx_http_taskmq_health_waiting(ngx_http_taskmq_redis_t *redis);

/* ---- what Redis refuses (ngx_http_taskmq_trouble.c) ---- */

/* The core's on_error(): counts it, and logs the first of its kind. */
void ngx_http_taskmq_trouble(void *host, tq_redis_err_t e);

/* The place of an error in redis->refused and redis->down: causes that an
 * operator need not tell apart share one. */
unsigned ngx_http_taskmq_trouble_bit(tq_redis_err_t e);

/* An answer shows that the connection is good, and whether Redis takes jobs:
 * says so in one line, if it was not so. */
void ngx_http_taskmq_trouble_over(ngx_http_taskmq_redis_t *redis,
    ngx_uint_t takes);

/* 1 when an unexpected reply is to be logged: not when it is the same as
 * before and comes again and again. */
ngx_uint_t ngx_http_taskmq_trouble_odd(ngx_http_taskmq_redis_t *redis,
    const tq_result_t *res);

/* ---- the key for task ids (ngx_http_taskmq_task_key.c) ---- */

/* Fetches the namespace's key for task ids when it is not known yet. */
void ngx_http_taskmq_task_key_need(ngx_http_taskmq_redis_t *redis);

/*
 * Asks for the key, as the next call on the connection. A FLUSHALL or an empty
 * replica makes the namespace anew, and ids begin at 1: only with the key of
 * the same moment does a task id mean one job. So it is asked with every call
 * that gives ids, and before every one that takes one. NGX_OK or NGX_ERROR.
 */
ngx_int_t ngx_http_taskmq_task_key_fetch(ngx_http_taskmq_redis_t *redis);

/* Waits for the key, in a call that is shared: done() runs when
 * redis->task_key is that of now, or has failed. NGX_OK or NGX_ERROR. */
ngx_int_t ngx_http_taskmq_task_key_wait(ngx_http_taskmq_call_t *call);

/* A job's task id, and back: 0, or -1: it is none of this namespace. The key
 * must be known. */
void ngx_http_taskmq_task_id(const ngx_http_taskmq_redis_t *redis, int64_t id,
    char dst[TQ_UUID_LEN + 1]);
int ngx_http_taskmq_task_id_parse(const ngx_http_taskmq_redis_t *redis,
    const u_char *p, size_t len, int64_t *id);

/* ---- totals (ngx_http_taskmq_totals.c) ---- */

/* The last reading, at most TQ_STATS_MS old; NULL: there is none. Valid until
 * the event loop runs. */
const tq_result_t *ngx_http_taskmq_totals_last(
    const ngx_http_taskmq_redis_t *redis);

/* Waits for the next reading, which is shared: done() gets it. NGX_OK or
 * NGX_ERROR as for _redis_send(). */
ngx_int_t ngx_http_taskmq_totals_wait(ngx_http_taskmq_call_t *call);

/* Forgets the last reading: the next request reads anew. */
void ngx_http_taskmq_totals_drop(ngx_http_taskmq_redis_t *redis);

#endif /* NGX_HTTP_TASKMQ_REDIS_H */
