/*
 * redis_loop.c: a private redis-server, and a poll(2) host of tq_redis.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "redis_loop.h"
#include "tq_queue.h"

#define LOOP_PATIENCE_MS  20000


int64_t
redis_loop_now(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return (int64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}


/* A connected, non-blocking socket, or -1. */
static int
loop_connect(const char *path)
{
    int                 fd;
    struct sockaddr_un  sun;

    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);

    memset(&sun, 0, sizeof(sun));
    sun.sun_family = AF_UNIX;
    assert_true(strlen(path) < sizeof(sun.sun_path));
    strcpy(sun.sun_path, path);

    if (connect(fd, (struct sockaddr *) &sun, sizeof(sun)) == -1) {
        close(fd);
        return -1;
    }

    return fd;
}


void
redis_server_restart(redis_server_t *s)
{
    int            fd, null, status;
    int64_t        until;
    struct pollfd  none;

    fflush(NULL);
    s->pid = fork();
    assert_true(s->pid >= 0);

    if (s->pid == 0) {
        /* a test that dies leaves no server behind */
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        null = open("/dev/null", O_RDWR);
        dup2(null, 0);
        dup2(null, 1);
        execlp("redis-server", "redis-server", "--port", "0", "--bind",
            "127.0.0.1", "--unixsocket", s->sock, "--dir", s->dir, "--save",
            "", "--appendonly", "yes", "--appendfsync", "always",
            (char *) NULL);
        _exit(127);
    }

    until = redis_loop_now() + LOOP_PATIENCE_MS;

    while ((fd = loop_connect(s->sock)) == -1) {
        if (waitpid(s->pid, &status, WNOHANG) == s->pid) {
            s->pid = 0;
            fail_msg("redis-server ended with status %d", status);
        }
        assert_true(redis_loop_now() < until);
        (void) poll(&none, 0, 5);
    }

    close(fd);
}


void
redis_server_start(redis_server_t *s)
{
    memset(s, 0, sizeof(redis_server_t));
    strcpy(s->dir, "/tmp/tq-redis-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    snprintf(s->sock, sizeof(s->sock), "%s/redis.sock", s->dir);

    redis_server_restart(s);
}


void
redis_server_kill(redis_server_t *s)
{
    if (s->pid != 0) {
        kill(s->pid, SIGKILL);
        waitpid(s->pid, NULL, 0);
        s->pid = 0;

        /* the file of a dead socket would still be there */
        (void) unlink(s->sock);
    }
}


void
redis_server_stop(redis_server_t *s)
{
    pid_t  pid;

    redis_server_kill(s);

    if (s->dir[0] == '\0') {
        return;
    }

    pid = fork();
    if (pid == 0) {
        execlp("rm", "rm", "-rf", "--", s->dir, (char *) NULL);
        _exit(127);
    }
    if (pid > 0) {
        waitpid(pid, NULL, 0);
    }

    s->dir[0] = '\0';
}


void
redis_loop_open(redis_loop_t *l, const char *sock, const tq_redis_conf_t *conf)
{
    tq_redis_conf_t  own;

    memset(l, 0, sizeof(redis_loop_t));
    memset(&own, 0, sizeof(own));

    if (conf != NULL) {
        own = *conf;
    } else {
        own.scripts = tq_ops_scripts;
        own.timeout_ms = 5000;
        own.client_name = "unit";
        own.seed = 1;
    }

    l->sock = sock;
    l->fd = -1;
    l->r = tq_redis_new(&own, redis_loop_now());
    assert_non_null(l->r);
}


void
redis_loop_close(redis_loop_t *l)
{
    if (l->r != NULL) {
        tq_redis_free(l->r);
        l->r = NULL;
    }

    if (l->fd != -1) {
        close(l->fd);
        l->fd = -1;
    }

    if (l->reply != NULL) {
        freeReplyObject(l->reply);
        l->reply = NULL;
    }
}


static void
loop_lost(redis_loop_t *l, const char *why)
{
    if (l->fd != -1) {
        close(l->fd);
        l->fd = -1;
    }

    tq_redis_lost(l->r, why, redis_loop_now());
}


static void
loop_write(redis_loop_t *l)
{
    int            n;
    ssize_t        sent;
    struct iovec   iov[32];
    struct msghdr  msg;

    n = tq_redis_out(l->r, iov, 32);
    assert_true(n > 0);

    memset(&msg, 0, sizeof(msg));
    msg.msg_iov = iov;
    msg.msg_iovlen = (size_t) n;
    sent = sendmsg(l->fd, &msg, MSG_NOSIGNAL);

    if (sent >= 0) {
        tq_redis_sent(l->r, (size_t) sent, redis_loop_now());
    } else if (errno != EAGAIN && errno != EINTR) {
        loop_lost(l, strerror(errno));
    }
}


static void
loop_read(redis_loop_t *l)
{
    char     buf[16384];
    ssize_t  n;

    n = recv(l->fd, buf, sizeof(buf), 0);

    if (n > 0) {
        (void) tq_redis_feed(l->r, buf, (size_t) n, redis_loop_now());
    } else if (n == 0) {
        loop_lost(l, "closed by Redis");
    } else if (errno != EAGAIN && errno != EINTR) {
        loop_lost(l, strerror(errno));
    }
}


void
redis_loop_step(redis_loop_t *l, int max_ms)
{
    int            n;
    int64_t        next, left;
    tq_want_t      want;
    struct pollfd  pfd;

    want = tq_redis_want(l->r);

    if (want == TQ_WANT_CLOSE) {
        loop_lost(l, "asked to close");
        return;
    }

    if (want == TQ_WANT_CONNECT) {
        tq_redis_connecting(l->r, redis_loop_now());
        l->fd = loop_connect(l->sock);
        if (l->fd == -1) {
            loop_lost(l, strerror(errno));
        } else {
            tq_redis_connected(l->r, redis_loop_now());
        }
        return;
    }

    next = tq_redis_next_ms(l->r);
    if (next >= 0) {
        left = next - redis_loop_now();
        left = (left < 0) ? 0 : left;
        max_ms = (left < max_ms) ? (int) left : max_ms;
    }

    pfd.fd = l->fd;
    pfd.events = (short) (POLLIN | (want == TQ_WANT_WRITE ? POLLOUT : 0));
    pfd.revents = 0;
    n = poll(&pfd, 1, max_ms);

    if (n > 0 && (pfd.revents & POLLOUT)) {
        loop_write(l);
    }

    if (n > 0 && l->fd != -1 && (pfd.revents & (POLLIN | POLLHUP | POLLERR))) {
        loop_read(l);
    }

    tq_redis_tick(l->r, redis_loop_now());
}


void
redis_loop_until(redis_loop_t *l, const int *done)
{
    int64_t  until;

    until = redis_loop_now() + LOOP_PATIENCE_MS;

    while (!*done) {
        if (redis_loop_now() >= until) {
            fail_msg("still waiting; Redis: %s", tq_redis_why(l->r));
        }
        redis_loop_step(l, 100);
    }
}


void
redis_loop_ready(redis_loop_t *l)
{
    int64_t  until;

    until = redis_loop_now() + LOOP_PATIENCE_MS;

    while (tq_redis_state(l->r) != TQ_REDIS_READY) {
        if (redis_loop_now() >= until) {
            fail_msg("not ready: %s", tq_redis_why(l->r));
        }
        redis_loop_step(l, 100);
    }
}


typedef struct {
    redis_loop_t  *loop;
    int            done;
} loop_run_t;


static void
loop_run_cb(tq_call_t *call, tq_call_result_t result, const redisReply *reply)
{
    loop_run_t  *run = call->data;

    assert_true((result == TQ_CALL_REPLY) == (reply != NULL));

    run->done = 1;
    run->loop->reply = (redisReply *) reply;
    call->keep = 1;
}


const redisReply *
redis_loop_run(redis_loop_t *l, tq_call_t *call)
{
    loop_run_t  run = { l, 0 };

    assert_non_null(call);

    if (l->reply != NULL) {
        freeReplyObject(l->reply);
        l->reply = NULL;
    }

    call->cb = loop_run_cb;
    call->data = &run;
    call->wait = 1;
    assert_int_equal(tq_redis_call(l->r, call, redis_loop_now()), 0);
    redis_loop_until(l, &run.done);

    return l->reply;
}


const redisReply *
redis_loop_cmd(redis_loop_t *l, ...)
{
    va_list      ap;
    tq_call_t   *call;
    const char  *word;

    call = tq_call_new(NULL, NULL, NULL);
    assert_non_null(call);

    va_start(ap, l);
    while ((word = va_arg(ap, const char *)) != NULL) {
        tq_call_args(call, word);
    }
    va_end(ap);

    return redis_loop_run(l, call);
}
