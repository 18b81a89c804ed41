/* redis_uv.c: see redis_uv.h. */

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "redis_uv.h"
#include "tq_base.h"

#define READ_BYTES   (256 * 1024)
#define READS_MAX    16       /* per event: other handles want a turn, too */
#define IOV_MAX_OUT  64

struct tw_rconn_s {
    uv_loop_t         *loop;
    tw_rconn_conf_t    conf;
    tq_redis_t        *core;

    uv_timer_t         timer;
    int64_t            timer_at;      /* -1: not armed */

    uv_poll_t         *poll;          /* NULL: no socket */
    int                fd;
    int                events;
    unsigned           connecting:1;
    unsigned           closing:1;

    uv_getaddrinfo_t  *dns;           /* NULL: none under way */
    struct addrinfo   *addrs, *next_addr;
};

/* One buffer for all connections: bytes are fed before the next read. */
static char  read_buf[READ_BYTES];

static int64_t
now(const tw_rconn_t *c)
{
    return (int64_t) uv_now(c->loop);
}

static void
free_handle(uv_handle_t *h)
{
    free(h);
}

static void
close_socket(tw_rconn_t *c)
{
    /* RST: what Redis has not read yet must not reach it later, after another
     * connection has sorted out what became of it */
    static const struct linger  now_or_never = { 1, 0 };

    if (c->poll != NULL) {
        if (c->conf.url->host[0] != '\0') {
            (void) setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now_or_never,
                sizeof(now_or_never));
        }

        (void) uv_poll_stop(c->poll);
        c->poll->data = NULL;
        uv_close((uv_handle_t *) c->poll, free_handle);
        c->poll = NULL;
        (void) close(c->fd);
        c->fd = -1;
    }

    c->connecting = 0;

    if (c->dns != NULL) {
        /* its callback finds no owner and only frees */
        c->dns->data = NULL;
        (void) uv_cancel((uv_req_t *) c->dns);
        c->dns = NULL;
    }
}

static void
drop_addrs(tw_rconn_t *c)
{
    if (c->addrs != NULL) {
        uv_freeaddrinfo(c->addrs);
        c->addrs = NULL;
        c->next_addr = NULL;
    }
}

static void
lost(tw_rconn_t *c, const char *why)
{
    close_socket(c);
    drop_addrs(c);
    tq_redis_lost(c->core, why, now(c));
}

static void on_socket(uv_poll_t *h, int status, int events);

static void
watch(tw_rconn_t *c, int events)
{
    if (c->poll != NULL && c->events != events) {
        c->events = events;
        (void) uv_poll_start(c->poll, events, on_socket);
    }
}

/* Starts a connect. 0 under way or done, or an errno. */
static int
open_socket(tw_rconn_t *c, const struct sockaddr *sa, socklen_t len)
{
    int         fd, one = 1;
    uv_poll_t  *poll;

    fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return errno;
    }

    if (sa->sa_family != AF_UNIX) {
        (void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        (void) setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
    }

    /* a unix socket with a full backlog says EAGAIN: an error, try later */
    if (connect(fd, sa, len) != 0 && errno != EINPROGRESS) {
        int  err = errno;
        (void) close(fd);
        return err;
    }

    poll = calloc(1, sizeof(*poll));
    if (poll == NULL || uv_poll_init(c->loop, poll, fd) != 0) {
        free(poll);
        (void) close(fd);
        return ENOMEM;
    }

    poll->data = c;
    c->poll = poll;
    c->fd = fd;
    c->events = 0;
    c->connecting = 1;
    watch(c, UV_WRITABLE);

    return 0;
}

/* The next resolved address that lets a connect start. */
static void
try_addrs(tw_rconn_t *c, int err)
{
    struct addrinfo  *a;

    while ((a = c->next_addr) != NULL) {
        c->next_addr = a->ai_next;
        err = open_socket(c, a->ai_addr, a->ai_addrlen);
        if (err == 0) {
            return;
        }
    }

    lost(c, strerror(err));
}

static void
on_resolved(uv_getaddrinfo_t *req, int status, struct addrinfo *res)
{
    tw_rconn_t  *c = req->data;

    free(req);

    if (c == NULL) {
        uv_freeaddrinfo(res);
        return;
    }

    c->dns = NULL;

    if (status != 0) {
        lost(c, uv_strerror(status));
        return;
    }

    drop_addrs(c);
    c->addrs = c->next_addr = res;
    try_addrs(c, ECONNREFUSED);
}

static void
start_connect(tw_rconn_t *c)
{
    int                 err;
    char                port[8];
    struct addrinfo     hints = { .ai_socktype = SOCK_STREAM };
    struct sockaddr_un  un = { .sun_family = AF_UNIX };

    if (c->conf.url->host[0] == '\0') {
        (void) snprintf(un.sun_path, sizeof(un.sun_path), "%s",
            c->conf.url->path);
        err = open_socket(c, (struct sockaddr *) &un, sizeof(un));
        if (err != 0) {
            lost(c, strerror(err));
        }
        return;
    }

    (void) snprintf(port, sizeof(port), "%d", c->conf.url->port);
    c->dns = calloc(1, sizeof(*c->dns));
    if (c->dns == NULL) {
        lost(c, "out of memory");
        return;
    }

    c->dns->data = c;
    err = uv_getaddrinfo(c->loop, c->dns, on_resolved, c->conf.url->host,
        port, &hints);
    if (err != 0) {
        free(c->dns);
        c->dns = NULL;
        lost(c, uv_strerror(err));
    }
}

static void
finish_connect(tw_rconn_t *c)
{
    int        err = 0;
    socklen_t  len = sizeof(err);

    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len) != 0) {
        err = errno;
    }

    if (err != 0) {
        close_socket(c);
        try_addrs(c, err);
        return;
    }

    drop_addrs(c);
    c->connecting = 0;
    watch(c, UV_READABLE);
    tq_redis_connected(c->core, now(c));
}

static void
read_socket(tw_rconn_t *c)
{
    int      i;
    ssize_t  n;

    for (i = 0; i < READS_MAX && c->poll != NULL; i++) {
        n = read(c->fd, read_buf, sizeof(read_buf));

        if (n > 0) {
            if (tq_redis_feed(c->core, read_buf, (size_t) n, now(c)) != 0
                || (size_t) n < sizeof(read_buf))
            {
                return;
            }

        } else if (n == 0) {
            lost(c, "Redis closed the connection");

        } else if (errno != EINTR) {
            if (errno != EAGAIN) {
                lost(c, strerror(errno));
            }
            return;
        }
    }
}

static void
on_socket(uv_poll_t *h, int status, int events)
{
    tw_rconn_t  *c = h->data;

    if (c == NULL) {
        return;
    }

    if (c->connecting) {
        finish_connect(c);

    } else if (status < 0 || (events & UV_READABLE)) {
        /* an error shows itself in read() */
        read_socket(c);
    }

    /* writing is the flush's, at the end of this turn */
}

static void
write_socket(tw_rconn_t *c)
{
    int           n;
    ssize_t       sent;
    struct iovec  iov[IOV_MAX_OUT];

    while (c->poll != NULL && !c->connecting
           && tq_redis_want(c->core) == TQ_WANT_WRITE)
    {
        n = tq_redis_out(c->core, iov, IOV_MAX_OUT);
        if (n == 0) {
            break;
        }

        sent = writev(c->fd, iov, n);
        if (sent < 0) {
            if (errno == EINTR) {
                continue;
            }
            if (errno == EAGAIN) {
                watch(c, UV_READABLE | UV_WRITABLE);
                return;
            }
            lost(c, strerror(errno));
            return;
        }

        TQ_FAIL("bytes-sent");
        tq_redis_sent(c->core, (size_t) sent, now(c));
    }

    if (!c->connecting) {
        watch(c, UV_READABLE);
    }
}

static void
on_timer(uv_timer_t *t)
{
    tw_rconn_t  *c = t->data;

    c->timer_at = -1;
    tq_redis_tick(c->core, now(c));
}

/* Re-armed only for an earlier moment: a deadline that moved on costs nothing,
 * the tick that comes too early sets the next. */
static void
arm_timer(tw_rconn_t *c)
{
    int64_t  at = tq_redis_next_ms(c->core);
    int64_t  wait;

    if (at < 0 || (c->timer_at >= 0 && c->timer_at <= at)) {
        return;
    }

    wait = at - now(c);
    c->timer_at = at;
    (void) uv_timer_start(&c->timer, on_timer, wait > 0 ? (uint64_t) wait : 0,
        0);
}

void
tw_rconn_flush(tw_rconn_t *c)
{
    int  i;

    if (c->closing) {
        return;
    }

    /* a lost connection may ask for the next step at once, but not for ever */
    for (i = 0; i < 4; i++) {
        switch (tq_redis_want(c->core)) {

        case TQ_WANT_CONNECT:
            tq_redis_connecting(c->core, now(c));
            start_connect(c);
            continue;

        case TQ_WANT_CLOSE:
            lost(c, tq_redis_why(c->core));
            continue;

        case TQ_WANT_WRITE:
            write_socket(c);
            break;

        case TQ_WANT_NOTHING:
            break;
        }

        break;
    }

    arm_timer(c);
}

static void
on_state(void *host, tq_redis_state_t s, const char *why)
{
    tw_rconn_t  *c = host;

    if (!c->closing && c->conf.on_state != NULL) {
        c->conf.on_state(c->conf.data, s == TQ_REDIS_READY, why);
    }
}

static void
on_error(void *host, tq_redis_err_t e)
{
    tw_rconn_t  *c = host;

    if (!c->closing && c->conf.on_error != NULL) {
        c->conf.on_error(c->conf.data, e);
    }
}

tw_rconn_t *
tw_rconn_new(uv_loop_t *loop, const tw_rconn_conf_t *conf)
{
    tw_rconn_t      *c = calloc(1, sizeof(*c));
    uint64_t         seed;
    tq_redis_conf_t  rc = {0};

    if (c == NULL) {
        return NULL;
    }

    c->loop = loop;
    c->conf = *conf;
    c->fd = -1;
    c->timer_at = -1;

    if (uv_random(NULL, NULL, &seed, sizeof(seed), 0, NULL) != 0) {
        seed = uv_hrtime();
    }

    rc.user = conf->url->user;
    rc.password = conf->url->password;
    rc.db = conf->url->db;
    rc.client_name = conf->client_name;
    rc.scripts = conf->scripts;
    rc.greet = conf->greet;
    rc.greets = conf->greets;
    rc.timeout_ms = conf->timeout_ms;
    rc.idle_ping_ms = conf->idle_ping_ms;
    rc.backoff_max_ms = TQ_WORKER_BACKOFF_MAX_MS;
    rc.seed = seed;
    rc.on_state = on_state;
    rc.on_error = on_error;
    rc.host = c;

    c->core = tq_redis_new(&rc, now(c));
    if (c->core == NULL || uv_timer_init(loop, &c->timer) != 0) {
        if (c->core != NULL) {
            tq_redis_free(c->core);
        }
        free(c);
        return NULL;
    }

    c->timer.data = c;

    return c;
}

int
tw_rconn_call(tw_rconn_t *c, tq_call_t *call)
{
    if (call == NULL) {
        return -1;
    }

    if (c->closing) {
        tq_call_free(call);
        return -1;
    }

    return tq_redis_call(c->core, call, now(c));
}

int
tw_rconn_ready(const tw_rconn_t *c)
{
    return !c->closing && tq_redis_state(c->core) == TQ_REDIS_READY;
}

void
tw_rconn_denied(tw_rconn_t *c)
{
    if (!c->closing) {
        tq_redis_denied(c->core, now(c));
    }
}

const char *
tw_rconn_why(const tw_rconn_t *c)
{
    return c->closing ? "closing" : tq_redis_why(c->core);
}

unsigned
tw_rconn_pending(const tw_rconn_t *c)
{
    return tq_redis_pending(c->core);
}

static void
on_timer_closed(uv_handle_t *h)
{
    free(h->data);
}

void
tw_rconn_close(tw_rconn_t *c)
{
    c->closing = 1;
    close_socket(c);
    drop_addrs(c);
    tq_redis_free(c->core);
    c->core = NULL;
    (void) uv_timer_stop(&c->timer);
    uv_close((uv_handle_t *) &c->timer, on_timer_closed);
}
