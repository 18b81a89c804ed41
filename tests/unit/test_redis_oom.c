/*
 * test_redis_oom.c: one long scenario, run once per allocation in it, with that
 * allocation failing (ours and, linked statically, hiredis'). Whatever fails:
 * no crash, no leak, every call that was taken ends exactly once, and the same
 * tq_redis_t works again afterwards.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "redis_fake.h"
#include "tq_queue.h"

#define A40  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B40  "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
char *__real_strdup(const char *s);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
char *__wrap_strdup(const char *s);

/* The allocation that fails counts down to 0; below: none. */
static long  fail_at = -1;
static int   failed;
static int   taken, ended;


static int
fails(void)
{
    if (fail_at < 0) {
        return 0;
    }

    if (fail_at-- == 0) {
        failed = 1;
        return 1;
    }

    return 0;
}


void *
__wrap_malloc(size_t n)
{
    return fails() ? NULL : __real_malloc(n);
}


void *
__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : __real_calloc(n, size);
}


void *
__wrap_realloc(void *p, size_t n)
{
    return fails() ? NULL : __real_realloc(p, n);
}


char *
__wrap_strdup(const char *s)
{
    return fails() ? NULL : __real_strdup(s);
}


static void
count_cb(tq_call_t *call, tq_call_result_t result, const redisReply *reply)
{
    assert_true((result == TQ_CALL_REPLY) == (reply != NULL));
    assert_null(call->data);
    ended++;
}


static void
count_done(void *data, const tq_result_t *res)
{
    tq_result_t  *kept;

    assert_null(data);
    assert_non_null(res->text);
    kept = tq_result_keep(res);
    assert_true(kept == NULL || kept->status == res->status);
    tq_result_free(kept);
    ended++;
}


static void
give(tq_redis_t *r, tq_call_t *call, int64_t now)
{
    int  incomplete;

    if (call != NULL) {
        call->wait = 1;
        call->timeout_ms = -1;
        incomplete = call->body.failed;
        if (tq_redis_call(r, call, now) == 0) {
            assert_false(incomplete);
            taken++;
        }
    }
}


/* The host: whatever tq_redis wants at this moment, against a Redis that
 * answers with `replies` as far as it gets. */
static void
drive(tq_redis_t *r, int64_t *now, const char *replies)
{
    int           n;
    struct iovec  iov[16];

    if (tq_redis_want(r) == TQ_WANT_CLOSE) {
        tq_redis_lost(r, "closed", *now);
    }

    while (tq_redis_state(r) == TQ_REDIS_DOWN
           && tq_redis_want(r) != TQ_WANT_CONNECT)
    {
        *now = tq_redis_next_ms(r);
        tq_redis_tick(r, *now);
    }

    if (tq_redis_want(r) == TQ_WANT_CONNECT) {
        tq_redis_connecting(r, *now);
        tq_redis_connected(r, *now);
    }

    while (tq_redis_want(r) == TQ_WANT_WRITE) {
        n = tq_redis_out(r, iov, 16);
        assert_true(n > 0);
        tq_redis_sent(r, iov[0].iov_len, *now);
    }

    (void) tq_redis_feed(r, replies, strlen(replies), *now);
}


static void
scenario(char *big)
{
    int64_t             now = 1000;
    tq_ns_t             ns;
    tq_job_t            job, large;
    tq_redis_t         *r;
    tq_call_t          *call;
    tq_enqueue_t        e;
    tq_redis_conf_t     conf;

    static const char  hello[] = "+OK\r\n+OK\r\n+OK\r\n$40\r\n" A40
                                 "\r\n$40\r\n" B40 "\r\n-ERR no\r\n-ERR no\r\n"
                                 ":7\r\n-ERR no\r\n*3\r\n:0\r\n$0\r\n\r\n"
                                 "$0\r\n\r\n";
    static const char  made[] = ":2\r\n";

    memset(&conf, 0, sizeof(conf));
    conf.user = "joe";
    conf.password = "sesame";
    conf.db = 3;
    conf.client_name = "oom";
    conf.scripts = fake_scripts;
    conf.idle_ping_ms = 5000;
    conf.greet = &tq_greet_worker;
    conf.greets = &ns;

    assert_int_equal(tq_ns_init(&ns, "oom", 3), 0);

    r = tq_redis_new(&conf, now);
    if (r == NULL) {
        return;
    }

    drive(r, &now, hello);
    drive(r, &now, made);

    /* a plain call, a script, an enqueue batch, a large reply */
    call = tq_call_new(NULL, count_cb, NULL);
    if (call != NULL) {
        tq_call_args(call, "GET");
        tq_call_arg(call, big, 5000);
        give(r, call, now);
    }

    memset(&job, 0, sizeof(job));
    strcpy(job.handler, "h");
    job.handler_len = 1;
    job.policy = 'f';
    job.payload = (tq_str_t) { big, 1000 };
    large = job;
    large.payload.len = 3000;
    memset(&e, 0, sizeof(e));
    if (tq_enqueue_add(&e, &ns, tq_str("s"), tq_str("k"), 1, 0, &job, 1) == 0
        && tq_enqueue_add(&e, &ns, tq_str(""), tq_str(""), 1, 0, &large, 1)
           == 1
        && tq_enqueue_add(&e, &ns, tq_str(""), tq_str(""), 1, 0, &large, 1)
           == 2)
    {
        give(r, tq_enqueue_call(&e, &ns, count_done, NULL), now);
    } else {
        tq_enqueue_drop(&e);
    }
    assert_null(e.aside);
    assert_null(e.args.p);
    give(r, tq_get_call(&ns, 1, count_done, NULL), now);
    give(r, tq_uuid_key_call(&ns, (const unsigned char *) big, count_done,
        NULL), now);
    give(r, tq_payload_call(&ns, 7, 2, count_done, NULL), now);

    drive(r, &now, "-NOSCRIPT no\r\n+OK\r\n+OK\r\n-NOSCRIPT no\r\n"
        "*3\r\n$1\r\nx\r\n$-1\r\n"
        "*2\r\n:1\r\n+y\r\n");
    drive(r, &now, big);
    drive(r, &now, ":1\r\n:2\r\n");

    /* an idle PING, then the connection breaks with calls in it */
    now += 5000;
    tq_redis_tick(r, now);
    drive(r, &now, "+PONG\r\n");
    give(r, tq_get_call(&ns, 2, count_done, NULL), now);
    drive(r, &now, "?\r\n");
    drive(r, &now, hello);
    give(r, tq_reap_call(&ns, -1, count_done, NULL), now);

    tq_redis_free(r);
}


/* A bulk string of 200,000 bytes that is also good for 5,000 of anything. */
static char *
make_big(void)
{
    char    *p;
    size_t   n;

    p = test_malloc(200012);
    n = (size_t) sprintf(p, "$200000\r\n");
    memset(p + n, 'x', 200000);
    strcpy(p + n + 200000, "\r\n");

    return p;
}


static void
every_allocation(void **state)
{
    long   n;
    char  *big;

    (void) state;

    big = make_big();

    for (n = 0, failed = 1; failed; n++) {
        failed = 0;
        taken = 0;
        ended = 0;
        fail_at = n;
        scenario(big);
        fail_at = -1;
        assert_int_equal(taken, ended);
    }

    /* the last round had nothing to fail, and took everything */
    assert_int_equal(taken, 7);
    assert_true(n > 60);
    test_free(big);
}


/* One allocation fails; then memory is back: the same connection object must
 * become READY and answer. */
static void
works_again(void **state)
{
    long             n;
    int64_t          now;
    tq_ns_t          ns;
    tq_redis_t      *r;
    tq_redis_conf_t  conf;

    (void) state;

    assert_int_equal(tq_ns_init(&ns, "oom", 3), 0);
    memset(&conf, 0, sizeof(conf));
    conf.scripts = fake_scripts;

    for (n = 0, failed = 1; failed; n++) {
        now = 1000;
        failed = 0;
        taken = 0;
        ended = 0;
        r = tq_redis_new(&conf, now);
        assert_non_null(r);

        fail_at = n;
        drive(r, &now, "$40\r\n" A40 "\r\n$40\r\n" B40 "\r\n+PONG\r\n");
        give(r, tq_get_call(&ns, 1, count_done, NULL), now);
        drive(r, &now, "*3\r\n$1\r\na\r\n$1\r\nb\r\n:0\r\n");
        fail_at = -1;

        while (tq_redis_state(r) != TQ_REDIS_READY) {
            drive(r, &now, "$40\r\n" A40 "\r\n$40\r\n" B40 "\r\n+PONG\r\n");
        }
        give(r, tq_get_call(&ns, 1, count_done, NULL), now);
        while (taken != ended) {
            drive(r, &now, "$-1\r\n");
        }
        assert_int_equal(tq_redis_state(r), TQ_REDIS_READY);
        tq_redis_free(r);
    }

    assert_true(n > 20);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(every_allocation),
        cmocka_unit_test(works_again),
    };

    return cmocka_run_group_tests_name("redis_oom", tests, NULL, NULL);
}
