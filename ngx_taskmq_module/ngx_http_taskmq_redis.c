/*
 * ngx_http_taskmq_redis.c: drives tq_redis on nginx's own connection, events
 * and timers. All calls of one event-loop turn leave in one write, at its end;
 * one timer serves all deadlines. While a request waits that timer is not
 * cancelable, because a worker that shuts down gracefully leaves as soon as
 * only cancelable timers remain, and would take the requests along.
 */

#include <time.h>

#include "ngx_http_taskmq_redis.h"
#include "ngx_http_taskmq_stats.h"

#define NGX_HTTP_TASKMQ_IOVS      64
#define NGX_HTTP_TASKMQ_READ      (64 * 1024)

/* how often the end of a turn lets other posted events go first */
#define NGX_HTTP_TASKMQ_PUT_OFF   4

static u_char  ngx_http_taskmq_redis_buffer[NGX_HTTP_TASKMQ_READ];

static u_char *ngx_http_taskmq_redis_log(ngx_log_t *log, u_char *buf,
    size_t len);
static void ngx_http_taskmq_redis_state(void *host, tq_redis_state_t state,
    const char *why);
static void ngx_http_taskmq_redis_turn(ngx_http_taskmq_redis_t *redis);
static void ngx_http_taskmq_redis_set_timer(ngx_http_taskmq_redis_t *redis);
static void ngx_http_taskmq_redis_connect(ngx_http_taskmq_redis_t *redis);
static void ngx_http_taskmq_redis_failed(ngx_http_taskmq_redis_t *redis,
    ngx_err_t err);
static void ngx_http_taskmq_redis_connected(ngx_http_taskmq_redis_t *redis);
static void ngx_http_taskmq_redis_close(ngx_http_taskmq_redis_t *redis,
    const char *why);
static void ngx_http_taskmq_redis_read(ngx_event_t *rev);
static void ngx_http_taskmq_redis_write(ngx_event_t *wev);
static ngx_uint_t ngx_http_taskmq_redis_write_out(
    ngx_http_taskmq_redis_t *redis);
static void ngx_http_taskmq_redis_tick(ngx_event_t *ev);
static void ngx_http_taskmq_redis_flush(ngx_event_t *ev);

static ngx_inline int64_t
ngx_http_taskmq_redis_now(void)
{
    return (int64_t) ngx_current_msec;
}

ngx_int_t
ngx_http_taskmq_redis_start(ngx_http_taskmq_redis_t *redis,
    ngx_cycle_t *cycle)
{
    tq_redis_conf_t  conf;

    redis->log = *cycle->log;
    redis->log.handler = ngx_http_taskmq_redis_log;
    redis->log.data = redis;
    redis->log.action = NULL;

    redis->timer.handler = ngx_http_taskmq_redis_tick;
    redis->timer.data = redis;
    redis->timer.log = &redis->log;
    redis->timer.cancelable = 1;

    redis->flush.handler = ngx_http_taskmq_redis_flush;
    redis->flush.data = redis;
    redis->flush.log = &redis->log;

    redis->health.jobs = -1;
    redis->health.noeviction = -1;

    ngx_memzero(&conf, sizeof(tq_redis_conf_t));

    conf.user = redis->url.user;
    conf.password = redis->password;
    conf.db = redis->url.db;
    conf.client_name = "taskmq-nginx";
    conf.scripts = tq_ops_scripts;
    conf.timeout_ms = (int64_t) redis->timeout;
    conf.idle_ping_ms = TQ_NGINX_PING_MS;
    conf.seed = (uint64_t) ngx_random() << 32 ^ (uint64_t) ngx_random()
                ^ (uint64_t) ngx_pid << 16;
    conf.on_state = ngx_http_taskmq_redis_state;
    conf.on_error = ngx_http_taskmq_health_error;
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

    return redis->started && tq_redis_state(redis->core) == TQ_REDIS_READY;
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

    ngx_uint_t  level;

    if (redis->stopping) {
        return;
    }

    if (state == TQ_REDIS_READY) {
        redis->down_logged = 0;

        ngx_log_error(NGX_LOG_NOTICE, &redis->log, 0,
                      "taskmq: connected to Redis");

        ngx_http_taskmq_health_ready(redis);
        return;
    }

    /* an outage is one line; the attempts in it are details */

    level = redis->down_logged || ngx_exiting ? NGX_LOG_INFO : NGX_LOG_ERR;
    redis->down_logged = 1;

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
        ngx_http_taskmq_stats_call(TQ_CALL_NOT_SENT, NULL, 0);
        return NGX_ERROR;
    }

    ngx_http_taskmq_redis_touch(redis);

    return NGX_OK;
}

void
ngx_http_taskmq_redis_done(tq_call_t *tq, tq_call_result_t result,
    const redisReply *reply)
{
    struct timespec          ts;
    ngx_http_taskmq_call_t  *call;

    call = tq->data;

    if (call->redis->stopping) {
        ngx_http_taskmq_call_forget(call);

    } else {
        (void) clock_gettime(CLOCK_MONOTONIC, &ts);

        ngx_http_taskmq_stats_call(result, reply,
                                   (uint64_t) ts.tv_sec * 1000000
                                   + (uint64_t) ts.tv_nsec / 1000
                                   - call->start_us);

        if (call->redis->refused && result == TQ_CALL_REPLY) {
            ngx_http_taskmq_health_refresh(call->redis);
        }
    }

    call->done(call, result, reply);
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

/* ngx_http_taskmq_redis_turn does what the core wants next. */
static void
ngx_http_taskmq_redis_turn(ngx_http_taskmq_redis_t *redis)
{
    for ( ;; ) {
        switch (tq_redis_want(redis->core)) {

        case TQ_WANT_CONNECT:

            if ((ngx_exiting || ngx_terminate) && redis->parked == NULL) {
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

static void
ngx_http_taskmq_redis_connect(ngx_http_taskmq_redis_t *redis)
{
    ngx_int_t               rc;
    ngx_addr_t             *addr;
    ngx_connection_t       *c;
    ngx_peer_connection_t   pc;

    addr = &redis->addrs[redis->addr];

    ngx_memzero(&pc, sizeof(ngx_peer_connection_t));

    pc.sockaddr = addr->sockaddr;
    pc.socklen = addr->socklen;
    pc.name = &addr->name;
    pc.get = ngx_event_get_peer;
    pc.log = &redis->log;
    pc.log_error = NGX_ERROR_ERR;
    pc.so_keepalive = addr->sockaddr->sa_family != AF_UNIX;

    tq_redis_connecting(redis->core, ngx_http_taskmq_redis_now());

    ngx_set_errno(0);
    rc = ngx_event_connect_peer(&pc);

    if (rc != NGX_OK && rc != NGX_AGAIN) {
        ngx_http_taskmq_redis_failed(redis, ngx_errno);
        return;
    }

    c = pc.connection;
    c->data = redis;
    c->sendfile = 0;
    c->read->handler = ngx_http_taskmq_redis_read;
    c->write->handler = ngx_http_taskmq_redis_write;
    c->log = &redis->log;

    redis->connection = c;
    redis->connecting = 1;

    if (rc == NGX_OK) {
        ngx_http_taskmq_redis_connected(redis);
    }
}

/* The attempt has failed: with the reason as nginx logs it, for /health. */
static void
ngx_http_taskmq_redis_failed(ngx_http_taskmq_redis_t *redis, ngx_err_t err)
{
    u_char  *last, why[128];

    last = ngx_cpymem(why, "connect() failed", sizeof("connect() failed") - 1);

    if (err) {
        last = ngx_log_errno(last, why + sizeof(why) - 1, err);
    }

    *last = '\0';

    ngx_http_taskmq_redis_close(redis, (char *) why);
}

/* ngx_http_taskmq_redis_connected: the attempt has ended; well? */
static void
ngx_http_taskmq_redis_connected(ngx_http_taskmq_redis_t *redis)
{
    int                err;
    socklen_t          len;
    ngx_connection_t  *c;

    c = redis->connection;
    err = 0;
    len = sizeof(int);

    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, (void *) &err, &len) == -1) {
        err = ngx_socket_errno;
    }

    if (err) {
        (void) ngx_connection_error(c, err, "connect() failed");
        ngx_http_taskmq_redis_failed(redis, err);
        return;
    }

    redis->connecting = 0;

    if (ngx_tcp_nodelay(c) != NGX_OK) {
        ngx_http_taskmq_redis_close(redis, "setsockopt() failed");
        return;
    }

    tq_redis_connected(redis->core, ngx_http_taskmq_redis_now());
}

static void
ngx_http_taskmq_redis_close(ngx_http_taskmq_redis_t *redis, const char *why)
{
    if (redis->connection) {
        ngx_close_connection(redis->connection);
        redis->connection = NULL;
    }

    redis->connecting = 0;
    redis->addr = (redis->addr + 1) % redis->naddrs;

    tq_redis_lost(redis->core, why, ngx_http_taskmq_redis_now());
}

static void
ngx_http_taskmq_redis_read(ngx_event_t *rev)
{
    ssize_t                   n;
    ngx_connection_t         *c;
    ngx_http_taskmq_redis_t  *redis;

    c = rev->data;
    redis = c->data;

    if (c->close) {

        /* worker_shutdown_timeout: everything ends now */

        ngx_http_taskmq_redis_close(redis, "nginx is shutting down");
        ngx_http_taskmq_redis_turn(redis);
        return;
    }

    if (redis->connecting) {
        ngx_http_taskmq_redis_connected(redis);

        if (redis->connection != c) {
            ngx_http_taskmq_redis_turn(redis);
            return;
        }
    }

    while (rev->ready) {

        n = c->recv(c, ngx_http_taskmq_redis_buffer, NGX_HTTP_TASKMQ_READ);

        if (n == NGX_AGAIN) {
            break;
        }

        if (n == 0 || n == NGX_ERROR) {
            ngx_http_taskmq_redis_close(redis,
                                        n == 0
                                        ? "Redis closed the connection"
                                        : "reading from Redis failed");
            ngx_http_taskmq_redis_turn(redis);
            return;
        }

        if (tq_redis_feed(redis->core, (char *) ngx_http_taskmq_redis_buffer,
                          (size_t) n, ngx_http_taskmq_redis_now())
            != 0)
        {
            ngx_http_taskmq_redis_turn(redis);
            return;
        }
    }

    if (ngx_handle_read_event(rev, 0) != NGX_OK) {
        ngx_http_taskmq_redis_close(redis, "waiting for Redis failed");
    }

    /* what the callbacks queued leaves at the end of the turn */

    ngx_http_taskmq_redis_touch(redis);
}

static void
ngx_http_taskmq_redis_write(ngx_event_t *wev)
{
    ngx_connection_t         *c;
    ngx_http_taskmq_redis_t  *redis;

    c = wev->data;
    redis = c->data;

    if (redis->connecting) {
        ngx_http_taskmq_redis_connected(redis);
    }

    ngx_http_taskmq_redis_turn(redis);
}

/* ngx_http_taskmq_redis_write_out says 1 when the core is to be asked again:
 * everything is out, or the connection is gone. */
static ngx_uint_t
ngx_http_taskmq_redis_write_out(ngx_http_taskmq_redis_t *redis)
{
    int                i, count;
    ssize_t            n;
    ngx_iovec_t        vec;
    struct iovec       iovs[NGX_HTTP_TASKMQ_IOVS];
    ngx_connection_t  *c;

    c = redis->connection;

    while (c->write->ready) {

        count = tq_redis_out(redis->core, iovs, NGX_HTTP_TASKMQ_IOVS);

        if (count == 0) {
            break;
        }

        vec.iovs = iovs;
        vec.count = (ngx_uint_t) count;
        vec.nalloc = NGX_HTTP_TASKMQ_IOVS;

        for (vec.size = 0, i = 0; i < count; i++) {
            vec.size += iovs[i].iov_len;
        }

        n = ngx_writev(c, &vec);

        if (n == NGX_ERROR) {
            ngx_http_taskmq_redis_close(redis, "writing to Redis failed");
            return 1;
        }

        if (n > 0) {
            tq_redis_sent(redis->core, (size_t) n,
                          ngx_http_taskmq_redis_now());
            c->sent += n;
        }

        if (n == NGX_AGAIN || (size_t) n < vec.size) {
            c->write->ready = 0;
        }
    }

    if (ngx_handle_write_event(c->write, 0) != NGX_OK) {
        ngx_http_taskmq_redis_close(redis, "waiting for Redis failed");
        return 1;
    }

    return c->write->ready && tq_redis_want(redis->core) != TQ_WANT_WRITE;
}
