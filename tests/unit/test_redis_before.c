/*
 * test_redis_before.c: calls that go right before another one (call->before):
 * their order, all or none taken, how they end when the connection does. Each
 * test runs with bytes whole and one by one (redis_fake.c).
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "redis_fake.h"
#include "tq_base.h"
#include "tq_redis_int.h"

#define ECHO(arg)   "*2\r\n$4\r\nECHO\r\n$1\r\n" arg "\r\n"
#define ECHO_BYTES  (sizeof(ECHO("1")) - 1)


/* Call c after b after a, in the words of fake_call_for(). */
static tq_call_t *
chain(fake_t *f, int kind, int64_t timeout_ms)
{
    tq_call_t  *a, *b, *c;

    a = fake_make(f, "a", FAKE_RAW, "1", 0);
    b = fake_make(f, "b", FAKE_RAW, "2", 0);
    c = fake_make(f, "c", kind, "3", timeout_ms);
    assert_true(a != NULL && b != NULL && c != NULL);
    c->before = b;
    b->before = a;

    return c;
}


static int
give(fake_t *f, tq_call_t *call)
{
    return tq_redis_call(f->r, call, f->now);
}


static void
order(fake_t *f)
{
    fake_ready(f);

    fake_call(f, "x", FAKE_RAW, "0");
    assert_int_equal(give(f, chain(f, FAKE_RAW, 0)), 0);
    fake_call(f, "y", FAKE_RAW, "4");
    assert_int_equal(tq_redis_pending(f->r), 5);
    fake_out(f);
    fake_wire(f, ECHO("0") ECHO("1") ECHO("2") ECHO("3") ECHO("4"));
    fake_in(f, "+0\r\n+1\r\n-ERR two\r\n+3\r\n+4\r\n");
    fake_log(f, "x=0 a=1 b=-ERR two c=3 y=4 ");
    assert_int_equal(tq_redis_pending(f->r), 0);
    assert_int_equal(tq_redis_held_bytes(f->r), 0);
}


static void
call_more(fake_t *f)
{
    fake_call(f, "more", FAKE_RAW, "9");
}


/* A script that Redis has forgotten goes again, without those before it; what
 * their callbacks ask for comes after it. */
static void
script_again(fake_t *f)
{
    tq_call_t  *c;

    fake_ready(f);
    c = chain(f, FAKE_A, 0);
    f->entry[0].then = call_more;
    assert_int_equal(give(f, c), 0);
    fake_out(f);
    fake_wire(f, ECHO("1") ECHO("2") "*4\r\n$7\r\nEVALSHA\r\n$40\r\n"
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n$1\r\n1\r\n$1\r\n3\r\n");
    fake_in(f, "+1\r\n+2\r\n");
    fake_out(f);
    fake_wire(f, ECHO("9"));
    fake_in(f, "-NOSCRIPT no\r\n+9\r\n");
    fake_log(f, "a=1 b=2 more=9 ");
    fake_out(f);
    assert_memory_equal(f->wire.p, "*4\r\n$4\r\nEVAL\r\n", 14);
    tq_buf_reset(&f->wire);
    fake_in(f, "+3\r\n");
    fake_log(f, "c=3 ");
    assert_int_equal(tq_redis_held_bytes(f->r), 0);
}


/* None is called back, and nothing is kept (ASan looks for what is not freed,
 * or twice). */
static void
refused(fake_t *f, tq_call_t *call)
{
    unsigned  pending = tq_redis_pending(f->r);
    unsigned  calls = f->r->calls;

    assert_int_equal(give(f, call), -1);
    assert_int_equal(tq_redis_pending(f->r), pending);
    assert_int_equal(f->r->calls, calls);
    fake_log(f, "");
}


static void
none_when_down(fake_t *f)
{
    fake_open(f);
    refused(f, chain(f, FAKE_RAW, 0));
    fake_connect(f);
    assert_int_equal(tq_redis_want(f->r), TQ_WANT_NOTHING);
}


static void
none_when_incomplete(fake_t *f)
{
    int         i;
    tq_call_t  *c;

    fake_ready(f);

    for (i = 0; i < 3; i++) {
        c = chain(f, FAKE_RAW, 0);
        tq_call_arg(i == 0 ? c : i == 1 ? c->before : c->before->before, "",
            SIZE_MAX / 2);
        refused(f, c);
    }
    assert_int_equal(tq_redis_want(f->r), TQ_WANT_NOTHING);
}


/* White box: so many, or so much, are said to be there. */
static void
none_over_the_limits(fake_t *f)
{
    size_t    held;
    unsigned  calls;

    fake_ready(f);

    calls = f->r->calls;
    f->r->calls = TQ_REDIS_CALLS_MAX - 2;
    refused(f, chain(f, FAKE_RAW, 0));
    f->r->calls = TQ_REDIS_CALLS_MAX - 3;
    assert_int_equal(give(f, chain(f, FAKE_RAW, 0)), 0);
    assert_int_equal(f->r->calls, TQ_REDIS_CALLS_MAX);
    f->r->calls = calls + 3;

    held = f->r->held;
    f->r->held = TQ_REDIS_OUT_MAX_BYTES - held + 1;
    refused(f, chain(f, FAKE_RAW, 0));
    f->r->held = TQ_REDIS_OUT_MAX_BYTES - held;
    assert_int_equal(give(f, chain(f, FAKE_RAW, 0)), 0);
    assert_int_equal(f->r->held, TQ_REDIS_OUT_MAX_BYTES);
    f->r->held = 2 * held;

    fake_out(f);
    fake_in(f, "+1\r\n+2\r\n+3\r\n+1\r\n+2\r\n+3\r\n");
    fake_log(f, "a=1 b=2 c=3 a=1 b=2 c=3 ");
    assert_int_equal(tq_redis_held_bytes(f->r), 0);
}


/* The first one sent, the next in part. */
static void
lost_between(fake_t *f)
{
    fake_ready(f);
    assert_int_equal(give(f, chain(f, FAKE_RAW, 0)), 0);
    fake_out_n(f, ECHO_BYTES + 5);
    fake_lost(f);
    fake_log(f, "a=UNKNOWN b=UNKNOWN c=NOT_SENT DOWN ");

    /* all of one that waits do: what was not sent goes to the next one */
    fake_backoff(f);
    fake_connect(f);
    assert_int_equal(give(f, chain(f, FAKE_RAW + FAKE_WAIT, -1)), 0);
    fake_out_n(f, ECHO_BYTES);
    fake_lost(f);
    fake_log(f, "a=UNKNOWN DOWN ");
    fake_backoff(f);
    fake_connect(f);
    fake_out(f);
    fake_wire(f, ECHO("2") ECHO("3"));
    fake_in(f, "+2\r\n+3\r\n");
    fake_log(f, "b=2 c=3 ");

    /* none was sent */
    fake_lost(f);
    fake_log(f, "DOWN ");
    assert_int_equal(give(f, chain(f, FAKE_RAW + FAKE_WAIT, -1)), 0);
    fake_backoff(f);
    fake_connect(f);
    fake_out(f);
    fake_wire(f, ECHO("1") ECHO("2") ECHO("3"));
    fake_in(f, "+1\r\n+2\r\n+3\r\n");
    fake_log(f, "a=1 b=2 c=3 ");
}


/* The call's own time, for all. */
static void
times_out(fake_t *f)
{
    fake_ready(f);
    assert_int_equal(give(f, chain(f, FAKE_RAW + FAKE_WAIT, 100)), 0);
    assert_int_equal(tq_redis_next_ms(f->r), f->now + 100);
    f->now += 99;
    tq_redis_tick(f->r, f->now);
    fake_log(f, "");
    f->now += 1;
    tq_redis_tick(f->r, f->now);
    fake_log(f, "a=NOT_SENT b=NOT_SENT c=NOT_SENT ");
    assert_int_equal(tq_redis_held_bytes(f->r), 0);
}


static void
freed(fake_t *f)
{
    tq_call_t  *c;

    fake_ready(f);

    /* never handed over */
    tq_call_free(chain(f, FAKE_RAW, 0));
    c = chain(f, FAKE_A, 0);
    tq_call_free(c->before);
    c->before = NULL;
    tq_call_free(c);
    fake_log(f, "");

    assert_int_equal(give(f, chain(f, FAKE_RAW, 0)), 0);
    fake_out_n(f, ECHO_BYTES);
    tq_redis_free(f->r);
    f->r = NULL;
    fake_log(f, "a=UNKNOWN b=NOT_SENT c=NOT_SENT ");
}


/* Those of payloads have no callback: only the last one is waited for. */
static void
without_callbacks(fake_t *f)
{
    tq_call_t  *c, *a;

    fake_ready(f);
    a = tq_call_new(NULL, NULL, NULL);
    assert_non_null(a);
    tq_call_args(a, "ECHO");
    tq_call_args(a, "1");
    c = fake_make(f, "c", FAKE_RAW, "3", 0);
    assert_non_null(c);
    c->before = a;
    assert_int_equal(give(f, c), 0);
    assert_int_equal(tq_redis_pending(f->r), 1);
    fake_out(f);
    fake_wire(f, ECHO("1") ECHO("3"));
    fake_in(f, "+1\r\n");
    assert_int_equal(tq_redis_pending(f->r), 1);
    fake_in(f, "+3\r\n");
    fake_log(f, "c=3 ");
    assert_int_equal(tq_redis_pending(f->r), 0);
    assert_int_equal(tq_redis_held_bytes(f->r), 0);
}


int
main(void)
{
    static const fake_test_t  tests[] = {
        { "order", order },
        { "script again", script_again },
        { "none when down", none_when_down },
        { "none when incomplete", none_when_incomplete },
        { "none over the limits", none_over_the_limits },
        { "lost between", lost_between },
        { "times out", times_out },
        { "freed", freed },
        { "without callbacks", without_callbacks },
    };

    return fake_run("redis_before", tests, sizeof(tests) / sizeof(tests[0]));
}
