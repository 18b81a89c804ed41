/*
 * ngx_http_taskmq_redis_io.c: the socket to Redis: connecting, reading, writing
 * and closing, by nginx's own means.
 */

#include "ngx_http_taskmq_redis.h"

#define NGX_HTTP_TASKMQ_IOVS      64
#define NGX_HTTP_TASKMQ_READ      (64 * 1024)

static u_char  ngx_http_taskmq_redis_buffer[NGX_HTTP_TASKMQ_READ];

static void ngx_http_taskmq_redis_failed(ngx_http_taskmq_redis_t *redis,
    const char *what, ngx_err_t err);
static void ngx_http_taskmq_redis_connected(ngx_http_taskmq_redis_t *redis);
static void ngx_http_taskmq_redis_read(ngx_event_t *rev);
static void ngx_http_taskmq_redis_write(ngx_event_t *wev);

void
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
    pc.log = &redis->quiet;
    pc.log_error = NGX_ERROR_INFO;
    pc.so_keepalive = addr->sockaddr->sa_family != AF_UNIX;

    tq_redis_connecting(redis->core, ngx_http_taskmq_redis_now());

    ngx_set_errno(0);
    rc = ngx_event_connect_peer(&pc);

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, &redis->log, 0,
                   "taskmq redis connect to %V: %i", &addr->name, rc);

    if (rc != NGX_OK && rc != NGX_AGAIN) {
        ngx_http_taskmq_redis_failed(redis, "connect() failed", ngx_errno);
        return;
    }

    c = pc.connection;
    c->data = redis;
    c->sendfile = 0;
    c->read->handler = ngx_http_taskmq_redis_read;
    c->write->handler = ngx_http_taskmq_redis_write;
    c->log = &redis->log;
    c->read->log = &redis->log;
    c->write->log = &redis->log;

    redis->connection = c;
    redis->connecting = 1;

    if (rc == NGX_OK) {
        ngx_http_taskmq_redis_connected(redis);
    }
}

/* Closes, with the reason as nginx logs it, for /health and the log. */
static void
ngx_http_taskmq_redis_failed(ngx_http_taskmq_redis_t *redis, const char *what,
    ngx_err_t err)
{
    u_char  *last, why[128];

    last = ngx_cpymem(why, what, ngx_strlen(what));

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
        ngx_http_taskmq_redis_failed(redis, "connect() failed", err);
        return;
    }

    redis->connecting = 0;

    if (ngx_tcp_nodelay(c) != NGX_OK) {
        ngx_http_taskmq_redis_close(redis, "setsockopt() failed");
        return;
    }

    tq_redis_connected(redis->core, ngx_http_taskmq_redis_now());
}

void
ngx_http_taskmq_redis_close(ngx_http_taskmq_redis_t *redis, const char *why)
{
    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, &redis->log, 0,
                   "taskmq redis close: %s", why);

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

        /* worker_shutdown_timeout: everything ends now. Who waits for a call
         * that has not left is told before nginx ends its connection, too. */

        tq_redis_hurry(redis->core);
        ngx_http_taskmq_redis_close(redis, "nginx is shutting down");
        ngx_http_taskmq_batch_turn(redis);
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

        ngx_log_debug1(NGX_LOG_DEBUG_HTTP, &redis->log, 0,
                       "taskmq redis recv: %z", n);

        if (n == NGX_AGAIN) {
            break;
        }

        if (n == 0 || n == NGX_ERROR) {
            ngx_http_taskmq_redis_failed(redis,
                                         n == 0
                                         ? "Redis closed the connection"
                                         : "reading from Redis failed",
                                         n == 0 ? 0 : ngx_socket_errno);
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
ngx_uint_t
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

        ngx_log_debug2(NGX_LOG_DEBUG_HTTP, &redis->log, 0,
                       "taskmq redis writev: %z of %uz", n, vec.size);

        if (n == NGX_ERROR) {
            ngx_http_taskmq_redis_failed(redis, "writing to Redis failed",
                                         ngx_socket_errno);
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
