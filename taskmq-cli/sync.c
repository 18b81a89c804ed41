/*
 * sync.c: the blocking host of tq_redis: socket, poll(2), clock.
 */

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "sync.h"
#include "tq_base.h"
#include "tq_queue.h"

#define TQ_SYNC_IOV_MAX    64
#define TQ_SYNC_READ_BYTES (64 * 1024)

/* In flight before tq_sync_start() waits. */
#define TQ_SYNC_CALLS_MAX  256
#define TQ_SYNC_HELD_MAX   (64 * 1024 * 1024)

struct tq_sync_s {
    tq_redis_t        *redis;
    int                fd;
    int                over;        /* the connection is gone for good */
    unsigned           unanswered;  /* started calls without a reply */
    char               why[TQ_SYNC_ERR_BYTES];

    /* of the last tq_sync_run() */
    tq_result_t       *kept;
    const tq_result_t *result;      /* NULL: none yet */

    char               in[TQ_SYNC_READ_BYTES];
};

/* Stands before a started call's own callback. */
typedef struct {
    tq_sync_t   *sync;
    tq_done_t    own;
} tq_sync_started_t;

/* An answer came, and could not be kept. */
static const tq_result_t  tq_sync_no_memory = { .status = TQ_UNKNOWN,
                                                .text = "" };

static int64_t tq_sync_now(void);
static int tq_sync_socket(tq_sync_t *s, const struct sockaddr *sa,
    socklen_t len, int64_t until);
static int tq_sync_connect(tq_sync_t *s, const tq_url_t *url, int64_t until);
static int tq_sync_connect_unix(tq_sync_t *s, const tq_url_t *url,
    int64_t until);
static int tq_sync_connect_tcp(tq_sync_t *s, const tq_url_t *url,
    int64_t until);
static void tq_sync_lost(tq_sync_t *s, const char *why);
static void tq_sync_write(tq_sync_t *s);
static void tq_sync_read(tq_sync_t *s);
static void tq_sync_step(tq_sync_t *s);
static int tq_sync_give(tq_sync_t *s, tq_call_t *call);
static void tq_sync_ended(tq_sync_t *s);
static void tq_sync_told(void *data, const tq_result_t *res);
static void tq_sync_started_told(void *data, const tq_result_t *res);


static int64_t
tq_sync_now(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return (int64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}


/* Connects one socket until the deadline. 0, or an errno. */
static int
tq_sync_socket(tq_sync_t *s, const struct sockaddr *sa, socklen_t len,
    int64_t until)
{
    int            n, err, one;
    int64_t        left;
    socklen_t      size;
    struct pollfd  pfd;

    s->fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
        0);
    if (s->fd == -1) {
        return errno;
    }

    one = 1;
    if (sa->sa_family != AF_UNIX) {
        (void) setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        (void) setsockopt(s->fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
    }

    err = (connect(s->fd, sa, len) == -1) ? errno : 0;

    while (err == EINPROGRESS || err == EINTR) {
        left = until - tq_sync_now();
        if (left <= 0) {
            err = ETIMEDOUT;
            break;
        }

        pfd.fd = s->fd;
        pfd.events = POLLOUT;
        n = poll(&pfd, 1, left > INT32_MAX ? INT32_MAX : (int) left);

        if (n > 0) {
            size = sizeof(err);
            if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &err, &size) == -1) {
                err = errno;
            }
            break;
        }
    }

    if (err != 0) {
        close(s->fd);
        s->fd = -1;
    }

    return err;
}


static int
tq_sync_connect_unix(tq_sync_t *s, const tq_url_t *url, int64_t until)
{
    int                 err;
    size_t              len;
    struct sockaddr_un  sun;

    len = strlen(url->path);
    if (len >= sizeof(sun.sun_path)) {
        snprintf(s->why, sizeof(s->why), "the socket's path is too long");
        return -1;
    }

    memset(&sun, 0, sizeof(sun));
    sun.sun_family = AF_UNIX;
    memcpy(sun.sun_path, url->path, len);

    err = tq_sync_socket(s, (struct sockaddr *) &sun, sizeof(sun), until);
    if (err != 0) {
        snprintf(s->why, sizeof(s->why), "%s", strerror(err));
        return -1;
    }

    return 0;
}


static int
tq_sync_connect_tcp(tq_sync_t *s, const tq_url_t *url, int64_t until)
{
    int               rc;
    char              port[16];
    struct addrinfo   hints, *list, *ai;

    memset(&hints, 0, sizeof(hints));
    hints.ai_socktype = SOCK_STREAM;
    snprintf(port, sizeof(port), "%d", url->port);

    rc = getaddrinfo(url->host, port, &hints, &list);
    if (rc != 0) {
        snprintf(s->why, sizeof(s->why), "%s",
            rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc));
        return -1;
    }

    rc = EADDRNOTAVAIL;
    for (ai = list; ai != NULL; ai = ai->ai_next) {
        rc = tq_sync_socket(s, ai->ai_addr, ai->ai_addrlen, until);
        if (rc == 0) {
            break;
        }
    }

    freeaddrinfo(list);

    if (rc != 0) {
        snprintf(s->why, sizeof(s->why), "%s", strerror(rc));
        return -1;
    }

    return 0;
}


static int
tq_sync_connect(tq_sync_t *s, const tq_url_t *url, int64_t until)
{
    int  rc;

    tq_redis_connecting(s->redis, tq_sync_now());

    rc = (url->path[0] != '\0') ? tq_sync_connect_unix(s, url, until)
                                : tq_sync_connect_tcp(s, url, until);
    if (rc != 0) {
        return -1;
    }

    tq_redis_connected(s->redis, tq_sync_now());

    while (!s->over && tq_redis_state(s->redis) != TQ_REDIS_READY) {
        tq_sync_step(s);
    }

    return s->over ? -1 : 0;
}


tq_sync_t *
tq_sync_open(const tq_url_t *url, const tq_ns_t *ns, const char *client_name,
    int64_t timeout_ms, char err[TQ_SYNC_ERR_BYTES])
{
    char             show[TQ_SYNC_ERR_BYTES / 2];
    int64_t          now;
    tq_sync_t       *s;
    tq_redis_conf_t  conf;

    memset(&conf, 0, sizeof(conf));
    conf.user = url->user;
    conf.password = url->password;
    conf.db = url->db;
    conf.client_name = client_name;
    conf.scripts = tq_ops_scripts;
    conf.greet = (ns != NULL) ? &tq_greet_cli : NULL;
    conf.greets = ns;
    conf.timeout_ms = (timeout_ms > 0) ? timeout_ms : TQ_REDIS_TIMEOUT_MS;

    now = tq_sync_now();
    err[0] = '\0';

    s = calloc(1, sizeof(tq_sync_t));
    if (s != NULL) {
        s->fd = -1;
        s->redis = tq_redis_new(&conf, now);
    }

    if (s == NULL || s->redis == NULL) {
        free(s);
        snprintf(err, TQ_SYNC_ERR_BYTES, "out of memory");
        return NULL;
    }

    if (tq_sync_connect(s, url, now + conf.timeout_ms) != 0) {
        snprintf(err, TQ_SYNC_ERR_BYTES, "Redis at %s: %.191s",
            tq_url_show(url, show, sizeof(show)), s->why);
        tq_sync_close(s);
        return NULL;
    }

    return s;
}


/* The end of the connection; this host makes no second one. */
static void
tq_sync_lost(tq_sync_t *s, const char *why)
{
    if (s->over) {
        return;
    }

    s->over = 1;
    close(s->fd);
    s->fd = -1;

    tq_redis_lost(s->redis, why, tq_sync_now());
    snprintf(s->why, sizeof(s->why), "%s", tq_redis_why(s->redis));
}


static void
tq_sync_write(tq_sync_t *s)
{
    int            n;
    ssize_t        sent;
    struct iovec   iov[TQ_SYNC_IOV_MAX];
    struct msghdr  msg;

    n = tq_redis_out(s->redis, iov, TQ_SYNC_IOV_MAX);
    if (n == 0) {
        return;
    }

    memset(&msg, 0, sizeof(msg));
    msg.msg_iov = iov;
    msg.msg_iovlen = (size_t) n;

    sent = sendmsg(s->fd, &msg, MSG_NOSIGNAL);

    if (sent >= 0) {
        tq_redis_sent(s->redis, (size_t) sent, tq_sync_now());

    } else if (errno != EAGAIN && errno != EINTR && errno != EPIPE
               && errno != ECONNRESET)
    {
        tq_sync_lost(s, strerror(errno));
    }

    /* a peer that closed may have said why: that is read first */
}


static void
tq_sync_read(tq_sync_t *s)
{
    ssize_t  n;

    n = recv(s->fd, s->in, sizeof(s->in), 0);

    if (n > 0) {
        (void) tq_redis_feed(s->redis, s->in, (size_t) n, tq_sync_now());

    } else if (n == 0) {
        tq_sync_lost(s, "Redis closed the connection");

    } else if (errno != EAGAIN && errno != EINTR) {
        tq_sync_lost(s, strerror(errno));
    }
}


/* Waits for the socket or the clock, and does what is due. */
static void
tq_sync_step(tq_sync_t *s)
{
    int            n, wait_ms;
    int64_t        next, left;
    tq_want_t      want;
    struct pollfd  pfd;

    want = tq_redis_want(s->redis);
    if (want == TQ_WANT_CLOSE) {
        tq_sync_lost(s, "closed");
        return;
    }

    wait_ms = -1;
    next = tq_redis_next_ms(s->redis);
    if (next >= 0) {
        left = next - tq_sync_now();
        wait_ms = (left < 0) ? 0 : left > 60000 ? 60000 : (int) left;
    }

    pfd.fd = s->fd;
    pfd.events = (short) (POLLIN | (want == TQ_WANT_WRITE ? POLLOUT : 0));
    pfd.revents = 0;

    n = poll(&pfd, 1, wait_ms);

    if (n > 0 && (pfd.revents & POLLOUT)) {
        tq_sync_write(s);
    }

    if (n > 0 && !s->over && (pfd.revents & (POLLIN | POLLHUP | POLLERR))) {
        tq_sync_read(s);
    }

    tq_redis_tick(s->redis, tq_sync_now());
}


/* Hands a call over, waiting only for room. 0, or -1. */
static int
tq_sync_give(tq_sync_t *s, tq_call_t *call)
{
    if (call == NULL) {
        snprintf(s->why, sizeof(s->why), "out of memory");
        return -1;
    }

    while (!s->over && (tq_redis_pending(s->redis) >= TQ_SYNC_CALLS_MAX
                        || tq_redis_held_bytes(s->redis) > TQ_SYNC_HELD_MAX))
    {
        tq_sync_step(s);
    }

    if (s->over) {
        tq_call_free(call);     /* s->why is the connection's */
        return -1;
    }

    call->wait = 0;     /* there is no next connection to wait for */

    if (tq_redis_call(s->redis, call, tq_sync_now()) != 0) {
        snprintf(s->why, sizeof(s->why), "%s",
            tq_redis_why(s->redis)[0] != '\0' ? tq_redis_why(s->redis)
                                              : "the call is too large");
        return -1;
    }

    return 0;
}


/* A call ended without a reply: keeps the reason. */
static void
tq_sync_ended(tq_sync_t *s)
{
    const char  *why;

    why = tq_redis_why(s->redis);
    snprintf(s->why, sizeof(s->why), "%s",
        why[0] != '\0' ? why : "the call took too long");
}


static void
tq_sync_told(void *data, const tq_result_t *res)
{
    tq_sync_t  *s = data;

    s->kept = tq_result_keep(res);
    s->result = (s->kept != NULL) ? s->kept : &tq_sync_no_memory;

    if (s->kept == NULL) {
        snprintf(s->why, sizeof(s->why), "out of memory");

    } else if (res->status == TQ_REFUSED && res->err == TQ_ERR_OTHER) {
        tq_text_print(s->why, sizeof(s->why), "%.200s", res->text);

    } else if (res->status == TQ_REFUSED) {
        tq_text_print(s->why, sizeof(s->why), "%s (%.160s)",
            tq_redis_err_text(res->err), res->text);

    } else if (res->status != TQ_OK) {
        tq_sync_ended(s);
    }
}


const tq_result_t *
tq_sync_run(tq_sync_t *s, tq_call_t *call)
{
    tq_result_free(s->kept);
    s->kept = NULL;
    s->result = NULL;

    if (call != NULL) {
        (void) tq_done_swap(call, (tq_done_t) { tq_sync_told, s });
    }

    if (tq_sync_give(s, call) != 0) {
        return &tq_not_sent;
    }

    while (s->result == NULL) {
        tq_sync_step(s);
    }

    return s->result;
}


static void
tq_sync_started_told(void *data, const tq_result_t *res)
{
    tq_sync_started_t  *started = data;
    tq_done_t           own = started->own;

    if (res->status == TQ_NOT_SENT || res->status == TQ_UNKNOWN) {
        started->sync->unanswered++;
        tq_sync_ended(started->sync);
    }

    free(started);

    if (own.cb != NULL) {
        own.cb(own.data, res);
    }
}


int
tq_sync_start(tq_sync_t *s, tq_call_t *call)
{
    tq_sync_started_t  *started;

    started = malloc(sizeof(tq_sync_started_t));

    if (started == NULL || call == NULL) {
        snprintf(s->why, sizeof(s->why), "out of memory");
        tq_call_free(call);
        free(started);
        return -1;
    }

    started->sync = s;
    started->own = tq_done_swap(call,
        (tq_done_t) { tq_sync_started_told, started });

    if (tq_sync_give(s, call) != 0) {
        free(started);
        return -1;
    }

    return 0;
}


int
tq_sync_wait_all(tq_sync_t *s)
{
    unsigned  unanswered;

    while (tq_redis_pending(s->redis) != 0) {
        tq_sync_step(s);
    }

    unanswered = s->unanswered;
    s->unanswered = 0;

    return (unanswered == 0) ? 0 : -1;
}


const char *
tq_sync_why(const tq_sync_t *s)
{
    return s->why;
}


void
tq_sync_close(tq_sync_t *s)
{
    if (s == NULL) {
        return;
    }

    tq_redis_free(s->redis);

    if (s->fd != -1) {
        close(s->fd);
    }

    tq_result_free(s->kept);
    free(s);
}
