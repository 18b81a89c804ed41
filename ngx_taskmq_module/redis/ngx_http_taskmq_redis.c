/*
 * ngx_http_taskmq_redis.c: drives tq_redis by nginx's events and timers (the
 * socket is ngx_http_taskmq_redis_io.c's). All calls of one event-loop turn
 * leave in one write, at its end; one timer serves all deadlines. While a
 * request waits that timer is not cancelable, because a worker that shuts
 * down gracefully leaves as soon as only cancelable timers remain, and would
 * take the requests along.
 */

#include <time.h>

#include "ngx_http_taskmq_redis.h"
#include "ngx_http_taskmq_stats.h"

/* how often the end of a turn lets other posted events go first */
#define NGX_HTTP_TASKMQ_PUT_OFF   4

static u_char *ngx_http_taskmq_redis_log(ngx_log_t *log, u_char *buf,
    size_t len);
static void ngx_http_taskmq_redis_state(void *host, tq_redis_state_t state,
    const char *why);
static void ngx_http_taskmq_redis_set_timer(ngx_http_taskmq_redis_t *redis);
static void ngx_http_taskmq_redis_tick(ngx_event_t *ev);
static void ngx_http_taskmq_redis_flush(ngx_event_t *ev);

ngx_int_t
ngx_http_taskmq_redis_start(ngx_http_taskmq_redis_t *redis,
    ngx_cycle_t *cycle)
{
    tq_redis_conf_t  conf;

    redis->log = *cycle->log;
    redis->log.handler = ngx_http_taskmq_redis_log;
    redis->log.data = redis;
    redis->log.action = NULL;

    redis->quiet = redis->log;
    redis->quiet.log_level = ngx_min(redis->log.log_level, NGX_LOG_ALERT);

    /* the first connection is worth a line, too */
    redis->down = ngx_http_taskmq_trouble_bit(TQ_ERR_NONE);

    redis->timer.handler = ngx_http_taskmq_redis_tick;
    redis->timer.data = redis;
    redis->timer.log = &redis->log;
    redis->timer.cancelable = 1;

    redis->flush.handler = ngx_http_taskmq_redis_flush;
    redis->flush.data = redis;
    redis->flush.log = &redis->log;

    redis->health.jobs = -1;
    redis->health.noeviction = -1;
    redis->health.bytes_full = -1;
    redis->health.memory_full = -1;

    ngx_memzero(&conf, sizeof(tq_redis_conf_t));

    conf.user = redis->url.user;
    conf.password = redis->password;
    conf.db = redis->url.db;
    conf.client_name = "taskmq-nginx";
    conf.scripts = tq_ops_scripts;
    conf.greet = &tq_greet_nginx;
    conf.greets = &redis->ns;
    conf.timeout_ms = (int64_t) redis->timeout;
    conf.idle_ping_ms = TQ_NGINX_PING_MS;
    conf.patience_ms = TQ_PATIENCE_MS;
    conf.seed = (uint64_t) ngx_random() << 32 ^ (uint64_t) ngx_random()
                ^ (uint64_t) ngx_pid << 16;
    conf.on_state = ngx_http_taskmq_redis_state;
    conf.on_error = ngx_http_taskmq_trouble;
    conf.host = redis;

    redis->core = tq_redis_new(&conf, ngx_http_taskmq_redis_now());

    if (redis->core == NULL) {
        return NGX_ERROR;
    }

    ngx_http_taskmq_redis_turn(redis);

    return NGX_OK;
}

static u_char *
ngx_http_taskmq_redis_log(ngx_log_t *log, u_char *buf, size_t len)
{
    ngx_http_taskmq_redis_t  *redis;

    redis = log->data;

    return ngx_snprintf(buf, len, ", Redis: \"%V\"", &redis->name);
}

void
ngx_http_taskmq_redis_stop(ngx_http_taskmq_redis_t *redis)
{
    tq_redis_t  *core;

    core = redis->core;

    if (core == NULL) {
        return;
    }

    /* the process or the configuration ends: waiting requests, if there are
     * any, end with it, and are not touched */

    redis->stopping = 1;

    if (redis->timer.timer_set) {
        ngx_del_timer(&redis->timer);
    }

    if (redis->flush.posted) {
        ngx_delete_posted_event(&redis->flush);
    }

    ngx_http_taskmq_redis_started(redis);
    ngx_http_taskmq_batch_stop(redis);
    tq_redis_free(core);
    redis->core = NULL;
    ngx_http_taskmq_totals_drop(redis);

    if (redis->connection) {
        ngx_close_connection(redis->connection);
        redis->connection = NULL;
    }
}

ngx_uint_t
ngx_http_taskmq_redis_ready(ngx_http_taskmq_redis_t *redis)
{
    if (redis->core == NULL) {

        /* a single process that was reloaded: nobody called init_process */

        if (redis->stopping
            || ngx_http_taskmq_redis_start(redis, (ngx_cycle_t *) ngx_cycle)
               != NGX_OK)
        {
            return 0;
        }
    }

    return redis->started && tq_redis_takes(redis->core);
}

const char *
ngx_http_taskmq_redis_why(ngx_http_taskmq_redis_t *redis)
{
    return redis->core ? tq_redis_why(redis->core) : "not started";
}

static void
ngx_http_taskmq_redis_state(void *host, tq_redis_state_t state,
    const char *why)
{
    ngx_http_taskmq_redis_t  *redis = host;

    unsigned    bit, known;
    ngx_uint_t  denied, quiet, level;

    if (redis->stopping) {
        return;
    }

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, &redis->log, 0,
                   "taskmq redis state: %d", state);

    if (state == TQ_REDIS_READY) {
        redis->was_ready = 1;
        ngx_http_taskmq_health_ready(redis);
        return;
    }

    /* An outage is one line for each of its causes; the attempts in it are
     * details, and so is the end of a connection that was idle, or that lacked
     * a right: which one, the next attempt says. */

    bit = ngx_http_taskmq_trouble_bit(redis->ended);
    known = redis->down | redis->refused;

    if (redis->ended == TQ_ERR_NOPERM && !redis->was_ready) {

        /* this attempt knows what a call that was refused did not */

        known = redis->down;
    }

    denied = redis->was_ready && redis->ended == TQ_ERR_NOPERM;

    quiet = ngx_exiting
            || denied
            || (known & bit)
            || (redis->was_ready && !redis->lost_calls
                && redis->ended == TQ_ERR_CONNECTION);

    if (!quiet || (redis->refused & bit && !denied)) {
        redis->down |= bit;
    }

    redis->was_ready = 0;
    redis->lost_calls = 0;

    level = quiet ? NGX_LOG_INFO : NGX_LOG_ERR;

    ngx_log_error(level, &redis->log, 0, "taskmq: Redis is not available: %s",
                  why);

    ngx_http_taskmq_redis_started(redis);
}

ngx_int_t
ngx_http_taskmq_redis_send(ngx_http_taskmq_call_t *call, tq_call_t *tq,
    ngx_msec_t timeout)
{
    struct timespec           ts;
    ngx_http_taskmq_redis_t  *redis;

    redis = call->redis;

    if (tq == NULL) {
        return NGX_ERROR;
    }

    if (redis->core == NULL) {
        tq_call_free(tq);
        return NGX_ERROR;
    }

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    call->start_us = (uint64_t) ts.tv_sec * 1000000
                     + (uint64_t) ts.tv_nsec / 1000;

    tq->timeout_ms = (int64_t) timeout;

    if (tq_redis_call(redis->core, tq, ngx_http_taskmq_redis_now()) != 0) {
        ngx_http_taskmq_stats_call(&tq_not_sent, 0);
        return NGX_ERROR;
    }

    ngx_http_taskmq_redis_touch(redis);

    return NGX_OK;
}

void
ngx_http_taskmq_redis_done(void *data, const tq_result_t *res)
{
    ngx_http_taskmq_call_t  *call = data;

    struct timespec  ts;

    if (call->redis->stopping) {
        ngx_http_taskmq_call_forget(call);

    } else {
        (void) clock_gettime(CLOCK_MONOTONIC, &ts);

        ngx_http_taskmq_stats_call(res,
                                   (uint64_t) ts.tv_sec * 1000000
                                   + (uint64_t) ts.tv_nsec / 1000
                                   - call->start_us);

        if (call->redis->refused
               & ~ngx_http_taskmq_trouble_bit(TQ_ERR_NOPERM)
            && (res->status == TQ_OK || res->status == TQ_REFUSED))
        {
            ngx_http_taskmq_health_refresh(call->redis);
        }
    }

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, &call->redis->log, 0,
                   "taskmq call %p ended: %d", call, res->status);

    call->done(call, res);
}

void
ngx_http_taskmq_redis_touch(ngx_http_taskmq_redis_t *redis)
{
    if (!redis->flush.posted) {
        ngx_post_event(&redis->flush, &ngx_posted_events);
    }
}

/* The end of the turn: what other events still have to add goes first. */
static void
ngx_http_taskmq_redis_flush(ngx_event_t *ev)
{
    ngx_http_taskmq_redis_t  *redis;

    redis = ev->data;

    if (!ngx_queue_empty(&ngx_posted_events)
        && redis->flush_put_off++ < NGX_HTTP_TASKMQ_PUT_OFF)
    {
        ngx_post_event(ev, &ngx_posted_events);
        return;
    }

    redis->flush_put_off = 0;

    ngx_http_taskmq_batch_turn(redis);
    ngx_http_taskmq_redis_turn(redis);
}

void
ngx_http_taskmq_redis_turn(ngx_http_taskmq_redis_t *redis)
{
    for ( ;; ) {
        switch (tq_redis_want(redis->core)) {

        case TQ_WANT_CONNECT:

            if ((ngx_exiting || ngx_terminate) && redis->parked == NULL
                && tq_redis_pending(redis->core) == 0)
            {
                goto done;
            }

            ngx_http_taskmq_redis_connect(redis);
            continue;

        case TQ_WANT_CLOSE:
            ngx_http_taskmq_redis_close(redis, "");
            continue;

        case TQ_WANT_WRITE:

            if (ngx_http_taskmq_redis_write_out(redis)) {
                continue;
            }

            goto done;

        case TQ_WANT_NOTHING:
            goto done;
        }
    }

done:

    ngx_http_taskmq_redis_set_timer(redis);
}

static void
ngx_http_taskmq_redis_set_timer(ngx_http_taskmq_redis_t *redis)
{
    int64_t     next;
    ngx_msec_t  key;

    redis->timer.cancelable = tq_redis_pending(redis->core) == 0
                              && redis->parked == NULL;

    next = tq_redis_next_ms(redis->core);

    /* never alone: calls in flight are what it waits for */

    if (redis->batch.first && next > (int64_t) redis->batch.deadline) {
        next = (int64_t) redis->batch.deadline;
    }

    if (next < 0
        || (ngx_exiting && redis->connection == NULL
            && redis->timer.cancelable))
    {
        if (redis->timer.timer_set) {
            ngx_del_timer(&redis->timer);
        }

        return;
    }

    key = (ngx_msec_t) next;

    /* A tick that comes too early does nothing and sets the timer anew, so a
     * later moment needs no work here. */

    if (redis->timer.timer_set) {

        if ((ngx_msec_int_t) (key - redis->timer.timer.key) >= 0) {
            return;
        }

        ngx_del_timer(&redis->timer);
    }

    ngx_add_timer(&redis->timer,
                  (ngx_msec_int_t) (key - ngx_current_msec) > 0
                  ? key - ngx_current_msec : 0);
}

static void
ngx_http_taskmq_redis_tick(ngx_event_t *ev)
{
    ngx_http_taskmq_redis_t  *redis;

    redis = ev->data;
    ev->timedout = 0;

    tq_redis_tick(redis->core, ngx_http_taskmq_redis_now());
    ngx_http_taskmq_batch_tick(redis);
    ngx_http_taskmq_redis_turn(redis);
}
