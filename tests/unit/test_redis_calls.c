/*
 * test_redis_calls.c: what tq_redis does with calls at its edges: calls made
 * inside callbacks, a loss inside a callback, a reply that is taken, limits,
 * the end. Each test runs with bytes whole and one by one (redis_fake.c).
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

#define ECHO(arg)  "*2\r\n$4\r\nECHO\r\n$1\r\n" arg "\r\n"


static void
call_waiting(fake_t *f)
{
    fake_call(f, "new", FAKE_RAW + FAKE_WAIT, "n");
}


static void
call_not_waiting(fake_t *f)
{
    tq_buf_adds(&f->log,
        fake_call(f, "hasty", FAKE_RAW, "h") == 0 ? "taken " : "refused ");
}


static void
calls_in_callbacks(fake_t *f)
{
    fake_ready(f);

    /* a reply */
    fake_call(f, "a", FAKE_RAW, "1");
    fake_then(f, call_not_waiting);
    fake_call(f, "b", FAKE_RAW, "2");
    fake_out(f);
    tq_buf_reset(&f->wire);
    fake_in(f, "+1\r\n+2\r\n");
    fake_log(f, "a=1 taken b=2 ");
    fake_out(f);
    fake_wire(f, ECHO("h"));
    fake_in(f, "+h\r\n");
    fake_log(f, "hasty=h ");

    /* a loss: what waited before goes before what came in its callbacks */
    fake_call(f, "a", FAKE_RAW, "1");
    fake_then(f, call_waiting);
    fake_out(f);
    fake_call(f, "b", FAKE_RAW, "2");
    fake_then(f, call_not_waiting);
    fake_call_for(f, "c", FAKE_RAW + FAKE_WAIT, "3", -1);
    f->on_down = call_waiting;
    fake_lost(f);
    f->on_down = NULL;
    fake_log(f, "a=UNKNOWN b=NOT_SENT refused DOWN ");
    fake_backoff(f);
    fake_connect(f);
    fake_out(f);
    fake_wire(f, ECHO("3") ECHO("n") ECHO("n"));
    fake_in(f, "+3\r\n+n\r\n+m\r\n");
    fake_log(f, "c=3 new=n new=m ");

    /* a deadline */
    fake_call_for(f, "a", FAKE_RAW, "1", 100);
    fake_then(f, call_not_waiting);
    f->now += 100;
    tq_redis_tick(f->r, f->now);
    fake_log(f, "a=NOT_SENT taken ");
    assert_int_equal(tq_redis_next_ms(f->r), f->now + 1000);

    /* the end */
    fake_out(f);
    fake_call(f, "z", FAKE_RAW + FAKE_WAIT, "9");
    fake_then(f, call_not_waiting);
    tq_redis_free(f->r);
    f->r = NULL;
    fake_log(f, "hasty=UNKNOWN z=NOT_SENT refused ");
}


static void
lose_it(fake_t *f)
{
    /* a host whose write failed while it flushed from a callback */
    tq_redis_lost(f->r, "write failed", f->now);
    tq_redis_lost(f->r, "write failed twice", f->now);
}


static void
lost_in_callbacks(fake_t *f)
{
    fake_ready(f);
    fake_call(f, "a", FAKE_RAW, "1");
    fake_then(f, lose_it);
    fake_call(f, "b", FAKE_RAW, "2");
    fake_out(f);

    /* the reply to b was in the same bytes, behind the loss */
    (void) fake_in(f, "+1\r\n+2\r\n");
    fake_log(f, "a=1 b=UNKNOWN DOWN ");
    assert_int_equal(tq_redis_state(f->r), TQ_REDIS_DOWN);

    fake_backoff(f);
    fake_connect(f);
    fake_call(f, "a", FAKE_RAW, "1");
    fake_then(f, lose_it);
    fake_out(f);
    f->now += 1000;
    tq_redis_tick(f->r, f->now);
    fake_log(f, "a=UNKNOWN DOWN ");

    fake_backoff(f);
    fake_connect(f);
    fake_call(f, "a", FAKE_RAW, "1");
    fake_then(f, lose_it);
    fake_out(f);
    fake_lost(f);
    fake_log(f, "a=UNKNOWN DOWN ");
}


static redisReply  *taken;

static void
take_reply(fake_t *f)
{
    taken = f->reply;
    f->call->keep = 1;
}


static void
reply_taken(fake_t *f)
{
    fake_ready(f);
    fake_call(f, "a", FAKE_RAW, "1");
    fake_then(f, take_reply);
    fake_out(f);
    fake_in(f, "*1\r\n$5\r\nhello\r\n");
    fake_log(f, "a=[hello] ");
    tq_redis_free(f->r);
    f->r = NULL;
    assert_string_equal(taken->element[0]->str, "hello");
    freeReplyObject(taken);
}


static void
calls_limit(fake_t *f)
{
    int         i;
    tq_call_t  *call;

    fake_ready(f);

    for (i = 0; i < TQ_REDIS_CALLS_MAX; i++) {
        call = tq_call_new(NULL, NULL, NULL);
        assert_non_null(call);
        tq_call_args(call, "PING");
        call->timeout_ms = 500 + i % 7;
        assert_int_equal(tq_redis_call(f->r, call, f->now), 0);
    }
    assert_int_equal(fake_call(f, "a", FAKE_RAW, "1"), -1);

    /* no callbacks, so none pending; each still has its place and deadline */
    assert_int_equal(tq_redis_pending(f->r), 0);
    assert_int_equal(tq_redis_next_ms(f->r), f->now + 500);

    if (f->step == 0) {
        fake_out(f);
        for (i = 0; i < TQ_REDIS_CALLS_MAX; i++) {
            assert_int_equal(fake_in(f, "+PONG\r\n"), 0);
        }
        assert_int_equal(tq_redis_held_bytes(f->r), 0);
        assert_int_equal(fake_call(f, "a", FAKE_RAW, "1"), 0);
        assert_int_equal(tq_redis_next_ms(f->r), f->now + 1000);
    }
}


/* White box: a quarter of a gigabyte is claimed to be held. */
static void
bytes_limit(fake_t *f)
{
    size_t  held;

    fake_ready(f);
    fake_call(f, "a", FAKE_RAW, "1");
    held = tq_redis_held_bytes(f->r);
    assert_int_equal(held, sizeof("$4\r\nECHO\r\n$1\r\n1\r\n") - 1);

    f->r->held = TQ_REDIS_OUT_MAX_BYTES - held;
    assert_int_equal(fake_call(f, "b", FAKE_RAW, "2"), 0);
    assert_int_equal(fake_call(f, "c", FAKE_RAW, "3"), -1);
    f->r->held = 2 * held;
    assert_int_equal(fake_call(f, "d", FAKE_RAW, "4"), 0);
}


/* An argument that had no room: the call is not what was meant. */
static void
incomplete_call(fake_t *f)
{
    tq_call_t  *call;

    fake_ready(f);
    call = tq_call_new(NULL, NULL, NULL);
    assert_non_null(call);
    tq_call_args(call, "DEL");
    tq_call_arg(call, "", SIZE_MAX / 2);
    tq_call_args(call, "more");
    assert_int_equal(tq_redis_call(f->r, call, f->now), -1);
    assert_int_equal(tq_redis_want(f->r), TQ_WANT_NOTHING);
}


static void
freed_with_calls(fake_t *f)
{
    fake_ready(f);
    fake_call(f, "a", FAKE_RAW, "1");
    fake_call(f, "b", FAKE_RAW, "2");
    fake_out_n(f, 30);
    fake_call(f, "c", FAKE_RAW, "3");
    fake_call(f, "d", FAKE_RAW + FAKE_WAIT, "4");
    tq_redis_free(f->r);
    f->r = NULL;
    fake_log(f, "a=UNKNOWN b=UNKNOWN c=NOT_SENT d=NOT_SENT ");
}


int
main(void)
{
    static const fake_test_t  tests[] = {
        { "calls in callbacks", calls_in_callbacks },
        { "lost in callbacks", lost_in_callbacks },
        { "reply taken", reply_taken },
        { "limit of calls", calls_limit },
        { "limit of bytes", bytes_limit },
        { "incomplete call", incomplete_call },
        { "freed with calls", freed_with_calls },
    };

    return fake_run("redis_calls", tests, sizeof(tests) / sizeof(tests[0]));
}
