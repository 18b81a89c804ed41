/*
 * test_redis_live.c: tq_redis, and its blocking host, with a real redis-server
 * on a unix socket: scripts flushed in the middle of a pipeline, a server that
 * is killed and comes back, passwords, a connection that is cut.
 */

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "redis_loop.h"
#include "../../taskmq-cli/sync.c"
#include "tq_ops_int.h"

#define CALLS  2000

static redis_server_t  server;
static tq_ns_t         ns;

typedef struct {
    int  ended;
    int  replies;
    int  not_sent;
    int  unknown;
    int  wrong;         /* a reply that is not this call's */
    int  all;           /* ended == expected */
    int  expected;
} count_t;

typedef struct {
    count_t  *count;
    int       n;
} numbered_t;


static void
numbered_done(void *data, const tq_result_t *res)
{
    char         text[16];
    count_t     *c;
    numbered_t  *m = data;

    c = m->count;
    c->replies += (res->status == TQ_OK || res->status == TQ_REFUSED);
    c->not_sent += (res->status == TQ_NOT_SENT);
    c->unknown += (res->status == TQ_UNKNOWN);

    if (res->status == TQ_OK && m->n % 2) {
        snprintf(text, sizeof(text), "%d", m->n);
        c->wrong += (res->from->type != REDIS_REPLY_STRING
                     || strcmp(res->from->str, text) != 0);
    }
    c->wrong += (res->status == TQ_REFUSED);

    c->all = (++c->ended == c->expected);
}


/* odd: an ECHO of its number; even: what the probe script says */
static tq_call_t *
numbered(numbered_t *m)
{
    tq_call_t  *call;

    if (m->n % 2 == 0) {
        return tq_probe_call(&ns, numbered_done, m);
    }

    call = tq_op_new(NULL, NULL, NULL, numbered_done, m);
    assert_non_null(call);
    tq_call_args(call, "ECHO");
    tq_call_argi(call, m->n);

    return call;
}


/* Pipelines CALLS calls, with a SCRIPT FLUSH every 100. */
static void
flush_in_pipeline(void **state)
{
    int            i;
    count_t        c;
    tq_call_t     *call;
    numbered_t    *m;
    redis_loop_t   l;

    (void) state;

    memset(&c, 0, sizeof(c));
    c.expected = CALLS;
    m = test_calloc(CALLS, sizeof(numbered_t));
    redis_loop_open(&l, server.sock, NULL);
    redis_loop_ready(&l);

    for (i = 0; i < CALLS; i++) {
        m[i].count = &c;
        m[i].n = i;
        assert_int_equal(
            tq_redis_call(l.r, numbered(&m[i]), redis_loop_now()), 0);

        if (i % 100 == 50) {
            call = tq_call_new(NULL, NULL, NULL);
            assert_non_null(call);
            tq_call_args(call, "SCRIPT");
            tq_call_args(call, "FLUSH");
            assert_int_equal(tq_redis_call(l.r, call, redis_loop_now()), 0);
        }
    }

    redis_loop_until(&l, &c.all);
    assert_int_equal(c.replies, CALLS);
    assert_int_equal(c.wrong, 0);
    assert_int_equal(tq_redis_state(l.r), TQ_REDIS_READY);

    redis_loop_close(&l);
    test_free(m);
}


/* Stores one job, and returns its id. */
static int64_t
store(redis_loop_t *l, const char *payload)
{
    tq_job_t           job;
    tq_enqueue_t       e;
    const redisReply  *reply;

    memset(&job, 0, sizeof(job));
    strcpy(job.handler, "h");
    job.handler_len = 1;
    job.policy = 'f';
    job.max_retries = -1;
    job.payload = (tq_str_t) { payload, strlen(payload) };

    memset(&e, 0, sizeof(e));
    assert_int_equal(
        tq_enqueue_add(&e, &ns, tq_str(""), tq_str(""), 0, 0, &job, 1), 0);
    reply = redis_loop_run(l, tq_enqueue_call(&e, &ns, NULL, NULL));
    assert_int_equal(reply->type, REDIS_REPLY_ARRAY);

    return reply->element[0]->integer;
}


/* BLPOP of a minute: what is behind it is not answered before. */
static tq_call_t *
stuck_call(void)
{
    tq_call_t  *call;

    call = tq_op_new(NULL, NULL, NULL, NULL, NULL);
    assert_non_null(call);
    tq_call_args(call, "BLPOP");
    tq_call_args(call, "never");
    tq_call_args(call, "60");
    call->timeout_ms = 120000;

    return call;
}


/* Hands over calls [from..to). */
static void
give_numbered(redis_loop_t *l, numbered_t *m, int from, int to, count_t *c,
    int wait)
{
    int         i;
    tq_call_t  *call;

    for (i = from; i < to; i++) {
        m[i].count = c;
        m[i].n = i;
        call = numbered(&m[i]);
        call->wait = (wait != 0);
        call->timeout_ms = wait ? -1 : 0;
        assert_int_equal(tq_redis_call(l->r, call, redis_loop_now()), 0);
    }
}


/* kill -9 with a pipeline under way: every call ends once; those that wait for
 * the next connection get their reply from the server that came back, and a job
 * that was answered for is still there. */
static void
killed_and_back(void **state)
{
    int                i;
    int64_t            id;
    count_t            c;
    numbered_t        *m;
    redis_loop_t       l;
    const redisReply  *reply;

    (void) state;

    memset(&c, 0, sizeof(c));
    c.expected = CALLS;
    m = test_calloc(CALLS, sizeof(numbered_t));
    redis_loop_open(&l, server.sock, NULL);
    id = store(&l, "{\"kept\": 1.10}");

    assert_int_equal(tq_redis_call(l.r, stuck_call(), redis_loop_now()), 0);
    give_numbered(&l, m, 0, CALLS / 2, &c, 0);
    while (tq_redis_want(l.r) == TQ_WANT_WRITE) {
        redis_loop_step(&l, 100);
    }

    redis_server_kill(&server);
    give_numbered(&l, m, CALLS / 2, CALLS, &c, 1);

    while (tq_redis_state(l.r) == TQ_REDIS_READY) {
        redis_loop_step(&l, 100);
    }
    assert_string_not_equal(tq_redis_why(l.r), "");
    assert_int_equal(c.replies, 0);

    /* a few attempts find nobody */
    for (i = 0; i < 5; i++) {
        redis_loop_step(&l, 50);
        assert_int_not_equal(tq_redis_state(l.r), TQ_REDIS_READY);
    }

    redis_server_restart(&server);
    redis_loop_until(&l, &c.all);
    assert_int_equal(c.unknown, CALLS / 2);
    assert_int_equal(c.replies, CALLS / 2);
    assert_int_equal(c.wrong, 0);

    reply = redis_loop_run(&l, tq_get_call(&ns, id, NULL, NULL));
    assert_int_equal(reply->type, REDIS_REPLY_ARRAY);
    assert_non_null(strstr(reply->element[0]->str, "{\"kept\": 1.10}"));

    redis_loop_close(&l);
    test_free(m);
}


/* CLIENT KILL from another connection: lost while idle, READY again. */
static void
cut_by_redis(void **state)
{
    redis_loop_t       l, other;
    const redisReply  *reply;

    (void) state;

    redis_loop_open(&l, server.sock, NULL);
    redis_loop_ready(&l);
    redis_loop_open(&other, server.sock, NULL);
    reply = redis_loop_cmd(&other, "CLIENT", "KILL", "TYPE", "normal",
        "SKIPME", "yes", NULL);
    assert_non_null(reply);
    assert_true(reply->integer >= 1);

    while (tq_redis_state(l.r) == TQ_REDIS_READY) {
        redis_loop_step(&l, 100);
    }
    redis_loop_ready(&l);
    reply = redis_loop_cmd(&l, "CLIENT", "GETNAME", NULL);
    assert_string_equal(reply->str, "unit");

    redis_loop_close(&other);
    redis_loop_close(&l);
}


static void
passwords(void **state)
{
    redis_loop_t       l, admin;
    tq_redis_conf_t    conf;
    const redisReply  *reply;

    (void) state;

    redis_loop_open(&admin, server.sock, NULL);
    redis_loop_ready(&admin);
    reply = redis_loop_cmd(&admin, "ACL", "SETUSER", "joe", "on", ">se same",
        "~*", "+@all", NULL);
    assert_string_equal(reply->str, "OK");

    memset(&conf, 0, sizeof(conf));
    conf.user = "joe";
    conf.password = "se same";
    conf.db = 5;
    conf.timeout_ms = 5000;
    conf.scripts = tq_ops_scripts;
    redis_loop_open(&l, server.sock, &conf);
    redis_loop_ready(&l);
    reply = redis_loop_cmd(&l, "ACL", "WHOAMI", NULL);
    assert_string_equal(reply->str, "joe");
    redis_loop_close(&l);

    conf.password = "wrong";
    redis_loop_open(&l, server.sock, &conf);
    while (tq_redis_state(l.r) != TQ_REDIS_CLOSING) {
        assert_int_not_equal(tq_redis_state(l.r), TQ_REDIS_READY);
        redis_loop_step(&l, 100);
    }
    assert_string_equal(tq_redis_why(l.r),
        "AUTH was refused: Redis wants another user or password, or the user "
        "is off");
    redis_loop_close(&l);

    redis_loop_cmd(&admin, "ACL", "DELUSER", "joe", NULL);
    redis_loop_close(&admin);
}


static tq_sync_t *
open_sync(char err[TQ_SYNC_ERR_BYTES])
{
    tq_url_t  url;

    memset(&url, 0, sizeof(url));
    snprintf(url.path, sizeof(url.path), "%s", server.sock);

    return tq_sync_open(&url, NULL, "unit-sync", 5000, err);
}


static void
sync_host(void **state)
{
    int                 i;
    char                err[TQ_SYNC_ERR_BYTES];
    count_t             c;
    tq_sync_t          *s;
    tq_call_t          *call;
    numbered_t         *m;
    const tq_result_t  *res;

    (void) state;

    s = open_sync(err);
    if (s == NULL) {
        fail_msg("%s", err);
    }

    res = tq_sync_run(s, tq_probe_call(&ns, NULL, NULL));
    assert_int_equal(res->status, TQ_OK);
    assert_in_range(res->probe.noeviction, 0, 1);

    /* refused, with a reason */
    call = tq_op_new(NULL, NULL, NULL, NULL, NULL);
    tq_call_args(call, "NONSENSE");
    res = tq_sync_run(s, call);
    assert_int_equal(res->status, TQ_REFUSED);
    assert_int_equal(res->err, TQ_ERR_OTHER);
    assert_int_equal(res->odd, 0);
    assert_non_null(strstr(res->text, "unknown command"));
    assert_non_null(strstr(tq_sync_why(s), "unknown command"));

    /* no memory for a call is an error like any other */
    assert_int_equal(tq_sync_run(s, NULL)->status, TQ_NOT_SENT);
    assert_int_equal(tq_sync_start(s, NULL), -1);

    memset(&c, 0, sizeof(c));
    c.expected = CALLS;
    m = test_calloc(CALLS, sizeof(numbered_t));
    for (i = 0; i < CALLS; i++) {
        m[i].count = &c;
        m[i].n = i;
        assert_int_equal(tq_sync_start(s, numbered(&m[i])), 0);
    }
    assert_int_equal(tq_sync_wait_all(s), 0);
    assert_int_equal(c.replies, CALLS);
    assert_int_equal(c.wrong, 0);
    assert_int_equal(tq_sync_wait_all(s), 0);

    /* the connection is lost: each call ends, later ones are refused */
    c.expected = 2 * CALLS;
    call = tq_op_new(NULL, NULL, NULL, NULL, NULL);
    tq_call_args(call, "CLIENT");
    tq_call_args(call, "KILL");
    tq_call_args(call, "SKIPME");
    tq_call_args(call, "no");
    assert_int_equal(tq_sync_start(s, call), 0);
    for (i = 0; i < 10; i++) {
        assert_int_equal(tq_sync_start(s, numbered(&m[i])), 0);
    }
    assert_int_equal(tq_sync_wait_all(s), -1);
    assert_int_equal(c.ended, CALLS + 10);
    res = tq_sync_run(s, tq_probe_call(&ns, NULL, NULL));
    assert_int_equal(res->status, TQ_NOT_SENT);
    assert_string_not_equal(tq_sync_why(s), "");
    assert_int_equal(tq_sync_start(s, numbered(&m[0])), -1);
    tq_sync_close(s);
    tq_sync_close(NULL);
    test_free(m);
}


static void
sync_refused(void **state)
{
    char      err[TQ_SYNC_ERR_BYTES];
    tq_url_t  url;

    (void) state;

    memset(&url, 0, sizeof(url));
    snprintf(url.path, sizeof(url.path), "%s/nobody.sock", server.dir);
    snprintf(url.password, sizeof(url.password), "sesame");
    assert_null(tq_sync_open(&url, NULL, NULL, 1000, err));
    assert_non_null(strstr(err, "nobody.sock"));
    assert_non_null(strstr(err, "No such file"));
    assert_null(strstr(err, "sesame"));

    /* a password where none is set */
    snprintf(url.path, sizeof(url.path), "%s", server.sock);
    assert_null(tq_sync_open(&url, NULL, NULL, 1000, err));
    assert_non_null(strstr(err, "AUTH was refused"));
    assert_null(strstr(err, "sesame"));

    /* TCP, nobody there: port 1 of loopback */
    memset(&url, 0, sizeof(url));
    strcpy(url.host, "127.0.0.1");
    url.port = 1;
    assert_null(tq_sync_open(&url, NULL, NULL, 1000, err));
    assert_non_null(strstr(err, "refused"));
}


/* A TCP port that nobody has at this moment, of those that the kernel gives to
 * connections: tests/e2e/ports.py gives those below. */
static int
free_port(void)
{
    int                 fd;
    socklen_t           len;
    struct sockaddr_in  sin;

    memset(&sin, 0, sizeof(sin));
    sin.sin_family = AF_INET;
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    len = sizeof(sin);

    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *) &sin, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *) &sin, &len), 0);
    close(fd);

    return ntohs(sin.sin_port);
}


static void
sync_tcp(void **state)
{
    int                i, n, fds, before[64];
    char               err[TQ_SYNC_ERR_BYTES], port[16];
    tq_url_t           url;
    tq_sync_t         *s;
    redis_loop_t       l;
    const redisReply  *reply;

    (void) state;

    memset(&url, 0, sizeof(url));
    strcpy(url.host, "localhost");
    redis_loop_open(&l, server.sock, NULL);
    reply = NULL;

    /* somebody else may take it in between */
    for (i = 0; i < 10; i++) {
        url.port = free_port();
        snprintf(port, sizeof(port), "%d", url.port);
        reply = redis_loop_cmd(&l, "CONFIG", "SET", "port", port, NULL);
        if (reply->type == REDIS_REPLY_STATUS) {
            break;
        }
    }
    assert_int_equal(reply->type, REDIS_REPLY_STATUS);

    for (n = 3; n < 64; n++) {
        before[n] = fcntl(n, F_GETFD);
    }

    s = tq_sync_open(&url, NULL, "unit-tcp", 5000, err);
    if (s == NULL) {
        fail_msg("%s", err);
    }
    assert_int_equal(tq_sync_run(s, tq_probe_call(&ns, NULL, NULL))->status,
        TQ_OK);

    /* its socket is not inherited by a child */
    fds = 0;
    for (n = 3; n < 64; n++) {
        i = fcntl(n, F_GETFD);
        if (i != -1 && before[n] == -1) {
            fds++;
            assert_true(i & FD_CLOEXEC);
        }
    }
    assert_int_equal(fds, 1);

    tq_sync_close(s);
    redis_loop_cmd(&l, "CONFIG", "SET", "port", "0", NULL);
    redis_loop_close(&l);
}


static void
sync_timeout(void **state)
{
    char         err[TQ_SYNC_ERR_BYTES];
    tq_sync_t   *s;
    tq_call_t   *call;

    (void) state;

    s = open_sync(err);
    assert_non_null(s);
    call = stuck_call();
    call->timeout_ms = 50;
    assert_int_equal(tq_sync_run(s, call)->status, TQ_UNKNOWN);
    assert_string_equal(tq_sync_why(s), "Redis did not answer in time");
    assert_int_equal(tq_sync_run(s, tq_probe_call(&ns, NULL, NULL))->status,
        TQ_NOT_SENT);
    tq_sync_close(s);

    /* the same of a started call: wait_all has the reason */
    s = open_sync(err);
    assert_non_null(s);
    call = stuck_call();
    call->timeout_ms = 50;
    assert_int_equal(tq_sync_start(s, call), 0);
    assert_int_equal(tq_sync_wait_all(s), -1);
    assert_string_equal(tq_sync_why(s), "Redis did not answer in time");
    tq_sync_close(s);
}


static int
setup(void **state)
{
    (void) state;

    redis_server_start(&server);

    return tq_ns_init(&ns, "live", 4);
}


static int
teardown(void **state)
{
    (void) state;

    redis_server_stop(&server);

    return 0;
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(flush_in_pipeline),
        cmocka_unit_test(killed_and_back),
        cmocka_unit_test(cut_by_redis),
        cmocka_unit_test(passwords),
        cmocka_unit_test(sync_host),
        cmocka_unit_test(sync_refused),
        cmocka_unit_test(sync_tcp),
        cmocka_unit_test(sync_timeout),
    };

    return cmocka_run_group_tests_name("redis_live", tests, setup, teardown);
}
